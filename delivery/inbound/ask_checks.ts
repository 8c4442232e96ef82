/** What the operator's checks (milters, scanners, rules) say to the whole message, and the changes that they want. */
import { run, type Steps, when } from "../../bytes/steps.ts";
import type { MessageSource } from "../../filter/message_source.ts";
import { type MailScreen, verdictField } from "../../filter/screen.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { applyChanges } from "../apply_changes.ts";
import { changeEnvelope } from "./change_envelope.ts";
import { type Content, placeOf } from "./content.ts";
import type { Mail } from "./mail.ts";

export function askChecks(mail: Mail): Reply | null | Promise<Reply | null> {
  return mail.screen === null ? null : run(asked(mail, mail.screen));
}

function* asked(mail: Mail, screen: MailScreen): Steps<Reply | null> {
  const refusal = yield* when(screen.message(sourceOf(mail.content), {
    sent: mail.findings,
    staysHere: mail.envelope.filing.remote === 0,
  }, mail.time));
  if (refusal !== null) return refusal;
  if (screen.disposition === "discard") return mail.accepted();
  if (screen.changes.original !== null && screen.disposition === "deliver") mail.content.keepOriginal();
  yield* mark(mail, screen);
  const { envelope } = screen.changes;
  return envelope.length === 0 ? null : yield* when(changeEnvelope(mail, envelope));
}

/** The message as checks see it: without our own lines in front. */
function sourceOf({ spool, ownOctets: own, message: { headerOctets } }: Content): MessageSource {
  return {
    octets: spool.octets - own,
    headerOctets: headerOctets - own,
    read: (offset, length) => spool.read(own + offset, Math.min(own + offset + length, spool.octets)),
    held: (offset, length) => spool.held(own + offset, own + offset + length),
    onDisk: () => placeOf(spool, own, spool.octets),
  };
}

/** What checks found goes in front: of each copy here, inside what leaves; what they want changed is changed. */
function* mark(mail: Mail, { decisions, disposition, changes }: MailScreen): Steps<void> {
  const { content, envelope: { filing } } = mail;
  const front = verdictField(decisions, disposition) ?? "";
  const inside = filing.remote > 0;
  if (!inside) mail.front += front;
  if (!changes.some && (front === "" || !inside)) return;
  const { ownOctets, message: { headerOctets } } = content;
  const plan = { front: inside ? front : "", changes, ownOctets, headerOctets };
  yield content.rewrite((from, to) => applyChanges(from, to, plan));
  content.ownOctets += plan.front.length;
}
