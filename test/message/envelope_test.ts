/** Addresses that ENVELOPE reads without the whole grammar come out as the grammar has them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { envelope } from "../../message/envelope.ts";

const written = (from: string) => envelope(new Map([["from", from]]));

/** White space in front means nothing, and only the whole grammar takes it. */
const byGrammar = (from: string) => written(` ${from}`);

Deno.test("simple addresses are read as the grammar reads them", () => {
  for (
    const from of [
      "Bench Sender <s@other.test>",
      "<s@other.test>",
      "A  B <s@other.test>",
      "J. Doe <s@other.test>",
      '"J. Doe" <s@other.test>',
      "a.b@c.d",
      "x <a..b@c>",
      "x <.a@c.>",
      "x<a@c>",
      "(x) y <a@c>",
      "=?utf-8?q?=C3=A4?= <a@c>",
      "x <@r:a@c>",
      "x <a@c>, <b@c>",
    ]
  ) assert.equal(written(from), byGrammar(from), from);
});

Deno.test("any mixture of the characters of addresses is, too", () => {
  const text = fc.array(fc.constantFrom(...'ab .<>@-_=?"\\(),:;é~'), { maxLength: 14 }).map((all) =>
    all.join("")
  );
  fc.assert(
    fc.property(fc.tuple(text, fc.constantFrom("", "<a@b>", " <a.b@c.d>")), ([front, back]) => {
      const from = (front + back).trim();
      if (from !== "") assert.equal(written(from), byGrammar(from));
    }),
    { numRuns: 3_000 },
  );
});
