/**
 * Fuzzing the spam filter: messages through everything that looks at them, and the reader of stored knowledge.
 *
 * Checked of messages: nothing throws, points are numbers, tokens are distinct and bounded, the same octets have the same score, and
 * processor time is bounded. Of knowledge: it is refused as a fault, or it is read as a knowledge that can be asked, taught, and
 * written as it was read. Its checksum is mended in most inputs, so that what lies behind it is reached.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { commonHits, LEARNER, personalHits } from "../../filter/spam/hits.ts";
import { readHtml } from "../../filter/spam/html.ts";
import { linkOf, linksIn } from "../../filter/spam/link.ts";
import { judge } from "../../filter/spam/learner/judge.ts";
import { Knowledge, KnowledgeFault } from "../../filter/spam/learner/knowledge.ts";
import { MAX_TOKENS, tokensOf } from "../../filter/spam/learner/tokens.ts";
import { Mail } from "../../filter/spam/mail.ts";
import { originOf, originTokens } from "../../filter/spam/origin.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import { SKETCH_SIZE, sketchOf } from "../../filter/spam/sketch.ts";
import type { Surroundings } from "../../filter/spam/surroundings.ts";
import { fuzz, mutate, type Random } from "./fuzzing.ts";

const FIELDS = [
  "From: Anna <anna@friends.test>\r\n",
  'From: "service@bank.test" <x84q2@offers.test>\r\nReply-To: y@else.test\r\n',
  "To: alice@example.test, bob@example.test, carol@example.test\r\n",
  "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= FREE $500        8472\r\n",
  "Date: Mon, 23 Nov 2026 20:09:29 +0000\r\n",
  "Message-ID: <AbC123.456@friends.test>\r\nReferences: <0@x.test>\r\n",
  "Received: from h (n.test [192.0.2.1]) by m with ESMTP id q for <a@b>; Mon, 23 Nov 2026 20:09:29 +0000\r\n",
  "Received: from [IPv6:2001:db8::1] by m; nonsense\r\n",
  "Authentication-Results: mx; dkim=pass header.d=offers.test\r\n",
  "X-Mailer: Microsoft Outlook Express 6.00\r\nX-Priority: 1\r\nPrecedence: bulk\r\n",
  "List-Unsubscribe: <mailto:off@list.test>\r\nList-ID: <list.test>\r\n",
];
const BODIES = [
  "Content-Type: text/plain; charset=utf-8\r\n\r\nDear friend, see http://www.shop.test:81/a?b and mailto:x@y.test\r\n",
  'Content-Type: text/html\r\n\r\n<html><body bgcolor="#fff"><a href="http://198.51.100.7/%41">www.bank.test</a>' +
  '<font color="#fffffe">hidden</font><img src=http://x.test/?id=1 width=1><!-- c --></body></html>\r\n',
  "Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+w8HL1Mk8L2I+\r\n",
  "Content-Transfer-Encoding: quoted-printable\r\n\r\nclick =\r\nhere=3D=C3=BC to be removed\r\n",
  "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>text\r\n" +
  '--b\r\nContent-Type: application/x; name="a.pdf.exe"\r\n\r\nMZ\r\n--b--\r\n',
  "\r\n\u00e6\u00bc\u00a2\u00e5\u00ad\u0097 and words and more words that make a sketch of at least twenty of them, one after the " +
  "other and so on and so on until it is enough\r\n",
];
const TOKENS = [
  ..."<>&;\"'=@:/%#! \0\x80\xff",
  "\r\n",
  "\r\n\r\n",
  "<!--",
  "-->",
  '<a href="',
  "<style>",
  "<script>",
  "<form action=",
  "&#x202e;",
  "&#1114112;",
  "http://",
  "http://1.2.3.4:99999/",
  "http://xn--a.test@b.test/",
  "=?utf-8?b?",
  "=?koi8-r?q?=FF?=",
  "--b\r\n",
  "Content-Type: text/html\r\n",
  "$1,000,000.00 ",
  "\xf0\x9d\x90\x80",
  "\xe2\x80\x8b",
  "a".repeat(300),
];
/** Of processor time. */
const MAX_MS = 2_000;

const AROUND: Surroundings = {
  client: { address: "192.0.2.1", heloName: "[192.0.2.1]" },
  ...{ sender: "x@offers.test", reverseName: "", spf: "fail", dmarc: "fail", signers: ["offers.test"] },
  ...{ brokenSignature: true, aligned: false, known: false, firstContact: true, reportedCopies: 2 },
  tags: [{ check: "dnsbl", points: 3 }],
  reputation: {
    ...{ address: { spam: 3, ham: 0 }, network: { spam: 0, ham: 0 } },
    ...{ domain: { spam: 1, ham: 9 }, signer: null },
  },
};
/** A knowledge of the bodies above, so that the learner speaks too. */
const TAUGHT = new Knowledge();
for (const [i, body] of BODIES.entries()) {
  const tokens = tokensOf(new Mail(encodeLatin1(FIELDS.join("") + body)));
  TAUGHT.learn(tokens, { spam: i % 2, ham: 1 - i % 2, teacher: i + 1 });
}

function makeMessage(random: Random): Uint8Array {
  const fields = Array.from({ length: random.below(FIELDS.length + 3) }, () => random.pick(FIELDS)).join("");
  return encodeLatin1(mutate(random, fields + random.pick(BODIES), { tokens: TOKENS, maxChanges: 10 }));
}

/** HTML alone. */
export function fuzzHtml(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, BODIES[1]!, { tokens: TOKENS, maxChanges: 10 }));
  fuzz({ make, check: checkHtml }, seed, runs);
}

export function checkHtml(input: Uint8Array): void {
  const html = latin1(input);
  const { text, hidden, anchors, images, markup } = readHtml(html);
  assert.ok(text.length + hidden.length <= html.length * 4 + 100);
  assert.ok(anchors.length <= 500 && images.length <= 200 && markup.length <= 4_000);
  for (const { target, text: shown } of anchors) {
    const link = linkOf(target, shown);
    if (link !== null) assert.ok(!/[A-Z]/.test(link.host) && link.target.length <= 2_000);
  }
  assert.ok(linksIn(text, 20).length <= 20);
}

export function fuzzSpam(seed: number, runs: number): void {
  fuzz({ make: makeMessage, check: checkSpam }, seed, runs);
}

export function checkSpam(input: Uint8Array): void {
  const began = process.cpuUsage();
  assert.deepEqual(judged(input), judged(input.slice()));
  const { user } = process.cpuUsage(began);
  assert.ok(user / 1_000 < MAX_MS, "it takes too long");
}

function judged(octets: Uint8Array): unknown {
  const mail = new Mail(octets);
  const tokens = tokensOf(mail);
  assert.ok(tokens.length <= MAX_TOKENS && !tokens.includes(0) && new Set(tokens).size === tokens.length);
  const sketch = sketchOf(mail);
  assert.ok(sketch.length === 0 || sketch.length === SKETCH_SIZE);
  for (const token of [...sketch, ...originTokens(originOf(mail, null))]) assert.ok(token > 0);
  const judgement = judge(tokens, { own: TAUGHT, shared: null })!;
  const scores = [null, AROUND].map((around) => {
    const facts = { mail, around };
    const hits = [...commonHits(facts), ...personalHits(facts, judgement)];
    for (const { name, points, explain } of hits) {
      assert.ok(
        Number.isFinite(points) && Math.abs(points) < (name === LEARNER ? 100 : 20),
        `${name} ${points}`,
      );
      assert.ok(explain !== "" && !/[\r\n]/.test(explain), name);
    }
    return scoreOf(hits, mail.marks);
  });
  return { scores, tokens };
}

const SMALL = { tokens: 64 };
const ROW = 12;
const CHECKSUM_AT = 20;
const HEAD = 24;
const SEEDS = (() => {
  const some = new Knowledge(SMALL);
  some.learn(new Uint32Array([1, 2, 3, 0xffffffff]), { spam: 1, ham: 0, teacher: 4 });
  some.learn(new Uint32Array([2, 1_025, 2_049]), { spam: 0, ham: 1, teacher: 5 });
  const many = new Knowledge();
  many.learn(Uint32Array.from({ length: 100 }, (_, i) => (i + 1) * 1_024), { spam: 1, ham: 0 });
  return [new Knowledge(), some, many].map((one) => {
    // Rows are written in another order by each process: inputs of a seed are the same in all.
    const [head = "", ...rows] = rowsOf(one.encode());
    const octets = encodeLatin1(`${head}\0\0\0\0${rows.join("")}`);
    new DataView(octets.buffer, octets.byteOffset).setUint32(CHECKSUM_AT, fnv1a(octets));
    return latin1(octets);
  });
})();
const PIECES = [
  "\0\0\0\0",
  "\xff\xff\xff\xff",
  "\x7f\xc0\0\0",
  "\x7f\x80\0\0",
  "\xbf\x80\0\0",
  "\0\0\x04\0",
  "\0".repeat(ROW),
];

function makeKnowledge(random: Random): Uint8Array {
  const octets = encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: PIECES, maxChanges: 4 }));
  if (random.below(8) === 0 || octets.length < HEAD) return octets;
  const view = new DataView(octets.buffer, octets.byteOffset);
  if (random.below(4) > 0) view.setUint32(8, Math.floor((octets.length - HEAD) / ROW));
  const whole = random.below(4) > 0 ? HEAD + Math.floor((octets.length - HEAD) / ROW) * ROW : octets.length;
  const cut = octets.subarray(0, whole);
  view.setUint32(CHECKSUM_AT, fnv1a(cut));
  return cut;
}

export function fuzzKnowledge(seed: number, runs: number): void {
  fuzz({ make: makeKnowledge, check: checkKnowledge }, seed, runs);
}

export function checkKnowledge(input: Uint8Array): void {
  let read: Knowledge;
  try {
    read = Knowledge.decode(input, SMALL);
  } catch (error) {
    if (error instanceof KnowledgeFault) return;
    throw error;
  }
  const written = read.encode();
  assert.deepEqual(rowsOf(written), rowsOf(input), "it is written as it was read");
  const tokens = new Uint32Array([1, 2, 3, 1_024]);
  const judgement = judge(tokens, { own: read, shared: read });
  assert.ok(judgement === null || Number.isFinite(judgement.points), "the points are a number");
  read.learn(tokens, { spam: 1, ham: 0, teacher: 1 });
  read.learn(tokens, { spam: -1, ham: 1, teacher: 1 });
  assert.ok(read.spam >= 0 && read.ham >= 0 && read.tokens <= SMALL.tokens, "it is within its limits");
}

/** Head without the checksum, and rows in the order of their tokens. */
function rowsOf(octets: Uint8Array): string[] {
  const text = latin1(octets);
  const rows = Array.from({ length: (octets.length - HEAD) / ROW }, (_, i) => HEAD + i * ROW);
  return [text.slice(0, CHECKSUM_AT), ...rows.map((at) => text.slice(at, at + ROW)).sort()];
}

function fnv1a(octets: Uint8Array): number {
  const others = [...octets.subarray(0, CHECKSUM_AT), ...octets.subarray(HEAD)];
  return others.reduce((hash, octet) => Math.imul(hash ^ octet, 0x01000193), 0x811c9dc5) >>> 0;
}
