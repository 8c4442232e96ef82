/**
 * SORT (RFC 5256; ESORT: RFC 5267; SORT=DISPLAY: RFC 5957): the hits of a search in another order.
 *
 * What they compare is read in packed columns, slice by slice, with a look at the output and the clock between, and kept as
 * ranks (sort_ranks.ts); sorting pauses for the same reason.
 */
import { codePointOrder } from "../../bytes/casemap.ts";
import { baseSubject } from "../../protocols/imap/base_subject.ts";
import { CASEMAPS } from "../../protocols/imap/comparator.ts";
import type { Command } from "../../protocols/imap/command.ts";
import type { SortKey } from "../../protocols/imap/commands/sort.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { Store } from "../../storage/store.ts";
import type { ImapContext, Selected } from "./context.ts";
import { firstAddress } from "./envelope_address.ts";
import { Hits } from "./hits.ts";
import { KeptByUse } from "./kept_by_use.ts";
import { Progress } from "./progress.ts";
import { answerSearch } from "./search.ts";
import {
  countingOrder,
  extended,
  type RankedKey,
  type RankedOrder,
  ranksOf,
  type SortValue,
} from "./sort_ranks.ts";

const PAGE = 5_000;
const ENVELOPES = 500;
/** UIDs for each hit beyond which pages of messages would hold too little that is wanted. */
const FAR = 8;
const MAX_RELEVANCY = 100;
/** Of orders in memory, for each thread. */
const MAX_OCTETS = 24 * 1024 * 1024;

export function sort(
  context: ImapContext,
  command: Extract<Command, { name: "SORT" }>,
): Promise<Reply> {
  return answerSearch(context, command, {
    order: (selected, hits) => sortHits(context, selected, hits, command.order),
    done: "Sort completed",
  });
}

/** The key of the active comparator (RFC 5255 4.2). */
export function casemapOf({ session }: ImapContext): (text: string) => string {
  return CASEMAPS.get(session.comparator)!;
}

/** Messages in another order than that of the mailbox. */
export async function sortHits(
  context: ImapContext,
  selected: Selected,
  hits: Hits,
  order: readonly SortKey[],
): Promise<Hits> {
  const keys: RankedKey[] = [];
  const progress = new Progress(context, hits.count * order.length);
  for (const { by, reverse } of order) {
    if (by === "RELEVANCY") { // RFC 6203 6: the highest first
      const ranks = Uint32Array.from(hits.uids, (_, place) => MAX_RELEVANCY - hits.relevancyAt(place));
      keys.push({ ranks, distinct: MAX_RELEVANCY, reverse });
      continue;
    }
    const ranked = await rankedBy(context, selected, hits.uids, { by, progress });
    keys.push({ ranks: ranksOf(ranked, hits.uids), distinct: ranked.values.length, reverse });
    await context.drain();
  }
  const places = await inSlices(context, countingOrder(hits.count, keys));
  return hits.at(places);
}

/** The order by one key of at least these messages: kept, unless they are few of the mailbox. */
export async function rankedBy(
  context: ImapContext,
  selected: Selected,
  uids: Uint32Array,
  { by, progress }: { readonly by: Exclude<SortKey["by"], "RELEVANCY">; readonly progress: Progress },
): Promise<RankedOrder> {
  const { index, mailbox } = selected;
  const kept = keptBy(context.store);
  const name = `${mailbox.id} ${by} ${context.session.comparator}`;
  const { known, added } = missingFrom(kept.get(name), index, uids);
  if (added.length === 0 && known !== null) {
    progress.add(uids.length);
    return known;
  }
  const values = await valuesOf(context, selected, added, { by, progress });
  const order = await inSlices(context, extended(known, { uids: added, ...values }));
  if (added !== uids) kept.put(name, order);
  return order;
}

/**
 * What has to be read where `known` was kept: the messages behind that, or those asked for alone (the same array, to be kept
 * by nobody) where they are few of the mailbox and nothing was.
 */
export function missingFrom<V extends { readonly uids: Uint32Array }>(
  known: V | null,
  index: Selected["index"],
  uids: Uint32Array,
): { readonly known: V | null; readonly added: Uint32Array } {
  if (known !== null && known.uids.length > 2 * index.count) known = null; // most of it is gone
  if (known === null && uids.length * FAR < index.count) return { known, added: uids };
  const first = index.lowerBound((known?.uids.at(-1) ?? 0) + 1);
  const added = new Uint32Array(index.count - first);
  for (let at = 0; at < added.length; at++) added[at] = index.uidAt(first + at);
  return { known, added };
}

/** Orders are kept for each thread. */
const orders = new WeakMap<Store, KeptByUse<RankedOrder>>();

function keptBy(store: Store): KeptByUse<RankedOrder> {
  let kept = orders.get(store);
  if (kept === undefined) orders.set(store, kept = new KeptByUse(MAX_OCTETS));
  return kept;
}

interface Values {
  readonly values: SortValue[];
  readonly answers?: Uint8Array;
}

async function valuesOf(
  context: ImapContext,
  selected: Selected,
  uids: Uint32Array,
  { by, progress }: { readonly by: Exclude<SortKey["by"], "RELEVANCY">; readonly progress: Progress },
): Promise<Values> {
  const textual = by !== "ARRIVAL" && by !== "DATE" && by !== "SIZE";
  const values: SortValue[] = new Array(uids.length).fill(textual ? "" : 0);
  const casemap = casemapOf(context);
  const key = (text: string) => codePointOrder(casemap(text));
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  if (by === "CC" || by === "FROM" || by === "TO" || by === "DISPLAYFROM" || by === "DISPLAYTO") {
    const field = by.endsWith("FROM") ? "from" : by.endsWith("TO") ? "to" : "cc";
    const display = by.startsWith("DISPLAY");
    for (let from = 0; from < uids.length; from += ENVELOPES) {
      const batch = [...uids.subarray(from, from + ENVELOPES)];
      const rows = messages.knownWithImap(mailboxId, batch);
      for (const [at, row] of rows.entries()) {
        if (row !== null && row.imap.length > 0) {
          values[from + at] = key(firstAddress(row.imap, field, display));
        }
      }
      progress.add(batch.length);
      await context.drain();
    }
    return { values };
  }
  if (by === "SUBJECT") {
    const wanted = { subjects: true, threads: false };
    const answers = new Uint8Array(uids.length);
    await eachColumn(context, selected, { uids, progress }, wanted, (place, columns, at) => {
      const subject = baseSubject(columns.subjects[at]!);
      values[place] = key(subject.base);
      answers[place] = subject.answers ? 1 : 0;
    });
    return { values, answers };
  }
  await eachDated(context, selected, { uids, progress }, (place, { sizeOctets, internalDate, sentAt }) => {
    // RFC 5256 2.2: without a Date field INTERNALDATE stands for it.
    values[place] = by === "SIZE" ? sizeOctets : by === "ARRIVAL" ? internalDate : sentAt ?? internalDate;
  });
  return { values };
}

type Dated = Pick<MessageRow, "internalDate" | "sentAt" | "sizeOctets">;

/** Visits the hits that are still there, with their dates and sizes, which are the caller's until the next visit. */
async function eachDated(
  context: ImapContext,
  selected: Selected,
  { uids, progress }: { readonly uids: Uint32Array; readonly progress: Progress },
  visit: (place: number, dated: Dated) => void,
): Promise<void> {
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  const [first] = uids, last = uids.at(-1);
  if (first === undefined || last === undefined) return;
  if (last - first > uids.length * FAR) {
    for (let from = 0; from < uids.length; from += ENVELOPES) {
      const batch = [...uids.subarray(from, from + ENVELOPES)];
      for (const [at, row] of messages.known(mailboxId, batch).entries()) {
        if (row !== null) visit(from + at, row);
      }
      progress.add(batch.length);
      await context.drain();
    }
    return;
  }
  const dated = { internalDate: 0, sentAt: null as number | null, sizeOctets: 0 };
  for (let place = 0; place < uids.length;) {
    const begin = place;
    const page = messages.page(mailboxId, { uid: uids[place]!, largest: last });
    for (; place < uids.length && uids[place]! <= page.last; place++) {
      const uid = uids[place]!;
      if (!page.has(uid)) continue;
      dated.internalDate = page.internalDateOf(uid);
      dated.sentAt = page.sentAtOf(uid);
      dated.sizeOctets = page.sizeOf(uid);
      visit(place, dated);
    }
    progress.add(place - begin);
    await context.drain();
  }
}

type Columns = ReturnType<ImapContext["store"]["messages"]["sortColumns"]>;

/** Visits the hits that are still there, with their columns. */
export async function eachColumn(
  context: ImapContext,
  selected: Selected,
  { uids, progress }: { readonly uids: Uint32Array; readonly progress: Progress },
  wanted: { subjects: boolean; threads: boolean },
  visit: (place: number, columns: Columns, at: number) => void,
): Promise<void> {
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  for (let place = 0; place < uids.length;) {
    const columns = messages.sortColumns(mailboxId, { after: uids[place]! - 1, limit: PAGE }, wanted);
    const { uids: found } = columns;
    let at = 0;
    for (; place < uids.length; place++) {
      const uid = uids[place]!;
      while (at < found.length && found[at]! < uid) at++;
      if (at === found.length) break;
      if (found[at] === uid) visit(place, columns, at);
    }
    progress.add(found.length);
    if (found.length < PAGE) return;
    await context.drain();
  }
}

/** Runs steps to their end; others have their turn between. */
export async function inSlices<T>(context: ImapContext, steps: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await context.drain();
  }
}
