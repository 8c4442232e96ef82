/**
 * Replays ManageSieve transcripts (test/lib/transcript.ts) against the pure session.
 *
 * Answers: `! LOGGED-IN owner`, `! OK words`, `! REFUSE [CODE] words`, `! LISTED a b*` (the active one with a star),
 * `! SCRIPT text`, `! END words`.
 */
import { utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import {
  DEFAULT_MANAGESIEVE_LIMITS,
  type ManageSieveEvent,
  type ManageSieveOptions,
  ManageSieveSession,
  type ResponseCode,
} from "../../../protocols/managesieve/session.ts";
import { MAILBOX_MECHANISMS } from "../../../protocols/sasl/mechanisms.ts";
import {
  type Cut,
  feedSegments,
  linesOf,
  parseTranscript,
  type Transcript,
  WITH_BEARER,
} from "../../lib/transcript.ts";

const OPTIONS: ReadonlyMap<string, Partial<ManageSieveOptions>> = new Map<
  string,
  Partial<ManageSieveOptions>
>([
  ["tls-required", { plainLoginAllowed: false }],
  ["no-starttls", { startTlsAvailable: false }],
  ["bearer", { mechanisms: WITH_BEARER }],
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

export function parse(text: string): Transcript<ManageSieveOptions> {
  return parseTranscript(text, { options: OPTIONS });
}

/** Runs the session and returns its `S:` and `?` lines. `agree`: every login is good and every command succeeds. */
export function replay(
  transcript: Pick<Transcript<ManageSieveOptions>, "options" | "segments" | "answers">,
  cut: Cut,
  { agree = false } = {},
): { readonly lines: string[] } {
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
  const answers = transcript.answers.map(({ text }) => text);
  feedSegments(session, transcript.segments, { cut, run });
  if (answers.length > 0) throw new Error(`answers left: ${answers.join("; ")} after\n${log.join("\n")}`);
  return { lines: log };

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      log.push(...linesOf(out));
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
            agree ? event.kind === "credentials" ? "LOGGED-IN alice" : "OK" : answers.shift(),
          );
      }
    }
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
