/**
 * MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command may touch, where the operator set a limit.
 *
 * Commands that can be repeated do the newest messages and name the lowest UID they came to; COPY and APPEND, which are
 * all or nothing, are refused. EXPUNGE, CLOSE and STATUS know no limit. 0 is none.
 */
import { partOfRanges } from "../../protocols/imap/partial_range.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Ranges } from "../../protocols/imap/sequence_set.ts";
import { FLAG_DELETED } from "../../storage/changes.ts";
import { type ImapContext, no, type Selected } from "./context.ts";
import { countLimit } from "./metrics.ts";

export interface Limited {
  /** Sequence ranges. */
  readonly ranges: Ranges;
  /** Response code for the reply; "" where nothing was left out. */
  readonly code: string;
}

/** The newest messages of sequence ranges, as many as a command may touch. */
export function limited(context: ImapContext, selected: Selected, ranges: Ranges): Limited {
  const limit = context.session.messageLimit;
  if (limit === 0 || countOf(ranges) <= limit) return { ranges, code: "" };
  countLimit("messages");
  const newest = partOfRanges(ranges, { from: 1, to: limit, fromEnd: true, turned: false });
  return { ranges: newest, code: `MESSAGELIMIT ${limit} ${selected.view.uidOf(newest[0]![0])}` };
}

/** The newest of those marked \Deleted: for UID EXPUNGE, which counts no others. */
export function limitedDeleted(context: ImapContext, selected: Selected, ranges: Ranges): Limited {
  const { view, index } = selected;
  if (context.session.messageLimit === 0) return { ranges, code: "" };
  const deleted: [number, number][] = [];
  for (const [from, to] of ranges) {
    view.walk(from, to, (sequence, _uid, position) => {
      if (position >= 0 && (index.flagsAt(position) & FLAG_DELETED) !== 0) deleted.push([sequence, sequence]);
    });
  }
  return limited(context, selected, deleted);
}

/** Why a command that is all or nothing cannot have so many messages; null when it can. */
export function tooMany(context: ImapContext, selected: Selected, ranges: Ranges): Reply | null {
  const limit = saveLimit(context);
  if (limit === 0 || countOf(ranges) <= limit) return null;
  countLimit("messages");
  const newest = partOfRanges(ranges, { from: 1, to: limit, fromEnd: true, turned: false });
  return no("Too many messages at once", `MESSAGELIMIT ${limit} ${selected.view.uidOf(newest[0]![0])}`);
}

/** Messages that COPY and APPEND may bring. */
export function saveLimit(context: ImapContext): number {
  const { messageLimit, saveLimit } = context.session;
  return messageLimit === 0 || saveLimit === 0 ? messageLimit + saveLimit : Math.min(messageLimit, saveLimit);
}

/** The reply with the code, or with the code before it where it has one of its own (RFC 9738 3.1). */
export function withCode(context: ImapContext, code: string, reply: Reply): Reply {
  if (code === "" || reply.status !== "OK") return reply;
  const text = "Only the newest messages were looked at";
  if (reply.code === undefined || reply.code === "") return { ...reply, code, text };
  context.out.text(`* NO [${code}] ${text}\r\n`);
  return reply;
}

export function countOf(ranges: Ranges): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}
