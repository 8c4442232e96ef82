/** SEARCH and SORT responses (RFC 3501 7.2.5, RFC 5256 4; MODSEQ: RFC 7162 3.1.6, 7) and ESEARCH (RFC 4731). Pure. */
import type { Out } from "../../../bytes/out.ts";
import { formatRanges, type Ranges } from "../sequence_set.ts";

const RANGES_PER_PIECE = 2_000;
const SCORES_PER_PIECE = 8_000;

/** Writes the line in pieces of bounded size, so that a million hits are never one string. */
export function* writeFound(
  out: Out,
  name: "SEARCH" | "SORT",
  numbers: ArrayLike<number>,
  options: { readonly modSeq?: number | null; readonly perPiece?: number } = {},
): Generator<void> {
  const { modSeq = null, perPiece = 4_000 } = options;
  out.text(`* ${name}`);
  for (let i = 0; i < numbers.length; i += perPiece) {
    out.numbers(numbers, i, Math.min(i + perPiece, numbers.length));
    yield;
  }
  out.text(modSeq === null || numbers.length === 0 ? "\r\n" : ` (MODSEQ ${modSeq})\r\n`);
}

/** The mailbox that an ESEARCH response is about. */
export interface SearchedMailbox {
  /** As on the wire. */
  readonly mailbox: string;
  readonly uidValidity: number;
}

/** What an ESEARCH response holds; null leaves an item out. */
export interface EsearchResult {
  readonly tag: string;
  /** Of a search in other mailboxes (RFC 7377 2.1). */
  readonly where?: SearchedMailbox;
  readonly uid: boolean;
  readonly min: number | null;
  readonly max: number | null;
  /** In the order of the result; null leaves ALL out. */
  readonly all: Ranges | null;
  readonly count: number | null;
  /** The range as it was asked for, and what it holds (RFC 9394 3.1). */
  readonly partial: { readonly range: string; readonly numbers: Ranges } | null;
  readonly modSeq: number | null;
  /** Of the messages in ALL or PARTIAL, in their order (RFC 6203 4). */
  readonly relevancies: readonly number[] | null;
}

/** ESEARCH (RFC 4731 3.1). MIN, MAX and ALL stand only where something was found. */
export function* formatEsearch(result: EsearchResult): Generator<string> {
  const { tag, where, uid, min, max, all, count, partial, modSeq, relevancies } = result;
  const place = where === undefined ? "" : ` MAILBOX ${where.mailbox} UIDVALIDITY ${where.uidValidity}`;
  let head = `* ESEARCH (TAG "${tag}"${place})${uid ? " UID" : ""}`;
  if (min !== null) head += ` MIN ${min}`;
  if (max !== null) head += ` MAX ${max}`;
  if (count !== null) head += ` COUNT ${count}`;
  if (modSeq !== null) head += ` MODSEQ ${modSeq}`;
  yield head;
  if (all !== null && all.length > 0) yield* formatSet(" ALL ", all);
  if (partial !== null) {
    if (partial.numbers.length === 0) yield ` PARTIAL (${partial.range} NIL)`;
    else {
      yield* formatSet(` PARTIAL (${partial.range} `, partial.numbers);
      yield ")";
    }
  }
  if (relevancies !== null) {
    yield " RELEVANCY (";
    for (let at = 0; at < relevancies.length; at += SCORES_PER_PIECE) {
      yield (at === 0 ? "" : " ") + relevancies.slice(at, at + SCORES_PER_PIECE).join(" ");
    }
    yield ")";
  }
  yield "\r\n";
}

function* formatSet(before: string, ranges: Ranges): Generator<string> {
  for (let at = 0; at < ranges.length; at += RANGES_PER_PIECE) {
    yield `${at === 0 ? before : ","}${formatRanges(ranges.slice(at, at + RANGES_PER_PIECE))}`;
  }
}
