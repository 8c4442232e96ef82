/**
 * Replays SMTP transcripts (test/lib/transcript.ts) against the pure session. An event without an answer is accepted.
 */
import { latin1 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { SessionMechanisms, SMTP_MECHANISMS } from "../../../protocols/sasl/mechanisms.ts";
import { formatPath } from "../../../protocols/smtp/path.ts";
import {
  CANNOT_VRFY,
  NOT_IMPLEMENTED,
  RECIPIENT_OK,
  type Reply,
  reply,
  SENDER_OK,
} from "../../../protocols/smtp/reply.ts";
import type { SmtpEvent } from "../../../protocols/smtp/event.ts";
import { SmtpSession } from "../../../protocols/smtp/session.ts";
import {
  NO_OFFERS,
  type SmtpLimits,
  type SmtpSessionOptions,
} from "../../../protocols/smtp/session_options.ts";

import { type Cut, feedSegments, linesOf, parseTranscript, type Transcript } from "../../lib/transcript.ts";

export const TEST_LIMITS: SmtpLimits = {
  commandLineOctets: 2_048,
  authLineOctets: 16_384,
  messageOctets: 1_000_000,
  recipients: 100,
  commands: 1_000,
  errors: 20,
};

const SMALL: SmtpLimits = {
  commandLineOctets: 64,
  authLineOctets: 96,
  messageOctets: 40,
  recipients: 2,
  commands: 12,
  errors: 4,
};

const BEARER = new SessionMechanisms(SMTP_MECHANISMS, {
  scram: () => null,
  bearer: () => true,
  certificate: () => false,
});

const OPTIONS: ReadonlyMap<string, Partial<SmtpSessionOptions>> = new Map<
  string,
  Partial<SmtpSessionOptions>
>([
  ["submission", { service: "submission", mechanisms: SMTP_MECHANISMS }],
  ["auth", { mechanisms: SMTP_MECHANISMS }],
  ["bearer", { mechanisms: BEARER }],
  ["tls", { tlsActive: true }],
  ["no-starttls", { startTlsAvailable: false }],
  ["plain-login", { plainLoginAllowed: true }],
  ["convert", { bareLineEnds: "convert" }],
  ["small", { limits: SMALL }],
  ["lmtp", { service: "lmtp", bareLineEnds: "convert" }],
  ["hide", { hidden: new Set(["CHUNKING", "DSN", "LIMITS", "SMTPUTF8"]) }],
  ["require-tls", { tlsRequired: true }],
  ["soft-bounce", { softBounce: true }],
  ["etrn", { offers: { ...NO_OFFERS, etrn: true } }],
  ["xclient", { offers: { ...NO_OFFERS, xclient: true } }],
  ["priority", { offers: { ...NO_OFFERS, maxPriority: 4 } }],
  ["hold", { offers: { ...NO_OFFERS, futureRelease: { maxSeconds: 86_400, now: () => 1_000_000_000_000 } } }],
]);

export const STORED = reply(250, "2.0.0", "Stored");

export function parse(text: string): Transcript<SmtpSessionOptions> {
  return parseTranscript(text, { options: OPTIONS });
}

export interface Replayed {
  readonly lines: string[];
  /** Verb and code of each reply, and each limit, as the observer was told. */
  readonly observed: string[];
}

export function replay(transcript: Transcript<SmtpSessionOptions>, cut: Cut): Replayed {
  const out = new Out();
  const lines: string[] = [];
  const observed: string[] = [];
  const session = new SmtpSession({
    out,
    hostName: "mx.example.test",
    service: "mx",
    tlsActive: false,
    startTlsAvailable: true,
    mechanisms: new Map(),
    plainLoginAllowed: false,
    bareLineEnds: "refuse",
    limits: TEST_LIMITS,
    observer: {
      replied: (verb, code) => observed.push(`${verb} ${code}`),
      limited: (limit) => observed.push(limit),
      softened: () => observed.push("softened"),
    },
    ...transcript.options,
  });
  const answers = new Map(transcript.answers.map(({ event, text }) => [event, text]));
  let message = "";
  let events = 0;
  feedSegments(session, transcript.segments, { cut, run });
  return { lines, observed };

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      if (event.kind === "data") {
        message += latin1(event.bytes, event.start, event.end);
        continue;
      }
      lines.push(...linesOf(out));
      if (event.kind === "need-input") return true;
      lines.push(describe(event, message));
      if (event.kind === "message" || event.kind === "discard") message = "";
      answer(event, answers.get(events++));
      if (event.kind === "close") return false;
      if (event.kind === "starttls") {
        session.dropInput();
        session.tlsStarted();
        return false;
      }
    }
  }

  function answer(event: SmtpEvent, text: string | undefined): void {
    if (text === "LOGGED-IN") return session.authenticated();
    if (text === "END") return session.end(reply(421, "4.3.2", "Service shutting down"));
    if (text === "RESTARTED") return session.restarted("refuse");
    if (text?.startsWith("EACH ")) return session.answerEach(text.slice(5).split(" | ").map(parseReply));
    if (text !== undefined) return session.answer(parseReply(text));
    if (event.kind === "helo" || event.kind === "begin") return session.accept();
    if (event.kind === "mail") return session.answer(SENDER_OK);
    if (event.kind === "rcpt") return session.answer(RECIPIENT_OK);
    if (event.kind === "message") return session.answer(STORED);
    if (event.kind === "lookup") return session.answer(event.verb === "VRFY" ? CANNOT_VRFY : NOT_IMPLEMENTED);
    if (event.kind === "credentials" || event.kind === "etrn" || event.kind === "xclient") {
      throw new Error(`no answer to ${lines.at(-1)}`);
    }
  }
}

function parseReply(text: string): Reply {
  const match = /^(\d{3}) (?:(\d\.\d+\.\d+) )?(.*)$/.exec(text);
  if (match === null) throw new Error(`no reply: ${text}`);
  return reply(Number(match[1]), match[2] ?? "", match[3] ?? "");
}

/** An event as one line. */
function describe(event: SmtpEvent, message: string): string {
  switch (event.kind) {
    case "helo":
      return `? ${event.verb} ${event.name}`;
    case "mail": {
      const { size, body, smtputf8, ret, envelopeId, requireTls, hold, priority } = event.parameters;
      return `? MAIL <${formatPath(event.reversePath)}>` + (size === null ? "" : ` SIZE=${size}`) +
        (body === "7BIT" ? "" : ` BODY=${body}`) + (smtputf8 ? " SMTPUTF8" : "") +
        (ret === "" ? "" : ` RET=${ret}`) + (envelopeId === "" ? "" : ` ENVID=${envelopeId}`) +
        (requireTls ? " REQUIRETLS" : "") + (hold === null ? "" : ` hold ${JSON.stringify(hold)}`) +
        (priority === null ? "" : ` priority ${priority}`);
    }
    case "rcpt": {
      const { notify, originalRecipient } = event.parameters;
      return `? RCPT <${formatPath(event.forwardPath)}>` + (notify === "" ? "" : ` NOTIFY=${notify}`) +
        (originalRecipient === "" ? "" : ` ORCPT=${originalRecipient}`);
    }
    case "lookup":
      return `? ${event.verb} ${event.text}`;
    case "etrn":
      return `? ETRN ${event.text}`;
    case "xclient":
      return `? XCLIENT ${JSON.stringify([...event.attributes])}`;
    case "message":
      return `? message ${event.octets} ${JSON.stringify(message)}`;
    case "credentials": {
      const { mechanism, authorizationId, user, password, proof } = event.credentials;
      const shown = proof?.kind === "token" ? proof.token : password;
      return `? credentials ${mechanism} ${JSON.stringify([authorizationId, user, shown])}`;
    }
    case "discard":
      return event.reply === null ? "? discard" : `? discard, refused ${event.reply.code}`;
    default:
      return `? ${event.kind}`;
  }
}
