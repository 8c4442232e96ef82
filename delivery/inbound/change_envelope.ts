/**
 * Sender and recipients as milters want them.
 *
 * A recipient they add may be anywhere; one that cannot be reached is told and left out. When nobody is left the message is
 * taken and forgotten, as they asked.
 */
import { getLogger } from "@logtape/logtape";
import { encode, isAscii } from "../../bytes/decode.ts";
import type { EnvelopeChange } from "../../filter/message_source.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import { type Reply, TOO_MANY_RECIPIENTS } from "../../protocols/smtp/reply.ts";
import { changedEnvelope, type EnvelopeRecipient } from "../envelope_changes.ts";
import { hasEightBitFrom } from "../front_fields.ts";
import { MAIL_LOOP } from "../policy.ts";
import { REFUSALS } from "../recipients.ts";
import { leadsBack } from "./envelope.ts";
import type { Mail } from "./mail.ts";
import { textOf, traced } from "./tell.ts";

const log = getLogger(["veredus", "delivery"]);

/** The answer where nothing is left to do or somebody cannot be reached any more, else null. */
export async function changeEnvelope(mail: Mail, changes: readonly EnvelopeChange[]): Promise<Reply | null> {
  const { envelope, content, setting: { options: { store }, resolver } } = mail;
  const recipients = envelope.taken();
  const before = envelope.sender;
  const changed = changedEnvelope({ sender: before, recipients }, changes);
  envelope.sender = changed.sender;
  envelope.smtputf8 ||= !isAscii(encode(changed.sender));
  if (changed.wishes !== null) envelope.parameters = { ...envelope.parameters, ...changed.wishes };
  envelope.startAgain();
  for (const { path, parameters } of changed.kept) {
    const resolution = resolver.resolve(path, envelope.rcptFacts);
    if (resolution.kind === "refused") return REFUSALS[resolution.reason];
    if (!envelope.enlist({ path, parameters, targets: resolution.targets })) return TOO_MANY_RECIPIENTS;
  }
  const faults = [...changed.faults];
  for (const recipient of changed.added) {
    const fault = addRecipient(mail, recipient);
    if (fault !== null) faults.push(`add-recipient: ${formatPath(recipient.path)}: ${textOf(fault)}`);
  }
  for (const fault of faults) {
    log.warn("a milter's change of the envelope is left out: {fault}", { trace: mail.traceId, fault });
  }
  const words = [
    ...(before === envelope.sender ? [] : [`sender <${envelope.sender}>`]),
    ...changed.added.map(({ path }) => `and <${formatPath(path)}>`),
    ...recipients.filter((one) => !changed.kept.includes(one)).map(({ path }) => `not <${formatPath(path)}>`),
    ...faults.map((fault) => `left out: ${fault}`),
  ];
  const { filing } = envelope;
  traced(mail, { event: "checked", reply: `envelope: ${words.join("; ")}`, to: filing.addresses() });
  if (filing.mailboxes + filing.remote === 0) return mail.accepted();
  if (mail.junk) await filing.toJunk(store);
  if (filing.remote === 0) return null;
  content.eightBit ||= await hasEightBitFrom(content.spool, 0);
  await mail.moveFrontInside();
  return null;
}

/** Null when it was added. */
function addRecipient(
  { envelope, content, setting: { resolver } }: Mail,
  { path, parameters }: EnvelopeRecipient,
): Reply | null {
  const facts = { ...envelope.rcptFacts, mayRelay: true, octets: content.octets };
  const resolution = resolver.resolve(path, facts);
  if (resolution.kind === "refused") return REFUSALS[resolution.reason];
  const { targets } = resolution;
  if (leadsBack(targets, content.message.deliveredTo)) return MAIL_LOOP;
  return envelope.enlist({ path, parameters, targets }) ? null : TOO_MANY_RECIPIENTS;
}
