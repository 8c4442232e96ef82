/**
 * Seeded mutation of POP3 command streams against the pure session.
 *
 * Checked: nothing throws, the session always comes back to asking for input or closes, the output is the same however
 * the input is cut, every reply begins with a status, no line is longer than RFC 2449 4 allows, and marks add up.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { Maildrop } from "../../protocols/pop3/maildrop.ts";
import { DEFAULT_POP3_LIMITS, Pop3Session } from "../../protocols/pop3/session.ts";
import { MAILBOX_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { cutsOf, fuzz, mutate, pieces, type Random } from "./fuzzing.ts";

const SEEDS = [
  "USER alice\r\nPASS secret\r\n",
  "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
  "AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n",
  "AUTH PLAIN\r\n*\r\n",
  "CAPA\r\nSTLS\r\n",
  "UTF8\r\nLANG\r\nLANG *\r\nLANG en\r\n",
  "STAT\r\nLIST\r\nUIDL\r\nLIST 1\r\nUIDL 2\r\n",
  "RETR 1\r\nTOP 1 10\r\nTOP 3 0\r\n",
  "DELE 1\r\nDELE 2\r\nDELE 2\r\nRSET\r\nDELE 3\r\nSTAT\r\n",
  "NOOP\r\nQUIT\r\n",
];
const TOKENS = [
  ..."\r\n \0\x80\xff*=+-.",
  "\r\n",
  "\r\n.\r\n",
  "1 ",
  "0",
  "4294967296",
  "99999999999999999999",
  "=",
  "AUTH ",
  "QUIT\r\n",
  "a".repeat(300),
];
const SIZES = [120, 80, 0, 300, 5];

function make(random: Random): Uint8Array {
  let text = random.below(4) === 0 ? "" : SEEDS[random.below(3)]!;
  const commands = 1 + random.below(6);
  for (let i = 0; i < commands; i++) text += random.pick(SEEDS);
  return encodeLatin1(mutate(random, text, { tokens: TOKENS, maxChanges: 6 }));
}

/** Feeds the pieces and answers every event; returns all output. */
function play(chunks: readonly Uint8Array[]): string {
  const out = new Out();
  const session = new Pop3Session({
    out,
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: true,
    plainLoginAllowed: true,
    mechanisms: MAILBOX_MECHANISMS,
    limits: { ...DEFAULT_POP3_LIMITS, lineOctets: 300, lineOctetsAfterLogin: 120 },
    onReply: () => {},
  });
  let maildrop = new Maildrop(1);
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    session.feed(borrowed);
    let budget = 1_000 + borrowed.length * 4;
    for (let event = session.next(); event.kind !== "need-input"; event = session.next()) {
      if (--budget < 0) throw new Error("the session does not come back to asking for input");
      switch (event.kind) {
        case "close":
          return latin1(out.take());
        case "drain":
          break;
        case "starttls":
          // Nothing is dropped here, so that the cut does not matter.
          session.tlsStarted();
          break;
        case "credentials":
          if (event.credentials.password !== "secret") session.refuse("AUTH", "Wrong");
          else {
            maildrop = new Maildrop(1);
            SIZES.forEach((size, i) => maildrop.add(i * 3 + 1, size));
            session.loggedIn(maildrop);
          }
          break;
        case "retrieve":
          assert.ok(maildrop.has(event.number), `message ${event.number} is not there`);
          out.text(`+OK ${event.lines ?? "all"}\r\n.\r\n`);
          break;
        case "update":
          session.updated();
          break;
        default:
          event satisfies never;
      }
    }
    const left = SIZES.filter((_, i) => maildrop.has(i + 1));
    if (maildrop.count > 0) {
      assert.equal(maildrop.remaining, left.length);
      assert.equal(maildrop.octets, left.reduce((sum, size) => sum + size, 0));
    }
    borrowed.fill(0x2e);
  }
  return latin1(out.take());
}

export function checkPop3(input: Uint8Array): void {
  const whole = play([input]);
  for (const cut of cutsOf(input, 2)) assert.equal(play(pieces(input, [cut])), whole, `cut at ${cut}`);
  assert.equal(play([...input].map((octet) => new Uint8Array([octet]))), whole, "octet by octet");
  for (const line of whole.split("\r\n").slice(0, -1)) {
    assert.ok(line.length <= 510, `a line of ${line.length} octets`);
    assert.match(line, /^(?:\+OK .*|-ERR .*|\+ |\.|\d+ [\d.]+|[A-Z][\x20-\x7e]*|en English)$/);
  }
}

export function fuzzPop3(seed: number, runs: number): void {
  fuzz({ make, check: checkPop3 }, seed, runs);
}
