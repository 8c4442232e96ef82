/**
 * Faults of a configuration file, told so that the operator can mend them: file, line, column, key, value, what is
 * allowed, and the nearest known key.
 */
import { type Document, isCollection, isMap, isScalar, type LineCounter } from "yaml";
import type { z } from "zod";

export interface ConfigFault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** As in `listeners[2].port`; "" for the file as a whole. */
  readonly key: string;
  /** What stands there, as one line; null when the key is missing. */
  readonly value: string | null;
  /** What would be right, or what is wrong with the text. */
  readonly message: string;
}

/** The file cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly ConfigFault[];
  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(formatFault).join("\n"));
    this.faults = faults;
  }
}

export function formatFault(fault: ConfigFault): string {
  const place = `${fault.file}:${fault.line}:${fault.column}`;
  if (fault.key === "") return `${place}: ${fault.message}`;
  return fault.value === null
    ? `${place}: ${fault.key}: ${fault.message}`
    : `${place}: ${fault.key}: ${fault.value}: ${fault.message}`;
}

export type ConfigPath = readonly (string | number)[];

/** Where a file's keys and values stand. */
export class Source {
  readonly file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, parts: { document: Document; lines: LineCounter }) {
    this.file = file;
    this.#document = parts.document;
    this.#lines = parts.lines;
  }

  /** The fault at a path; at its nearest enclosing node when nothing stands there. */
  fault(path: ConfigPath, message: string): ConfigFault {
    const node = this.#document.getIn(path, true);
    const value = node === undefined ? null : shown(node);
    return { file: this.file, ...this.#place(path), key: keyText(path), value, message };
  }

  /** The fault at the key itself, as for one that is not known. */
  keyFault(path: ConfigPath, message: string): ConfigFault {
    return { file: this.file, ...this.#place(path), key: keyText(path), value: null, message };
  }

  #place(path: ConfigPath): { line: number; column: number } {
    for (let depth = path.length; depth >= 0; depth--) {
      const offset = this.#offset(path.slice(0, depth));
      if (offset === null) continue;
      const { line, col } = this.#lines.linePos(offset);
      return { line, column: col };
    }
    return { line: 1, column: 1 };
  }

  #offset(path: ConfigPath): number | null {
    if (path.length === 0) return this.#document.contents?.range?.[0] ?? null;
    const parent = path.length === 1
      ? this.#document.contents
      : this.#document.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
      return isScalar(pair?.key) ? pair.key.range?.[0] ?? null : null;
    }
    const node = this.#document.getIn(path, true);
    return isScalar(node) || isCollection(node) ? node.range?.[0] ?? null : null;
  }
}

function shown(node: unknown): string {
  const value = isScalar(node) ? node.value : isCollection(node) ? node.toJSON() : node;
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function keyText(path: ConfigPath): string {
  return path.reduce<string>(
    (text, part) => typeof part === "number" ? `${text}[${part}]` : text === "" ? part : `${text}.${part}`,
    "",
  );
}

/** One fault per issue of the schema; `knownKeys` gives the keys allowed at a path. */
export function faultsOf(
  issues: readonly z.core.$ZodIssue[],
  options: {
    source: Source;
    knownKeys: (path: ConfigPath) => readonly string[];
    present: (path: ConfigPath) => boolean;
  },
): ConfigFault[] {
  const { source } = options;
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => typeof part === "symbol" ? String(part) : part);
    if (issue.code === "unrecognized_keys") {
      const known = options.knownKeys(path);
      return issue.keys.map((key) => source.keyFault([...path, key], unknownKey(key, known)));
    }
    if (!options.present(path)) return [source.fault(path, `missing; it must be ${allowed(issue)}`)];
    return [source.fault(path, `must be ${allowed(issue)}`)];
  });
}

function allowed(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") return `one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input")) {
    return TYPE_NAMES[issue.expected] ?? issue.expected;
  }
  return issue.message;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  boolean: "true or false",
  object: "a block of keys",
  record: "a block of keys",
  array: "a list",
  string: "text",
};

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === null
    ? `unknown key; known here: ${known.join(", ")}`
    : `unknown key; did you mean "${near}"?`;
}

/** The known word most like this one; null when none is near. */
export function nearest(word: string, known: readonly string[]): string | null {
  const folded = word.toLowerCase().replaceAll("-", "_");
  let best: string | null = null;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(folded, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, changes and swapped neighbours. */
function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cell = new Uint16Array((a.length + 1) * width);
  for (let i = 0; i <= a.length; i++) cell[i * width] = i;
  for (let j = 0; j <= b.length; j++) cell[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(
        cell[(i - 1) * width + j]! + 1,
        cell[i * width + j - 1]! + 1,
        cell[(i - 1) * width + j - 1]! + same,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, cell[(i - 2) * width + j - 2]! + 1);
      }
      cell[i * width + j] = least;
    }
  }
  return cell[a.length * width + b.length]!;
}
