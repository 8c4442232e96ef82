/** STORE and EXPUNGE (RFC 3501 6.4.3, 6.4.6; RFC 4315 2.1). Durable before the OK. */
import type { Command } from "../../protocols/imap/command.ts";
import type { Ranges, SequenceSet } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/session.ts";
import { bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { writeFlags } from "./select.ts";

/** Answers between two looks at the output buffer. */
const BATCH = 1_000;

export const OUT_OF_RANGE = bad("A message number is out of range");
export const READ_ONLY = no("The mailbox is open read-only");

/** Sequence ranges of a command's set; null when a number is out of range. */
export function resolveSet(
  selected: Selected,
  command: { readonly uid: boolean; readonly set: SequenceSet },
): Ranges | null {
  const { view } = selected;
  return command.uid ? view.resolveUids(command.set) : view.resolveSequence(command.set);
}

export async function storeFlags(
  context: ImapContext,
  command: Extract<Command, { name: "STORE" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const { view, mailbox } = selected;
  const ranges = resolveSet(selected, command);
  if (ranges === null) return OUT_OF_RANGE;
  if (selected.readOnly) return READ_ONLY;
  if (ranges.length === 0) return ok("Store completed");
  view.beginStore();
  let modSeq: number | null = null;
  try {
    const result = await context.store.write({
      kind: "store-flags",
      mailboxId: mailbox.id,
      uids: view.uidRanges(ranges),
      mode: command.mode,
      flags: command.flags.flags,
      keywords: command.flags.keywords.map((keyword) =>
        selected.keywords.get(keyword.toLowerCase()) ?? keyword
      ),
      unchangedSince: null,
    });
    if (!result.ok) return refusal(result);
    if (result.kind === "flags") modSeq = result.modSeq;
  } finally {
    view.endStore(modSeq);
  }
  return await answerStore(context, { selected, ranges, silent: command.silent });
}

/** The new flags of every message named, unless `.SILENT` (RFC 3501 6.4.6). */
async function answerStore(
  context: ImapContext,
  stored: { readonly selected: Selected; readonly ranges: Ranges; readonly silent: boolean },
): Promise<Reply> {
  const { selected, ranges, silent } = stored;
  let gone = false;
  for (const [from, to] of ranges) {
    for (let start = from; start <= to; start += BATCH) {
      selected.view.walk(start, Math.min(to, start + BATCH - 1), (_sequence, uid, position) => {
        if (position < 0) gone = true;
        else if (!silent) writeFlags(context, selected, uid);
      });
      if (!silent || start + BATCH <= to) await context.drain();
    }
  }
  return gone ? ok("Some messages are gone", "EXPUNGEISSUED") : ok("Store completed");
}

export async function expunge(
  context: ImapContext,
  command: { readonly uids: SequenceSet | null },
): Promise<Reply> {
  const selected = selectedOf(context);
  if (selected.readOnly) return READ_ONLY;
  const { view, mailbox } = selected;
  const ranges = command.uids === null ? null : view.uidRanges(view.resolveUids(command.uids));
  if (ranges !== null && ranges.length === 0) return ok("Expunge completed");
  const result = await context.store.write({
    kind: "expunge",
    mailboxId: mailbox.id,
    uids: ranges,
    onlyDeleted: true,
  });
  // The EXPUNGE responses come with all other news before the tagged reply.
  return result.ok ? ok("Expunge completed") : refusal(result);
}
