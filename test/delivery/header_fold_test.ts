/** Folding of long header lines: unfolding gives back what was there. */
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { foldLongLines } from "../../delivery/header_fold.ts";
import { octetsOf, text } from "./reception_bed.ts";

const fold = (header: string) => text(foldLongLines(octetsOf(header)));

Deno.test("a line of 998 octets stays, the next one is cut at its last white space", () => {
  const line = `X: ${"y".repeat(993)} z`;
  equal(line.length, 998);
  equal(fold(`${line}\r\n\r\n`), `${line}\r\n\r\n`);
  equal(fold(`${line}z\r\n\r\n`), `X: ${"y".repeat(993)}\r\n zz\r\n\r\n`);
});

Deno.test("a line without white space stays, and so does one that has it only behind the name or at its end", () => {
  for (
    const header of [
      `X:${"y".repeat(2_000)}\r\n`,
      `X:  ${"y".repeat(2_000)}\r\n`,
      `X: ${"y".repeat(996)} \r\n`,
    ]
  ) {
    equal(fold(header), header);
  }
});

Deno.test("only the long line is folded, as often as it takes", () => {
  const long = `To: ${"a@b.example, ".repeat(200)}c@d.example\r\n`;
  const folded = fold(`A: b\r\n${long}C: d\r\n e\r\n\r\n`);
  ok(folded.startsWith("A: b\r\nTo: a@b") && folded.endsWith("c@d.example\r\nC: d\r\n e\r\n\r\n"));
  equal(folded.replace(/\r\n(?= a@b)/g, ""), `A: b\r\n${long}C: d\r\n e\r\n\r\n`);
  equal(folded.split("\r\n").length, 5 + 1 + 2);
});

Deno.test("property: unfolded it is the same, no line is empty or white space, and lines fit where they can", () => {
  const word = fc.integer({ min: 1, max: 600 }).map((length) => "w".repeat(length));
  const value = fc.array(fc.oneof(word, fc.constantFrom(" ", "\t", "  ", ":")), { maxLength: 12 })
    .map((parts) => parts.join(" "));
  fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), (values) => {
    const header = values.map((value) => `X: v${value}\r\n`).join("") + "\r\n";
    const folded = fold(header);
    const unfold = (text: string) => text.replace(/\r\n(?=[ \t])/g, "");
    equal(unfold(folded), unfold(header));
    const lines = folded.slice(0, -4).split("\r\n");
    ok(lines.every((line) => line.trim() !== ""));
    // Words are shorter than a line, so only trailing white space can keep one long.
    ok(lines.every((line) => line.trimEnd().length <= 998));
  }));
});
