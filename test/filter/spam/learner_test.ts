/** The learner: what it keeps, how it fades, what it gives back, what it makes of broken octets. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { judge } from "../../../filter/spam/learner/judge.ts";
import { Knowledge, KnowledgeFault } from "../../../filter/spam/learner/knowledge.ts";
import { MAX_TOKENS, tokensOf } from "../../../filter/spam/learner/tokens.ts";
import { Mail } from "../../../filter/spam/mail.ts";

const tokens = (body: string, subject = "x") =>
  tokensOf(new Mail(encode(`From: <a@b.test>\r\nSubject: ${subject}\r\n\r\n${body}\r\n`)));
const SPAM = { spam: 1, ham: 0 };
const HAM = { spam: 0, ham: 1 };

Deno.test("one- and two-word tokens: order matters to pairs, words in another place are others", () => {
  const ab = new Set(tokens("alpha beta"));
  const ba = new Set(tokens("beta alpha"));
  assert.equal([...ab].filter((token) => !ba.has(token)).length, 1);
  const subject = new Set(tokens("", "alpha"));
  assert.ok([...tokens("alpha")].some((token) => !subject.has(token)));
});

Deno.test("each token counts once a message, and there is a limit", () => {
  assert.equal(tokens("alpha ".repeat(500)).length, tokens("alpha alpha alpha").length);
  const many = Array.from({ length: 20_000 }, (_, i) => `word${i}`).join(" ");
  assert.equal(tokens(many).length, MAX_TOKENS);
});

Deno.test("what resembles unwanted mail is told from what resembles wanted mail", () => {
  const own = new Knowledge();
  for (let i = 0; i < 30; i++) {
    own.learn(tokens(`cheap pills order number${i}`), SPAM);
    own.learn(tokens(`meeting minutes of week${i}`), HAM);
  }
  assert.ok(judge(tokens("order cheap pills"), { own, shared: null })!.points > 1);
  assert.ok(judge(tokens("minutes of the meeting"), { own, shared: null })!.points < -1);
});

Deno.test("nothing is said before both kinds are known", () => {
  const own = new Knowledge();
  own.learn(tokens("cheap pills"), SPAM);
  assert.equal(judge(tokens("cheap pills"), { own, shared: null }), null);
  assert.equal(judge(tokens("cheap pills"), { own: null, shared: null }), null);
});

Deno.test("unlearning leaves what was there before", () => {
  const own = new Knowledge();
  own.learn(tokens("alpha beta"), HAM);
  const before = judge(tokens("alpha beta gamma"), { own, shared: null });
  own.learn(tokens("alpha gamma"), SPAM);
  own.learn(tokens("alpha gamma"), { spam: -1, ham: 0 });
  assert.deepEqual(judge(tokens("alpha beta gamma"), { own, shared: null }), before);
});

Deno.test("the shared knowledge speaks of a token only after three users taught it", () => {
  const shared = new Knowledge();
  shared.learn(tokens("meeting minutes"), { ...HAM, teacher: 1 });
  const said = () => judge(tokens("cheap pills"), { own: null, shared })!.tokens;
  for (const teacher of [1, 1, 2]) shared.learn(tokens("cheap pills"), { ...SPAM, teacher });
  const few = said();
  shared.learn(tokens("cheap pills"), { ...SPAM, teacher: 3 });
  assert.ok(said() > few);
});

Deno.test("it stays within its size; what was learnt lately stays, what was seen once goes", () => {
  const own = new Knowledge({ tokens: 1_000 });
  const often = tokens("alpha beta gamma delta");
  for (let i = 0; i < 400; i++) {
    own.learn(often, SPAM);
    own.learn(tokens(Array.from({ length: 10 }, (_, n) => `rare${i * 10 + n}`).join(" ")), HAM);
    assert.ok(own.tokens <= 1_000);
  }
  assert.ok(own.spamAt(own.find(often[often.length - 1]!)) > 0);
  assert.ok(own.spam < 400);
});

Deno.test("octets come back as they were; broken ones are found out", () => {
  const own = new Knowledge();
  for (let i = 0; i < 50; i++) own.learn(tokens(`word${i} again`), i % 2 === 0 ? SPAM : HAM);
  const octets = own.encode();
  const back = Knowledge.decode(octets);
  assert.deepEqual(
    judge(tokens("word2 again"), { own: back, shared: null }),
    judge(tokens("word2 again"), { own, shared: null }),
  );
  assert.equal(back.tokens, own.tokens);
  for (const at of [0, 5, 9, 13, 21, 30, octets.length - 1]) {
    const broken = octets.slice();
    broken[at]! ^= 0x10;
    assert.throws(() => Knowledge.decode(broken), KnowledgeFault, `octet ${at}`);
  }
  assert.throws(() => Knowledge.decode(octets.subarray(0, 40)), KnowledgeFault);
  assert.throws(() => Knowledge.decode(new Uint8Array(0)), KnowledgeFault);
});
