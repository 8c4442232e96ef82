/**
 * FETCH (RFC 3501 6.4.5, 7.4.2): the plan decides what each message costs.
 *
 * Flags and UIDs come from the shared index alone. Everything else is read in bounded batches of rows; small bodies
 * are read straight into the output buffer by positioned reads, long ones in pieces off the event loop. Between
 * batches the output is drained, so that a slow client holds back the reading. Messages that other sessions expunged
 * are left out, and the tagged OK says so (RFC 5530 EXPUNGEISSUED). Hot (bench/micro/imap_fetch_bench.ts).
 */
import { bodyOf, bodyStructureOf, envelopeOf } from "../../message/packed.ts";
import type { Command } from "../../protocols/imap/command.ts";
import { compileFetch, type FetchPlan, type SectionItem } from "../../protocols/imap/fetch_plan.ts";
import { formatDateTime } from "../../protocols/imap/format/date.ts";
import { fetchHead } from "../../protocols/imap/format/fetch.ts";
import { formatString } from "../../protocols/imap/format/string.ts";
import { formatFlags } from "../../protocols/imap/format/flags.ts";
import { partOfRanges } from "../../protocols/imap/partial_range.ts";
import { type Ranges, rangesOf, resolve, SAVED_RESULT } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { FLAG_SEEN } from "../../storage/changes.ts";
import type { WriteResult } from "../../storage/ops.ts";
import type { MessageRow, ObjectFacts } from "../../storage/messages.ts";
import { StorageError } from "../../storage/store.ts";
import { binaryPart } from "./binary.ts";
import { bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { fieldBlocks, fieldBlocksOf } from "./field_blocks.ts";
import { limited, withCode } from "./message_limit.ts";
import { fetchOctets } from "./metrics.ts";
import { emailId, threadId } from "./object_id.ts";
import { type Part, sectionParts, type Span } from "./section.ts";
import { OUT_OF_RANGE, readerField, resolveSet } from "./store.ts";
import { flagsBefore, flagsChanged } from "./script_events.ts";
import { writeVanished } from "./unsolicited.ts";

/** Messages answered from the index before the output is looked at. */
const INDEX_BATCH = 2_000;
/** Rows read at once. */
const ROW_BATCH = 200;
const BODY_BATCH = 50;
/** Longer spans are read off the event loop, this much at a time. */
const SYNC_OCTETS = 64 * 1024;
const PIECE_OCTETS = 128 * 1024;

const NO_FACTS: ReadonlyMap<number, ObjectFacts> = new Map();
const NO_BLOCKS: FetchRun["blocks"] = new Map();

/** A message of the batch in hand. */
interface Wanted {
  readonly sequence: number;
  readonly uid: number;
}

interface FetchRun {
  readonly context: ImapContext;
  readonly selected: Selected;
  readonly plan: FetchPlan;
  /** Some message was expunged by another session. */
  gone: boolean;
  /** Some message could not be read. */
  broken: boolean;
  octets: number;
  /** Some part has a transfer encoding that is unknown (RFC 3516 4.3). */
  unknownEncoding: boolean;
  /** Of the messages of the batch in hand, by UID. */
  facts: ReadonlyMap<number, ObjectFacts>;
  /** Chosen header fields of the messages of the batch in hand, where there are several, and which of them it is at. */
  blocks: ReadonlyMap<SectionItem, readonly (Uint8Array | null)[]>;
  at: number;
}

export async function fetch(
  context: ImapContext,
  command: Extract<Command, { name: "FETCH" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const { changedSince, vanished, uid } = command;
  if (vanished && !(uid && context.session.enabled.qresync)) {
    return bad("VANISHED needs UID FETCH and ENABLE QRESYNC");
  }
  let ranges = resolveSet(selected, command);
  if (ranges === null) return OUT_OF_RANGE;
  if (vanished && changedSince !== null && command.set !== SAVED_RESULT) {
    const among = resolve(command.set, selected.index.uidNext - 1);
    writeVanished(context, selected, { since: changedSince, among });
  }
  const { messageLimit } = context.session;
  if (
    command.partial !== null && messageLimit > 0 && command.partial.to - command.partial.from >= messageLimit
  ) {
    return no("Too many messages at once", `MESSAGELIMIT ${messageLimit}`); // RFC 9738 3.1
  }
  if (command.partial !== null) ranges = partOfRanges(ranges, command.partial);
  const some = limited(context, selected, ranges);
  ranges = some.ranges;
  if (changedSince !== null) ranges = changedAfter(selected, ranges, changedSince);
  const { uidOnly } = context.session.enabled;
  // UIDFETCH begins with the UID already (RFC 9586 3.3).
  const plan = compileFetch(command.items, { uid: uid && !uidOnly, changedSince: changedSince !== null });
  const run: FetchRun = {
    context,
    selected,
    plan,
    gone: false,
    broken: false,
    octets: 0,
    unknownEncoding: false,
    facts: NO_FACTS,
    blocks: NO_BLOCKS,
    at: 0,
  };
  // \Seen becomes durable while the bodies are read; its FETCH FLAGS come before the tagged reply.
  const seen = plan.setsSeen && !selected.readOnly && selected.rights.includes("s")
    ? markSeen(run, ranges)
    : null;
  try {
    if (plan.needsRow) await fetchRows(run, ranges);
    else await fetchIndex(run, ranges);
  } finally {
    if (run.octets > 0) fetchOctets.inc(run.octets);
    const result = seen === null ? null : await seen;
    if (result?.ok === false) context.log.warn("\\Seen was not stored", { fault: result.fault });
  }
  if (run.broken) return no("Some messages could not be read", "SERVERBUG");
  if (run.unknownEncoding) return no("A part has an unknown transfer encoding", "UNKNOWN-CTE");
  const reply = run.gone ? ok("Some messages are gone", "EXPUNGEISSUED") : ok("Fetch completed");
  return withCode(context, some.code, reply);
}

/** Those of the sequence ranges with a larger MODSEQ. */
function changedAfter({ view, index }: Selected, ranges: Ranges, modSeq: number): Ranges {
  const changed: number[] = [];
  for (const [from, to] of ranges) {
    view.walk(from, to, (sequence, _uid, position) => {
      if (position >= 0 && index.modSeqAt(position) > modSeq) changed.push(sequence);
    });
  }
  return rangesOf(changed);
}

/** An event for scripts, where a flag was set (RFC 6785 2.2.3). */
async function markSeen({ context, selected }: FetchRun, ranges: Ranges): Promise<WriteResult | null> {
  const { view, index, mailbox } = selected;
  const unseen: number[] = [];
  for (const [from, to] of ranges) {
    view.walk(from, to, (_sequence, uid, position) => {
      if (position >= 0 && (index.flagsAt(position) & FLAG_SEEN) === 0) unseen.push(uid);
    });
  }
  if (unseen.length === 0) return null;
  const before = flagsBefore(context, selected, unseen);
  const result = await context.store.write({
    kind: "store-flags",
    mailboxId: mailbox.id,
    uids: rangesOf(unseen),
    mode: "add",
    flags: FLAG_SEEN,
    keywords: [],
    unchangedSince: null,
    ...readerField(context, selected),
  });
  if (before !== null) await flagsChanged(context, selected, before);
  return result;
}

/** FLAGS and UID, from the index. */
async function fetchIndex(run: FetchRun, ranges: Ranges): Promise<void> {
  const { context, selected, plan } = run;
  const { view, index } = selected;
  const { out } = context;
  const uidFirst = plan.items[0]?.kind === "UID";
  const withUid = plan.items.some(({ kind }) => kind === "UID");
  const { hasFlags, hasModSeq } = plan;
  const { uidOnly } = context.session.enabled;
  for (const [from, to] of ranges) {
    for (let start = from; start <= to; start += INDEX_BATCH) {
      let text = "";
      view.walk(start, Math.min(to, start + INDEX_BATCH - 1), (sequence, uid, position) => {
        if (position < 0) {
          run.gone = true;
          return;
        }
        text += fetchHead(uidOnly, sequence, uid);
        if (uidFirst) text += hasFlags ? `UID ${uid} ` : `UID ${uid}`;
        if (hasFlags) {
          const recent = uid >= view.recentFrom;
          text += `FLAGS ${formatFlags(index.flagsAt(position), index.keywordsAt(position), recent)}`;
          if (withUid && !uidFirst) text += ` UID ${uid}`;
        }
        if (hasModSeq) {
          const before = hasFlags || uidFirst ? " " : withUid ? `UID ${uid} ` : "";
          text += `${before}MODSEQ (${index.modSeqAt(position)})`;
        }
        text += ")\r\n";
      });
      out.text(text);
      const full = context.drain();
      if (full !== undefined) await full;
    }
  }
}

/** Everything else, in batches of rows. */
async function fetchRows(run: FetchRun, ranges: Ranges): Promise<void> {
  const { selected, plan } = run;
  const limit = plan.needsBody ? BODY_BATCH : ROW_BATCH;
  let wanted: Wanted[] = [];
  for (const [from, to] of ranges) {
    for (let start = from; start <= to;) {
      const end = Math.min(to, start + limit - wanted.length - 1);
      selected.view.walk(start, end, (sequence, uid, position) => {
        if (position < 0) run.gone = true;
        else wanted.push({ sequence, uid });
      });
      start = end + 1;
      if (wanted.length < limit) continue;
      await fetchBatch(run, wanted);
      wanted = [];
    }
  }
  if (wanted.length > 0) await fetchBatch(run, wanted);
}

async function fetchBatch(run: FetchRun, wanted: readonly Wanted[]): Promise<void> {
  const { context, selected, plan } = run;
  const { messages } = context.store;
  const mailboxId = selected.mailbox.id;
  if (plan.needsFacts) {
    const facts = messages.facts(mailboxId, rangesOf(wanted.map(({ uid }) => uid)), wanted.length);
    run.facts = new Map(facts.map((one) => [one.uid, one]));
  }
  const uids = wanted.map(({ uid }) => uid);
  const rows = plan.needsImap ? messages.knownWithImap(mailboxId, uids) : messages.known(mailboxId, uids);
  const { store } = context;
  run.blocks = rows.length < 2 ? NO_BLOCKS : new Map(
    plan.headers.map((item) => [
      item,
      fieldBlocks(store, fieldBlocksOf(store), { mailboxId, rows, section: item.section }),
    ]),
  );
  for (const [at, row] of rows.entries()) {
    // A row without `imap` was expunged behind its page.
    if (row === null || (plan.needsImap && row.imap.length === 0)) {
      run.gone = true;
      continue;
    }
    run.at = at;
    const pending = fetchOne(run, wanted[at]!.sequence, row);
    if (pending !== undefined) await pending;
  }
  const full = context.drain();
  if (full !== undefined) await full;
}

/** One response. Only long bodies make it wait. */
function fetchOne(run: FetchRun, sequence: number, row: MessageRow): Promise<void> | undefined {
  const { context: { out } } = run;
  if (run.plan.items.some(({ kind }) => kind === "binary" || kind === "binary-size")) {
    return fetchBinary(run, sequence, row);
  }
  let mark = -1;
  try {
    const parts = responseParts(run, sequence, row);
    let longest = 0;
    for (const part of parts) {
      if (typeof part !== "string" && !(part instanceof Uint8Array)) {
        longest = Math.max(longest, part.end - part.start);
      }
    }
    if (longest > SYNC_OCTETS) return writeLong(run, row, parts);
    // What is in memory already cannot fail.
    if (longest > 0) mark = out.mark();
    for (const part of parts) writePart(run, row, part);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (mark >= 0) out.rollback(mark);
    noteBroken(run, row, error);
  }
  return run.plan.needsBody || run.plan.headers.length > 0 ? run.context.drain() : undefined;
}

/** A response with decoded parts: they are in memory whole, as large as a message may be. */
async function fetchBinary(run: FetchRun, sequence: number, row: MessageRow): Promise<void> {
  const { context, plan } = run;
  const decoded = new Map<string, Uint8Array | null>();
  try {
    for (const item of plan.items) {
      if (item.kind !== "binary" && item.kind !== "binary-size") continue;
      const content = await binaryPart(context.store.blobs, row, item.part);
      if (content === "unknown") {
        run.unknownEncoding = true;
        return;
      }
      decoded.set(item.label, content);
    }
    await writeLong(run, row, responseParts(run, sequence, row, decoded));
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    noteBroken(run, row, error);
  }
  await context.drain();
}

function noteBroken(run: FetchRun, row: MessageRow, error: unknown): void {
  run.broken = true;
  run.context.log.error("a message cannot be read", {
    error,
    mailbox: run.selected.mailbox.id,
    uid: row.uid,
  });
}

const NOTHING_DECODED: ReadonlyMap<string, Uint8Array | null> = new Map();

/** The response in order: text, octets, and spans of the message still to be read. None where the message is gone. */
function responseParts(
  run: FetchRun,
  sequence: number,
  row: MessageRow,
  decoded: ReadonlyMap<string, Uint8Array | null> = NOTHING_DECODED,
): Part[] {
  const { selected: { index, view }, plan } = run;
  const parts: Part[] = [];
  const position = plan.hasFlags || plan.hasModSeq ? index.positionOf(row.uid) : 0;
  if (position < 0) { // it was expunged while this one or others were read
    run.gone = true;
    return parts;
  }
  let text = fetchHead(run.context.session.enabled.uidOnly, sequence, row.uid);
  let separator = "";
  for (const item of plan.items) {
    text += separator;
    separator = " ";
    switch (item.kind) {
      case "UID":
        text += `UID ${row.uid}`;
        break;
      case "FLAGS": {
        const recent = row.uid >= view.recentFrom;
        text += `FLAGS ${formatFlags(index.flagsAt(position), index.keywordsAt(position), recent)}`;
        break;
      }
      case "MODSEQ":
        text += `MODSEQ (${index.modSeqAt(position)})`;
        break;
      case "INTERNALDATE":
        text += `INTERNALDATE ${formatDateTime(row.internalDate)}`;
        break;
      case "RFC822.SIZE":
        text += `RFC822.SIZE ${row.sizeOctets}`;
        break;
      case "ENVELOPE":
        parts.push(text + "ENVELOPE ", envelopeOf(row.imap));
        text = "";
        break;
      case "BODY":
        parts.push(text + "BODY ", bodyOf(row.imap));
        text = "";
        break;
      case "BODYSTRUCTURE":
        parts.push(text + "BODYSTRUCTURE ", bodyStructureOf(row.imap));
        text = "";
        break;
      case "section":
        text = pushSection(run, row, { item, text, parts });
        break;
      case "PREVIEW":
        text += `PREVIEW ${
          formatString(run.facts.get(row.uid)?.preview ?? "", run.context.session.enabled.utf8)
        }`;
        break;
      case "SAVEDATE": {
        const savedAt = run.facts.get(row.uid)?.savedAt;
        text += `SAVEDATE ${savedAt === undefined ? "NIL" : formatDateTime(savedAt)}`;
        break;
      }
      case "EMAILID":
      case "THREADID": {
        const facts = run.facts.get(row.uid);
        const id = facts === undefined ? null : item.kind === "EMAILID" ? emailId(facts) : threadId(facts);
        text += `${item.kind} ${id === null ? "NIL" : `(${id})`}`;
        break;
      }
      case "binary-size":
        text += `${item.label} ${decoded.get(item.label)?.length ?? 0}`;
        break;
      case "binary": {
        const content = decoded.get(item.label);
        if (content == null) {
          text += `${item.label} NIL`;
          break;
        }
        const { offset, length } = item.partial ?? { offset: 0, length: content.length };
        const octets = content.subarray(offset, offset + length);
        run.octets += octets.length;
        // RFC 3516 4.2: a literal8 where an ordinary string cannot hold the octets.
        parts.push(`${text}${item.label} ${octets.includes(0) ? "~" : ""}{${octets.length}}\r\n`, octets);
        text = "";
        break;
      }
      default:
        item satisfies never;
    }
  }
  parts.push(text + ")\r\n");
  return parts;
}

/** Appends a section as a literal; returns the text that is still open. */
function pushSection(
  run: FetchRun,
  row: MessageRow,
  { item, text, parts }: { item: SectionItem; text: string; parts: Part[] },
): string {
  const block = run.blocks.get(item)?.[run.at] ?? null;
  const content = clip(
    block === null ? sectionParts(run.context.store, row, item.section) : [block],
    item.partial,
  );
  if (content === null) return `${text}${item.label} NIL`;
  let octets = 0;
  for (const part of content) octets += "start" in part ? part.end - part.start : part.length;
  if (octets === 0) return `${text}${item.label} ""`;
  run.octets += octets;
  parts.push(`${text}${item.label} {${octets}}\r\n`, ...content);
  return "";
}

/** The part of a section that `<offset.length>` asks for. */
function clip(
  content: readonly (Uint8Array | Span)[] | null,
  partial: SectionItem["partial"],
): readonly (Uint8Array | Span)[] | null {
  if (content === null || partial === null) return content;
  const clipped: (Uint8Array | Span)[] = [];
  let skip = partial.offset;
  let left = partial.length;
  for (const part of content) {
    const size = "start" in part ? part.end - part.start : part.length;
    const from = Math.min(skip, size);
    const to = Math.min(size, from + left);
    skip -= from;
    left -= to - from;
    if (from === to) continue;
    clipped.push(
      "start" in part ? { start: part.start + from, end: part.start + to } : part.subarray(from, to),
    );
  }
  return clipped;
}

function writePart({ context: { out, store } }: FetchRun, row: MessageRow, part: Part): void {
  if (typeof part === "string") out.text(part);
  else if (part instanceof Uint8Array) out.octets(part);
  else out.fill(part.end - part.start, (into, at) => store.blobs.readIntoSync(row.blob, part, into, at));
}

/** A response with a long body: pieces are read off the event loop, each written before the next is read. */
async function writeLong(run: FetchRun, row: MessageRow, parts: readonly Part[]): Promise<void> {
  const { context } = run;
  for (const part of parts) {
    if (typeof part === "string" || part instanceof Uint8Array || part.end - part.start <= SYNC_OCTETS) {
      writePart(run, row, part);
      continue;
    }
    for (let start = part.start; start < part.end; start += PIECE_OCTETS) {
      const piece = await context.store.blobs.read(row.blob, start, Math.min(part.end, start + PIECE_OCTETS));
      context.out.octets(piece);
      await context.drain();
    }
  }
}
