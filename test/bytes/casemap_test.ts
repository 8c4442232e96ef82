/** i;ascii-casemap and i;unicode-casemap as keys (RFC 4790 9.2, RFC 5051). */
import assert from "node:assert/strict";
import { asciiCasemap, codePointOrder, unicodeCasemap } from "../../bytes/casemap.ts";

Deno.test("i;unicode-casemap: the example of RFC 5051, marks apart, compatibility forms, one character for one", () => {
  assert.equal(unicodeCasemap("\u01c4"), "Dz\u030c");
  assert.equal(unicodeCasemap("\u01c6"), unicodeCasemap("\u01c5"));
  assert.equal(unicodeCasemap("Caf\u00e9"), unicodeCasemap("cAFE\u0301"));
  assert.ok(unicodeCasemap("caf\u00e9").includes(unicodeCasemap("cafe")));
  assert.equal(unicodeCasemap("\uff21\uff42"), "AB"); // full width
  assert.equal(unicodeCasemap("\u1f80"), unicodeCasemap("\u1f88"));
  assert.notEqual(unicodeCasemap("stra\u00dfe"), unicodeCasemap("STRASSE"));
  assert.equal(unicodeCasemap("STRA\u00dfE"), unicodeCasemap("stra\u00dfe"));
});

Deno.test("i;unicode-casemap folds each character alone, whatever stands beside it", () => {
  const wrong: string[] = [];
  for (let code = 0x80; code <= 0x1ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    const upper = character.toUpperCase();
    const alone = unicodeCasemap(character);
    // A simple title case is one character; what is longer was left as it is, or has one of its own.
    const plain = upper.length === character.length &&
      !/[\u01c4-\u01cc\u01f1-\u01f3\u10d0-\u10ff]/.test(character);
    const right = plain
      ? alone === upper.normalize("NFKD")
      : [...alone].length <= [...character.normalize("NFKD")].length + 1;
    const beside = `A${alone}\u00dfZ`.normalize("NFKD");
    if (!right || unicodeCasemap(`a${character}\u00dfz`) !== beside) wrong.push(code.toString(16));
  }
  assert.deepEqual(wrong, []);
});

Deno.test("i;ascii-casemap folds ASCII alone", () => {
  assert.equal(asciiCasemap("Gr\u00fc\u00dfe"), "GR\u00fc\u00dfE");
  assert.notEqual(asciiCasemap("\u00e9"), asciiCasemap("\u00c9"));
});

Deno.test("code points are in order where UTF-16 is not", () => {
  const texts = ["a", "z", "\u00e9", "\ud7ff", "\ue000", "\uffee", "\u{10000}", "\u{1f600}", "\u{10ffff}"];
  const sorted = [...texts].reverse().sort((a, b) => codePointOrder(a) < codePointOrder(b) ? -1 : 1);
  assert.deepEqual(sorted, texts);
});
