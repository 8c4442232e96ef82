/**
 * What SEARCH and SORT answer of the messages they found, in the order they found them in.
 *
 * RFC 3501 7.2.5, RFC 5256 4; RETURN: RFC 4731, RFC 5267 3.1, PARTIAL: RFC 9394 3.1; what `$` keeps: RFC 5182 2.1,
 * RFC 9394 3.2.
 */
import { formatEsearch, type SearchedMailbox, writeFound } from "../../protocols/imap/format/search.ts";
import { formatPartialRange, partOf } from "../../protocols/imap/partial_range.ts";
import { asksModSeq, type SearchKey, type SearchReturn } from "../../protocols/imap/search_program.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { type Ranges, rangesOf } from "../../protocols/imap/sequence_set.ts";
import type { ImapContext, Selected } from "./context.ts";
import type { Hits } from "./hits.ts";

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
  hits: Hits,
  where?: SearchedMailbox,
): Promise<void> {
  const { index } = selected;
  const modSeqOf = (...some: Hits[]) => {
    if (!asksModSeq(key)) return null;
    let most: number | null = null;
    for (const { uids } of some) {
      for (const uid of uids) most = Math.max(most ?? 0, index.modSeqAt(index.positionOf(uid)));
    }
    return most;
  };
  let pieces: Iterable<string> = [];
  if (returns === null) {
    for (const _ of writeFound(context.out, name, hits.numbers(uid), { modSeq: modSeqOf(hits) })) {
      await context.drain();
    }
  } else {
    const { min, max, all, count, partial, save, relevancy } = returns;
    // RFC 5182 2.2: SAVE alone is answered by the tagged OK only.
    if (save && !min && !max && !all && !count && partial === null && !relevancy) return;
    const first = hits.slice(0, 1), last = lastOf(hits);
    const part = partial === null ? hits.slice(0, 0) : hits.slice(...partOf(hits.count, partial));
    // RFC 4731 3.2: with MIN or MAX alone it is the MODSEQ of what is named.
    const named = all || count ? [hits] : [...(min ? [first] : []), ...(max ? [last] : []), part];
    pieces = formatEsearch({
      tag: context.session.tag,
      ...(where !== undefined && { where }),
      uid,
      min: min ? first.numbers(uid)[0] ?? null : null,
      max: max ? last.numbers(uid)[0] ?? null : null,
      all: all ? rangesOf(hits.numbers(uid)) : null,
      count: count ? hits.count : null,
      partial: partial === null
        ? null
        : { range: formatPartialRange(partial), numbers: rangesOf(part.numbers(uid)) },
      modSeq: modSeqOf(...named),
      relevancies: relevancy ? relevanciesOf(all || partial === null ? hits : part) : null,
    });
  }
  for (const piece of pieces) {
    context.out.text(piece);
    await context.drain();
  }
}

function lastOf(hits: Hits): Hits {
  return hits.slice(Math.max(0, hits.count - 1), hits.count);
}

function relevanciesOf(hits: Hits): number[] {
  return Array.from(hits.uids, (_, place) => hits.relevancyAt(place));
}

/** A search that was to be saved and is answered NO leaves nothing under `$`, one answered BAD all (RFC 5182 2.1). */
export function refusedSearch(selected: Selected, returns: SearchReturn | null, refusal: Reply): Reply {
  if (returns?.save === true && refusal.status === "NO") selected.saved = [];
  return refusal;
}

/** What `$` stands for afterwards: all, or only what MIN, MAX and PARTIAL named. */
export function savedOf(returns: SearchReturn, hits: Hits): Ranges {
  const { min, max, all, count, partial } = returns;
  const some = all || count || (!min && !max && partial === null) ? hits.uids : [
    ...(min ? hits.slice(0, 1).uids : []),
    ...(max ? lastOf(hits).uids : []),
    ...(partial === null ? [] : hits.slice(...partOf(hits.count, partial)).uids),
  ];
  return rangesOf([...new Set(some)].sort((a, b) => a - b));
}
