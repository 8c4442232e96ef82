/**
 * Seeded mutations of two dialogs that are hard to follow by lines: BDAT, whose octets are none, and AUTH.
 *
 * Each input meets one kind of session, whole and cut at one place; what is looked for is in smtp_fuzz.ts, whose fewer inputs
 * meet all kinds and every cut. Findings stay in the corpus.
 */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import type { SmtpSessionOptions } from "../../protocols/smtp/session_options.ts";
import { cutsOf, fuzz, mutate, pieces, type Random } from "./fuzzing.ts";
import { playSmtp } from "./smtp_fuzz.ts";

type Kind = Pick<SmtpSessionOptions, "service" | "bareLineEnds">;

const MAIL = [
  "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@b.example>\r\n",
  "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@b.example>\r\nRCPT TO:<ben@b.example>\r\n",
  "MAIL FROM:<> BODY=8BITMIME SIZE=30\r\nRCPT TO:<bob@b.example>\r\n",
  "MAIL FROM:<>\r\nRCPT TO:<nobody@b.example>\r\n",
];
const OCTETS = [
  "",
  "a\r\n",
  "\r\n.\r\n",
  ".\r\nQUIT\r\n",
  "a\nb\r",
  "\n.\n",
  "\0\xff",
  "x".repeat(30),
  "BDAT 1\r\n",
];
const TOKENS = ["BDAT ", " LAST", "0", "9", "\r\n", "\r", "\n", ".", "RSET\r\n", "DATA\r\n", "\0", " "];

/** Mostly chunks as long as they say. */
function makeBdat(random: Random): Uint8Array {
  let text = `EHLO x\r\n${random.pick(MAIL)}`;
  for (let chunks = random.below(4); chunks >= 0; chunks--) {
    const octets = random.pick(OCTETS);
    const size = octets.length + (random.below(8) === 0 ? random.below(3) - 1 : 0);
    text += `BDAT ${size}${random.below(3) === 0 ? " LAST" : ""}\r\n${octets}`;
    if (random.below(6) === 0) text += random.pick(["NOOP\r\n", "RSET\r\n", MAIL[0]!, "DATA\r\nx\r\n.\r\n"]);
  }
  const changed = random.below(2) === 0 ? text : mutate(random, text, { tokens: TOKENS, maxChanges: 3 });
  return encodeLatin1(changed);
}

const DIALOGS = [
  `AUTH PLAIN ${btoa("\0alice\0secret")}\r\n`,
  `AUTH PLAIN\r\n${btoa("alice\0alice\0secret")}\r\n`,
  `AUTH LOGIN\r\n${btoa("alice")}\r\n${btoa("secret")}\r\n`,
  `AUTH LOGIN ${btoa("alice")}\r\n${btoa("secret")}\r\n`,
  `AUTH SCRAM-SHA-256 ${btoa("n,,n=alice,r=x")}\r\n${btoa(`c=biws,r=xnonce,p=${btoa("p".repeat(32))}`)}\r\n`,
  `AUTH SCRAM-SHA-256\r\n${btoa("n,a=b=2Cc,n=ali=3Dce,r=x")}\r\n${btoa("c=biws,r=xnonce,p=cA==")}\r\n`,
  `AUTH OAUTHBEARER ${btoa("n,a=alice,\x01host=x\x01port=25\x01auth=Bearer token\x01\x01")}\r\nAQ==\r\n`,
  `AUTH XOAUTH2 ${btoa("user=alice\x01auth=Bearer token\x01\x01")}\r\n`,
  "AUTH EXTERNAL =\r\n",
  "AUTH EXTERNAL\r\n*\r\n",
  "AUTH CRAM-MD5\r\n",
];
const AUTH_TOKENS = [
  "\r\n",
  "*\r\n",
  "=",
  "==",
  "\0",
  "\x01",
  "A",
  ",",
  "AUTH ",
  " ",
  "!",
  "\xff",
  "n,,",
  "r=",
]
  .concat(["x".repeat(400)]);

function makeAuth(random: Random): Uint8Array {
  let text = "EHLO x\r\n";
  for (let dialogs = random.below(2); dialogs >= 0; dialogs--) {
    text += changedInside(random, random.pick(DIALOGS));
  }
  return encodeLatin1(mutate(random, `${text}MAIL FROM:<>\r\n`, { tokens: AUTH_TOKENS, maxChanges: 3 }));
}

/** Changes what base64 says now and then, which changes of the line hardly reach. */
function changedInside(random: Random, dialog: string): string {
  if (random.below(2) === 0) return dialog;
  return dialog.replace(/[A-Za-z0-9+/=]{8,}(?=\r\n)/g, (word) => {
    try {
      return btoa(mutate(random, atob(word), { tokens: AUTH_TOKENS, maxChanges: 2 }));
    } catch {
      return word; // the name of a mechanism
    }
  });
}

const BDAT_KINDS: readonly Kind[] = [
  { service: "mx", bareLineEnds: "refuse" },
  { service: "mx", bareLineEnds: "convert" },
  { service: "lmtp", bareLineEnds: "refuse" },
];
const AUTH_KINDS: readonly Kind[] = [
  { service: "submission", bareLineEnds: "convert" },
  { service: "mx", bareLineEnds: "refuse" },
];

function check(input: Uint8Array, kinds: readonly Kind[]): void {
  const [at = 0] = cutsOf(input, 1);
  const kind = kinds[at % kinds.length]!;
  const whole = playSmtp([input], kind);
  const cut = playSmtp(pieces(input, [at]), kind);
  if (cut.output !== whole.output || cut.messages.join("\0\0") !== whole.messages.join("\0\0")) {
    assert.deepEqual(cut, whole, `${JSON.stringify(kind)}, cut at ${at}`);
  }
  assert.match(whole.output, /^(?:[2-5]\d\d[ -][ -~]*\r\n)*$/, "a reply that is none");
}

export function checkBdat(input: Uint8Array): void {
  check(input, BDAT_KINDS);
}

export function checkAuth(input: Uint8Array): void {
  check(input, AUTH_KINDS);
}

export function fuzzBdat(seed: number, runs: number): void {
  fuzz({ make: makeBdat, check: checkBdat }, seed, runs);
}

export function fuzzAuth(seed: number, runs: number): void {
  fuzz({ make: makeAuth, check: checkAuth }, seed, runs);
}
