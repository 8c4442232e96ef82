/**
 * SEARCH (RFC 3501 6.4.4; RETURN: RFC 4731, SAVE and `$`: RFC 5182): cheapest evidence first.
 *
 * Every message is judged by the index alone; who stays undecided is judged again with its row, then with its header, then with
 * all its text, then with what stands in attached files (search_attached.ts), in bounded batches with a pause between
 * (search_judge.ts). Text compares without case, after decoding (search/message_text.ts). Before messages are read the full-text
 * index rules out those that cannot match (search_candidates.ts).
 */
import type { Command } from "../../protocols/imap/command.ts";
import {
  asksFacts,
  countKeys,
  fieldsOf,
  searchCost,
  type SearchKey,
} from "../../protocols/imap/search_program.ts";
import { intersection, type Ranges, rangesOf } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { headerText, type MessageText, readMessageText } from "../../search/message_text.ts";
import { StorageError } from "../../storage/store.ts";
import { bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { fieldBlocks, fieldBlocksOf } from "./field_blocks.ts";
import { Hits, UNREAD } from "./hits.ts";
import { limited, withCode } from "./message_limit.ts";
import { Progress } from "./progress.ts";
import { askIndex, type RuledOut } from "./search_candidates.ts";
import { withAttached } from "./search_attached.ts";
import { beginUpdates, NO_UPDATES } from "./search_context.ts";
import { byFlags, flagMask } from "./search_flags.ts";
import { type FuzzyScore, relevancyOf } from "./search_fuzzy.ts";
import { compile, type Evidence, type Judge, resolveSearchSet, type Verdict } from "./search_judge.ts";
import { casemapOf } from "./sort.ts";
import { answerFound, refusedSearch, savedOf } from "./search_result.ts";
import { resolveSet } from "./store.ts";
import { isLong, TextAnswers } from "./text_answers.ts";

/** Keys that are judged by the index between two pauses. */
const INDEX_BATCH = 20_000;
const ROW_BATCH = 200;
/** Dates and sizes are read as columns of the whole mailbox when at least one message in so many is looked at. */
const COLUMNS_SHARE = 8;
/** Relevancy where no key is fuzzy. */
const NOT_FUZZY = 100;
/** RFC 5322 3.6.8; fields of other names are looked for in whole headers. */
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]+$/;

const AS_FOUND = { order: null, done: "Search completed" };

export function search(
  context: ImapContext,
  command: Extract<Command, { name: "SEARCH" }>,
): Promise<Reply> {
  return answerSearch(context, command, AS_FOUND);
}

/** SEARCH, and SORT by what puts the messages that were found in order. */
export async function answerSearch(
  context: ImapContext,
  command: Extract<Command, { name: "SEARCH" | "SORT" }>,
  { order, done }: {
    readonly order: ((selected: Selected, hits: Hits) => Promise<Hits>) | null;
    readonly done: string;
  },
): Promise<Reply> {
  const selected = selectedOf(context);
  const { returns } = command;
  const updates = returns?.update != null ? beginUpdates(context, selected, command) : NO_UPDATES;
  if ("status" in updates) return updates;
  const found = await findMessages(context, selected, command);
  if ("status" in found) {
    updates.cancel();
    return refusedSearch(selected, returns, found);
  }
  const { broken } = found;
  const hits = order === null ? found.hits : await order(selected, found.hits);
  await answerFound(context, selected, command, hits);
  updates.start(hits);
  if (returns?.save === true) selected.saved = broken ? [] : savedOf(returns, hits);
  if (broken) return no("Some messages could not be read", "SERVERBUG");
  return withCode(context, found.code, ok(done));
}

export interface Found {
  readonly hits: Hits;
  readonly broken: boolean;
  /** MESSAGELIMIT where only the newest messages were looked at, else "". */
  readonly code: string;
}

/** The messages a key finds, ascending, of all or of some. SORT and THREAD order them further. */
export async function findMessages(
  context: ImapContext,
  selected: Selected,
  command: {
    readonly charset: string | null;
    readonly key: SearchKey;
    /** CONTEXT: a search that was answered before and is kept up to date. */
    readonly name: "SEARCH" | "ESEARCH" | "SORT" | "THREAD" | "CONTEXT";
  },
  among: Hits | null = null,
): Promise<Found | Reply> {
  const { charset, name } = command;
  if (charset !== null && charset !== "US-ASCII" && charset !== "UTF-8") {
    return no("The charset is not known here", "BADCHARSET (US-ASCII UTF-8)");
  }
  if ((name === "SEARCH" || name === "ESEARCH") && charset !== null && context.session.enabled.utf8Accept) {
    return bad("UTF-8 is enabled: no CHARSET"); // RFC 6855 3
  }
  const hits = new Hits();
  const scope = among === null ? scopeOf(context, selected, command.key) : null;
  if (scope !== null && (name === "SORT" || name === "THREAD")) {
    return no("Too many messages to put in order", scope.code); // RFC 9738 3.3
  }
  const mask = among === null && scope === null && !selected.view.hasExpunged ? flagMask(command.key) : null;
  if (mask !== null) {
    byFlags({ selected, hits }, mask);
    return { hits, broken: false, code: "" };
  }
  const ruledOut: RuledOut = new Map();
  const scores: FuzzyScore[] = [];
  const judge = compile(command.key, {
    selected,
    now: context.now(),
    ruledOut,
    fuzzy: false,
    scores,
    casemap: casemapOf(context),
  });
  const cost = searchCost(command.key);
  const keys = countKeys(command.key);
  const withFacts = asksFacts(command.key);
  const named = new Set(fieldsOf(command.key));
  const fields = cost === 2 && [...named].every((field) => FIELD_NAME.test(field)) ? named : null;
  const some = scope === null ? among : scope.among;
  let undecided = await byIndex(context, {
    selected,
    judge,
    hits,
    keys,
    ...(some !== null && { among: some }),
  });
  if (cost >= 2) {
    await askIndex(context, selected, { key: command.key, undecided: undecided.count, answers: ruledOut });
    if (ruledOut.size > 0) {
      undecided = await byIndex(context, { selected, judge, hits, keys, among: undecided });
    }
  }
  const state = { broken: false };
  const progress = new Progress(context, undecided.count);
  if (cost === 1 && !withFacts && undecided.count * COLUMNS_SHARE >= selected.view.exists) {
    await byColumns(context, { selected, judge, hits, candidates: undecided, progress });
    undecided = new Hits();
  }
  for (let at = 0; at < undecided.count; at += ROW_BATCH) {
    const batch = undecided.slice(at, at + ROW_BATCH);
    await byRows(context, { selected, judge, hits, keys, batch, cost, fields, withFacts, state, scores });
    progress.add(batch.count);
  }
  return { hits: hits.ascending(), broken: state.broken, code: scope?.code ?? "" };
}

/** The newest of the messages that a search would look at, where those are too many (RFC 9738 3.1); else null. */
function scopeOf(
  context: ImapContext,
  selected: Selected,
  key: SearchKey,
): { readonly among: Hits; readonly code: string } | null {
  if (context.session.messageLimit === 0) return null;
  const { view } = selected;
  let named: Ranges = view.exists === 0 ? [] : [[1, view.exists]];
  // What the whole search is limited to by numbers or UIDs.
  for (const part of key.kind === "and" ? key.keys : [key]) {
    if (part.kind === "sequence") named = intersection(named, resolveSearchSet(selected, part.set));
    else if (part.kind === "uid") {
      named = intersection(named, resolveSet(selected, { uid: true, set: part.set }) ?? []);
    }
  }
  const { ranges, code } = limited(context, selected, named);
  if (code === "") return null;
  const among = new Hits();
  for (const [from, to] of ranges) view.walk(from, to, (sequence, uid) => among.push(sequence, uid));
  return { among, code };
}

/** Judges all messages, or those `among` which it is, by what is in memory; returns those that cannot be decided so. */
async function byIndex(
  context: ImapContext,
  search: {
    readonly selected: Selected;
    readonly judge: Judge;
    readonly hits: Hits;
    readonly keys: number;
    readonly among?: Hits;
  },
): Promise<Hits> {
  const { selected: { view, index }, judge, hits, keys, among } = search;
  const batch = Math.ceil(INDEX_BATCH / keys);
  const undecided = new Hits();
  // One for all: a search of a large mailbox is mostly this.
  const evidence: Evidence = {
    ...{ sequence: 0, uid: 0, flags: 0, keywords: "", modSeq: 0, recent: false },
    ...{ row: null, text: null, answers: null, facts: null },
  };
  const look = (sequence: number, uid: number, position: number) => {
    if (position < 0) return; // expunged by another session
    evidence.sequence = sequence;
    evidence.uid = uid;
    evidence.flags = index.flagsAt(position);
    evidence.keywords = index.keywordsAt(position);
    evidence.modSeq = index.modSeqAt(position);
    evidence.recent = uid >= view.recentFrom;
    const verdict = judge(evidence);
    if (verdict === true) hits.push(sequence, uid, UNREAD);
    else if (verdict === null) undecided.push(sequence, uid);
  };
  const last = among === undefined ? view.exists : among.count;
  for (let from = 0; from < last; from += batch) {
    const end = Math.min(last, from + batch);
    if (among === undefined) view.walk(from + 1, end, look);
    else {
      const { sequences, uids } = among;
      for (let at = from; at < end; at++) look(sequences[at]!, uids[at]!, index.positionOf(uids[at]!));
    }
    await context.drain();
  }
  return undecided;
}

/** Judges by dates and sizes alone; no row is made of them. */
async function byColumns(
  context: ImapContext,
  search: {
    readonly selected: Selected;
    readonly judge: Judge;
    readonly hits: Hits;
    readonly candidates: Hits;
    readonly progress: Progress;
  },
): Promise<void> {
  const { selected: { view, index, mailbox }, judge, hits, candidates, progress } = search;
  const { messages } = context.store;
  const { count, sequences, uids } = candidates;
  const largest = uids[count - 1] ?? 0;
  const row = { internalDate: 0, sentAt: null as number | null, sizeOctets: 0 };
  // One for all, as in byIndex.
  const evidence: Evidence = {
    ...{ sequence: 0, uid: 0, flags: 0, keywords: "", modSeq: 0, recent: false },
    ...{ row, text: null, answers: null, facts: null },
  };
  for (let at = 0; at < count;) {
    const begin = at;
    const page = messages.page(mailbox.id, { uid: uids[at]!, largest });
    let position = index.lowerBound(uids[at]!);
    for (; at < count && uids[at]! <= page.last; at++) {
      const uid = uids[at]!;
      while (position < index.count && index.uidAt(position) < uid) position++;
      if (index.uidAt(position) !== uid || !page.has(uid)) continue; // gone meanwhile
      evidence.sequence = sequences[at]!;
      evidence.uid = uid;
      evidence.flags = index.flagsAt(position);
      evidence.keywords = index.keywordsAt(position);
      evidence.modSeq = index.modSeqAt(position);
      evidence.recent = uid >= view.recentFrom;
      row.internalDate = page.internalDateOf(uid);
      row.sentAt = page.sentAtOf(uid);
      row.sizeOctets = page.sizeOf(uid);
      if (judge(evidence) === true) hits.push(sequences[at]!, uid);
    }
    progress.add(at - begin);
    await context.drain();
  }
}

async function byRows(
  context: ImapContext,
  search: {
    readonly selected: Selected;
    readonly judge: Judge;
    readonly hits: Hits;
    readonly keys: number;
    readonly batch: Hits;
    readonly cost: number;
    /** Names of the header fields that decide; null where more is looked at. */
    readonly fields: ReadonlySet<string> | null;
    readonly withFacts: boolean;
    readonly state: { broken: boolean };
    readonly scores: readonly FuzzyScore[];
  },
): Promise<void> {
  const { selected, judge, hits, keys, batch, cost, fields, withFacts, state, scores } = search;
  const { view, index, mailbox } = selected;
  const { messages } = context.store;
  const casemap = casemapOf(context);
  const numbers = [...batch.uids];
  const rows = cost === 3
    ? messages.knownWithImap(mailbox.id, numbers).filter((row) => row !== null && row.imap.length > 0)
    : messages.known(mailbox.id, numbers);
  const facts = new Map(
    withFacts ? messages.facts(mailbox.id, rangesOf(numbers), batch.count).map((one) => [one.uid, one]) : [],
  );
  const byUid = new Map(rows.flatMap((row) => row === null ? [] : [[row.uid, row]]));
  const evidenceOf = (place: number): Evidence | null => {
    const uid = numbers[place]!, row = byUid.get(uid), position = index.positionOf(uid);
    return row === undefined || position < 0 ? null : {
      sequence: batch.sequences[place]!,
      uid,
      flags: index.flagsAt(position),
      keywords: index.keywordsAt(position),
      modSeq: index.modSeqAt(position),
      recent: uid >= view.recentFrom,
      row,
      text: null,
      answers: null,
      facts: facts.get(uid) ?? null,
    };
  };
  const evidences = numbers.map((_, place) => evidenceOf(place));
  const verdicts = evidences.map((evidence) => evidence === null ? false : judge(evidence));
  const blocks = fields === null ? [] : fieldBlocks(context.store, fieldBlocksOf(context.store), {
    mailboxId: mailbox.id,
    rows: numbers.map((uid, place) => verdicts[place] === null ? byUid.get(uid)! : null),
    section: { part: [], text: "HEADER.FIELDS", fields },
  });
  for (const [place, evidence] of evidences.entries()) {
    if (evidence === null) continue;
    const { sequence, uid } = evidence, row = byUid.get(uid)!;
    const judgeText = (text: MessageText): Verdict | Promise<Verdict> => {
      const characters = row.headerOctets + (text.body?.length ?? 0);
      return isLong(characters, keys)
        ? judgeLong(context, judge, { ...evidence, text, answers: new TextAnswers(text) })
        : judge({ ...evidence, text });
    };
    try {
      let text: MessageText | null = null;
      let verdict = verdicts[place] ?? null;
      if (verdict === null) {
        const block = blocks[place] ?? null;
        text = block !== null
          ? headerText(block, casemap)
          : await readMessageText(context.store.blobs, row, "header", casemap);
        const judged = judgeText(text);
        verdict = judged instanceof Promise ? await judged : judged;
      }
      if (verdict === null) {
        text = await readMessageText(context.store.blobs, row, "all", casemap);
        verdict = await judgeText(text);
        if (verdict === null) {
          text = await withAttached(context, selected, { text, uid, row });
          verdict = await judgeText(text);
        }
      }
      if (verdict === true) {
        if (scores.length === 0) hits.push(sequence, uid, NOT_FUZZY);
        else hits.push(sequence, uid, text === null ? UNREAD : await relevancyIn(context, text, scores));
      }
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      state.broken = true;
      context.log.error("a message cannot be read", { error, mailbox: mailbox.id, uid });
    }
    const pending = context.drain();
    if (pending !== undefined) await pending;
  }
}

/** Judges by a long text, with pauses. */
async function judgeLong(
  context: ImapContext,
  judge: Judge,
  evidence: Readonly<Evidence> & { readonly answers: TextAnswers },
): Promise<Verdict> {
  for (;;) {
    const verdict = judge(evidence);
    if (verdict !== null || !await evidence.answers.look(context)) return verdict;
  }
}

async function relevancyIn(
  context: ImapContext,
  text: MessageText,
  scores: readonly FuzzyScore[],
): Promise<number> {
  const met: number[] = [];
  for (const score of scores) {
    met.push(score(text) ?? 0);
    const pending = context.drain();
    if (pending !== undefined) await pending;
  }
  return relevancyOf(met);
}
