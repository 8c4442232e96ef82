/**
 * The generic grammar of scripts (RFC 5228 8.2) to a tree; what commands mean is the checker's business.
 *
 * Pure. Limits: {@linkcode ParserLimits}; a script beyond one of them is a fault like any other. Never throws on text.
 */
import { utf8OrNull } from "../bytes/decode.ts";
import { type ScriptFault, scriptFault } from "./fault.ts";
import { Lexer, type Token } from "./lexer.ts";
import type { ArgumentNode, Node, StringNode } from "./syntax.ts";

export interface ParserLimits {
  readonly octets: number;
  /** Blocks and tests inside each other. */
  readonly nesting: number;
  /** Commands and tests. */
  readonly nodes: number;
  readonly stringsInList: number;
}

const DEFAULT_PARSER_LIMITS: ParserLimits = {
  octets: 256 * 1024,
  nesting: 32,
  nodes: 10_000,
  stringsInList: 1_000,
};

export type Parsed = { readonly commands: readonly Node[] } | { readonly fault: ScriptFault };

/** The text of a script, or why it is none. */
export function decodeScript(octets: Uint8Array): string | ScriptFault {
  const text = utf8OrNull(octets);
  if (text === null) return { at: 0, line: 1, column: 1, text: "the script is not UTF-8" };
  const nul = text.indexOf("\0");
  return nul < 0 ? text : scriptFault(text, nul, "NUL is not allowed");
}

export function parseScript(source: string, limits: ParserLimits = DEFAULT_PARSER_LIMITS): Parsed {
  if (source.length > limits.octets) {
    return {
      fault: { at: 0, line: 1, column: 1, text: `the script is longer than ${limits.octets} octets` },
    };
  }
  const parser = new Parser(source, limits);
  const commands = parser.script();
  const { fault } = parser;
  return fault === null ? { commands } : { fault: scriptFault(source, fault.at, fault.text) };
}

class Parser {
  fault: { readonly at: number; readonly text: string } | null = null;
  readonly #lexer: Lexer;
  readonly #limits: ParserLimits;
  #token: Token;
  #nodes = 0;

  constructor(source: string, limits: ParserLimits) {
    this.#lexer = new Lexer(source);
    this.#limits = limits;
    this.#token = { kind: "end", at: 0 };
    this.#advance();
  }

  script(): Node[] {
    const commands = this.#commands(0);
    if (this.#token.kind !== "end") this.#fail("a command");
    return commands;
  }

  #commands(depth: number): Node[] {
    const commands: Node[] = [];
    while (this.fault === null && this.#token.kind === "identifier") {
      const command = this.#command(depth);
      if (command !== null) commands.push(command);
    }
    return commands;
  }

  /** command = identifier arguments (";" / block) */
  #command(depth: number): Node | null {
    const head = this.#head(depth);
    if (head === null) return null;
    if (this.#take(";")) return { ...head, block: null };
    if (!this.#take("{")) return this.#fail('";" or a block');
    const block = this.#commands(depth + 1);
    if (!this.#take("}")) return this.#fail('"}"');
    return { ...head, block };
  }

  /** identifier arguments */
  #head(depth: number): Omit<Node, "block"> | null {
    if (this.#token.kind !== "identifier") return this.#fail("a name");
    const { text: name, at } = this.#token;
    if (depth > this.#limits.nesting) return this.#failAt(at, `deeper than ${this.#limits.nesting} levels`);
    if (++this.#nodes > this.#limits.nodes) {
      return this.#failAt(at, `more than ${this.#limits.nodes} commands and tests`);
    }
    this.#advance();
    const given: ArgumentNode[] = [];
    for (let argument = this.#argument(); argument !== null; argument = this.#argument()) {
      given.push(argument);
    }
    return { name, at, arguments: given, tests: this.#tests(depth) };
  }

  #argument(): ArgumentNode | null {
    const token = this.#token;
    switch (token.kind) {
      case "tag":
        this.#advance();
        return { kind: "tag", name: token.text, at: token.at };
      case "number":
        this.#advance();
        return { kind: "number", value: token.value, at: token.at };
      case "string":
        this.#advance();
        return {
          kind: "strings",
          values: [{ text: token.text, at: token.at }],
          list: false,
          at: token.at,
        };
      case "[":
        return this.#stringList();
      default:
        return null;
    }
  }

  /** string-list; an empty one is not in the grammar, yet others write it and take it. */
  #stringList(): ArgumentNode | null {
    const { at } = this.#token;
    const values: StringNode[] = [];
    this.#advance();
    if (this.#take("]")) return { kind: "strings", values, list: true, at };
    do {
      if (this.#token.kind !== "string") return this.#fail("a string");
      if (values.length === this.#limits.stringsInList) {
        return this.#failAt(at, `more than ${this.#limits.stringsInList} strings in a list`);
      }
      values.push({ text: this.#token.text, at: this.#token.at });
      this.#advance();
    } while (this.#take(","));
    return this.#take("]") ? { kind: "strings", values, list: true, at } : this.#fail('"," or "]"');
  }

  /** [test / test-list] */
  #tests(depth: number): Node[] {
    const tests: Node[] = [];
    const one = (): boolean => {
      const head = this.#head(depth + 1);
      if (head === null) return false;
      tests.push({ ...head, block: null });
      return true;
    };
    if (this.#token.kind === "identifier") one();
    else if (this.#take("(")) {
      do if (!one()) return tests; while (this.#take(","));
      if (!this.#take(")")) this.#fail('"," or ")"');
    }
    return tests;
  }

  #take(kind: Token["kind"]): boolean {
    if (this.fault !== null || this.#token.kind !== kind) return false;
    this.#advance();
    return true;
  }

  #advance(): void {
    this.#token = this.#lexer.next();
    if (this.#token.kind === "fault") this.#failAt(this.#token.at, this.#token.text);
  }

  #fail(expected: string): null {
    const { kind } = this.#token;
    return this.#failAt(this.#token.at, `expected ${expected}${kind === "end" ? ", not the end" : ""}`);
  }

  #failAt(at: number, text: string): null {
    this.fault ??= { at, text };
    return null;
  }
}
