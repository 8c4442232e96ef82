/** SEARCH responses (RFC 3501 7.2.5; MODSEQ: RFC 7162 3.1.6): numbers on one line, and ESEARCH (RFC 4731). Pure. */
import { formatRanges, type Ranges } from "../sequence_set.ts";

const RANGES_PER_PIECE = 2_000;

/** The line in pieces of bounded size, so that a million hits are never one string. */
export function* formatSearch(
  numbers: readonly number[],
  options: { readonly modSeq?: number | null; readonly perPiece?: number } = {},
): Generator<string> {
  const { modSeq = null, perPiece = 4_000 } = options;
  yield "* SEARCH";
  for (let i = 0; i < numbers.length; i += perPiece) yield " " + numbers.slice(i, i + perPiece).join(" ");
  yield modSeq === null || numbers.length === 0 ? "\r\n" : ` (MODSEQ ${modSeq})\r\n`;
}

/** What an ESEARCH response holds; null leaves an item out. */
export interface EsearchResult {
  readonly tag: string;
  readonly uid: boolean;
  readonly min: number | null;
  readonly max: number | null;
  /** Ascending; null leaves ALL out. */
  readonly all: Ranges | null;
  readonly count: number | null;
  readonly modSeq: number | null;
}

/** ESEARCH (RFC 4731 3.1). MIN, MAX and ALL stand only where something was found. */
export function* formatEsearch(result: EsearchResult): Generator<string> {
  const { tag, uid, min, max, all, count, modSeq } = result;
  let head = `* ESEARCH (TAG "${tag}")${uid ? " UID" : ""}`;
  if (min !== null) head += ` MIN ${min}`;
  if (max !== null) head += ` MAX ${max}`;
  if (count !== null) head += ` COUNT ${count}`;
  if (modSeq !== null) head += ` MODSEQ ${modSeq}`;
  yield head;
  for (let at = 0; all !== null && at < all.length; at += RANGES_PER_PIECE) {
    yield `${at === 0 ? " ALL " : ","}${formatRanges(all.slice(at, at + RANGES_PER_PIECE))}`;
  }
  yield "\r\n";
}
