/**
 * Makes one message durable: its octets, its copies in mailboxes and its rows of the queue commit together, and the 250
 * is given after that. Where recipients have scripts, these say where the copies go.
 */
import { getLogger } from "@logtape/logtape";
import { latin1 } from "../../bytes/decode.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import type { QueueTls, WriteOp, WriteResult } from "../../storage/ops.ts";
import { faultReply } from "../faults.ts";
import type { FilingFacts } from "../filing.ts";
import { forwardedSender, freshKeys } from "../forwarding.ts";
import { noteUse } from "../masked.ts";
import type { MailboxTarget } from "../recipients.ts";
import { possibleReport, takeReport } from "../report_intake.ts";
import { fileByScripts, hasScripts, provesSender, rejection } from "../scripts/file.ts";
import { isTrapped } from "./trapped.ts";
import { redirectFront } from "../scripts/redirect_front.ts";
import { refuseRecipients } from "../scripts/refuse_one.ts";
import { besideOf, mayAskForSuccess } from "./beside.ts";
import { originalOperation } from "./keep_original.ts";
import type { Mail } from "./mail.ts";
import { foundOf } from "./sign.ts";
import { tracedCheck, tracedRefusal } from "./tell.ts";

const log = getLogger(["veredus", "delivery"]);
/** RFC 8689 5. */
const TLS_REQUIRED_NO = /^tls-required:[ \t]*no[ \t]*\r$/im;
const MAX_SEARCHED_HEADER = 64 * 1024;

/** The answer to the message. Rejects with StorageError. */
export async function store(mail: Mail): Promise<Reply> {
  const { traceId, envelope, content, findings, setting: { options: { store, clock } } } = mail;
  const at = clock();
  const need = tlsNeed(mail);
  const tls = need instanceof Promise ? await need : need;
  if (envelope.filing.forwards) await freshKeys(store, at);
  if (!mayAskForSuccess(mail)) {
    envelope.reports = [];
    envelope.filing.withoutSuccess();
  }
  const { spool, message } = content;
  const reading = possibleReport(spool, message, findings);
  const report = reading === null ? null : await reading;
  const facts = filingFacts(mail, { at, tls });
  // Before scripts move the copies.
  const original = await originalOperation(mail, at);
  const scripted = hasScripts(store, envelope.filing) ? await fileScripted(mail, facts) : null;
  if (scripted !== null && "code" in scripted) return scripted;
  const result = scripted === null
    ? await envelope.filing.store({ store, spool }, message, withBeside(facts, original))
    : await store.write(original === null ? scripted : { kind: "batch", ops: [scripted, original] });
  const refusal = refusalOf(result, traceId);
  if (refusal !== null) return refusal;
  afterDelivery(mail, at);
  if (report !== null) {
    const sender = findings?.dmarc?.authorDomain ?? "";
    takeReport(store, { octets: report, sender, trace: traceId, now: at }); // nobody waits for it; it does not reject
  }
  return mail.accepted();
}

/** Null where the writer took it, else what the client hears. */
function refusalOf(result: WriteResult, trace: string): Reply | null {
  if (result.ok) return null;
  const { fault, detail } = result;
  log.error("the writer refused a message: {fault}: {detail}", { trace, fault, detail });
  return faultReply(fault);
}

/** One more operation in the same transaction; null is none. */
function withBeside(facts: FilingFacts, more: WriteOp | null): FilingFacts {
  if (more === null) return facts;
  return {
    ...facts,
    beside: async (blob) => {
      const other = await facts.beside?.(blob) ?? null;
      return other === null ? more : { kind: "batch", ops: [other, more] };
    },
  };
}

function filingFacts(
  mail: Mail,
  { at, tls }: { readonly at: number; readonly tls: QueueTls },
): FilingFacts {
  const { traceId, envelope, content, client, screen, front, heldFor } = mail;
  const { config, resolver, options: { store } } = mail.setting;
  const { sender, smtputf8, holdUntil, parameters: { envelopeId, ret, priority } } = envelope;
  const lifetimeMs = sender === "" ? config.bounceLifetimeMs : config.queueLifetimeMs;
  const trapped = isTrapped(mail);
  if (trapped) tracedCheck(mail, "spam: it came to a trap");
  const beside = besideOf(mail, { message: content.message, at, tls });
  return {
    traceId,
    sender,
    smtputf8,
    envelopeId,
    ret,
    tls,
    at,
    front,
    priority: priority ?? 0,
    trapped,
    accountId: client.account?.id ?? null,
    eightBit: content.eightBit,
    expiresAt: (holdUntil ?? at) + lifetimeMs,
    ...(holdUntil !== null && { notBefore: holdUntil }),
    ...(heldFor !== "" && {
      quarantine: {
        reason: heldFor,
        dangerous: screen?.disposition === "quarantine" && screen.dangerous,
        expiresAt: at + config.quarantineMs,
      },
    }),
    ...(beside !== null && { beside }),
    senderFor: (domain) =>
      forwardedSender(store, { sender, domain, now: at, isLocal: (address) => resolver.isLocal(address) }),
  };
}

/** RFC 8689: REQUIRETLS goes before the field, which only matters to mail that leaves. */
function tlsNeed(
  { envelope, content: { spool, message: { headerOctets } } }: Mail,
): QueueTls | Promise<QueueTls> {
  if (envelope.parameters.requireTls) return "require";
  if (envelope.filing.remote === 0) return "";
  return spool.read(0, Math.min(headerOctets, MAX_SEARCHED_HEADER)).then((header) =>
    TLS_REQUIRED_NO.test(latin1(header)) ? "optional" : ""
  );
}

/** The operation that files a message whose recipients have scripts, or the answer where there is nothing to file. */
async function fileScripted(mail: Mail, facts: FilingFacts): Promise<WriteOp | Reply> {
  const { traceId, client, screen, findings, junk, front, setting: { options, post } } = mail;
  const { filing, sender } = mail.envelope;
  const { spool, message } = mail.content;
  const found = filing.forwardingDomains().length > 0 ? null : foundOf(mail);
  const filed = await fileByScripts({
    post,
    hostname: options.hostname,
    frontOf: (domain, spool, message) =>
      redirectFront(options, { spool, message, domain, ours: mail.mayRelay, found }),
  }, {
    ...{ filing, spool, message, traceId, sender, junk, front },
    senderProven: mail.mayRelay || provesSender(findings, sender),
    spam: mail.spam.verdicts,
    virusLevel: screen?.findings.virusLevel ?? null,
    client: { address: client.address, name: client.heloName },
    ...(client.service === "lmtp" && {
      refuseOne: (target: MailboxTarget, reason: string) => refuseOne(mail, target, rejection(reason)),
    }),
  }, facts);
  if (filed.trace.length > 0) tracedCheck(mail, `scripts: ${filed.trace.join("; ")}`);
  if ("rejected" in filed) {
    if (filed.operation !== null) refusalOf(await options.store.write(filed.operation), traceId);
    return rejection(filed.rejected);
  }
  return filed.operation ?? mail.accepted();
}

/** LMTP: those who lead to this mailbox alone are told behind the data; of them nothing is reported. */
function refuseOne(mail: Mail, target: MailboxTarget, refusal: Reply): boolean {
  const { envelope } = mail;
  if (!refuseRecipients(envelope.recipients, target, refusal)) return false;
  const told = envelope.recipients.filter((one) => one.refusal !== null).map(({ path }) => formatPath(path));
  envelope.reports = envelope.reports.filter(({ address }) => !told.includes(address));
  tracedRefusal(mail, { to: target.deliveredTo, refusal });
  return true;
}

/** Nobody waits for it. */
function afterDelivery({ envelope: { filing }, setting }: Mail, at: number): void {
  for (const { owner, masked } of filing.targets()) {
    setting.quotaNotices.look(owner);
    if (masked !== "") noteUse(setting.options.store, masked, at);
  }
}
