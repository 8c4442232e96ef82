/** Paths and commands: round trips of what we format, and no way out of the grammar. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Cursor } from "../../../bytes/cursor.ts";
import { encode } from "../../../bytes/decode.ts";
import { parseCommand, verbAt } from "../../../protocols/smtp/command.ts";
import { formatPath, forwardPath, type Path, reversePath } from "../../../protocols/smtp/path.ts";
import { encodeReply, NOOP_OK, reply } from "../../../protocols/smtp/reply.ts";

const ATOM = [..."abzAZ059!#$%&'*+-/=?^_`{|}~"];
const atom = fc.array(fc.constantFrom(...ATOM, "é", "漢"), { minLength: 1, maxLength: 6 }).map((c) =>
  c.join("")
);
const dotString = fc.array(atom, { minLength: 1, maxLength: 3 }).map((atoms) => atoms.join("."));
const quotable = fc.array(fc.constantFrom(...ATOM, " ", ".", "@", '"', "\\", "<", ">", ",", "(", "ü"), {
  maxLength: 20,
}).map((c) => c.join(""));
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const domain = fc.oneof(
  fc.array(fc.oneof(label, fc.constantFrom("grün", "例え", "my_host")), { minLength: 1, maxLength: 4 })
    .map((labels) => labels.join(".")),
  fc.constantFrom("[192.0.2.1]", "[IPv6:2001:db8::1]", "[tag:x]"),
);

function parse(text: string, read: (cursor: Cursor) => Path | null): Path | null {
  const octets = encode(text);
  const cursor = new Cursor(octets);
  const path = read(cursor);
  return cursor.ok && cursor.at === octets.length ? path : null;
}

Deno.test("a path that is formatted is read back as it was", () => {
  fc.assert(fc.property(fc.oneof(dotString, quotable), domain, (localPart, domain) => {
    const text = `<${formatPath({ localPart, domain, international: false })}>`;
    const expected = { localPart, domain, international: /[^\0-\x7f]/.test(localPart + domain) };
    assert.deepEqual(parse(text, reversePath), expected);
    assert.deepEqual(parse(text, forwardPath), expected);
    assert.deepEqual(parse(`<@a.example,@b.example:${text.slice(1)}`, reversePath), expected);
  }));
});

Deno.test("formatting what was read gives a fixed point", () => {
  const octet = fc.constantFrom(...'<>@.,:;"\\[] ab1-_', "ä", "\x00", "\r", "\n");
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 14 }).map((c) => `<${c.join("")}>`), (text) => {
      const path = parse(text, forwardPath);
      if (path === null) return;
      const again = `<${formatPath(path)}>`;
      assert.doesNotMatch(again, /[\0\r\n]/);
      assert.deepEqual(parse(again, forwardPath), path);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("the null path and postmaster", () => {
  assert.equal(formatPath(null), "");
  const cursor = new Cursor(encode("<>"));
  assert.equal(reversePath(cursor), null);
  assert.equal(cursor.ok, true);
  const postmaster = parse("<POSTmaster>", forwardPath);
  assert.deepEqual(postmaster, { localPart: "POSTmaster", domain: "", international: false });
  assert.equal(formatPath(postmaster), "POSTmaster");
  assert.equal(parse("<POSTmaster>", reversePath), null);
});

Deno.test("no octets make the parser throw, and a refusal has a permanent or closing code", () => {
  const word = fc.constantFrom(
    "MAIL",
    "RCPT",
    "BDAT",
    "AUTH",
    "EHLO",
    "FROM:",
    "TO:",
    "<a@b>",
    " ",
    "\0",
    "SIZE=",
    "9",
  );
  const line = fc.array(fc.oneof(word, fc.string({ unit: "binary", maxLength: 4 })), { maxLength: 8 });
  fc.assert(
    fc.property(line, (parts) => {
      const octets = encode(parts.join(""));
      const parsed = parseCommand(octets, 0, octets.length);
      if ("refused" in parsed) assert.ok(parsed.refused.code === 421 || parsed.refused.code >= 500);
      else assert.equal(parsed.command.verb, verbAt(octets, 0, octets.length));
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("no text of others forges a reply line", () => {
  assert.equal(encodeReply(reply(550, "5.7.1", "no\r\n250 yes ü")), "550 5.7.1 no 250 yes  \r\n");
  assert.equal(encodeReply(NOOP_OK), "250 2.0.0 OK\r\n");
});
