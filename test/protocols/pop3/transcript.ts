/**
 * Replays POP3 transcripts (test/lib/transcript.ts) against the pure session.
 *
 * Answers: `! LOGGED-IN 120 80` (sizes of the messages, UIDs from 11 on), `! SENT words` (the response to RETR or TOP),
 * `! UPDATED`, `! REFUSE [CODE] words`, `! END words`.
 */
import { Out } from "../../../bytes/out.ts";
import { Maildrop } from "../../../protocols/pop3/maildrop.ts";
import {
  DEFAULT_POP3_LIMITS,
  type Pop3Event,
  Pop3Session,
  type Pop3SessionOptions,
  type ResponseCode,
} from "../../../protocols/pop3/session.ts";
import { MAILBOX_MECHANISMS } from "../../../protocols/sasl/mechanisms.ts";
import {
  type Cut,
  feedSegments,
  linesOf,
  parseTranscript,
  type Transcript,
  WITH_BEARER,
} from "../../lib/transcript.ts";

const OPTIONS: ReadonlyMap<string, Partial<Pop3SessionOptions>> = new Map<
  string,
  Partial<Pop3SessionOptions>
>([
  ["tls-required", { plainLoginAllowed: false }],
  ["bearer", { mechanisms: WITH_BEARER }],
  ["no-starttls", { startTlsAvailable: false }],
  ["short-lines", { limits: { ...DEFAULT_POP3_LIMITS, lineOctets: 80, lineOctetsAfterLogin: 20 } }],
  ["three-errors", { limits: { ...DEFAULT_POP3_LIMITS, errors: 3 } }],
  ["three-commands", { limits: { ...DEFAULT_POP3_LIMITS, commandsBeforeLogin: 3 } }],
]);

export function parse(text: string): Transcript<Pop3SessionOptions> {
  return parseTranscript(text, { options: OPTIONS });
}

/** Runs the session and returns its `S:` and `?` lines. */
export function replay(transcript: Transcript<Pop3SessionOptions>, cut: Cut): { readonly lines: string[] } {
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
  const answers = transcript.answers.map(({ text }) => text);
  let maildrop = new Maildrop(0);
  feedSegments(session, transcript.segments, { cut, run });
  if (answers.length > 0) throw new Error(`answers left: ${answers.join("; ")} after\n${log.join("\n")}`);
  return { lines: log };

  /** False when the rest of the segment is void. */
  function run(): boolean {
    for (;;) {
      const event = session.next();
      log.push(...linesOf(out));
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
