/**
 * SEARCH keys as a tree, and what each node needs to be decided.
 *
 * RFC 3501 6.4.4. Dates are midnight UTC of the day named; a message's own date is compared by its day. Costs order
 * the work: flags and numbers come from the index, dates and sizes from rows, text from the octets. Pure.
 */
import type { FetchItem } from "./fetch_plan.ts";
import type { PartialRange } from "./partial_range.ts";
import { SAVED_RESULT, type SequenceSet } from "./sequence_set.ts";

export const MAX_SEARCH_KEYS = 1_000;
export const MAX_SEARCH_DEPTH = 50;
/** Octets of a text that is looked for: a line of a header has 998 (RFC 5322 2.1.1). */
export const MAX_NEEDLE_OCTETS = 1_024;

export type SearchKey =
  | { readonly kind: "all" }
  | { readonly kind: "sequence"; readonly set: SequenceSet }
  | { readonly kind: "uid"; readonly set: SequenceSet }
  /** All bits of `flags` (lexer.ts SYSTEM_FLAGS) are set. */
  | { readonly kind: "flag"; readonly flags: number }
  /** In lower case. */
  | { readonly kind: "keyword"; readonly keyword: string }
  | { readonly kind: "recent" }
  /** INTERNALDATE is more, or less, than so many seconds ago (RFC 5032). */
  | { readonly kind: "older" | "younger"; readonly seconds: number }
  /** MODSEQ is at least this (RFC 7162 3.1.5). */
  | { readonly kind: "mod-seq"; readonly least: number }
  /** Octets, exclusive. */
  | { readonly kind: "larger" | "smaller"; readonly octets: number }
  /** INTERNALDATE, the Date field or SAVEDATE (RFC 8514), `since` inclusive, `before` exclusive. */
  | {
    readonly kind: "internal-date" | "sent-date" | "saved-date";
    readonly since: number | null;
    readonly before: number | null;
  }
  /** RFC 8474 5. */
  | { readonly kind: "object-id"; readonly of: "EMAILID" | "THREADID"; readonly id: string }
  /** `needle` is empty when any field of that name will do. */
  | { readonly kind: "header"; readonly field: string; readonly needle: Uint8Array }
  | { readonly kind: "body" | "text"; readonly needle: Uint8Array }
  | { readonly kind: "and"; readonly keys: readonly SearchKey[] }
  | { readonly kind: "or"; readonly left: SearchKey; readonly right: SearchKey }
  | { readonly kind: "not"; readonly key: SearchKey }
  /** RFC 6203. */
  | { readonly kind: "fuzzy"; readonly key: SearchKey };

/** What SEARCH RETURN asks for (RFC 4731, SAVE: RFC 5182); null is the plain SEARCH response. */
export interface SearchReturn {
  readonly min: boolean;
  readonly max: boolean;
  readonly all: boolean;
  readonly count: boolean;
  readonly save: boolean;
  readonly partial: PartialRange | null;
  /** RFC 6203 4. */
  readonly relevancy: boolean;
  /**
   * Changes of the result are told from here on (RFC 5267 4.3), new messages with these attributes (RFC 5465 7); null:
   * they are not.
   */
  readonly update: readonly FetchItem[] | null;
}

/** What deciding a key costs: 0 the index, 1 a row, 2 the header octets, 3 all octets. */
export function searchCost(key: SearchKey): 0 | 1 | 2 | 3 {
  switch (key.kind) {
    case "all":
    case "sequence":
    case "uid":
    case "flag":
    case "keyword":
    case "recent":
    case "mod-seq":
      return 0;
    case "larger":
    case "smaller":
    case "older":
    case "younger":
    case "internal-date":
    case "sent-date":
    case "saved-date":
    case "object-id":
      return 1;
    case "header":
      return 2;
    case "body":
    case "text":
      return 3;
    case "and":
      return key.keys.reduce<0 | 1 | 2 | 3>((cost, part) => max(cost, searchCost(part)), 0);
    case "or":
      return max(searchCost(key.left), searchCost(key.right));
    case "not":
    case "fuzzy":
      return searchCost(key.key);
    default:
      return key satisfies never;
  }
}

/** How many keys the tree has. */
export function countKeys(key: SearchKey): number {
  switch (key.kind) {
    case "and":
      return key.keys.reduce((sum, part) => sum + countKeys(part), 0);
    case "or":
      return countKeys(key.left) + countKeys(key.right);
    case "not":
    case "fuzzy":
      return countKeys(key.key);
    default:
      return 1;
  }
}

/** Names of the header fields that some key looks at, in lower case. */
export function* fieldsOf(key: SearchKey): Generator<string> {
  switch (key.kind) {
    case "header":
      yield key.field;
      return;
    case "and":
      for (const part of key.keys) yield* fieldsOf(part);
      return;
    case "or":
      yield* fieldsOf(key.left);
      yield* fieldsOf(key.right);
      return;
    case "not":
    case "fuzzy":
      yield* fieldsOf(key.key);
      return;
    default:
      return;
  }
}

/** True when the tree asks for MODSEQ: the response then carries the highest one found (RFC 7162 3.1.6). */
export function asksModSeq(key: SearchKey): boolean {
  switch (key.kind) {
    case "mod-seq":
      return true;
    case "and":
      return key.keys.some(asksModSeq);
    case "or":
      return asksModSeq(key.left) || asksModSeq(key.right);
    case "not":
    case "fuzzy":
      return asksModSeq(key.key);
    default:
      return false;
  }
}

/** True when some key names messages by number. */
export function asksNumbers(key: SearchKey): boolean {
  switch (key.kind) {
    case "sequence":
      return key.set !== SAVED_RESULT;
    case "and":
      return key.keys.some(asksNumbers);
    case "or":
      return asksNumbers(key.left) || asksNumbers(key.right);
    case "not":
    case "fuzzy":
      return asksNumbers(key.key);
    default:
      return false;
  }
}

/** The tree with message numbers, and what `$` stands for, put as UIDs: both are those of now (RFC 5267 4.3). */
export function freezeNumbers(key: SearchKey, toUids: (set: SequenceSet) => SequenceSet): SearchKey {
  switch (key.kind) {
    case "sequence":
      return { kind: "uid", set: toUids(key.set) };
    case "uid":
      return key.set === SAVED_RESULT ? { kind: "uid", set: toUids(key.set) } : key;
    case "and":
      return { kind: "and", keys: key.keys.map((part) => freezeNumbers(part, toUids)) };
    case "or":
      return { kind: "or", left: freezeNumbers(key.left, toUids), right: freezeNumbers(key.right, toUids) };
    case "not":
    case "fuzzy":
      return { kind: key.kind, key: freezeNumbers(key.key, toUids) };
    default:
      return key;
  }
}

/** True when the result changes while no message does (RFC 5032). */
export function movesWithTime(key: SearchKey): boolean {
  switch (key.kind) {
    case "older":
    case "younger":
      return true;
    case "and":
      return key.keys.some(movesWithTime);
    case "or":
      return movesWithTime(key.left) || movesWithTime(key.right);
    case "not":
    case "fuzzy":
      return movesWithTime(key.key);
    default:
      return false;
  }
}

/** True when some key is decided by SAVEDATE or an object id. */
export function asksFacts(key: SearchKey): boolean {
  switch (key.kind) {
    case "saved-date":
    case "object-id":
      return true;
    case "and":
      return key.keys.some(asksFacts);
    case "or":
      return asksFacts(key.left) || asksFacts(key.right);
    case "not":
    case "fuzzy":
      return asksFacts(key.key);
    default:
      return false;
  }
}

/** True when some key is FUZZY: only then there is a relevancy (RFC 6203 4). */
export function asksFuzzy(key: SearchKey): boolean {
  switch (key.kind) {
    case "fuzzy":
      return true;
    case "and":
      return key.keys.some(asksFuzzy);
    case "or":
      return asksFuzzy(key.left) || asksFuzzy(key.right);
    case "not":
      return asksFuzzy(key.key);
    default:
      return false;
  }
}

function max(a: 0 | 1 | 2 | 3, b: 0 | 1 | 2 | 3): 0 | 1 | 2 | 3 {
  return a > b ? a : b;
}
