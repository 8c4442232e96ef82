/**
 * Replays ManageSieve transcripts against the pure session.
 *
 * `C:` a line of the client, `C|` the same without CRLF, `S:` a line of the server, `?` an event the session raised,
 * `!` the answer the test gives to it, `#` text, `@` an option of the session, `= TLS` the handshake: what the client
 * sent before it is dropped. Answers: `! LOGGED-IN owner`, `! OK words`, `! REFUSE [CODE] words`, `! LISTED a b*` (the
 * active one with a star), `! SCRIPT text`, `! END words`.
 */
import { encode, utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import {
  DEFAULT_MANAGESIEVE_LIMITS,
  type ManageSieveEvent,
  type ManageSieveOptions,
  ManageSieveSession,
  type ResponseCode,
} from "../../../protocols/managesieve/session.ts";
import { MAILBOX_MECHANISMS, SessionMechanisms } from "../../../protocols/sasl/mechanisms.ts";

export interface Transcript {
  readonly options: Partial<ManageSieveOptions>;
  readonly segments: readonly Uint8Array[];
  /** "always": logins are good and commands succeed. */
  readonly answers: readonly string[] | "always";
  readonly expected: readonly string[];
}

const BEARER = new SessionMechanisms(MAILBOX_MECHANISMS, {
  scram: () => null,
  bearer: () => true,
  certificate: () => false,
});

const OPTIONS: ReadonlyMap<string, Partial<ManageSieveOptions>> = new Map<
  string,
  Partial<ManageSieveOptions>
>([
  ["tls-required", { plainLoginAllowed: false }],
  ["no-starttls", { startTlsAvailable: false }],
  ["bearer", { mechanisms: BEARER }],
  [
    "small",
    {
      limits: {
        ...DEFAULT_MANAGESIEVE_LIMITS,
        ...{ lineOctets: 120, scriptOctets: 20, skippedOctets: 100, saslOctets: 60 },
      },
    },
  ],
  ["three-errors", { limits: { ...DEFAULT_MANAGESIEVE_LIMITS, errors: 3 } }],
  ["three-commands", { limits: { ...DEFAULT_MANAGESIEVE_LIMITS, commandsBeforeLogin: 3 } }],
]);

export function parseTranscript(text: string): Transcript {
  let options: Partial<ManageSieveOptions> = {};
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
  const session = new ManageSieveSession({
    out,
    implementation: "Veredus",
    extensions: ["fileinto", "vacation"],
    notifyMethods: ["mailto"],
    maxRedirects: 5,
    tlsActive: false,
    startTlsAvailable: true,
    plainLoginAllowed: true,
    mechanisms: MAILBOX_MECHANISMS,
    limits: DEFAULT_MANAGESIEVE_LIMITS,
    onReply: () => {},
    ...transcript.options,
  });
  const log: string[] = [];
  const answers = transcript.answers === "always" ? [] : [...transcript.answers];
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
  if (answers.length > 0) throw new Error(`answers left: ${answers.join("; ")} after\n${log.join("\n")}`);
  return log;

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      tell();
      if (event.kind === "need-input") return true;
      log.push(describe(event));
      switch (event.kind) {
        case "close":
          return false;
        case "starttls":
          session.dropInput();
          session.tlsStarted();
          return false;
        case "unauthenticate":
          break;
        default:
          answer(
            transcript.answers === "always"
              ? event.kind === "credentials" ? "LOGGED-IN alice" : "OK"
              : answers.shift(),
          );
      }
    }
  }

  function tell(): void {
    const text = utf8(out.take());
    if (text === "") return;
    log.push(...text.replace(/\r\n$/, "").split("\r\n").map((line) => `S: ${line}`.trimEnd()));
  }

  function answer(text: string | undefined): void {
    const parts = /^(LOGGED-IN|OK|REFUSE|LISTED|SCRIPT|END) ?(?:\[([^\]]*)\] )?(.*)$/.exec(text ?? "");
    if (parts === null) throw new Error(`no answer: ${text} after\n${log.join("\n")}`);
    const [, action, code, words = ""] = parts;
    switch (action) {
      case "LOGGED-IN":
        return session.loggedIn(words);
      case "OK":
        return session.ok(words);
      case "LISTED":
        return session.listed(
          words.split(" ").filter((word) => word !== "").map((word) => ({
            name: word.replace("*", ""),
            active: word.endsWith("*"),
          })),
        );
      case "SCRIPT":
        return session.script(words);
      case "END":
        return session.end(words);
      default:
        return session.refuse((code ?? "") as ResponseCode, words);
    }
  }
}

/** An event as one line. */
function describe(event: ManageSieveEvent): string {
  switch (event.kind) {
    case "credentials":
      return `? credentials ${JSON.stringify(event.credentials)}`;
    case "script": {
      const { verb, ...rest } = event.command;
      const words = Object.entries(rest).map(([, value]) =>
        JSON.stringify(value instanceof Uint8Array ? utf8(value) : value)
      );
      return `? ${[verb, ...words].join(" ")}`;
    }
    default:
      return `? ${event.kind}`;
  }
}
