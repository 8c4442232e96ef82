/**
 * What SEARCH and SORT answer of the messages they found, in the order they found them in.
 *
 * RFC 3501 7.2.5, RFC 5256 4; RETURN: RFC 4731, RFC 5267 3.1, PARTIAL: RFC 9394 3.1; what `$` keeps: RFC 5182 2.1,
 * RFC 9394 3.2.
 */
import { formatEsearch, type SearchedMailbox, writeFound } from "../../protocols/imap/format/search.ts";
import { formatPartialRange, partOf } from "../../protocols/imap/partial_range.ts";
import { asksModSeq, type SearchKey, type SearchReturn } from "../../protocols/imap/search_program.ts";
import { type Ranges, rangesOf } from "../../protocols/imap/sequence_set.ts";
import type { ImapContext, Selected } from "./context.ts";

export interface Candidate {
  readonly sequence: number;
  readonly uid: number;
  /** 1 to 100 (RFC 6203); of hits only. */
  readonly relevancy?: number;
}

export interface SearchRequest {
  readonly name: "SEARCH" | "SORT";
  readonly uid: boolean;
  readonly returns: SearchReturn | null;
  readonly key: SearchKey;
}

/** SEARCH or SORT; ESEARCH where RETURN was given. */
export async function answerFound(
  context: ImapContext,
  selected: Selected,
  { name, uid, returns, key }: SearchRequest,
  hits: readonly Candidate[],
  where?: SearchedMailbox,
): Promise<void> {
  const { index } = selected;
  const numbersOf = (some: readonly Candidate[]) => some.map((hit) => uid ? hit.uid : hit.sequence);
  const modSeqOf = (some: readonly Candidate[]) =>
    asksModSeq(key) && some.length > 0
      ? some.reduce((most, hit) => Math.max(most, index.modSeqAt(index.positionOf(hit.uid))), 0)
      : null;
  let pieces: Iterable<string> = [];
  if (returns === null) {
    for (const _ of writeFound(context.out, name, numbersOf(hits), { modSeq: modSeqOf(hits) })) {
      await context.drain();
    }
  } else {
    const { min, max, all, count, partial, save, relevancy } = returns;
    // RFC 5182 2.2: SAVE alone is answered by the tagged OK only.
    if (save && !min && !max && !all && !count && partial === null && !relevancy) return;
    const first = hits.slice(0, 1), last = hits.slice(-1);
    const part = partial === null ? [] : partOf(hits, partial);
    // RFC 4731 3.2: with MIN or MAX alone it is the MODSEQ of what is named.
    const named = all || count ? hits : [...(min ? first : []), ...(max ? last : []), ...part];
    pieces = formatEsearch({
      tag: context.session.tag,
      ...(where !== undefined && { where }),
      uid,
      min: min ? numbersOf(first)[0] ?? null : null,
      max: max ? numbersOf(last)[0] ?? null : null,
      all: all ? rangesOf(numbersOf(hits)) : null,
      count: count ? hits.length : null,
      partial: partial === null
        ? null
        : { range: formatPartialRange(partial), numbers: rangesOf(numbersOf(part)) },
      modSeq: modSeqOf(named),
      relevancies: relevancy
        ? (all || partial === null ? hits : part).map((hit) => hit.relevancy ?? 1)
        : null,
    });
  }
  for (const piece of pieces) {
    context.out.text(piece);
    await context.drain();
  }
}

/** What `$` stands for afterwards: all, or only what MIN, MAX and PARTIAL named. */
export function savedOf(returns: SearchReturn, hits: readonly Candidate[]): Ranges {
  const { min, max, all, count, partial } = returns;
  const some = all || count || (!min && !max && partial === null) ? hits : [
    ...(min ? hits.slice(0, 1) : []),
    ...(max ? hits.slice(-1) : []),
    ...(partial === null ? [] : partOf(hits, partial)),
  ];
  return rangesOf([...new Set(some.map(({ uid }) => uid))].sort((a, b) => a - b));
}
