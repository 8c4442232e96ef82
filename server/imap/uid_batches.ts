/**
 * UIDBATCHES (RFC 10022): the mailbox as UID ranges of so many messages each, newest first.
 *
 * Ranges follow each other without a gap and the last one ends at 1, so that they hold every message whatever is expunged
 * meanwhile. They are read off the index in memory: a range costs a look-up, so that nothing has to be rationed.
 */
import type { Command } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { type ImapContext, no, ok, selectedOf } from "./context.ts";

/** RFC 10022 3.1.3.2. */
const LEAST = 500;
const RANGES_PER_PIECE = 1_000;

export async function uidBatches(
  context: ImapContext,
  { size, range }: Extract<Command, { name: "UIDBATCHES" }>,
): Promise<Reply> {
  if (range !== null && range.from > range.to) {
    return { status: "BAD", code: "CLIENTBUG", text: "Batches are counted upwards" };
  }
  if (size < LEAST) return no(`A batch has ${LEAST} messages at least`, "TOOFEW");
  const { view } = selectedOf(context);
  const { out, session } = context;
  const { exists } = view;
  const last = Math.min(range?.to ?? Infinity, Math.ceil(exists / size));
  let text = `* UIDBATCHES (TAG "${session.tag}")`;
  let separator = " ";
  for (let batch = range?.from ?? 1; batch <= last; batch++) {
    const highest = exists - (batch - 1) * size;
    const next = highest - size;
    text += `${separator}${view.uidOf(highest)}:${next > 0 ? view.uidOf(next) + 1 : 1}`;
    separator = ",";
    if (batch % RANGES_PER_PIECE === 0) {
      out.text(text);
      text = "";
      await context.drain();
    }
  }
  out.text(`${text}\r\n`);
  return ok("Uidbatches completed");
}
