/**
 * SORT and THREAD (RFC 5256; ESORT: RFC 5267; SORT=DISPLAY: RFC 5957): the hits of a search in another order.
 *
 * What they compare is read in packed columns, slice by slice, with a look at the output and the clock between, and kept as
 * ranks (sort_ranks.ts); sorting and threading pause for the same reason.
 */
import { codePointOrder } from "../../bytes/casemap.ts";
import { baseSubject } from "../../protocols/imap/base_subject.ts";
import { CASEMAPS } from "../../protocols/imap/comparator.ts";
import type { Command } from "../../protocols/imap/command.ts";
import type { SortKey } from "../../protocols/imap/commands/sort.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { formatThreads, thread, type ThreadMessage, type ThreadNode } from "../../protocols/imap/thread.ts";
import type { MessageRow, Store } from "../../storage/store.ts";
import { type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { firstAddress } from "./envelope_address.ts";
import { Progress } from "./progress.ts";
import { findMessages } from "./search.ts";
import { beginUpdates, NO_UPDATES } from "./search_context.ts";
import { answerFound, type Candidate, savedOf } from "./search_result.ts";
import {
  countingOrder,
  extended,
  type RankedKey,
  type RankedOrder,
  ranksOf,
  SortRanks,
  type SortValue,
} from "./sort_ranks.ts";

const PAGE = 5_000;
const ENVELOPES = 500;
/** UIDs for each hit beyond which pages of messages would hold too little that is wanted. */
const FAR = 8;
const MAX_RELEVANCY = 100;

export async function sort(
  context: ImapContext,
  command: Extract<Command, { name: "SORT" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const { returns } = command;
  const updates = returns?.update != null ? beginUpdates(context, selected, command) : NO_UPDATES;
  if ("status" in updates) return updates;
  const found = await findMessages(context, selected, command);
  if ("status" in found) {
    updates.cancel();
    return found;
  }
  const { hits, broken } = found;
  const sorted = await sortHits(context, selected, hits, command.order);
  await answerFound(context, selected, command, sorted);
  updates.start(sorted);
  if (returns?.save === true) selected.saved = broken ? [] : savedOf(returns, sorted);
  return broken ? no("Some messages could not be read", "SERVERBUG") : ok("Sort completed");
}

/** The key of the active comparator (RFC 5255 4.2). */
export function casemapOf({ session }: ImapContext): (text: string) => string {
  return CASEMAPS.get(session.comparator)!;
}

/** Messages in another order than that of the mailbox. */
export async function sortHits(
  context: ImapContext,
  selected: Selected,
  hits: readonly Candidate[],
  order: readonly SortKey[],
): Promise<Candidate[]> {
  const keys: RankedKey[] = [];
  const progress = new Progress(context, hits.length * order.length);
  for (const { by, reverse } of order) {
    if (by === "RELEVANCY") { // RFC 6203 6: the highest first
      const ranks = Uint32Array.from(hits, ({ relevancy = 1 }) => MAX_RELEVANCY - relevancy);
      keys.push({ ranks, distinct: MAX_RELEVANCY, reverse });
      continue;
    }
    const ranked = await rankedBy(context, selected, hits, { by, progress });
    keys.push({ ranks: ranksOf(ranked, hits), distinct: ranked.values.length, reverse });
    await context.drain();
  }
  const places = await inSlices(context, countingOrder(hits.length, keys));
  return Array.from(places, (at) => hits[at]!);
}

/** The order by one key of at least these messages: kept, unless they are few of the mailbox. */
async function rankedBy(
  context: ImapContext,
  selected: Selected,
  hits: readonly Candidate[],
  { by, progress }: { readonly by: Exclude<SortKey["by"], "RELEVANCY">; readonly progress: Progress },
): Promise<RankedOrder> {
  const { index, mailbox } = selected;
  const kept = keptBy(context.store);
  const name = `${mailbox.id} ${by} ${context.session.comparator}`;
  let known = kept.get(name);
  if (known !== null && known.uids.length > 2 * index.count) known = null; // most of it is gone
  if (known === null && hits.length * FAR < index.count) {
    const values = await valuesOf(context, selected, hits, { by, progress });
    return await inSlices(context, extended(null, { uids: hits.map(({ uid }) => uid), values }));
  }
  const added: Candidate[] = [];
  const { count } = index;
  for (let at = index.lowerBound((known?.uids.at(-1) ?? 0) + 1); at < count; at++) {
    added.push({ sequence: 0, uid: index.uidAt(at) });
  }
  if (added.length === 0 && known !== null) {
    progress.add(hits.length);
    return known;
  }
  const values = await valuesOf(context, selected, added, { by, progress });
  const uids = added.map(({ uid }) => uid);
  const order = await inSlices(context, extended(known, { uids, values }));
  kept.put(name, order);
  return order;
}

/** Orders are kept for each thread. */
const orders = new WeakMap<Store, SortRanks>();

function keptBy(store: Store): SortRanks {
  let kept = orders.get(store);
  if (kept === undefined) orders.set(store, kept = new SortRanks());
  return kept;
}

async function valuesOf(
  context: ImapContext,
  selected: Selected,
  hits: readonly Candidate[],
  { by, progress }: { readonly by: Exclude<SortKey["by"], "RELEVANCY">; readonly progress: Progress },
): Promise<SortValue[]> {
  const textual = by !== "ARRIVAL" && by !== "DATE" && by !== "SIZE";
  const values: SortValue[] = new Array(hits.length).fill(textual ? "" : 0);
  const casemap = casemapOf(context);
  const key = (text: string) => codePointOrder(casemap(text));
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  if (by === "CC" || by === "FROM" || by === "TO" || by === "DISPLAYFROM" || by === "DISPLAYTO") {
    const field = by.endsWith("FROM") ? "from" : by.endsWith("TO") ? "to" : "cc";
    const display = by.startsWith("DISPLAY");
    for (let from = 0; from < hits.length; from += ENVELOPES) {
      const batch = hits.slice(from, from + ENVELOPES);
      const rows = messages.knownWithImap(mailboxId, batch.map(({ uid }) => uid));
      for (const [at, row] of rows.entries()) {
        if (row !== null && row.imap.length > 0) {
          values[from + at] = key(firstAddress(row.imap, field, display));
        }
      }
      progress.add(batch.length);
      await context.drain();
    }
    return values;
  }
  if (by === "SUBJECT") {
    const wanted = { subjects: true, threads: false };
    await eachColumn(context, selected, { hits, progress }, wanted, (place, columns, at) => {
      values[place] = key(baseSubject(columns.subjects[at]!).base);
    });
    return values;
  }
  await eachDated(context, selected, { hits, progress }, (place, { sizeOctets, internalDate, sentAt }) => {
    // RFC 5256 2.2: without a Date field INTERNALDATE stands for it.
    values[place] = by === "SIZE" ? sizeOctets : by === "ARRIVAL" ? internalDate : sentAt ?? internalDate;
  });
  return values;
}

type Dated = Pick<MessageRow, "internalDate" | "sentAt" | "sizeOctets">;

/** Visits the hits that are still there, with their dates and sizes, which are the caller's until the next visit. */
async function eachDated(
  context: ImapContext,
  selected: Selected,
  { hits, progress }: { readonly hits: readonly Candidate[]; readonly progress: Progress },
  visit: (place: number, dated: Dated) => void,
): Promise<void> {
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  const [first] = hits, last = hits.at(-1);
  if (first === undefined || last === undefined) return;
  if (last.uid - first.uid > hits.length * FAR) {
    for (let from = 0; from < hits.length; from += ENVELOPES) {
      const uids = hits.slice(from, from + ENVELOPES).map(({ uid }) => uid);
      for (const [at, row] of messages.known(mailboxId, uids).entries()) {
        if (row !== null) visit(from + at, row);
      }
      progress.add(uids.length);
      await context.drain();
    }
    return;
  }
  const dated = { internalDate: 0, sentAt: null as number | null, sizeOctets: 0 };
  for (let place = 0; place < hits.length;) {
    const begin = place;
    const page = messages.page(mailboxId, { uid: hits[place]!.uid, largest: last.uid });
    for (; place < hits.length && hits[place]!.uid <= page.last; place++) {
      const { uid } = hits[place]!;
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
async function eachColumn(
  context: ImapContext,
  selected: Selected,
  { hits, progress }: { readonly hits: readonly Candidate[]; readonly progress: Progress },
  wanted: { subjects: boolean; threads: boolean },
  visit: (place: number, columns: Columns, at: number) => void,
): Promise<void> {
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  for (let place = 0; place < hits.length;) {
    const columns = messages.sortColumns(mailboxId, { after: hits[place]!.uid - 1, limit: PAGE }, wanted);
    const { uids } = columns;
    let at = 0;
    for (; place < hits.length; place++) {
      const { uid } = hits[place]!;
      while (at < uids.length && uids[at]! < uid) at++;
      if (at === uids.length) break;
      if (uids[at] === uid) visit(place, columns, at);
    }
    progress.add(uids.length);
    if (uids.length < PAGE) return;
    await context.drain();
  }
}

/** Runs steps to their end; others have their turn between. */
async function inSlices<T>(context: ImapContext, steps: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await context.drain();
  }
}

export async function threads(
  context: ImapContext,
  command: Extract<Command, { name: "THREAD" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const found = await findMessages(context, selected, command);
  if ("status" in found) return found;
  const { hits, broken } = found;
  const { algorithm, uid } = command;
  const all: ThreadMessage[] = [];
  const progress = new Progress(context, 2 * hits.length);
  if (algorithm === "ORDEREDSUBJECT") {
    const [bySubject, byDate] = [
      await rankedBy(context, selected, hits, { by: "SUBJECT", progress }),
      await rankedBy(context, selected, hits, { by: "DATE", progress }),
    ];
    const subjects = ranksOf(bySubject, hits), dates = ranksOf(byDate, hits);
    const all = hits.map((hit, at): ThreadMessage => ({
      ...{ number: uid ? hit.uid : hit.sequence, messageId: null, references: [], answers: false },
      date: byDate.values[dates[at]!] as number,
      subject: bySubject.values[subjects[at]!] as string,
    }));
    // What they are sorted by is folded already.
    return await writeThreads(context, thread(all, algorithm, (subject) => subject), broken);
  }
  const dates = new Float64Array(hits.length);
  await eachDated(context, selected, { hits, progress }, (place, { sentAt, internalDate }) => {
    dates[place] = sentAt ?? internalDate;
  });
  await eachColumn(context, selected, { hits, progress }, {
    subjects: algorithm !== "REFS",
    threads: true,
  }, (place, columns, at) => {
    const hit = hits[place]!;
    const { base, answers } = baseSubject(columns.subjects[at] ?? "");
    const references = columns.references[at] ?? "";
    all.push({
      number: uid ? hit.uid : hit.sequence,
      date: dates[place]!,
      messageId: columns.messageIds[at] ?? null,
      references: references === "" ? [] : references.split(" "),
      subject: base,
      answers,
    });
  });
  return await writeThreads(context, thread(all, algorithm, casemapOf(context)), broken);
}

async function writeThreads(
  context: ImapContext,
  steps: Generator<void, ThreadNode[]>,
  broken: boolean,
): Promise<Reply> {
  const { out } = context;
  const roots = await inSlices(context, steps);
  out.text(roots.length === 0 ? "* THREAD" : "* THREAD ");
  for (const piece of formatThreads(roots)) {
    out.text(piece);
    await context.drain();
  }
  out.text("\r\n");
  return broken ? no("Some messages could not be read", "SERVERBUG") : ok("Thread completed");
}
