/**
 * COPY and MOVE (RFC 3501 6.4.7, RFC 6851; COPYUID: RFC 4315 3).
 *
 * Of many messages in pieces, each a transaction, so that deliveries and other clients go on between them, and with
 * INPROGRESS. A COPY is all or nothing: what a piece brought is noted, and goes again when another fails, the client leaves
 * or the process dies. A MOVE may stop half-way, each message on one side (RFC 6851 3.3); what was moved is told.
 */
import type { Command } from "../../protocols/imap/command.ts";
import { formatNumbers, type Ranges } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { WriteOp, WriteResult } from "../../storage/ops.ts";
import { accountOf, type ImapContext, no, ok, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { countOf, limited, tooMany, withCode } from "./message_limit.ts";
import { flagsAllowed, NOT_PERMITTED, targetMailbox } from "./names.ts";
import { Progress } from "./progress.ts";
import { messagesCame } from "./script_events.ts";
import { copyTeaches } from "./teaches.ts";
import { highestModSeq, OUT_OF_RANGE, READ_ONLY, resolveSet } from "./store.ts";

/** Messages of one transaction: some tens of milliseconds of the writer. */
export const PIECE_MESSAGES = 2_000;

type CopyOp = Extract<WriteOp, { kind: "copy" }>;

interface Copied {
  uidValidity: number;
  readonly from: number[];
  readonly to: number[];
}

export async function copyOrMove(
  context: ImapContext,
  command: Extract<Command, { name: "COPY" | "MOVE" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const move = command.name === "MOVE";
  const done = move ? "Move completed" : "Copy completed";
  const ranges = resolveSet(selected, command);
  if (ranges === null) return OUT_OF_RANGE;
  if (move && selected.readOnly) return READ_ONLY;
  const { store } = context;
  // RFC 6851 4.2: what STORE of \Deleted and EXPUNGE need.
  if (move && !(selected.rights.includes("t") && selected.rights.includes("e"))) return NOT_PERMITTED;
  const target = targetMailbox(context, command.mailbox);
  if ("status" in target) return target;
  if (ranges.length === 0) return ok(done);
  const refused = move ? null : tooMany(context, selected, ranges);
  if (refused !== null) return refused;
  const some = move ? limited(context, selected, ranges) : { ranges, code: "" };
  if (!move && store.diskFull()) return no("The server has no space left just now", "UNAVAILABLE");
  const copied: Copied = { uidValidity: target.uidValidity, from: [], to: [] };
  const fault = await inPieces(context, piecesOf(some.ranges), copied, (piece) => ({
    kind: "copy",
    from: selected.mailbox.id,
    to: target.id,
    uids: selected.view.uidRanges(piece),
    move,
    ...copyTeaches(selected.mailbox, target),
    ...(!(selected.mailbox.own && target.own) && {
      reader: { readerId: accountOf(context).id, ...flagsAllowed(target.rights) },
    }),
  }));
  if (copied.to.length > 0) await messagesCame(context, target, { cause: "COPY", uids: copied.to });
  const none = copied.from.length === 0;
  // RFC 4315 3: UIDs tell nothing of a mailbox that the client may not read.
  const code = none || !target.rights.includes("r")
    ? ""
    : `COPYUID ${copied.uidValidity} ${formatNumbers(copied.from)} ${formatNumbers(copied.to)}`;
  // RFC 6851 4.3: the code comes before the EXPUNGE responses.
  if (move && code !== "") context.out.text(`* OK [${code}] Moved\r\n`);
  if (fault !== null) {
    const part = move && !none ? highestModSeq(context, selected) : "";
    if (part !== "") context.out.text(`* OK [${part}] Some of them are moved\r\n`);
    return refusal(fault, { target: true });
  }
  if (none) return ok("No message was left to copy", "EXPUNGEISSUED");
  return move ? withCode(context, some.code, ok(done, highestModSeq(context, selected))) : ok(done, code);
}

/** One piece after the other; what was done is put into `copied`. The fault of one ends it. */
async function inPieces(
  context: ImapContext,
  pieces: readonly Ranges[],
  copied: Copied,
  opOf: (piece: Ranges) => CopyOp,
): Promise<Extract<WriteResult, { ok: false }> | null> {
  const { store } = context;
  const ops = pieces.map(opOf); // before any of it is told to be gone
  const key = context.newTraceId();
  const progress = new Progress(context, pieces.reduce((sum, piece) => sum + countOf(piece), 0));
  /** Something is there whose rest is still to come. */
  let unfinished = false;
  try {
    for (const [at, op] of ops.entries()) {
      const last = at === ops.length - 1;
      const inParts = !op.move && ops.length > 1;
      const result = await store.write(inParts ? { ...op, piece: { key, last } } : op);
      if (!result.ok) {
        if (unfinished) copied.from.length = copied.to.length = 0;
        return result;
      }
      unfinished = inParts && !last;
      if (result.kind === "copied") {
        copied.uidValidity = result.uidValidity;
        copied.from.push(...result.from);
        copied.to.push(...result.to);
      }
      progress.add(countOf(pieces[at]!));
      if (!last) await context.drain();
    }
    return null;
  } finally {
    if (unfinished) await store.write({ kind: "abandon-copy", key });
  }
}

/** Sequence ranges of at most {@linkcode PIECE_MESSAGES} each. */
function piecesOf(ranges: Ranges): Ranges[] {
  const pieces: [number, number][][] = [];
  let room = 0;
  for (const [from, to] of ranges) {
    for (let start = from; start <= to;) {
      if (room === 0) {
        pieces.push([]);
        room = PIECE_MESSAGES;
      }
      const end = Math.min(to, start + room - 1);
      pieces.at(-1)!.push([start, end]);
      room -= end - start + 1;
      start = end + 1;
    }
  }
  return pieces;
}
