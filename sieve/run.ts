/**
 * One script at work: variables, flags, the message as edited so far, what was decided, and the budget.
 *
 * A script that passes a limit or does what its extensions forbid ends by {@linkcode ScriptError}, thrown here and
 * caught once by the program; nothing of it happens then.
 */
import type { Comparator } from "./comparator.ts";
import type { ScriptFault } from "./fault.ts";
import type { Host } from "./host.ts";
import type { HeaderField, MessageView, PartView } from "./message_view.ts";
import type { Action, Held, Keep, Reason, Remembered } from "./outcome.ts";
import type { Variables } from "./text.ts";

export interface Envelope {
  /** "" is the null path. */
  readonly from: string;
  readonly to: string;
}

export interface RunLimits {
  /** Commands, tests and comparisons; long comparisons count more. */
  readonly steps: number;
  readonly actions: number;
  readonly redirects: number;
  readonly notifications: number;
  readonly variables: number;
  /** Characters of one value. */
  readonly valueCharacters: number;
  /** Fields added to the header. */
  readonly addedFields: number;
}

export const DEFAULT_RUN_LIMITS: RunLimits = {
  steps: 200_000,
  actions: 32,
  redirects: 5,
  notifications: 5,
  variables: 256,
  valueCharacters: 64 * 1024,
  addedFields: 100,
};

export class ScriptError extends Error {
  override readonly name = "ScriptError";
  /** Offset into the text of `script`; null is filled in by the command that runs. */
  at: number | null;
  script: string | null;
  /** Where in that script. */
  place: ScriptFault | null;
  constructor(message: string, at: number | null = null) {
    super(message);
    this.at = at;
    this.script = null;
    this.place = null;
  }
}

/** Variables of one script; those named in `globals` are shared with others (RFC 6609 3.4). */
export interface Frame {
  readonly variables: Map<string, string>;
  readonly globals: Set<string>;
}

export class Run implements Variables {
  readonly message: MessageView;
  readonly host: Host;
  readonly limits: RunLimits;
  readonly actions: Action[];
  readonly remembered: Remembered[];
  readonly trace: string[];
  readonly reasons: Reason[];
  /** The branches that the run is in. */
  readonly held: Held[];
  /** Scripts that `:once` keeps from a second time. */
  readonly included: Set<string>;
  frame: Frame;
  /** Match variables, the whole match first. */
  matched: readonly string[];
  /** The internal variable of RFC 5232; null until it is set. */
  flags: readonly string[] | null;
  implicitKeep: boolean;
  /** Null: as it came. */
  header: readonly HeaderField[] | null;
  addedFields: number;
  /** Parts that the loops around are at, innermost last. */
  readonly parts: PartView[];
  #shared: Map<string, string>;
  /** Fields by name, of the header that they were put in order of. */
  #index: Map<string, HeaderField[]>;
  #indexed: readonly HeaderField[] | null;
  #keys: Map<Comparator, Map<string, string>>;
  #steps: number;

  constructor(
    message: MessageView,
    host: Host,
    { limits, header }: { readonly limits: RunLimits; readonly header: Run["header"] },
  ) {
    this.message = message;
    this.host = host;
    this.limits = limits;
    this.actions = [];
    this.remembered = [];
    this.trace = [];
    this.reasons = [];
    this.held = [];
    this.included = new Set();
    this.frame = { variables: new Map(), globals: new Set() };
    this.matched = [];
    this.flags = null;
    this.implicitKeep = true;
    this.header = header;
    this.addedFields = 0;
    this.parts = [];
    this.#shared = new Map();
    this.#index = new Map();
    this.#indexed = null;
    this.#keys = new Map();
    this.#steps = 0;
  }

  /** The header as the script has it now. */
  get fields(): readonly HeaderField[] {
    return this.header ?? this.message.fields;
  }

  /** The key of a text, which tests of other rules ask for again. */
  key(comparator: Comparator, text: string): string {
    if (text.length > MAX_KEY) {
      this.spend(text.length >> 9);
      return comparator.key(text);
    }
    let keys = this.#keys.get(comparator);
    if (keys === undefined) this.#keys.set(comparator, keys = new Map());
    let key = keys.get(text);
    if (key === undefined) {
      if (keys.size >= MAX_KEYS) keys.clear();
      keys.set(text, key = comparator.key(text));
    }
    return key;
  }

  /** Fields of this name (lower case), in order. */
  named(name: string): readonly HeaderField[] {
    const { fields } = this;
    if (this.#indexed !== fields) {
      this.#indexed = fields;
      this.#index.clear();
      for (const field of fields) {
        const known = this.#index.get(field.name);
        if (known === undefined) this.#index.set(field.name, [field]);
        else known.push(field);
      }
    }
    return this.#index.get(name) ?? NO_FIELDS;
  }

  spend(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > this.limits.steps) throw new ScriptError("the script takes too long");
  }

  /** Lines of the trace that are new are of this command. */
  explain(script: string, at: number): void {
    while (this.reasons.length < this.trace.length) {
      this.reasons.push({ script, at, held: [...this.held] });
    }
  }

  act(action: Action, what: string): void {
    if (this.actions.length >= this.limits.actions) {
      throw new ScriptError(`more than ${this.limits.actions} actions`);
    }
    this.trace.push(what);
    this.actions.push(action);
  }

  count(kind: Action["kind"]): number {
    return this.actions.filter((action) => action.kind === kind).length;
  }

  keep(): Keep {
    return { kind: "keep", flags: this.flags, header: this.header };
  }

  variable(name: string): string {
    const first = name.charCodeAt(0);
    if (first >= 0x30 && first <= 0x39) return this.matched[Number(name)] ?? "";
    return this.#home(name).get(withoutNamespace(name)) ?? "";
  }

  setVariable(name: string, value: string): void {
    const home = this.#home(name);
    const own = withoutNamespace(name);
    if (!home.has(own) && home.size >= this.limits.variables) {
      throw new ScriptError(`more than ${this.limits.variables} variables`);
    }
    home.set(own, this.limit(value));
  }

  limit(text: string): string {
    if (text.length <= this.limits.valueCharacters) return text;
    throw new ScriptError(`a value is longer than ${this.limits.valueCharacters} characters`);
  }

  #home(name: string): Map<string, string> {
    const shared = name.startsWith(GLOBAL) || this.frame.globals.has(name);
    return shared ? this.#shared : this.frame.variables;
  }
}

/** Folded texts kept for the next test. */
const MAX_KEYS = 200;
/** Longer ones are folded each time, which costs steps. */
const MAX_KEY = 4_096;
const NO_FIELDS: readonly HeaderField[] = [];
const GLOBAL = "global.";

function withoutNamespace(name: string): string {
  return name.startsWith(GLOBAL) ? name.slice(GLOBAL.length) : name;
}

/** How a block ended: at its end, or by a command that leaves it. */
export type Signal =
  | undefined
  | { readonly kind: "stop" | "return" }
  /** Null leaves the innermost loop. */
  | { readonly kind: "break"; readonly loop: string | null };

export type Step = (run: Run) => Signal | void;

export interface Test {
  /** Set where the answer does not depend on the message (RFC 5463 4.): what it excludes is not looked at. */
  readonly known?: boolean;
  readonly holds: (run: Run) => boolean;
}
