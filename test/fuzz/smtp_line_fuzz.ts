/**
 * Seeded mutations of single SMTP command lines and of the paths in them.
 *
 * Looked for: an exception, a result that depends on where the line lies in its buffer, a refusal that is none, control
 * octets in what a command says, a path over its limits or that is another one when it is written and read again, an
 * address whose normal form has another normal form. Findings stay in the corpus.
 */
import assert from "node:assert/strict";
import { Cursor } from "../../bytes/cursor.ts";
import { encode, encodeLatin1 } from "../../bytes/decode.ts";
import { type Command, parseCommand } from "../../protocols/smtp/command.ts";
import { formatPath, forwardPath, type Path, reversePath } from "../../protocols/smtp/path.ts";
import { normalizeAddress } from "../../storage/address_form.ts";
import { fuzz, mutate, type Random } from "./fuzzing.ts";

const LINES = [
  "EHLO a.example",
  "HELO [192.0.2.1]",
  "LHLO [IPv6:2001:db8::1]",
  "MAIL FROM:<ann@a.example> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb",
  "MAIL FROM:<> AUTH=<> REQUIRETLS HOLDFOR=9",
  "MAIL FROM: <a@b.example> HOLDUNTIL=2026-11-24T10:00:00Z AUTH=a+40b BODY=BINARYMIME",
  "RCPT TO:<bob@b.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;bob+40b.example",
  "RCPT TO:<Postmaster>",
  "DATA",
  "BDAT 86 LAST",
  "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
  "ETRN @b.example",
  "VRFY bob",
  "XCLIENT ADDR=192.0.2.1 NAME=a.example PORT=4711 HELO=+5Ba+5D",
  "STARTTLS",
  "NOOP x",
];
const PATHS = [
  "<bob@b.example>",
  "<>",
  '<"bob jones\\"x"@b.example>',
  "<bob@[192.0.2.1]>",
  "<bob@[IPv6:2001:db8::1]>",
  "<@a.example,@b.example:bob@c.example>",
  "<postmaster>",
  "<a.b+c=d_e@b-c.example>",
  "<\xc3\xa4\xc3\xb6@\xc3\xbc.example>",
  "<e\xcc\x81@xn--bcher-kva.example>",
  '<"\xc2\xa0"@b.example>',
];
const TOKENS = [
  ...[" ", "  ", "\t", "\0", "\r", "\xff", "<", ">", "@", '"', "\\", ":", ",", ".", "..", "-", "=", "+", "["],
  ...[
    "]",
    ";",
    "*",
    "\xc3\xa4",
    "\xe2\x80\xae",
    "\xf0\x9f\x93\xa7",
    "SIZE=",
    "NOTIFY=NEVER",
    "99999999999999999999",
  ],
  ...["a".repeat(64), "b".repeat(200), `${"c.".repeat(40)}d`],
];
const AROUND = 3;

export function checkCommand(input: Uint8Array): void {
  const parsed = parseCommand(input, 0, input.length);
  const inside = new Uint8Array(input.length + 2 * AROUND).fill(0x20);
  inside.set(input, AROUND);
  assert.deepEqual(parseCommand(inside, AROUND, AROUND + input.length), parsed, "the place matters");
  if ("refused" in parsed) {
    const { code, enhanced } = parsed.refused;
    assert.match(`${code} ${enhanced}`, /^5\d\d 5\.|^421 4\./, "refused"); // 421: nobody knows where BDAT ends
    return;
  }
  for (const text of textsOf(parsed.command)) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(text, /[\x00-\x08\x0a-\x1f]/, "a control octet");
  }
  const { command } = parsed;
  if (command.verb === "MAIL") checkPath(command.reversePath, reversePath);
  else if (command.verb === "RCPT") checkPath(command.forwardPath, forwardPath);
  else if (command.verb === "BDAT") assert.ok(Number.isSafeInteger(command.size) && command.size >= 0);
}

function textsOf(command: Command): string[] {
  return Object.values(command).flatMap((value) => value instanceof Map ? [...value].flat() : value)
    .filter((value) => typeof value === "string");
}

export function checkAddress(input: Uint8Array): void {
  for (const read of [reversePath, forwardPath]) {
    const cursor = new Cursor(input);
    const path = read(cursor);
    if (cursor.ok) checkPath(path, read);
    else assert.equal(path, null, "a path in spite of its fault");
  }
}

function checkPath(path: Path | null, read: (cursor: Cursor) => Path | null): void {
  const text = formatPath(path);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x1f]/, "a control character");
  const again = new Cursor(encode(`<${text}>`));
  assert.deepEqual(read(again), path, "written and read again");
  assert.ok(again.ok && again.at === again.bytes.length);
  if (path === null) return;
  assert.ok(encode(path.localPart).length <= 64 && encode(path.domain).length <= 255, "over its limits");
  const normal = normalizeAddress(text);
  if (normal !== null) assert.equal(normalizeAddress(normal), normal, "the normal form of a normal form");
}

export function fuzzCommand(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(LINES), { tokens: TOKENS, maxChanges: 4 }));
  fuzz({ make, check: checkCommand }, seed, runs);
}

export function fuzzAddress(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(PATHS), { tokens: TOKENS, maxChanges: 4 }));
  fuzz({ make, check: checkAddress }, seed, runs);
}
