/**
 * Checks a syntax tree against the commands and tests there are, and turns it into steps to run.
 *
 * RFC 5228 2.6 (arguments), 2.10.5 (extensions must be required), 3.1 (if), 3.2 (require). Faults are collected with
 * their places; a script with one is refused whole. Where `ihave` says what there is not, its block is not looked at
 * (RFC 5463 4.). Pure.
 */
import { EXTENSIONS, withImplied } from "./extensions.ts";
import type { Call, CommandSpec, Kind, Place, TagSpec, TestSpec, Value } from "./grammar.ts";
import type { RegexEngine } from "./regex.ts";
import { COMMANDS, TESTS } from "./registry.ts";
import type { Held } from "./outcome.ts";
import { type Run, ScriptError, type Signal, type Step, type Test } from "./run.ts";
import type { ArgumentNode, Node, StringNode } from "./syntax.ts";
import { literal, parseText, type Text } from "./text.ts";

export interface CheckOptions {
  readonly script: string;
  readonly source: string;
  readonly regex: RegexEngine | null;
  readonly include: (request: { location: "personal" | "global"; name: string; at: number }) => Step | null;
  readonly needBody: () => void;
  /** Told of each extension that is asked for. */
  readonly enabled: (extension: string) => void;
}

export interface CheckFault {
  readonly at: number;
  readonly text: string;
}

const MAX_FAULTS = 20;
const NOTHING: Step = () => undefined;
const FALSE: Test = { holds: () => false };
const IF_CHAIN: ReadonlySet<string> = new Set(["if", "elsif", "else"]);
const NO_TAGS: Readonly<Record<string, TagSpec>> = {};

export function checkScript(
  commands: readonly Node[],
  options: CheckOptions,
): { readonly step: Step; readonly faults: readonly CheckFault[] } {
  const checker = new Checker(options);
  const step = checker.script(commands);
  return { step, faults: checker.faults };
}

class Checker implements Place {
  readonly faults: CheckFault[] = [];
  readonly namespaces = new Set<string>();
  readonly regex: RegexEngine | null;
  readonly #options: CheckOptions;
  readonly #enabled = new Set<string>();
  readonly #loops: (string | null)[] = [];

  constructor(options: CheckOptions) {
    this.#options = options;
    this.regex = options.regex;
  }

  enabled(extension: string): boolean {
    return this.#enabled.has(extension);
  }

  enable(extensions: readonly string[]): void {
    for (const extension of extensions) {
      for (const name of withImplied(extension) ?? []) {
        this.#enabled.add(name);
        this.#options.enabled(name);
      }
      if (extension === "include") this.namespaces.add("global");
    }
  }

  fault(at: number, text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push({ at, text });
  }

  inString(at: number, offset: number): number {
    const { source } = this.#options;
    if (source[at] !== '"') return at; // a text over several lines
    let place = at + 1;
    for (let left = offset; left > 0; left--) place += source[place] === "\\" ? 2 : 1;
    return place;
  }

  include(request: { location: "personal" | "global"; name: string; at: number }): Step | null {
    return this.#options.include(request);
  }

  needBody(): void {
    this.#options.needBody();
  }

  script(commands: readonly Node[]): Step {
    let at = 0;
    // RFC 5228 3.2: only in front of everything else.
    for (; commands[at]?.name === "require"; at++) this.#require(commands[at]!);
    return this.#block(commands.slice(at));
  }

  #require(node: Node): void {
    const [argument] = node.arguments;
    if (node.arguments.length !== 1 || argument?.kind !== "strings") {
      return this.fault(node.at, "require takes one list of strings");
    }
    if (node.block !== null || node.tests.length > 0) return this.fault(node.at, "require takes no block");
    for (const { text, at } of argument.values) {
      if (EXTENSIONS.has(text)) this.enable([text]);
      else this.fault(at, `there is no extension "${text}"`);
    }
  }

  #block(commands: readonly Node[]): Step {
    const steps: Step[] = [];
    for (let i = 0; i < commands.length; i++) {
      const command = commands[i]!;
      if (command.name === "if") {
        let end = i + 1;
        while (commands[end]?.name === "elsif" || commands[end]?.name === "else") end++;
        steps.push(this.#if(commands.slice(i, end)));
        i = end - 1;
      } else if (IF_CHAIN.has(command.name)) {
        this.fault(command.at, `${command.name} without an if before it`);
      } else if (command.name === "require") this.fault(command.at, "require only at the top of a script");
      else steps.push(this.#command(command));
    }
    return sequence(steps);
  }

  /** RFC 5228 3.1. */
  #if(chain: readonly Node[]): Step {
    const branches: { test: Test | null; step: Step; held: Held }[] = [];
    let decided = false;
    chain.forEach((node, i) => {
      const isElse = node.name === "else";
      if (isElse && i !== chain.length - 1) this.fault(chain[i + 1]!.at, "nothing follows an else");
      if (node.arguments.length > 0) this.fault(node.arguments[0]!.at, `${node.name} takes no argument`);
      if (node.tests.length !== (isElse ? 0 : 1)) {
        this.fault(node.at, isElse ? "else takes no test" : `${node.name} takes one test`);
        return;
      }
      if (node.block === null) return this.fault(node.at, `${node.name} needs a block`);
      if (decided) return;
      const test = isElse ? null : this.#test(node.tests[0]!);
      if (test?.known === false) return;
      const held = { at: node.at, test: isElse ? null : node.tests[0]! };
      branches.push({ test, step: this.#block(node.block), held });
      if (test?.known === true) decided = true;
    });
    return (run) => {
      for (const { test, step, held } of branches) {
        if (test !== null && !test.holds(run)) continue;
        run.held.push(held);
        const signal = step(run);
        run.held.pop();
        return signal;
      }
    };
  }

  #command(node: Node): Step {
    const spec: CommandSpec | undefined = COMMANDS.get(node.name);
    if (spec === undefined) {
      this.fault(
        node.at,
        TESTS.has(node.name) ? `${node.name} is a test` : `there is no command ${node.name}`,
      );
      return NOTHING;
    }
    const loop = node.name === "foreverypart";
    if (node.name === "break" && !this.#leaves(node)) return NOTHING;
    const call = this.#call(node, spec, () => {
      if (loop) this.#loops.push(nameTag(node));
      const step = node.block === null ? NOTHING : this.#block(node.block);
      if (loop) this.#loops.pop();
      return step;
    });
    if (call === null) return NOTHING;
    const step = spec.compile(call);
    const script = this.#options.script;
    return (run) => {
      run.spend();
      try {
        const signal = step(run);
        run.explain(script, node.at);
        return signal;
      } catch (error) {
        if (error instanceof ScriptError) {
          error.at ??= node.at;
          error.script ??= script;
        }
        throw error;
      }
    };
  }

  /** RFC 5703 3.: break stands in a loop, and the one it names is around it. */
  #leaves(node: Node): boolean {
    const name = nameTag(node);
    if (this.#loops.length > 0 && (name === null || this.#loops.includes(name))) return true;
    this.fault(node.at, name === null ? "break outside of a loop" : `there is no loop "${name}" around`);
    return false;
  }

  #test(node: Node): Test {
    const spec: TestSpec | undefined = TESTS.get(node.name);
    if (spec === undefined) {
      this.fault(
        node.at,
        COMMANDS.has(node.name) ? `${node.name} is no test` : `there is no test ${node.name}`,
      );
      return FALSE;
    }
    const call = this.#call(node, spec, () => NOTHING);
    if (call === null) return FALSE;
    const { holds, ...rest } = spec.compile(call);
    return {
      ...rest,
      holds: (run) => {
        run.spend();
        return holds(run);
      },
    };
  }

  /** Null and a fault where the call does not fit its description. */
  #call(node: Node, spec: CommandSpec | TestSpec, block: () => Step): Call | null {
    const { name, at } = node;
    const needed = spec.extensions ?? [];
    if (needed.length > 0 && !needed.some((extension) => this.#enabled.has(extension))) {
      this.fault(at, `${name} needs require "${needed[0]}"`);
      return null;
    }
    const before = this.faults.length;
    const { tags, rest } = this.#tags(node, spec);
    const positional = this.#positional(node, spec, rest);
    const most = spec.tests === undefined ? 0 : spec.tests === "one" ? 1 : Infinity;
    if (node.tests.length > most) {
      this.fault(node.tests[most]!.at, `${name} takes ${most === 0 ? "no" : "one"} test`);
    } else if (node.tests.length === 0 && most > 0) this.fault(at, `${name} needs a test`);
    const wantsBlock = "block" in spec && spec.block === true;
    if (wantsBlock !== (node.block !== null)) {
      this.fault(at, wantsBlock ? `${name} needs a block` : `${name} takes no block`);
    }
    if (this.faults.length > before) return null;
    const tests = node.tests.map((test) => this.#test(test));
    return { name, at, place: this, tests, block: block(), positional, tags };
  }

  #tags(
    node: Node,
    spec: CommandSpec | TestSpec,
  ): { tags: Map<string, { at: number; value: Value | null }>; rest: ArgumentNode[] } {
    const known = spec.tags ?? NO_TAGS;
    const tags = new Map<string, { at: number; value: Value | null }>();
    const groups = new Map<string, string>();
    const rest: ArgumentNode[] = [];
    for (let i = 0; i < node.arguments.length; i++) {
      const argument = node.arguments[i]!;
      if (argument.kind !== "tag") {
        rest.push(argument);
        continue;
      }
      const { name, at } = argument;
      const tag = Object.hasOwn(known, name) ? known[name] : undefined;
      if (tag === undefined) {
        this.fault(at, `${node.name} has no :${name}`);
        continue;
      }
      if (tag.extension !== undefined && !this.#enabled.has(tag.extension)) {
        this.fault(at, `:${name} needs require "${tag.extension}"`);
      }
      if (tags.has(name)) this.fault(at, `:${name} stands twice`);
      if (tag.group !== undefined) {
        const other = groups.get(tag.group);
        if (other !== undefined) this.fault(at, `:${name} and :${other} exclude each other`);
        groups.set(tag.group, name);
      }
      let value: Value | null = null;
      if (tag.value !== undefined) {
        const given = node.arguments[++i];
        value = given === undefined ? null : this.#value(given, tag.value);
        if (value === null) this.fault(given?.at ?? at, `:${name} needs ${KINDS[tag.value]}`);
      }
      tags.set(name, { at, value });
    }
    return { tags, rest };
  }

  #positional(node: Node, spec: CommandSpec | TestSpec, given: readonly ArgumentNode[]): Value[] {
    const kinds = spec.positional ?? [];
    const missing = kinds.length - given.length;
    if (missing < 0) {
      this.fault(
        given[kinds.length]!.at,
        kinds.length === 0 ? `${node.name} takes no argument` : `${node.name} has an argument too many`,
      );
      return [];
    }
    if (missing > (spec.optional ?? 0) + (spec.optionalLast ?? 0)) {
      const kind = kinds[given.length]!;
      this.fault(node.at, `${node.name} needs ${KINDS[kind]}`);
      return [];
    }
    return given.flatMap((argument, i) => {
      const kind = kinds[spec.optionalLast === undefined ? missing + i : i]!;
      const value = this.#value(argument, kind);
      if (value !== null) return [value];
      this.fault(argument.at, `${node.name} needs ${KINDS[kind]} here`);
      return [];
    });
  }

  #value(argument: ArgumentNode, kind: Kind): Value | null {
    const { at } = argument;
    if (kind === "number") return argument.kind === "number" ? { kind, number: argument.value, at } : null;
    if (argument.kind !== "strings" || (kind === "string" && argument.list)) return null;
    return { kind: "strings", texts: argument.values.map((value) => this.#text(value)), at };
  }

  #text(value: StringNode): Text {
    const text = parseText(value, {
      encodedCharacter: this.#enabled.has("encoded-character"),
      variables: this.#enabled.has("variables"),
      namespaces: this.namespaces,
    });
    if (typeof text !== "string") return text;
    this.fault(value.at, text);
    return literal("", value.at);
  }
}

const KINDS: Readonly<Record<Kind, string>> = {
  string: "a string",
  strings: "a list of strings",
  number: "a number",
};

/** The value of `:name`, as it is written. */
function nameTag(node: Node): string | null {
  const at = node.arguments.findIndex((argument) => argument.kind === "tag" && argument.name === "name");
  const value = at < 0 ? undefined : node.arguments[at + 1];
  return value?.kind === "strings" ? value.values[0]?.text ?? null : null;
}

function sequence(steps: readonly Step[]): Step {
  const [only] = steps;
  if (steps.length === 1 && only !== undefined) return only;
  return (run: Run): Signal | void => {
    for (const step of steps) {
      const signal = step(run);
      if (signal !== undefined) return signal;
    }
  };
}
