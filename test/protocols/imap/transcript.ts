/**
 * Replays IMAP transcripts (test/lib/transcript.ts) against the pure session.
 *
 * `= DEFLATE` is the begin of compression; `%AFTER%` stands for the capabilities behind the login. Answers go to the last
 * event that asks for one.
 */
import { utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { AFTER_LOGIN } from "../../../protocols/imap/capability.ts";
import { LARGEST } from "../../../protocols/imap/sequence_set.ts";
import type { ImapEvent } from "../../../protocols/imap/event.ts";
import type { Reply } from "../../../protocols/imap/reply.ts";
import { ImapSession } from "../../../protocols/imap/session.ts";
import { DEFAULT_SESSION_LIMITS, type SessionOptions } from "../../../protocols/imap/session_options.ts";
import type { SaslExchange, SaslStep } from "../../../protocols/sasl/exchange.ts";
import {
  type Cut,
  feedSegments,
  linesOf,
  parseTranscript,
  type Transcript,
  WITH_BEARER,
} from "../../lib/transcript.ts";

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

const OPTIONS: ReadonlyMap<string, Partial<SessionOptions>> = new Map<string, Partial<SessionOptions>>([
  ["bearer", { mechanisms: WITH_BEARER }],
  ["tls-required", { plainLoginAllowed: false }],
  ["no-starttls", { startTlsAvailable: false }],
  ["sharing", { namespaces: { otherUsers: "Other Users", shared: "" } }],
  ["literal-minus", { literals: "LITERAL-" }],
  [
    "small",
    { limits: { beforeLogin: SMALL, afterLogin: SMALL, messageOctets: 60, errors: 20 } },
  ],
  ["many-errors", { limits: { ...DEFAULT_SESSION_LIMITS, errors: 1000 } }],
  ["three-errors", { limits: { ...DEFAULT_SESSION_LIMITS, errors: 3 } }],
]);

export function parse(text: string): Transcript<SessionOptions> {
  return parseTranscript(text, {
    options: OPTIONS,
    voids: ["= TLS", "= DEFLATE"],
    expand: (line) => line.replace("%AFTER%", AFTER_LOGIN),
  });
}

/** Runs the session and returns its `S:` and `?` lines. */
export function replay(transcript: Transcript<SessionOptions>, cut: Cut): { readonly lines: string[] } {
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
  const answers = transcript.answers.map(({ text }) => text);
  let message = "";
  feedSegments(session, transcript.segments, { cut, run });
  return { lines: log };

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      if (event.kind === "append-data") {
        message += utf8(event.bytes.slice(event.start, event.end));
        continue;
      }
      log.push(...linesOf(out));
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
