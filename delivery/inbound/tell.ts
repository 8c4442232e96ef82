/** What the operator gets to know of a message on its way in: events of its trace, and the one line in the log. */
import type { Decision } from "../../filter/verdict.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { infoLines } from "../../telemetry/log.ts";
import { countMessage, type MessageOutcome, observeAccepted } from "../reception_metrics.ts";
import type { TraceEvent } from "../tracer.ts";
import type { Envelope } from "./envelope.ts";
import type { Mail } from "./mail.ts";

const tellLog = infoLines("delivery");
const NO_DECISIONS: readonly Decision[] = [];

/** An event of its life, with what is known of its client and its checks. */
export function traced(mail: Mail, facts: Partial<TraceEvent> & Pick<TraceEvent, "event">): void {
  const { tracer, clock } = mail.setting.options;
  if (tracer === undefined) return;
  const { sessionId, address, heloName, service, account, tls } = mail.client;
  const decisions = mail.screen?.decisions ?? NO_DECISIONS;
  // What is undefined is left out of the line: an object of one shape is made and written in a fraction of the time.
  tracer.note({
    at: clock(),
    trace: mail.traceId,
    session: sessionId,
    client: address,
    helo: heloName,
    service,
    login: account?.address,
    tls: tls === null ? undefined : tls.protocol ?? "yes",
    from: mail.envelope.sender,
    checks: decisions.length === 0
      ? undefined
      : decisions.map(({ check, stage, action, reason }) => ({ check, stage, action, reason })),
    ...facts,
  });
}

/** A word of the checks. */
export function tracedCheck(mail: Mail, word: string): void {
  traced(mail, { event: "checked", reply: word });
}

export interface RefusedRecipient {
  readonly to: string;
  readonly refusal: Reply;
}

/** A refusal that one recipient hears alone. */
export function tracedRefusal(mail: Mail, { to, refusal }: RefusedRecipient): void {
  traced(mail, { event: outcomeOf(refusal), to: [to], reply: textOf(refusal) });
}

/** The end of the message: the one line about it. */
export function tellAnswer(mail: Mail, answer: Reply): void {
  const { traceId: trace, beganMs, content: { octets: size }, client, screen } = mail;
  const { filing, sender, recipients } = mail.envelope;
  const tookMs = beganMs === 0 ? 0 : performance.now() - beganMs;
  const outcome = outcomeOf(answer);
  countMessage(outcome, client.service);
  if (outcome === "accepted") observeAccepted(tookMs);
  const disposition = screen?.disposition ?? "deliver";
  const esmtp = wishes(mail.envelope);
  const ms = Math.round(tookMs);
  if (mail.setting.options.tracer !== undefined) {
    traced(mail, {
      event: outcome,
      to: filing.addresses(),
      messageId: mail.messageId,
      size,
      mailboxes: filing.mailboxes,
      queued: filing.remote,
      ms,
      disposition: disposition === "deliver" ? undefined : disposition,
      esmtp,
      reply: textOf(answer),
    });
  }
  tellLog("message {outcome}", {
    outcome,
    trace,
    session: client.sessionId,
    from: sender,
    recipients: recipients.length,
    size,
    mailboxes: filing.mailboxes,
    queued: filing.remote,
    ms,
    disposition: disposition === "deliver" ? undefined : disposition,
    esmtp,
    reply: outcome === "accepted" ? undefined : textOf(answer),
  });
}

/** Extensions that change what becomes of a message; undefined where none was made use of, as most often. */
function wishes({ parameters, recipients }: Envelope): string | undefined {
  const { body, smtputf8, ret, envelopeId, requireTls, hold, priority } = parameters;
  const dsn = ret !== "" || envelopeId !== "" ||
    recipients.some(({ parameters: { notify, originalRecipient } }) =>
      notify !== "" || originalRecipient !== ""
    );
  const binary = body === "BINARYMIME";
  if (!(dsn || binary || smtputf8 || requireTls || hold !== null || priority !== null)) return undefined;
  return [
    ...(binary ? ["BINARYMIME"] : []),
    ...(smtputf8 ? ["SMTPUTF8"] : []),
    ...(dsn ? ["DSN"] : []),
    ...(requireTls ? ["REQUIRETLS"] : []),
    ...(hold !== null ? ["FUTURERELEASE"] : []),
    ...(priority !== null ? [`MT-PRIORITY=${priority}`] : []),
  ].join(" ");
}

export function textOf({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced} ${text}`;
}

function outcomeOf({ code }: Reply): MessageOutcome {
  return code < 300 ? "accepted" : code < 500 ? "deferred" : "refused";
}
