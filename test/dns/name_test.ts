import assert from "node:assert/strict";
import { canonicalName, isWithin } from "../../dns/name.ts";

Deno.test("names come into one form or are refused", () => {
  const cases: [string, string | null][] = [
    ["Example.TEST", "example.test"],
    ["example.test.", "example.test"],
    [".", "."],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["_25._tcp.mx", "_25._tcp.mx"],
    ["a\\.b.test", "a\\.b.test"],
    ["a\\046b.test", "a\\.b.test"],
    ["\\065.test", "a.test"],
    ["a b.test", "a\\032b.test"],
    ["\\255.test", "\\255.test"],
    ["a".repeat(63) + ".test", "a".repeat(63) + ".test"],
    // 255 octets with the length octets: 3 x 64 + 62 + 1
    [`${"a".repeat(63)}.`.repeat(3) + "b".repeat(61), `${"a".repeat(63)}.`.repeat(3) + "b".repeat(61)],
    ["", null],
    ["..", null],
    [".a", null],
    ["a..b", null],
    ["a".repeat(64), null],
    [`${"a".repeat(63)}.`.repeat(3) + "b".repeat(62), null],
    ["a\\", null],
    ["a\\2", null],
    ["a\\256", null],
    ["b\u00fccher.\u4f8b", null],
  ];
  for (const [text, expected] of cases) assert.equal(canonicalName(text), expected, JSON.stringify(text));
});

Deno.test("within: label by label", () => {
  assert.ok(isWithin("a.example.test", "example.test"));
  assert.ok(isWithin("example.test", "example.test"));
  assert.ok(isWithin("example.test", "."));
  assert.ok(isWithin("a\\\\.example.test", "example.test"));
  assert.ok(!isWithin("badexample.test", "example.test"));
  assert.ok(!isWithin("test", "example.test"));
  assert.ok(!isWithin("a\\.example.test", "example.test"));
});
