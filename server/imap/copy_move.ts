/** COPY and MOVE (RFC 3501 6.4.7, RFC 6851; COPYUID: RFC 4315 3). One transaction each. */
import type { Command } from "../../protocols/imap/command.ts";
import { formatNumbers } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { accountOf, type ImapContext, no, ok, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { flagsAllowed, NOT_PERMITTED, targetMailbox } from "./names.ts";
import { limited, tooMany, withCode } from "./message_limit.ts";
import { messagesCame } from "./script_events.ts";
import { OUT_OF_RANGE, READ_ONLY, resolveSet } from "./store.ts";

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
  const result = await store.write({
    kind: "copy",
    from: selected.mailbox.id,
    to: target.id,
    uids: selected.view.uidRanges(some.ranges),
    move,
    ...(!(selected.mailbox.own && target.own) && {
      reader: { readerId: accountOf(context).id, ...flagsAllowed(target.rights) },
    }),
  });
  if (!result.ok) return refusal(result, { target: true });
  if (result.kind !== "copied" || result.from.length === 0) {
    return ok("No message was left to copy", "EXPUNGEISSUED");
  }
  await messagesCame(context, target, { cause: "COPY", uids: result.to });
  const code = `COPYUID ${result.uidValidity} ${formatNumbers(result.from)} ${formatNumbers(result.to)}`;
  if (!move) return ok(done, code);
  // RFC 6851 4.3: the code comes before the EXPUNGE responses.
  context.out.text(`* OK [${code}] Moved\r\n`);
  return withCode(context, some.code, ok(done));
}
