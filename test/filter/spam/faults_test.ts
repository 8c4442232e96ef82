/** What senders may do to the filter: it answers, within its limits, and says what it left out. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { Assessor } from "../../../filter/spam/assessor.ts";
import { commonHits } from "../../../filter/spam/hits.ts";
import { Knowledge } from "../../../filter/spam/learner/knowledge.ts";
import { tokensOf } from "../../../filter/spam/learner/tokens.ts";
import { MAIL_LIMITS } from "../../../filter/spam/limits.ts";
import { Mail } from "../../../filter/spam/mail.ts";
import { sketchOf } from "../../../filter/spam/sketch.ts";
import type { SpamLessons } from "../../../storage/spam_lessons.ts";

const looked = (octets: Uint8Array, total = octets.length) => {
  const mail = new Mail(octets, { total });
  commonHits({ mail, around: null });
  tokensOf(mail);
  sketchOf(mail);
  return mail;
};

Deno.test("a header of 40 MB: its start is looked at, and a mark says so", () => {
  const line = `X-Filler: ${"x".repeat(900)}\r\n`;
  const start = encode(`From: <a@b.test>\r\n${line.repeat(Math.ceil(MAIL_LIMITS.octets / line.length))}`);
  const mail = looked(start, 40 * 1024 * 1024);
  assert.match(mail.marks.join("; "), /only the first 1048576 of 41943040 octets/);
  assert.equal(mail.from.address, "a@b.test");
});

Deno.test("100,000 parts: the first are looked at, and a mark says so", () => {
  const part = "--b\r\n\r\nx\r\n";
  const octets = encode(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(100_000)}--b--\r\n`);
  const mail = looked(octets);
  assert.ok(mail.leaves.length <= MAIL_LIMITS.parts);
  assert.match(mail.marks.join("; "), /only the first 1000 parts/);
});

Deno.test("HTML and text beyond 256 kB, text beyond 512 kB together: the start counts, and a mark says so", () => {
  for (const type of ["text/html", "text/plain"]) {
    const mail = looked(encode(`Content-Type: ${type}\r\n\r\n${"word <b>again</b> ".repeat(20_000)}`));
    assert.match(mail.marks.join("; "), /only the first 262144 characters of a part/, type);
  }
  const part = `--b\r\nContent-Type: text/plain\r\n\r\n${"several words of text ".repeat(10_000)}\r\n`;
  const mail = looked(encode(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(4)}--b--\r\n`));
  assert.match(mail.marks.join("; "), /524288|only the first \d+ characters/);
  assert.ok(mail.text.length <= MAIL_LIMITS.text + 1_000);
});

Deno.test("texts made to cost time cost it in a straight line", () => {
  const hostile = [
    "<",
    "<!",
    "<!--",
    '<a href="',
    "<a ",
    "((((",
    "=?utf-8?q?",
    "http://",
    "a@",
    "$",
    "!",
    "click ",
    "to be ",
    "%41",
    "&#",
  ];
  for (const piece of hostile) {
    for (const type of ["text/html", "text/plain"]) {
      const body = piece.repeat(Math.floor(200_000 / piece.length));
      const began = performance.now();
      looked(
        encode(
          `From: ${piece.repeat(500)}\r\nSubject: ${
            piece.repeat(500)
          }\r\nContent-Type: ${type}\r\n\r\n${body}`,
        ),
      );
      assert.ok(performance.now() - began < 20_000, `${type} of ${piece}`);
    }
  }
});

Deno.test("tokens chosen to fall together in the table of the learnt cost no more than others", () => {
  const chosen = Uint32Array.from({ length: 250_000 }, (_, i) => ((i >> 5) << 19 | (i & 31) + 1) >>> 0);
  const knowledge = new Knowledge();
  const began = performance.now();
  knowledge.learn(chosen, { spam: 1, ham: 0 });
  assert.ok(performance.now() - began < 20_000); // each beside all others: minutes
  assert.equal(knowledge.tokens, chosen.length);
});

Deno.test("octets of any kind never throw", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = Math.imul(seed, 1_664_525) + 1_013_904_223 >>> 0;
    return seed % below;
  };
  const base = encode(
    "From: A <a@b.test>\r\nTo: x@y.test\r\nSubject: =?utf-8?q?h=C3=A9?=\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n" +
      "Received: from h (n [192.0.2.1]) by m; Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <a@b>\r\n" +
      "Content-Type: multipart/alternative; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nhello http://x.test\r\n" +
      '--q\r\nContent-Type: text/html\r\n\r\n<body bgcolor="#fff"><a href="http://u@x.test:81/%41">y</a><font color=white>z</font>\r\n--q--\r\n',
  );
  for (let i = 0; i < 3_000; i++) {
    const octets = base.slice();
    for (let n = random(12); n >= 0; n--) octets[random(octets.length)] = random(256);
    const cut = random(4) === 0 ? octets.subarray(0, random(octets.length)) : octets;
    looked(cut);
  }
});

Deno.test("a knowledge that is broken is left aside, with a mark, and the next fold writes a new one", () => {
  const good = new Knowledge();
  for (const kind of [{ spam: 1, ham: 0 }, { spam: 0, ham: 1 }]) good.learn(new Uint32Array([1, 2, 3]), kind);
  const octets = good.encode();
  octets[30]! ^= 1;
  const journal = [{ id: 8, accountId: 5, spam: 1, ham: 0, tokens: new Uint8Array([9, 0, 0, 0]) }];
  const lessons: SpamLessons = {
    wishes: () => [],
    knowledge: (accountId) => accountId === 5 ? { upTo: 7, octets } : null,
    foldedUpTo: (accountId) => accountId === 5 ? 7 : 0,
    journal: (_, { after }) => journal.filter(({ id }) => id > after),
    nothing: () => false,
    unfolded: () => [],
    lesson: () => null,
    counts: () => ({ spam: 0, ham: 0, waiting: 0 }),
  };
  const assessor = new Assessor(lessons);
  const { scores } = assessor.assess({
    octets: encode("From: <a@b.test>\r\nSubject: x\r\n\r\nhello\r\n"),
    ...{ total: 40, around: null, weights: {} },
    recipients: [{ accountId: 5, known: false, firstContact: null }],
  });
  assert.match(scores[0]!.score.marks.join("; "), /what was learnt is damaged/);
  const folded = assessor.fold(5)!;
  assert.equal(folded.upTo, 8);
  assert.equal(Knowledge.decode(folded.octets).spam, 1);
});
