/**
 * THREAD (RFC 5256; REFS: draft-ietf-morg-inthread): the hits of a search as trees.
 *
 * What it goes by never changes while a message exists and is kept as numbers: dates and subjects as ranks (sort.ts), ids and
 * what they refer to as chains (protocols/imap/reference_chains.ts). For messages that came since only theirs is read.
 */
import type { Command } from "../../protocols/imap/command.ts";
import { formatThreads } from "../../protocols/imap/format/thread.ts";
import { ReferenceChains } from "../../protocols/imap/reference_chains.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { thread } from "../../protocols/imap/thread.ts";
import type { Store } from "../../storage/store.ts";
import { type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { KeptByUse } from "./kept_by_use.ts";
import { Progress } from "./progress.ts";
import { findMessages } from "./search.ts";
import { eachColumn, inSlices, missingFrom, rankedBy } from "./sort.ts";
import { gathered, type RankedOrder, ranksOf } from "./sort_ranks.ts";

/** Of ids and chains in memory, for each thread. */
const MAX_OCTETS = 24 * 1024 * 1024;
const NONE = -1;

/** What a mailbox is threaded by. */
interface Links {
  /** Ascending. */
  readonly uids: Uint32Array;
  /** Of the message at the same place: its Message-ID, and its References; -1 for none. */
  readonly ids: Int32Array;
  readonly chains: Int32Array;
  readonly references: ReferenceChains;
  readonly octets: number;
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
  const { uids, count } = hits;
  const progress = new Progress(context, 3 * count);
  const byDate = await rankedBy(context, selected, uids, { by: "DATE", progress });
  const bySubject = algorithm === "REFS"
    ? null
    : await rankedBy(context, selected, uids, { by: "SUBJECT", progress });
  const links = algorithm === "ORDEREDSUBJECT" ? null : await linksOf(context, selected, uids, progress);
  const column = (of: "ids" | "chains") =>
    links === null ? new Int32Array(0) : gathered<Int32Array>({ uids: links.uids, column: links[of] }, uids, {
      into: new Int32Array(count),
      none: NONE,
    });
  const forest = await inSlices(
    context,
    thread({
      count,
      dates: ranksOf(byDate, uids),
      distinctDates: byDate.values.length,
      subjects: bySubject === null ? new Uint32Array(0) : ranksOf(bySubject, uids),
      distinctSubjects: bySubject?.values.length ?? 0,
      emptySubject: bySubject?.values[0] === "" ? 0 : NONE,
      answers: bySubject === null ? new Uint8Array(0) : answersOf(bySubject, uids),
      ids: column("ids"),
      chains: column("chains"),
      references: links?.references ?? new ReferenceChains(),
    }, algorithm),
  );
  const { out } = context;
  out.text(forest.roots.length === 0 ? "* THREAD" : "* THREAD ");
  for (const piece of formatThreads(forest, hits.numbers(uid))) {
    out.octets(piece);
    await context.drain();
  }
  out.text("\r\n");
  return broken ? no("Some messages could not be read", "SERVERBUG") : ok("Thread completed");
}

function answersOf({ uids, answers: column }: RankedOrder, wanted: Uint32Array): Uint8Array {
  return gathered<Uint8Array>({ uids, column }, wanted, { into: new Uint8Array(wanted.length) });
}

/** Links are kept for each thread. */
const kept = new WeakMap<Store, KeptByUse<Links>>();

function keptBy(store: Store): KeptByUse<Links> {
  let links = kept.get(store);
  if (links === undefined) kept.set(store, links = new KeptByUse(MAX_OCTETS));
  return links;
}

/** Of at least these messages: kept, unless they are few of the mailbox. */
async function linksOf(
  context: ImapContext,
  selected: Selected,
  uids: Uint32Array,
  progress: Progress,
): Promise<Links> {
  const { index, mailbox } = selected;
  const all = keptBy(context.store);
  const name = String(mailbox.id);
  const { known, added } = missingFrom(all.get(name), index, uids);
  if (added.length === 0 && known !== null) {
    progress.add(uids.length);
    return known;
  }
  const references = known?.references ?? new ReferenceChains();
  const before = known?.uids.length ?? 0;
  const ids = new Int32Array(before + added.length).fill(NONE);
  const chains = new Int32Array(before + added.length).fill(NONE);
  const together = new Uint32Array(before + added.length);
  together.set(added, before);
  if (known !== null) {
    together.set(known.uids);
    ids.set(known.ids);
    chains.set(known.chains);
  }
  const wanted = { subjects: false, threads: true };
  await eachColumn(context, selected, { uids: added, progress }, wanted, (place, columns, at) => {
    const messageId = columns.messageIds[at] ?? null;
    if (messageId !== null) ids[before + place] = references.idOf(messageId);
    chains[before + place] = references.chainOf(columns.references[at] ?? "");
  });
  const links = { uids: together, ids, chains, references, octets: references.octets + 12 * ids.length };
  if (added !== uids) all.put(name, links);
  return links;
}
