/** What the operator gets to know of a message on its way in: events of its trace, and the one line in the log. */
import { getLogger } from "@logtape/logtape";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { countMessage, type MessageOutcome, observeAccepted } from "../reception_metrics.ts";
import type { TraceEvent } from "../tracer.ts";
import type { Mail } from "./mail.ts";

const log = getLogger(["veredus", "delivery"]);

/** An event of its life, with what is known of its client and its checks. */
export function traced(
  mail: Mail,
  { event, ...facts }: Partial<TraceEvent> & Pick<TraceEvent, "event">,
): void {
  const { tracer, clock } = mail.setting.options;
  const { sessionId, address, heloName, service, account, tls } = mail.client;
  const { decisions = [] } = mail.screen ?? {};
  tracer?.note({
    at: clock(),
    trace: mail.traceId,
    event,
    session: sessionId,
    client: address,
    helo: heloName,
    service,
    ...(account !== null && { login: account.address }),
    ...(tls !== null && { tls: tls.protocol ?? "yes" }),
    from: mail.envelope.sender,
    ...(decisions.length > 0 && {
      checks: decisions.map(({ check, stage, action, reason }) => ({ check, stage, action, reason })),
    }),
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
  if (mail.setting.options.tracer !== undefined) {
    traced(mail, {
      event: outcome,
      to: filing.addresses(),
      messageId: mail.messageId,
      size,
      mailboxes: filing.mailboxes,
      queued: filing.remote,
      ms: Math.round(tookMs),
      ...(disposition !== "deliver" && { disposition }),
      reply: textOf(answer),
    });
  }
  log.info("message {outcome}", {
    outcome,
    trace,
    session: client.sessionId,
    from: sender,
    recipients: recipients.length,
    size,
    mailboxes: filing.mailboxes,
    queued: filing.remote,
    ms: Math.round(tookMs),
    ...(disposition !== "deliver" && { disposition }),
    ...(outcome !== "accepted" && { reply: textOf(answer) }),
  });
}

export function textOf({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced} ${text}`;
}

function outcomeOf({ code }: Reply): MessageOutcome {
  return code < 300 ? "accepted" : code < 500 ? "deferred" : "refused";
}
