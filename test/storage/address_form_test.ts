/** Normal forms of domains and addresses. */
import assert from "node:assert/strict";
import { domainOf, normalizeAddress, normalizeDomain } from "../../storage/address_form.ts";

Deno.test("domains become A-labels in lower case", () => {
  const table: [string, string | null][] = [
    ["Example.TEST", "example.test"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.example", "xn--bcher-kva.example"],
    ["a.b.c-d.test", "a.b.c-d.test"],
    ["localhost", "localhost"],
    ["", null],
    [".test", null],
    ["example.test.", null],
    ["a..test", null],
    ["-a.test", null],
    ["a-.test", null],
    ["a_b.test", null],
    ["[127.0.0.1]", null],
    ["exa mple.test", null],
    [`${"a".repeat(63)}.test`, `${"a".repeat(63)}.test`],
    [`${"a".repeat(64)}.test`, null],
    [`${"a.".repeat(130)}test`, null],
  ];
  for (const [text, expected] of table) assert.equal(normalizeDomain(text), expected, text);
});

Deno.test("addresses fold their local part and lose quotes they do not need", () => {
  const table: [string, string | null][] = [
    ["alice@example.test", "alice@example.test"],
    ["Alice.B@Example.Test", "alice.b@example.test"],
    ["alice+Tag@example.test", "alice+tag@example.test"],
    ['"Alice"@example.test', "alice@example.test"],
    ['"a b"@example.test', '"a b"@example.test'],
    ['"a\\"b"@example.test', '"a\\"b"@example.test'],
    ['"a@b"@example.test', '"a@b"@example.test'],
    ['"\\a"@example.test', "a@example.test"],
    ["jo\u0065\u0301@bücher.example", "joé@xn--bcher-kva.example"],
    ["alice", null],
    ["@example.test", null],
    ["alice@", null],
    ["a b@example.test", null],
    [".a@example.test", null],
    ["a..b@example.test", null],
    ["a@b@example.test", null],
    ['"a"b"@example.test', null],
    ["a\r\n@example.test", null],
    ['"a\u0000"@example.test', null],
    ["a@-b.test", null],
    ["a@b-.test", null],
    [`${"a".repeat(64)}@example.test`, `${"a".repeat(64)}@example.test`],
    [`${"a".repeat(65)}@example.test`, null],
    [`${"é".repeat(33)}@example.test`, null],
  ];
  for (const [text, expected] of table) assert.equal(normalizeAddress(text), expected, text);
});

Deno.test("normalizing twice changes nothing", () => {
  for (const text of ["Alice@Example.test", '"a B"@x.test', "é@bücher.example"]) {
    const once = normalizeAddress(text)!;
    assert.equal(normalizeAddress(once), once);
  }
  assert.equal(domainOf('"a@b"@example.test'), "example.test");
});
