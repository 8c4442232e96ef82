/**
 * Recipients of one message: whom RCPT takes and whom it refuses, and with LMTP who is told otherwise behind the data.
 *
 * RCPT asks in this order: limits, who it is (recipients.ts), whether mail that leaves is taken for it (recipient_gate.ts),
 * checks. It waits only where one of them has to.
 */
import { getLogger } from "@logtape/logtape";
import { formatPath } from "../../protocols/smtp/path.ts";
import { NEEDS_SMTPUTF8, RECIPIENT_OK, type Reply, TOO_MANY_RECIPIENTS } from "../../protocols/smtp/reply.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { EnvelopeRecipient } from "../envelope_changes.ts";
import { MAIL_LOOP } from "../policy.ts";
import { countRecipient, countWay } from "../reception_metrics.ts";
import { type RecipientWay, REFUSALS, type Resolution } from "../recipients.ts";
import { leadsBack, type ResolvedRecipient } from "./envelope.ts";
import type { Mail } from "./mail.ts";
import { type RefusedRecipient, tracedRefusal } from "./tell.ts";

const log = getLogger(["veredus", "delivery"]);
const NOBODY: readonly Account[] = [];

/** A recipient that is taken unless a check says otherwise. */
type Found = ResolvedRecipient & { readonly way: RecipientWay };
type Refused = Extract<Resolution, { readonly kind: "refused" }>;

/** RCPT. */
export function takeRecipient(mail: Mail, { path, parameters }: EnvelopeRecipient): Reply | Promise<Reply> {
  const { envelope, setting: { config, resolver, options: { gate } } } = mail;
  if (envelope.recipients.length >= config.recipients) {
    countRecipient("too-many");
    return TOO_MANY_RECIPIENTS;
  }
  if (path.international && !envelope.smtputf8) {
    countRecipient("needs-smtputf8");
    return NEEDS_SMTPUTF8;
  }
  const resolution = resolver.resolve(path, envelope.rcptFacts);
  if (resolution.kind === "refused") {
    countRecipient(resolution.reason);
    log.debug("recipient refused: {reason}", () => ({
      session: mail.client.sessionId,
      trace: mail.traceId,
      recipient: formatPath(path),
      reason: resolution.reason,
    }));
    return refusalOf(mail, resolution);
  }
  const recipient = { path, parameters, targets: resolution.targets, way: resolution.way };
  const gated = gate?.refusal(resolution.targets) ?? null;
  if (gated === null) return screened(mail, recipient);
  const settle = (refusal: Reply | null) =>
    refusal === null
      ? screened(mail, recipient)
      : refusedByCheck(mail, { to: formatPath(recipient.path), refusal });
  return gated instanceof Promise ? gated.then(settle) : settle(gated);
}

function screened(mail: Mail, recipient: Found): Reply | Promise<Reply> {
  const asked = mail.screen?.rcpt(formatPath(recipient.path)) ?? null;
  if (asked === null) return added(mail, recipient);
  const settle = (refusal: Reply | null) =>
    refusal === null
      ? added(mail, recipient)
      : refusedByCheck(mail, { to: formatPath(recipient.path), refusal });
  return asked instanceof Promise ? asked.then(settle) : settle(asked);
}

function refusedByCheck(mail: Mail, told: RefusedRecipient): Reply {
  countRecipient("check");
  tracedRefusal(mail, told);
  return told.refusal;
}

function added({ envelope, traceId, client }: Mail, recipient: Found): Reply {
  if (!envelope.enlist(recipient)) {
    countRecipient("too-many");
    return TOO_MANY_RECIPIENTS;
  }
  const { path, parameters, targets: [first], way } = recipient;
  countWay(way);
  if (way !== "account" && way !== "remote") {
    log.debug("recipient taken by its {way}", () => ({
      session: client.sessionId,
      trace: traceId,
      recipient: formatPath(path),
      way,
    }));
  }
  countRecipient(
    first?.kind === "mailbox" ? first.captured ? "captured" : "local" : first?.kind ?? "local",
  );
  envelope.recipients.push({ path, parameters, targets: [], refusal: null });
  return RECIPIENT_OK;
}

/** Accounts without room are told so too. */
function refusalOf({ setting: { quotaNotices } }: Mail, { reason, full }: Refused): Reply {
  for (const account of full ?? NOBODY) quotaNotices.look(account, true);
  return REFUSALS[reason];
}

/**
 * LMTP: asks for each recipient again, now that size and header are known, and leaves out what has no room, leads round
 * in a circle, or has gone meanwhile (RFC 2033 4.2). What the first is refused with when nobody is left, else null.
 */
export function settleRecipients(mail: Mail): Reply | null {
  const { envelope, content: { octets, message: { deliveredTo } }, setting: { resolver } } = mail;
  envelope.startAgain();
  const facts = { ...envelope.rcptFacts, octets };
  for (const recipient of envelope.recipients) {
    const { path, parameters } = recipient;
    const resolution = resolver.resolve(path, facts);
    if (resolution.kind === "refused") recipient.refusal = refusalOf(mail, resolution);
    else {
      const { targets } = resolution;
      recipient.targets = targets;
      if (leadsBack(targets, deliveredTo)) recipient.refusal = MAIL_LOOP;
      else if (!envelope.enlist({ path, parameters, targets })) recipient.refusal = TOO_MANY_RECIPIENTS;
    }
    const { refusal } = recipient;
    if (refusal !== null) tracedRefusal(mail, { to: formatPath(path), refusal });
  }
  return envelope.recipients.some(({ refusal }) => refusal === null) ? null : envelope.recipients[0]!.refusal;
}
