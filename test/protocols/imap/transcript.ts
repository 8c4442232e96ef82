/**
 * Replays IMAP transcripts against the pure session.
 *
 * `C:` a line of the client, `S:` a line of the server, `?` an event the session raised, `!` the answer the test
 * gives to the last event that asks for one, `#` text, `@` an option of the session, `= TLS` the handshake and `= DEFLATE` the begin of compression: what
 * the client sent before it is dropped. `%AFTER%` stands for the capabilities behind the login. `C:` lines are octets (UTF-8) and end in CRLF; `C|` is the same without CRLF.
 */
import { encode, utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { AFTER_LOGIN } from "../../../protocols/imap/capability.ts";
import { MAILBOX_MECHANISMS, SessionMechanisms } from "../../../protocols/sasl/mechanisms.ts";
import { LARGEST } from "../../../protocols/imap/sequence_set.ts";
import type { ImapEvent } from "../../../protocols/imap/event.ts";
import type { Reply } from "../../../protocols/imap/reply.ts";
import { ImapSession } from "../../../protocols/imap/session.ts";
import { DEFAULT_SESSION_LIMITS, type SessionOptions } from "../../../protocols/imap/session_options.ts";
import type { SaslExchange, SaslStep } from "../../../protocols/sasl/exchange.ts";

export interface Transcript {
  readonly options: Partial<SessionOptions>;
  /** What the client sends; the next one follows a handshake. */
  readonly segments: readonly Uint8Array[];
  readonly answers: readonly string[];
  /** `S:` and `?` lines in order. */
  readonly expected: readonly string[];
}

/** One exchange: an empty challenge unless there is a first response, then `authzid NUL user NUL password`. */
export class PlainExchange implements SaslExchange {
  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: new Uint8Array(0) };
    const [authorizationId, user, password] = utf8(response).split("\0");
    if (authorizationId === undefined || user === undefined || password === undefined) {
      return { kind: "malformed", text: "Expected two NUL octets" };
    }
    return { kind: "credentials", authorizationId, user, password };
  }
}

const SMALL = { lineOctets: 120, literalOctets: 40, commandOctets: 200, discardOctets: 300 };

const BEARER = new SessionMechanisms(MAILBOX_MECHANISMS, {
  scram: () => null,
  bearer: () => true,
  certificate: () => false,
});

const OPTIONS: ReadonlyMap<string, Partial<SessionOptions>> = new Map<string, Partial<SessionOptions>>([
  ["bearer", { mechanisms: BEARER }],
  ["tls-required", { plainLoginAllowed: false }],
  ["no-starttls", { startTlsAvailable: false }],
  ["sharing", { namespaces: { otherUsers: "Other Users", shared: "" } }],
  ["literal-minus", { literals: "LITERAL-" }],
  [
    "small",
    { limits: { beforeLogin: SMALL, afterLogin: SMALL, messageOctets: 60, errors: 20 } },
  ],
  ["three-errors", { limits: { ...DEFAULT_SESSION_LIMITS, errors: 3 } }],
]);

export function parseTranscript(text: string): Transcript {
  let options: Partial<SessionOptions> = {};
  const segments: string[] = [""];
  const answers: string[] = [];
  const expected: string[] = [];
  for (const line of text.split("\n")) {
    const rest = line.slice(3);
    if (line === "" || line.startsWith("#")) continue;
    else if (line.startsWith("C:")) segments[segments.length - 1] += rest + "\r\n";
    else if (line.startsWith("C|")) segments[segments.length - 1] += rest;
    else if (line.startsWith("S:")) expected.push(line.replace("%AFTER%", AFTER_LOGIN));
    else if (line.startsWith("?")) expected.push(line);
    else if (line.startsWith("!")) answers.push(line.slice(2));
    else if (line === "= TLS" || line === "= DEFLATE") segments.push("");
    else if (line.startsWith("@ ")) {
      options = { ...options, ...(OPTIONS.get(line.slice(2)) ?? unknown(line)) };
    } else unknown(line);
  }
  return { options, segments: segments.map(encode), answers, expected };
}

function unknown(line: string): never {
  throw new Error(`a transcript has no line "${line}"`);
}

/** Runs the session; `cut` splits each segment into the chunks it arrives in. Returns its `S:` and `?` lines. */
export function replay(transcript: Transcript, cut: (segment: Uint8Array) => Uint8Array[]): string[] {
  const out = new Out();
  const session = new ImapSession({
    out,
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: true,
    plainLoginAllowed: true,
    literals: "LITERAL+",
    mechanisms: new Map([["PLAIN", () => new PlainExchange()]]),
    serverId: new Map([["name", "Veredus"]]),
    limits: DEFAULT_SESSION_LIMITS,
    ...transcript.options,
  });
  const log: string[] = [];
  const answers = [...transcript.answers];
  let message = "";
  const drain = () => {
    const text = utf8(out.take());
    if (text !== "") {
      log.push(...text.replace(/\r\n$/, "").split("\r\n").map((line) => `S: ${line}`.trimEnd()));
    }
  };
  session.greet();
  for (const segment of transcript.segments) {
    let chunks = cut(segment);
    for (let i = 0; i <= chunks.length; i++) {
      if (i > 0) {
        // A buffer of its own that is overwritten afterwards: the session may not keep what it borrowed.
        const borrowed = chunks[i - 1]!.slice();
        session.feed(borrowed);
        chunks = run() ? chunks : chunks.slice(0, i);
        borrowed.fill(0x58);
      } else run();
    }
  }
  return log;

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      if (event.kind === "append-data") {
        message += utf8(event.bytes.slice(event.start, event.end));
        continue;
      }
      drain();
      if (event.kind === "need-input") return true;
      if (event.kind === "append") message = "";
      if (event.kind === "append-end" || event.kind === "append-void") {
        log.push(`? ${event.kind} ${JSON.stringify(message)}`);
        message = "";
      } else log.push(describe(event));
      if (event.kind === "close") return false;
      if (event.kind === "starttls" || event.kind === "compress") {
        session.dropInput();
        if (event.kind === "starttls") session.tlsStarted();
        return false;
      }
      if (event.kind !== "idle" && event.kind !== "append-void") answer(answers.shift());
    }
  }

  function answer(text: string | undefined): void {
    if (text === undefined) throw new Error(`no answer left after\n${log.join("\n")}`);
    const parts = /^(LOGGED-IN|GRANT|SELECTED|DESELECTED|BYE)? ?(?:(OK|NO|BAD) (?:\[([^\]]*)\] )?(.*))?$/
      .exec(text);
    if (parts === null) throw new Error(`no answer: ${text}`);
    const [, action, status, code, words] = parts;
    if (action === "LOGGED-IN") return session.loggedIn();
    if (action === "GRANT") return session.grantAppend();
    if (action === "BYE") return session.bye("Bye");
    if (action === "SELECTED") session.state = "selected";
    if (action === "DESELECTED") session.state = "authenticated";
    const reply: Reply = { status: status as Reply["status"], text: words ?? "", ...(code && { code }) };
    session.answer(reply);
  }
}

/** An event as one line. */
export function describe(event: ImapEvent): string {
  const { kind, ...rest } = event;
  let fields: object = rest;
  let name: string = kind;
  if (event.kind === "command") {
    const { name: commandName, ...args } = event.command;
    name = commandName;
    fields = args;
  } else if (event.kind === "credentials") fields = event.credentials;
  else if (event.kind === "append") fields = event.append;
  const text = JSON.stringify(fields, (_key, value) => {
    if (value instanceof Set) return [...value];
    if (value instanceof Uint8Array) return utf8(value);
    return value === LARGEST ? "*" : value;
  });
  return text === "{}" ? `? ${name}` : `? ${name} ${text}`;
}
