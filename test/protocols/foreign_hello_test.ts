/** Browsers and TLS clients are told from mail clients at their first octets, at every cut. */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { ForeignHello } from "../../protocols/foreign_hello.ts";

const FOREIGN = [
  "GET / HTTP/1.1\r\n",
  "POST / HTTP/1.1\r\nHost: mx\r\n",
  "POST http://mx:25/ HTTP/1.1\r\n",
  "OPTIONS * HTTP/1.1\r\n",
  "CONNECT mx:25 HTTP/1.1\r\n",
  "PRI * HTTP/2.0\r\n",
  "\x16\x03\x01\x02\x00\x01\x00",
];
const FINE = [
  "EHLO a.example\r\n",
  "HELP\r\n",
  "DATA\r\n",
  "a1 LOGIN x y\r\n",
  "GET LOGIN x y\r\n",
  "G1 NOOP\r\n",
  "\x16x",
  "USER x\r\n",
];

for (const [state, texts] of [["foreign", FOREIGN], ["fine", FINE]] as const) {
  for (const text of texts) {
    Deno.test(`first words, ${state}: ${JSON.stringify(text)}`, () => {
      const octets = encodeLatin1(text);
      for (let at = 1; at <= octets.length; at++) {
        const hello = new ForeignHello();
        hello.push(octets.subarray(0, at));
        assert.equal(hello.push(octets.subarray(at)), state, `cut at ${at}`);
      }
      const single = new ForeignHello();
      for (const octet of octets) single.push(new Uint8Array([octet]));
      assert.equal(single.state, state, "octet by octet");
    });
  }
}
