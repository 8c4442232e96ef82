/** Is it wanted: a refusal, or copies that lie where they should; what is held waits for the operator. */
import type { Handed } from "../../filter/message_source.ts";
import { run, type Steps, when } from "../../bytes/steps.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { provesAuthor } from "../authentication.ts";
import { judgeSpam, type SpamParts } from "../spam/judge.ts";
import { judgeOutgoing } from "../spam/outgoing.ts";
import { type Content, octetsOf, placeOf } from "./content.ts";
import type { Mail } from "./mail.ts";
import { tracedCheck } from "./tell.ts";

export function askSpamFilter(mail: Mail): Reply | null | Promise<Reply | null> {
  const parts = mail.setting.spam;
  if (parts === null) return null;
  if (mail.client.account !== null) {
    const login = mail.client.account.address;
    return mail.envelope.filing.remote === 0 ? null : judgeLogin(mail, { parts, login });
  }
  if (mail.findings === null) return null; // trusted, or of those whose mail is not checked
  return run(judgeStranger(mail, { parts, findings: mail.findings }));
}

/** What a login sends away. */
async function judgeLogin(
  mail: Mail,
  { parts, login }: { readonly parts: SpamParts; readonly login: string },
): Promise<Reply | null> {
  const { heldFor, refusal, trace } = await judgeOutgoing(parts, {
    ...judged(mail.content),
    time: mail.time,
  });
  mail.spamHeld = heldFor;
  tellTrace(mail, trace);
  if (heldFor !== "") {
    mail.setting.options.spam?.notify({ login, reason: heldFor, traceId: mail.traceId, now: parts.clock() });
  }
  return refusal;
}

function* judgeStranger(
  mail: Mail,
  { parts, findings }: { readonly parts: SpamParts; readonly findings: SenderFindings },
): Steps<Reply | null> {
  const { client: { address, heloName }, envelope: { filing, sender }, content, screen } = mail;
  const { authentication } = mail.setting.config;
  mail.spam = yield* when(judgeSpam(parts, {
    ...judged(content),
    ...{ filing, sender, findings, from: content.message.from, client: { address, heloName } },
    proven: authentication !== undefined && provesAuthor(findings, authentication),
    decisions: screen?.decisions ?? [],
    time: mail.time,
  }));
  const { trace, heldFor, heldFront, refusal } = mail.spam;
  tellTrace(mail, trace);
  mail.spamHeld = heldFor;
  mail.front = heldFront + mail.front;
  return refusal;
}

function tellTrace(mail: Mail, trace: readonly string[]): void {
  if (trace.length > 0) tracedCheck(mail, `spam: ${trace.join("; ")}`);
}

/** The message without our own lines in front. */
function judged({ spool, ownOctets }: Content): {
  readonly octets: number;
  readonly hand: (length: number) => Handed | Promise<Handed>;
} {
  const octets = spool.octets - ownOctets;
  const hand = (length: number) => {
    const end = ownOctets + Math.min(length, octets);
    return placeOf(spool, ownOctets, end) ?? octetsOf(spool, ownOctets, end);
  };
  return { octets, hand };
}
