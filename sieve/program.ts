/**
 * The outside of the language: a script's octets to a program, a program and a message to what is to be done.
 *
 * `compileScript` never throws on a script, `Program.run` never on a message: a script that fails while it runs gives
 * the implicit keep and the fault (RFC 5228 2.10.6). Scripts that include others are compiled with them; at an upload
 * they are not looked for, since they may come later (RFC 6609 3.1). Pure. Limits: parser.ts and run.ts.
 */
import { latin1 } from "../bytes/decode.ts";
import { checkScript } from "./checker.ts";
import { type ScriptFault, scriptFault } from "./fault.ts";
import type { Host } from "./host.ts";
import type { MessageView } from "./message_view.ts";
import type { Action, Header, Outcome } from "./outcome.ts";
import { decodeScript, parseScript } from "./parser.ts";
import { loadRegexEngine, type RegexEngine } from "./regex.ts";
import { DEFAULT_RUN_LIMITS, Run, type RunLimits, ScriptError, type Step } from "./run.ts";
import type { Node } from "./syntax.ts";

/** Scripts including scripts. */
const MAX_INCLUDE_DEPTH = 10;
/** Includes of one program, all together. */
const MAX_INCLUDES = 20;

export interface CompileOptions {
  /** As it is told in faults. */
  readonly name?: string;
  /** Octets of a script that is included; null is not there. Left out: nothing is looked for. */
  readonly find?: (location: "personal" | "global", name: string) => Uint8Array | null;
}

export type Compiled =
  | { readonly program: Program }
  | { readonly faults: readonly ScriptFault[] };

/** Compiles; the engine of regular expressions is loaded where a script may ask for it. */
export async function compileScript(octets: Uint8Array, options: CompileOptions = {}): Promise<Compiled> {
  return compile(octets, options, mayUseRegex(octets) ? await loadRegexEngine() : null);
}

/** A cheap look: the script asks for expressions, or includes others that may. */
function mayUseRegex(octets: Uint8Array): boolean {
  return /regex|include/i.test(latin1(octets));
}

function compile(octets: Uint8Array, options: CompileOptions, regex: RegexEngine | null): Compiled {
  const unit: Unit = { options, regex, needsBody: false, extensions: new Set(), includes: 0 };
  const name = options.name ?? "script";
  const result = compileOne(octets, unit, { name, path: [] });
  if ("faults" in result) return result;
  const { needsBody, extensions } = unit;
  return { program: new Program(result.step, result.source, { name, needsBody, extensions }) };
}

interface Unit {
  readonly options: CompileOptions;
  readonly regex: RegexEngine | null;
  needsBody: boolean;
  readonly extensions: Set<string>;
  includes: number;
}

interface Compilation {
  readonly step: Step;
  readonly source: string;
}

function compileOne(
  octets: Uint8Array,
  unit: Unit,
  { name, path }: { readonly name: string; readonly path: readonly string[] },
): Compilation | { readonly faults: readonly ScriptFault[] } {
  const source = decodeScript(octets);
  if (typeof source !== "string") return { faults: [source] };
  const parsed = parseScript(source);
  if ("fault" in parsed) return { faults: [parsed.fault] };
  const { step, faults } = checkNodes({ commands: parsed.commands, source }, unit, { name, path });
  if (faults.length > 0) return { faults: faults.map(({ at, text }) => scriptFault(source, at, text)) };
  return { step: located(step, { name, source }), source };
}

function checkNodes(
  { commands, source }: { readonly commands: readonly Node[]; readonly source: string },
  unit: Unit,
  { name, path }: { readonly name: string; readonly path: readonly string[] },
) {
  return checkScript(commands, {
    script: name,
    source,
    regex: unit.regex,
    needBody: () => {
      unit.needsBody = true;
    },
    enabled: (extension) => unit.extensions.add(extension),
    include: (request) => includeStep(unit, path, request),
  });
}

/** What including this script does; null where it is not looked for, or not there. */
function includeStep(
  unit: Unit,
  path: readonly string[],
  { location, name }: { readonly location: "personal" | "global"; readonly name: string },
): Step | null {
  const { find } = unit.options;
  if (find === undefined) return null;
  const id = `${location}/${name}`;
  // RFC 6609 3.1: found out when it is run.
  if (path.includes(id)) return failing(`"${name}" includes itself`);
  if (path.length >= MAX_INCLUDE_DEPTH) {
    return failing(`more than ${MAX_INCLUDE_DEPTH} scripts inside each other`);
  }
  if (++unit.includes > MAX_INCLUDES) return failing(`more than ${MAX_INCLUDES} includes`);
  const octets = find(location, name);
  if (octets === null) return null;
  const result = compileOne(octets, unit, { name, path: [...path, id] });
  if ("step" in result) return result.step;
  const [fault] = result.faults;
  return failing(`"${name}" has a fault in line ${fault!.line}: ${fault!.text}`);
}

function failing(text: string): Step {
  return () => {
    throw new ScriptError(text);
  };
}

/** A fault that happens in a script gets its place there. */
function located(step: Step, { name, source }: { readonly name: string; readonly source: string }): Step {
  return (run) => {
    try {
      return step(run);
    } catch (error) {
      if (error instanceof ScriptError && error.script === name && error.place === null) {
        error.place = scriptFault(source, error.at ?? 0, error.message);
      }
      throw error;
    }
  };
}

export class Program {
  readonly name: string;
  /** The message is needed whole, not just its header. */
  readonly needsBody: boolean;
  /** What the script and those it includes ask for. */
  readonly extensions: ReadonlySet<string>;
  readonly source: string;
  readonly #step: Step;

  constructor(
    step: Step,
    source: string,
    { name, needsBody, extensions }: {
      readonly name: string;
      readonly needsBody: boolean;
      readonly extensions: ReadonlySet<string>;
    },
  ) {
    this.#step = step;
    this.source = source;
    this.name = name;
    this.needsBody = needsBody;
    this.extensions = extensions;
  }

  /** `header` is what a script before this one left, `flags` are those that the message has already. */
  run(
    message: MessageView,
    host: Host,
    { limits = DEFAULT_RUN_LIMITS, header = null, flags = null }: {
      readonly limits?: RunLimits;
      readonly header?: Header;
      readonly flags?: readonly string[] | null;
    } = {},
  ): Outcome {
    const run = new Run(message, host, { limits, header });
    run.flags = flags;
    try {
      this.#step(run);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      const place = error.place ?? scriptFault(this.source, error.at ?? 0, error.message);
      return {
        actions: [],
        implicitKeep: { kind: "keep", flags: null, header },
        remembered: [],
        header,
        fault: { ...place, script: error.script ?? this.name },
        trace: run.trace,
        reasons: run.reasons,
      };
    }
    return {
      actions: withoutRepeats(run.actions),
      implicitKeep: run.implicitKeep ? run.keep() : null,
      remembered: run.remembered,
      header: run.header,
      fault: null,
      trace: run.implicitKeep ? [...run.trace, "implicit keep"] : run.trace,
      reasons: run.reasons,
    };
  }
}

/** RFC 5228 2.10.3: filed or sent to the same place twice is once; discard and keep give way to themselves. */
function withoutRepeats(actions: readonly Action[]): Action[] {
  const seen = new Set<string>();
  return actions.filter((action) => {
    const id = placeOf(action);
    if (id === null) return true;
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

function placeOf(action: Action): string | null {
  switch (action.kind) {
    case "keep":
    case "discard":
      return action.kind;
    case "redirect":
      return `redirect ${action.address.toLowerCase()}`;
    case "fileinto":
      return `fileinto ${action.specialUse ?? ""} ${action.mailboxId ?? ""} ${action.mailbox}`;
    case "notify":
      return `notify ${action.method} ${action.message ?? ""}`;
    case "reject":
    case "vacation":
      return null;
    default:
      return action satisfies never;
  }
}
