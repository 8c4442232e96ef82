/** Each limit that is hit is told by its name, once, with the reply that says so. */
import assert from "node:assert/strict";
import { WHOLE } from "../../lib/transcript.ts";
import { parse, replay } from "./transcript.ts";

const START = "C: EHLO a.example\n";
const MAIL = "C: MAIL FROM:<>\n";
const RCPT = "C: RCPT TO:<bob@example.test>\n";

const CASES: [limit: string, reply: string, text: string][] = [
  ["commandLineOctets", " 500", `@ small\nC: NOOP ${"x".repeat(60)}\n`],
  ["authLineOctets", "AUTH 500", `@ small\n@ auth\n@ tls\n${START}C: AUTH PLAIN\nC: ${"A".repeat(96)}\n`],
  ["messageOctets", "MAIL 552", `@ small\n${START}C: MAIL FROM:<> SIZE=41\n`],
  ["messageOctets", "DATA 552", `@ small\n${START}${MAIL}${RCPT}C: DATA\nC: ${"x".repeat(40)}\nC: .\n`],
  ["messageOctets", "BDAT 552", `@ small\n${START}${MAIL}${RCPT}C~ BDAT 41 LAST\\r\\n\\{x*41}\n`],
  ["recipients", "RCPT 452", `@ small\n${START}${MAIL}${RCPT}${RCPT}${RCPT}`],
  ["commands", " 421", `@ small\n${"C: NOOP\n".repeat(13)}`],
  ["errors", " 421", `@ small\n${"C: FOO\n".repeat(4)}`],
];

for (const [limit, reply, text] of CASES) {
  Deno.test(`limit ${limit}: ${reply.trim()}`, () => {
    const { observed } = replay(parse(text), WHOLE);
    assert.deepEqual(observed.filter((entry) => /^[a-z]/.test(entry)), [limit]);
    assert.ok(observed.includes(reply), observed.join(", "));
  });
}
