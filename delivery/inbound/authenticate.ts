/**
 * Who sent it: SPF, DKIM, ARC and DMARC of one message, begun while its octets stream, and what becomes of it for that
 * (authentication.ts decides). What was found goes in front of the message; what others claimed in our name goes out.
 */
import { run, type Steps, when } from "../../bytes/steps.ts";
import { resultsField } from "../../mailauth/authentication_results.ts";
import { methodResults } from "../../mailauth/findings_text.ts";
import type { SenderCheck, SenderFindings } from "../../mailauth/sender_check.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import {
  type AuthenticationConfig,
  decide,
  finishCheck,
  mayDefer,
  refusalOf,
  type SenderVerdict,
  startCheck,
} from "../authentication.ts";
import { infoLines } from "../../telemetry/log.ts";
import { dmarcObservation } from "../dmarc_observation.ts";
import type { Mail } from "./mail.ts";
import { tracedCheck } from "./tell.ts";

const decidedLine = infoLines("delivery");

/** Null where nobody asks who sent it. */
export function startSenderCheck({ setting, client, envelope: { sender } }: Mail): SenderCheck | null {
  const { options: { resolver, hostname, clock }, config } = setting;
  if (resolver === undefined || config.authentication === undefined) return null;
  const options = { resolver, hostname, config: config.authentication, random: Math.random };
  return startCheck(options, client, { sender, now: clock() });
}

export function authenticate(mail: Mail): Reply | null | Promise<Reply | null> {
  const { content: { senderCheck }, setting: { config } } = mail;
  if (senderCheck === null || config.authentication === undefined) return null;
  return run(authenticated(mail, { check: senderCheck, config: config.authentication }));
}

function* authenticated(
  mail: Mail,
  { check, config }: { readonly check: SenderCheck; readonly config: AuthenticationConfig },
): Steps<Reply | null> {
  const { traceId, client, envelope: { sender, filing }, setting: { options: { store, clock } } } = mail;
  const withinMs = mail.time.half;
  const findings = yield* when(finishCheck(check, { traceId, session: client.sessionId, withinMs }));
  mail.findings = findings;
  const attempt = { store, address: client.address, sender, now: clock() };
  const verdict = decide(findings, config, () => mayDefer(attempt));
  observe(mail, { findings, verdict, config });
  if (verdict.reason !== "") {
    decidedLine("sender: {action}, {reason}", { ...verdict, trace: traceId });
    tracedCheck(mail, `${verdict.action}: ${verdict.reason}`);
  }
  const refusal = refusalOf(verdict);
  if (refusal !== null) return refusal;
  if (verdict.action === "junk") {
    mail.junk = true;
    yield* when(filing.toJunk(store));
  }
  yield* writeFindings(mail, findings);
  return null;
}

/** For the report to the owner of the domain. */
function observe(
  { envelope: { sender }, content: { message: { subject } }, setting: { options: { observations } } }: Mail,
  { findings, verdict, config }: {
    readonly findings: SenderFindings;
    readonly verdict: SenderVerdict;
    readonly config: AuthenticationConfig;
  },
): void {
  // What is put off comes again.
  if (observations === undefined || verdict.action === "defer") return;
  const method = config.dmarc === "rfc7489" ? "psl" : "treewalk";
  const found = dmarcObservation({ findings, verdict, subject, sender, method });
  if (found !== null) observations.add(found.policyDomain, found.seen);
}

/** The results go in front, last of all (sign.ts): checks may still change the message, and a seal covers what leaves. */
function* writeFindings(mail: Mail, findings: SenderFindings): Steps<void> {
  const { envelope: { sender }, content, setting: { options: { hostname } } } = mail;
  mail.front = resultsField(hostname, methodResults(findings, { sender }));
  if (findings.forged.length === 0) return;
  const own = content.ownOctets;
  yield content.putInFront(
    "",
    findings.forged.map(({ start, end }) => ({ start: own + start, end: own + end })),
  );
}
