/**
 * How commands and tests are described, and what a checked call of one gives to its compile function. Pure.
 *
 * Every command and every test is one {@linkcode CommandSpec} or {@linkcode TestSpec}; which extension a name or a tag
 * needs, which arguments it takes and how many tests and blocks is data, the same check serves them all (checker.ts).
 */
import type { RegexEngine } from "./regex.ts";
import type { Step, Test } from "./run.ts";
import type { Text } from "./text.ts";

export type Kind = "string" | "strings" | "number";

export interface TagSpec {
  /** What follows the tag; left out: nothing. */
  readonly value?: Kind;
  readonly extension?: string;
  /** At most one tag of a group may stand. */
  readonly group?: string;
}

export type TagSpecs = Readonly<Record<string, TagSpec>>;

interface Spec {
  /** One of these must be required; left out: none. */
  readonly extensions?: readonly string[];
  readonly tags?: TagSpecs;
  readonly positional?: readonly Kind[];
  /** How many positional arguments may be missing, the first ones first. */
  readonly optional?: number;
  /** The same for the last ones. */
  readonly optionalLast?: number;
  /** Left out: none. */
  readonly tests?: "one" | "some";
}

export interface CommandSpec extends Spec {
  readonly block?: boolean;
  readonly compile: (call: Call) => Step;
}

export interface TestSpec extends Spec {
  readonly compile: (call: Call) => Test;
}

export type Value =
  | { readonly kind: "number"; readonly number: number; readonly at: number }
  | { readonly kind: "strings"; readonly texts: readonly Text[]; readonly at: number };

/** What the place of a call is in. */
export interface Place {
  readonly regex: RegexEngine | null;
  /** Names that a variable may have before its dot. */
  readonly namespaces: ReadonlySet<string>;
  enabled(extension: string): boolean;
  /** Turns on what a test found to be there (RFC 5463 4.). */
  enable(extensions: readonly string[]): void;
  fault(at: number, text: string): void;
  /** Where the character of a string that begins at `at` stands in the script. */
  inString(at: number, offset: number): number;
  /** The steps of another script; null is not at hand, which is found out when it is run. */
  include(request: { location: "personal" | "global"; name: string; at: number }): Step | null;
  /** The script looks at what is behind the header. */
  needBody(): void;
}

/** A call whose arguments fit its description. */
export interface Call {
  readonly name: string;
  readonly at: number;
  readonly place: Place;
  readonly tests: readonly Test[];
  /** Of commands with one. */
  readonly block: Step;
  readonly positional: readonly Value[];
  readonly tags: ReadonlyMap<string, { readonly at: number; readonly value: Value | null }>;
}

export function has(call: Call, tag: string): boolean {
  return call.tags.has(tag);
}

export function numberOf(value: Value | null | undefined): number | null {
  return value?.kind === "number" ? value.number : null;
}

export function textsOf(value: Value | null | undefined): readonly Text[] {
  return value?.kind === "strings" ? value.texts : [];
}

export function tagNumber(call: Call, tag: string): number | null {
  return numberOf(call.tags.get(tag)?.value);
}

export function tagText(call: Call, tag: string): Text | null {
  return textsOf(call.tags.get(tag)?.value)[0] ?? null;
}

export function tagTexts(call: Call, tag: string): readonly Text[] | null {
  return call.tags.has(tag) ? textsOf(call.tags.get(tag)?.value) : null;
}

/** A positional string; the check has seen to it that it is there. */
export function textAt(call: Call, index: number): Text {
  return textsOf(call.positional[index])[0]!;
}

export function textsAt(call: Call, index: number): readonly Text[] {
  return textsOf(call.positional[index]);
}

/** A string that must be known when the script is checked; "" and a fault otherwise. */
export function constantAt(call: Call, text: Text): string {
  if (text.constant === null) call.place.fault(text.at, "variables are not allowed here");
  return text.constant ?? "";
}
