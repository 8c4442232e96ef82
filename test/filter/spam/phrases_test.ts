/** Shortcuts of the spam filter against the plain form of what they stand for: the same result, text by text. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encode } from "../../../bytes/decode.ts";
import { Phrases, Runs } from "../../../filter/spam/phrases.ts";
import { hashOf } from "../../../filter/spam/learner/tokens.ts";
import { Mail } from "../../../filter/spam/mail.ts";
import { saysCapitals } from "../../../filter/spam/signals/says_capitals.ts";
import { technical } from "../../../filter/spam/signals/technical.ts";
import { sketchOf } from "../../../filter/spam/sketch.ts";

const SIGNALS = new URL("../../../filter/spam/signals/", import.meta.url);
const PATTERNS = [...Deno.readDirSync(SIGNALS)].flatMap(({ name }) => {
  const found = /new Phrases\(\s*\/(.*)\/(g?i),?\s*\)/.exec(Deno.readTextFileSync(new URL(name, SIGNALS)));
  return found === null ? [] : [{ name, pattern: new RegExp(found[1]!, found[2]!) }];
});
const searched = (text: string) => ({ text, runs: new Runs(text) });
const mailOf = (body: string) =>
  new Mail(encode(`Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${body}`));

for (const { name, pattern } of PATTERNS) {
  Deno.test(`whatever matches the phrases of ${name} is found, and nothing else`, () => {
    const phrases = new Phrases(pattern);
    const found = (text: string) => {
      const plain = text.match(new RegExp(pattern, "gi"))?.length ?? 0;
      assert.equal(phrases.standIn(searched(text)), plain > 0, text);
      if (pattern.global) assert.equal(phrases.count(searched(text)), plain, text);
    };
    // Without places: fast-check makes strings of characters only.
    const inside = new RegExp(pattern.source.replaceAll("\\b", ""));
    fc.assert(
      fc.property(fc.stringMatching(inside, { maxLength: 60 }), fc.boolean(), (text, upper) => {
        const whole = ` ${text} `;
        found(upper ? whole.toUpperCase() : whole);
        found(`a${text}\n${text.slice(1)}`);
      }),
      { numRuns: 100 },
    );
    found("Nothing of that sort stands in a plain letter to a friend; shall we meet on Tuesday?");
  });
}

Deno.test("what a pattern wants is read from optional, repeated and grouped characters", () => {
  for (
    const [source, text] of [
      ["ab?c", "ac"],
      ["ab*c", "ac"],
      ["ab+c", "abbbc"],
      ["ab{2,3}c", "abbc"],
      ["ab{0,3}c", "ac"],
      ["a(?:bc|de)?f", "af"],
      ["(?:bc|de)+f", "bcdef"],
      ["[xyz]a.c\\$", "yabc$"],
      ["\\x41\\u00e9b", "Aéb"],
      ["a|", ""],
      ["^a$", "a"],
    ] as const
  ) assert.ok(new Phrases(new RegExp(source, "i")).standIn(searched(text)), source);
  assert.ok(!new Phrases(/abc/).standIn(searched("ab c")));
  assert.throws(() => new Phrases(/a/u), /no u or v/);
  assert.throws(() => new Phrases(/a(?=b)/), /ahead/);
});

const WORDS = fc.array(
  fc.constantFrom(
    ..."a BUY now NOW Cheap xx_y 4you CAPS über straße ÄÖ - \r\n \t . ! don't 漢字 e".split(/(?<=\S) /),
  ),
  { minLength: 1, maxLength: 120 },
).map((words) => words.join(" "));

Deno.test("capitals are counted as a pattern of words would", () => {
  fc.assert(fc.property(WORDS, (body) => {
    const mail = mailOf(body);
    const words = mail.text.slice(0, 30_000).match(/\b[a-z]{4,}\b/gi) ?? [];
    const expected = words.length < 20
      ? false
      : Math.min(1, words.filter((word) => word === word.toUpperCase()).length / words.length * 5);
    assert.equal(saysCapitals.find({ mail, around: null }), expected);
  }));
});

Deno.test("a sketch is made of the least hashes of runs of five words", () => {
  fc.assert(fc.property(WORDS, (body) => {
    const mail = mailOf(body);
    const words = mail.text.slice(0, 20_000).toLowerCase().match(/[\p{L}]{2,}/gu) ?? [];
    const least = [0, 1, 2].map((family) =>
      words.slice(4).reduce((least, _, i) => {
        const hash = hashOf(words.slice(i, i + 5).join(" "), 0x200);
        return Math.min(least, Math.imul(hash ^ (family * 0x9e3779b1), 0x85ebca6b) >>> 0);
      }, 0xffffffff)
    );
    const expected = words.length < 20
      ? []
      : least.map((value, family) => hashOf(`${family} ${value}`, 0x200));
    assert.deepEqual(sketchOf(mail), expected);
  }));
});

Deno.test("code is found as by a pattern that goes over empty lines too", () => {
  const plain =
    /^(?:diff |@@ |\+\+\+ |--- )|^\s*(?:#include|if \(|for \(|return |def |sub |int |void )|\w+\(\);|^\$ \w+/m;
  const lines = fc.constantFrom(
    "",
    " ",
    "\t",
    "int x",
    " return 1",
    "a int",
    "f();",
    "();",
    "$ ls",
    "$",
    "@@ ",
    "x @@ ",
    "+++ a",
  );
  fc.assert(
    fc.property(fc.array(lines, { maxLength: 12 }), fc.constantFrom("\n", "\r\n", "\r"), (all, end) => {
      const mail = mailOf(all.join(end));
      assert.equal(technical.find({ mail, around: null }), mail.plain.some((text) => plain.test(text)));
    }),
  );
});
