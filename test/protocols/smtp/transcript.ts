/**
 * Replays SMTP transcripts against the pure session.
 *
 * `C:` a line of the client, `S:` a line of the server, `?` an event the session raised, `!` the answer the test gives to
 * the event above it (else the event is accepted), `#` text, `@` an option of the session, `= TLS` the handshake: what
 * the client sent before it is dropped. `C:` lines are UTF-8 and end in CRLF; `C~` has escapes (`\r`, `\n`, `\0`,
 * `\xff`, `\\`, and `\{a*2048}` for repetition) and ends in nothing of its own.
 */
import { encode, encodeLatin1, latin1, utf8 } from "../../../bytes/decode.ts";
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

export interface Transcript {
  readonly options: Partial<SmtpSessionOptions>;
  /** What the client sends; the next one follows a handshake. */
  readonly segments: readonly Uint8Array[];
  /** By the number of the event. */
  readonly answers: ReadonlyMap<number, string>;
  /** `S:` and `?` lines in order. */
  readonly expected: readonly string[];
}

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
  ["etrn", { offers: { ...NO_OFFERS, etrn: true } }],
  ["xclient", { offers: { ...NO_OFFERS, xclient: true } }],
  ["hold", { offers: { ...NO_OFFERS, futureRelease: { maxSeconds: 86_400, now: () => 1_000_000_000_000 } } }],
]);

export const STORED = reply(250, "2.0.0", "Stored");

export function parseTranscript(text: string): Transcript {
  let options: Partial<SmtpSessionOptions> = {};
  const segments: Uint8Array[][] = [[]];
  const answers = new Map<number, string>();
  const expected: string[] = [];
  let events = 0;
  for (const line of text.split("\n")) {
    const rest = line.slice(3);
    if (line === "" || line.startsWith("#")) continue;
    else if (line.startsWith("C:")) segments.at(-1)!.push(encode(rest + "\r\n"));
    else if (line.startsWith("C~")) segments.at(-1)!.push(escaped(rest));
    else if (line.startsWith("S:")) expected.push(line);
    else if (line.startsWith("?")) {
      expected.push(line);
      events++;
    } else if (line.startsWith("!")) answers.set(events - 1, line.slice(2));
    else if (line === "= TLS") segments.push([]);
    else if (line.startsWith("@ ")) {
      options = { ...options, ...(OPTIONS.get(line.slice(2)) ?? unknown(line)) };
    } else unknown(line);
  }
  return { options, segments: segments.map(join), answers, expected };
}

function unknown(line: string): never {
  throw new Error(`a transcript has no line "${line}"`);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", 0: "\0", "\\": "\\" };

export function escaped(text: string): Uint8Array {
  return encodeLatin1(
    text.replace(/\\(?:\{(.+?)\*(\d+)\}|x([0-9a-f]{2})|([rn0\\]))/g, (_all, word, times, hex, letter) => {
      if (word !== undefined) return word.repeat(Number(times));
      return hex !== undefined ? String.fromCharCode(parseInt(hex, 16)) : ESCAPES[letter]!;
    }),
  );
}

export interface Replayed {
  readonly lines: string[];
  /** Verb and code of each reply, and each limit, as the observer was told. */
  readonly observed: string[];
}

/** Runs the session; `cut` splits each segment into the chunks it arrives in. */
export function replay(transcript: Transcript, cut: (segment: Uint8Array) => Uint8Array[]): Replayed {
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
    },
    ...transcript.options,
  });
  let message = "";
  let events = 0;
  session.greet();
  for (const segment of transcript.segments) {
    if (!run()) break;
    for (const chunk of cut(segment)) {
      // A buffer of its own that is overwritten afterwards: the session may not keep what it borrowed.
      const borrowed = chunk.slice();
      session.feed(borrowed);
      const alive = run();
      borrowed.fill(0x58);
      if (!alive) break;
    }
  }
  return { lines, observed };

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      if (event.kind === "data") {
        message += latin1(event.bytes, event.start, event.end);
        continue;
      }
      const text = utf8(out.take());
      if (text !== "") lines.push(...text.slice(0, -2).split("\r\n").map((line) => `S: ${line}`));
      if (event.kind === "need-input") return true;
      lines.push(describe(event, message));
      if (event.kind === "message" || event.kind === "discard") message = "";
      answer(event, transcript.answers.get(events++));
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
      const { size, body, smtputf8, ret, envelopeId, requireTls, hold } = event.parameters;
      return `? MAIL <${formatPath(event.reversePath)}>` + (size === null ? "" : ` SIZE=${size}`) +
        (body === "7BIT" ? "" : ` BODY=${body}`) + (smtputf8 ? " SMTPUTF8" : "") +
        (ret === "" ? "" : ` RET=${ret}`) + (envelopeId === "" ? "" : ` ENVID=${envelopeId}`) +
        (requireTls ? " REQUIRETLS" : "") + (hold === null ? "" : ` hold ${JSON.stringify(hold)}`);
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
