/**
 * Replays POP3 transcripts against the pure session.
 *
 * `C:` a line of the client, `C|` the same without CRLF, `S:` a line of the server, `?` an event the session raised,
 * `!` the answer the test gives to it, `#` text, `@` an option of the session, `= TLS` the handshake: what the client
 * sent before it is dropped. Answers: `! LOGGED-IN 120 80` (sizes of the messages, UIDs from 11 on), `! SENT words`
 * (the response to RETR or TOP), `! UPDATED`, `! REFUSE [CODE] words`, `! END words`.
 */
import { encode, utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { Maildrop } from "../../../protocols/pop3/maildrop.ts";
import {
  DEFAULT_POP3_LIMITS,
  type Pop3Event,
  Pop3Session,
  type Pop3SessionOptions,
  type ResponseCode,
} from "../../../protocols/pop3/session.ts";
import { MAILBOX_MECHANISMS, SessionMechanisms } from "../../../protocols/sasl/mechanisms.ts";

export interface Transcript {
  readonly options: Partial<Pop3SessionOptions>;
  /** What the client sends; the next one follows a handshake. */
  readonly segments: readonly Uint8Array[];
  readonly answers: readonly string[];
  /** `S:` and `?` lines in order. */
  readonly expected: readonly string[];
}

const BEARER = new SessionMechanisms(MAILBOX_MECHANISMS, {
  scram: () => null,
  bearer: () => true,
  certificate: () => false,
});

const OPTIONS: ReadonlyMap<string, Partial<Pop3SessionOptions>> = new Map<
  string,
  Partial<Pop3SessionOptions>
>([
  ["tls-required", { plainLoginAllowed: false }],
  ["bearer", { mechanisms: BEARER }],
  ["no-starttls", { startTlsAvailable: false }],
  ["short-lines", { limits: { ...DEFAULT_POP3_LIMITS, lineOctets: 80, lineOctetsAfterLogin: 20 } }],
  ["three-errors", { limits: { ...DEFAULT_POP3_LIMITS, errors: 3 } }],
  ["three-commands", { limits: { ...DEFAULT_POP3_LIMITS, commandsBeforeLogin: 3 } }],
]);

export function parseTranscript(text: string): Transcript {
  let options: Partial<Pop3SessionOptions> = {};
  const segments: string[] = [""];
  const answers: string[] = [];
  const expected: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    else if (line.startsWith("C:")) segments[segments.length - 1] += line.slice(3) + "\r\n";
    else if (line.startsWith("C|")) segments[segments.length - 1] += line.slice(3);
    else if (line.startsWith("S:") || line.startsWith("?")) expected.push(line);
    else if (line.startsWith("!")) answers.push(line.slice(2));
    else if (line === "= TLS") segments.push("");
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
  const session = new Pop3Session({
    out,
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: true,
    plainLoginAllowed: true,
    mechanisms: MAILBOX_MECHANISMS,
    limits: DEFAULT_POP3_LIMITS,
    onReply: () => {},
    ...transcript.options,
  });
  const log: string[] = [];
  const answers = [...transcript.answers];
  let maildrop = new Maildrop(0);
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
  assertAllUsed(answers, log);
  return log;

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      const text = utf8(out.take());
      if (text !== "") {
        log.push(...text.replace(/\r\n$/, "").split("\r\n").map((line) => `S: ${line}`.trimEnd()));
      }
      if (event.kind === "need-input") return true;
      if (event.kind === "drain") continue;
      log.push(describe(event, maildrop));
      if (event.kind === "close") return false;
      if (event.kind === "starttls") {
        session.dropInput();
        session.tlsStarted();
        return false;
      }
      answer(answers.shift());
    }
  }

  function answer(text: string | undefined): void {
    const parts = /^(LOGGED-IN|SENT|UPDATED|REFUSE|END) ?(?:\[([^\]]*)\] )?(.*)$/.exec(text ?? "");
    if (parts === null) throw new Error(`no answer: ${text} after\n${log.join("\n")}`);
    const [, action, code, words] = parts;
    switch (action) {
      case "LOGGED-IN":
        maildrop = new Maildrop(77);
        for (const size of words!.split(" ").filter((word) => word !== "")) {
          maildrop.add(11 + maildrop.count, Number(size));
        }
        return session.loggedIn(maildrop);
      case "SENT":
        return out.text(`+OK\r\n${words}\r\n.\r\n`);
      case "UPDATED":
        return session.updated();
      case "END":
        return session.end(words!);
      default:
        return session.refuse((code ?? "") as ResponseCode, words!);
    }
  }
}

function assertAllUsed(answers: readonly string[], log: readonly string[]): void {
  if (answers.length > 0) throw new Error(`answers left: ${answers.join("; ")} after\n${log.join("\n")}`);
}

/** An event as one line. */
function describe(event: Pop3Event, maildrop: Maildrop): string {
  switch (event.kind) {
    case "credentials":
      return `? credentials ${JSON.stringify(event.credentials)}`;
    case "retrieve":
      return event.lines === null
        ? `? retrieve ${event.number}`
        : `? retrieve ${event.number}, ${event.lines} lines`;
    case "update":
      return `? update ${JSON.stringify(maildrop.deletedRanges())}`;
    default:
      return `? ${event.kind}`;
  }
}
