/**
 * Seeded mutation of messages against the facts a delivery computes.
 *
 * Checked: nothing throws, the facts are the same however the message is cut, offsets lie inside the message, the wire
 * forms are what a client can parse (balanced, no bare CR or LF in a quoted string, no 8-bit octet), and time is
 * bounded by the size of the message.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import { bodyOf, bodyStructureOf, envelopeOf, partsOf, type PartSpan } from "../../message/packed.ts";
import { cutsOf, fuzz, mutate, pieces, type Random } from "./fuzzing.ts";

const HEADERS = [
  "From: =?utf-8?q?Gr=C3=BCn?= <green@example.test>\r\n",
  'To: "Quoted, name" <a@b.test>, group: c@d.test, e@f.test;\r\n',
  "Cc: (comment (nested)) x@y.test (more)\r\n",
  "Subject: =?utf-8?b?R3LDvMOfZQ==?= =?iso-8859-1?q?=E4?=\r\n folded\r\n",
  "Date: Mon, 1 Jan 2024 10:00:00 +0000 (UTC)\r\n",
  "Message-ID: <1@example.test>\r\nIn-Reply-To: <0@x>\r\nReferences: <0@x> <00@x>\r\n",
  "Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0000\r\n",
  "MIME-Version: 1.0\r\n",
  "Subject: raw \xc3\xbc and \xff\r\n",
  "Delivered-To: alice@example.test\r\n",
];
const TYPES = [
  "Content-Type: text/plain; charset=utf-8; format=flowed\r\n",
  'Content-Type: text/html; charset="x"\r\nContent-Transfer-Encoding: quoted-printable\r\n',
  'Content-Type: application/octet-stream; name*0*=utf-8\'\'a%20; name*1=b\r\nContent-Disposition: attachment; filename="x\\"y"\r\n',
  "Content-Transfer-Encoding: base64\r\nContent-ID: <c@d>\r\nContent-Language: en, de\r\nContent-MD5: x\r\n",
  "Content-Type: message/rfc822\r\n",
  "",
];
const BODIES = [
  "Hello,\r\nworld.\r\n",
  "R3LDvMOfZSBhdXMgS8O2bG4=\r\n",
  "=C3=BC=\r\nsoft\r\n",
  "<p>x &amp; y</p>\r\n",
  "",
];
const TOKENS = [
  ...'\r\n \t:;,<>()"\\=?@/\0\x80\xff-',
  "\r\n",
  "\r\n\r\n",
  "\r\n ",
  "--b",
  "--b--\r\n",
  "--bb\r\n",
  "=?utf-8?q?",
  "?=",
  "(((((((((",
  "Content-Type: multipart/mixed; boundary=b\r\n",
  'Content-Type: multipart/digest; boundary=""\r\n',
  "Content-Type: message/rfc822\r\n\r\n",
  "boundary=",
  "*0*=",
  "a".repeat(1_100),
];
const BOUNDARIES = ["b", "bb", "b--", "x y", "x y  ", "'()+_,-./:=?", "l".repeat(300)];
const MAX_MS = 2_000;

function part(random: Random, depth: number): string {
  const kind = depth > 5 ? 2 : random.below(6);
  if (kind === 0) {
    const boundary = random.pick(BOUNDARIES);
    let text = `Content-Type: multipart/${
      random.pick(["mixed", "alternative", "digest"])
    }; boundary="${boundary}"\r\n\r\n`;
    const parts = random.below(4);
    for (let i = 0; i < parts; i++) text += `--${boundary}\r\n${part(random, depth + 1)}`;
    return `${text}--${boundary}--\r\n${random.pick(["", "epilogue\r\n"])}`;
  }
  if (kind === 1) return `Content-Type: message/rfc822\r\n\r\n${message(random, depth + 1)}`;
  return `${random.pick(TYPES)}\r\n${random.pick(BODIES)}`;
}

function message(random: Random, depth: number): string {
  let text = "";
  const fields = random.below(7);
  for (let i = 0; i < fields; i++) text += random.pick(HEADERS);
  return text + part(random, depth);
}

function make(random: Random): Uint8Array {
  return encodeLatin1(mutate(random, message(random, 0), { tokens: TOKENS, maxChanges: 10 }));
}

function factsOf(chunks: readonly Uint8Array[]): MessageFacts {
  const builder = new FactsBuilder();
  for (const chunk of chunks) {
    // In the middle of a buffer that is overwritten afterwards: the builder may not keep what it borrowed.
    const borrowed = new Uint8Array(chunk.length + 4);
    borrowed.set(chunk, 2);
    builder.push(borrowed, 2, 2 + chunk.length);
    borrowed.fill(0x2d);
  }
  return builder.finish();
}

export function checkMime(input: Uint8Array): void {
  const begin = performance.now();
  const whole = factsOf([input]);
  const took = performance.now() - begin;
  assert.ok(took < MAX_MS, `${took} ms for ${input.length} octets`);
  for (const cut of cutsOf(input, 3)) {
    assert.deepEqual(factsOf(pieces(input, [cut])), whole, `cut at ${cut}`);
  }
  assert.deepEqual(factsOf(pieces(input, cutsOf(input, 40))), whole, "in many pieces");
  assert.equal(whole.sizeOctets, input.length);
  assert.ok(whole.headerOctets <= input.length);
  checkSpan(partsOf(whole.imap), input.length);
  checkWire(latin1(envelopeOf(whole.imap)));
  checkWire(latin1(bodyOf(whole.imap)));
  checkWire(latin1(bodyStructureOf(whole.imap)));
}

function checkSpan(span: PartSpan, size: number): void {
  const { headerStart, headerEnd, bodyStart, bodyEnd, message, children } = span;
  const order = [0, headerStart, headerEnd, bodyStart, bodyEnd, size];
  for (let i = 1; i < order.length; i++) {
    assert.ok(order[i - 1]! <= order[i]!, `a part at ${order.slice(1, -1)} of ${size} octets`);
  }
  for (const child of message === null ? children : [message, ...children]) {
    assert.ok(
      child.headerStart >= bodyStart && child.bodyEnd <= bodyEnd,
      "a part that sticks out of its parent",
    );
    checkSpan(child, size);
  }
}

/** One parenthesized list of the IMAP grammar: NIL, numbers, quoted strings, literals, lists (RFC 3501 9). */
function checkWire(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length;) {
    const character = text[at]!;
    if (character === "(" || character === ")") {
      depth += character === "(" ? 1 : -1;
      assert.ok(depth >= 0, `closes too often: ${text}`);
      at++;
      assert.ok(depth > 0 || at === text.length, `ends too early: ${text}`);
    } else if (character === '"') {
      const quoted = /^"(?:[^"\\\r\n\0\x80-\xff]|\\["\\])*"/.exec(text.slice(at));
      assert.ok(quoted, `no quoted string at ${at}: ${text}`);
      at += quoted[0].length;
    } else if (character === "{") {
      const literal = /^\{(\d+)\}\r\n/.exec(text.slice(at));
      assert.ok(literal, `no literal at ${at}: ${text}`);
      at += literal[0].length + Number(literal[1]);
    } else {
      const atom = /^(?:NIL|\d+| )/.exec(text.slice(at));
      assert.ok(atom, `neither NIL nor a number at ${at}: ${text}`);
      at += atom[0].length;
    }
  }
  assert.equal(depth, 0, `not closed: ${text}`);
}

export function fuzzMime(seed: number, runs: number): void {
  fuzz({ make, check: checkMime }, seed, runs);
}
