/** SMTP: lines, commands, end of data, whole sessions without sockets. `n` in a name is the work of one iteration. */
import { encode } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { LineFramer } from "../../protocols/line_framer.ts";
import { parseCommand } from "../../protocols/smtp/command.ts";
import { DataReader } from "../../protocols/smtp/data_reader.ts";
import { LineEndChecker, LineEndConverter } from "../../protocols/smtp/line_ends.ts";
import { RECIPIENT_OK, reply, SENDER_OK } from "../../protocols/smtp/reply.ts";
import type { SmtpEvent } from "../../protocols/smtp/event.ts";
import { SmtpSession } from "../../protocols/smtp/session.ts";
import { DEFAULT_LIMITS } from "../../server/config/defaults.ts";

const COMMANDS = [
  "EHLO mail.example.org",
  "MAIL FROM:<ann@example.org> SIZE=4096 BODY=8BITMIME",
  "RCPT TO:<bob@example.test>",
  "DATA",
];
const commandLines = encode(COMMANDS.map((line) => line + "\r\n").join("").repeat(250));
const lines = COMMANDS.map(encode);
const megabyte = encode(("x".repeat(76) + "\r\n").repeat(13_444));
const dotted = encode(("." + "x".repeat(75) + "\r\n").repeat(13_444));
const bareLf = encode(("x".repeat(76) + "\n").repeat(13_618));

Deno.bench("framer, n = 1,000 lines", () => {
  const framer = new LineFramer(2_048);
  let count = 0;
  for (let at = 0; at < commandLines.length;) {
    at = framer.next(commandLines, at, commandLines.length);
    if (framer.result === "line") count++;
  }
  if (count !== 1_000) throw new Error(`${count} lines`);
});

for (const [at, line] of lines.entries()) {
  Deno.bench(`parse ${COMMANDS[at]!.slice(0, 4)}, n = 1`, () => {
    parseCommand(line, 0, line.length);
  });
}

function readAll(octets: Uint8Array): number {
  const reader = new DataReader();
  let count = 0;
  for (let chunk = 0; chunk < octets.length; chunk += 65_536) {
    const end = Math.min(octets.length, chunk + 65_536);
    for (let at = chunk; at < end;) {
      at = reader.next(octets, at, end);
      count += reader.end - reader.start;
    }
  }
  return count;
}

Deno.bench("end of data, n = 1 MiB", { group: "data" }, () => {
  readAll(megabyte);
});
Deno.bench("end of data, each line with a dot, n = 1 MiB", { group: "data" }, () => {
  readAll(dotted);
});
Deno.bench("end of data by indexOf (finds no bare LF), n = 1 MiB", { group: "data", baseline: true }, () => {
  let ends = 0;
  for (let at = megabyte.indexOf(13); at >= 0; at = megabyte.indexOf(13, at + 2)) {
    if (megabyte[at + 1] === 10 && megabyte[at + 2] === 46) ends++;
  }
  if (ends > 0) throw new Error("no line begins with a dot");
});
Deno.bench("line ends checked (BDAT), n = 1 MiB", { group: "data" }, () => {
  new LineEndChecker().push(megabyte, 0, megabyte.length);
});
Deno.bench("line ends converted, none bare, n = 1 MiB", { group: "data" }, () => {
  new LineEndConverter().push(megabyte, 0, megabyte.length);
});
Deno.bench("line ends converted, all bare, n = 1 MiB", { group: "data" }, () => {
  new LineEndConverter().push(bareLf, 0, bareLf.length);
});

const STORED = reply(250, "2.0.0", "Stored");
const transaction = encode(
  "MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n" +
    ("x".repeat(76) + "\r\n").repeat(52) + ".\r\n",
);
const noops = encode("NOOP\r\n".repeat(1_000));

function openSession(): { session: SmtpSession; out: Out } {
  const out = new Out(512);
  const session = new SmtpSession({
    out,
    hostName: "mx.example.test",
    service: "mx",
    tlsActive: false,
    startTlsAvailable: true,
    mechanisms: new Map(),
    plainLoginAllowed: false,
    bareLineEnds: "refuse",
    limits: { ...DEFAULT_LIMITS, commands: Infinity },
    observer: { replied: () => {}, limited: () => {} },
  });
  run(session, encode("EHLO mail.example.org\r\n"));
  return { session, out };
}

function run(session: SmtpSession, octets: Uint8Array): void {
  session.feed(octets);
  for (;;) {
    const event: SmtpEvent = session.next();
    if (event.kind === "need-input") return;
    if (event.kind === "mail") session.answer(SENDER_OK);
    else if (event.kind === "rcpt") session.answer(RECIPIENT_OK);
    else if (event.kind === "message") session.answer(STORED);
    else if (event.kind === "helo" || event.kind === "begin") session.accept();
  }
}

const warm = openSession();
Deno.bench("session, n = 1 message of 4 kB", () => {
  run(warm.session, transaction);
  warm.out.take();
});
Deno.bench("session, n = 1,000 commands", () => {
  run(warm.session, noops);
  warm.out.take();
});
Deno.bench("session, n = 1 greeting with EHLO", () => {
  openSession();
});
