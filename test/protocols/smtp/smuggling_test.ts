/**
 * The table of docs/smuggling.md: every sequence that some server somewhere has taken for the end of data, in DATA and in
 * BDAT, from strangers and converted, pipelined and octet by octet; and the same in messages that we send.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { DotStuffer } from "../../../protocols/smtp/dot_stuff.ts";
import { playSmtp } from "../../fuzz/smtp_fuzz.ts";

/** The sequence, and what is stored of it where line ends are converted. Strangers are refused unless `neutral`. */
const TABLE: readonly { readonly sequence: string; readonly converted: string; readonly neutral?: true }[] = [
  { sequence: "\n.\n", converted: "\r\n.\r\n" },
  { sequence: "\n.\r\n", converted: "\r\n.\r\n" },
  { sequence: "\r.\r", converted: "\r\n.\r\n" },
  { sequence: "\r.\r\n", converted: "\r\n.\r\n" },
  { sequence: "\r.\n", converted: "\r\n.\r\n" },
  { sequence: "\n.\r", converted: "\r\n.\r\n" },
  { sequence: "\r\n.\r", converted: "\r\n\r\n" },
  { sequence: "\r\n.\n", converted: "\r\n\r\n" },
  { sequence: "\r\r\n.\r\r\n", converted: "\r\n\r\n\r\n\r\n" },
  { sequence: "\r\n.\r\r\n", converted: "\r\n\r\n\r\n" },
  { sequence: "\r\n\n.\n", converted: "\r\n\r\n.\r\n" },
  { sequence: "\r\n.\0\r\n", converted: "\r\n\0\r\n", neutral: true },
  { sequence: "\r\n\0.\r\n", converted: "\r\n\0.\r\n", neutral: true },
  { sequence: "\r\n. \r\n", converted: "\r\n \r\n", neutral: true },
  { sequence: "\r\n..\r\n", converted: "\r\n.\r\n", neutral: true },
];

const HIDDEN = "MAIL FROM:<b@evil.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\nx";
const BEFORE = "EHLO a.example\r\nMAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@b.test>\r\n";
const WAYS = ["refuse", "convert"] as const;

function played(text: string, bareLineEnds: "refuse" | "convert") {
  const octets = encodeLatin1(text);
  const options = { service: "mx", bareLineEnds } as const;
  const whole = playSmtp([octets], options);
  assert.deepEqual(playSmtp([...octets].map((octet) => new Uint8Array([octet])), options), whole);
  return whole;
}

for (const { sequence, converted, neutral } of TABLE) {
  const shown = JSON.stringify(sequence);
  for (const way of WAYS) {
    Deno.test(`smuggling by DATA, ${way}: ${shown}`, () => {
      const short = "VRFY b\r\nx";
      const { output, messages } = played(`${BEFORE}DATA\r\na${sequence}${short}\r\n.\r\nQUIT\r\n`, way);
      const taken = way === "convert" || neutral === true;
      assert.deepEqual(messages, taken ? [`a${converted}${short}\r\n`] : []);
      assert.match(output, taken ? /\r\n250 2\.0\.0 Stored/ : /\r\n554 5\.6\.0 /);
      assert.doesNotMatch(output, /252/, "what stood behind the sequence was read as a command");
      assert.match(output, /\r\n221 [^\r\n]*\r\n$/);
    });

    Deno.test(`smuggling by BDAT, ${way}: ${shown}`, () => {
      const message = `a${sequence}VRFY b\r\nx\r\n`;
      const { output, messages } = played(`${BEFORE}BDAT ${message.length} LAST\r\n${message}QUIT\r\n`, way);
      const bare = /\r(?!\n)|(?<!\r)\n/.test(sequence);
      assert.equal(messages.length, way === "refuse" && bare ? 0 : 1);
      if (messages.length > 0) assert.doesNotMatch(messages[0]!, /\r(?!\n)|(?<!\r)\n/);
      assert.doesNotMatch(output, /252/, "what stood in the chunk was read as a command");
      assert.match(output, /\r\n221 [^\r\n]*\r\n$/);
    });
  }

  Deno.test(`smuggling on the way out: ${shown}`, () => {
    for (const cut of [1, 2, 3, 1_000]) {
      const out = new Out();
      const stuffer = new DotStuffer(out);
      const octets = encodeLatin1(`a${sequence}${HIDDEN}`);
      for (let at = 0; at < octets.length; at += cut) stuffer.push(octets.subarray(at, at + cut));
      stuffer.finish();
      const sent = latin1(out.take());
      assert.ok(sent.endsWith("\r\n.\r\n"));
      const body = sent.slice(0, -".\r\n".length);
      assert.doesNotMatch(body, /\r(?!\n)|(?<!\r)\n/, "a bare line end leaves");
      assert.doesNotMatch(body, /(?:^|[\r\n])\.(?:[\r\n]|$)/, "an end of data in the middle");
    }
  });
}
