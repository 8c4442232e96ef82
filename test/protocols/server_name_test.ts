/** The server name of a ClientHello, at every cut; what is none names nobody. */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { HELLO_OCTETS, ServerNameReader } from "../../protocols/server_name.ts";
import { clientHello, records } from "../lib/client_hello.ts";

function nameIn(octets: Uint8Array): string | null {
  return new ServerNameReader().push(octets);
}

Deno.test("the server name of a ClientHello, in records of any size", () => {
  for (const most of [1, 3, 64, 16_384]) {
    assert.equal(nameIn(records(clientHello("imap.example.org"), most)), "imap.example.org");
  }
  assert.equal(nameIn(records(clientHello(null))), "");
  assert.equal(nameIn(records(clientHello(""))), "");
});

Deno.test("it is known with the last octet of the ClientHello and not before, at every cut", () => {
  const octets = records(clientHello("imap.example.org"), 100);
  for (let cut = 0; cut < octets.length; cut++) {
    const reader = new ServerNameReader();
    assert.equal(reader.push(octets.subarray(0, cut)), null);
    assert.equal(reader.push(octets.subarray(cut)), "imap.example.org");
  }
});

Deno.test("what is no ClientHello, or one too long, names nobody at once", () => {
  for (
    const octets of [
      "EHLO example.test\r\n",
      "\x15\x03\x01\0\x02\x01\0",
      "\x16\x03\x01\0\0",
      "\x16\x03\x01\0\x02\x02\0",
    ]
  ) {
    assert.equal(nameIn(encodeLatin1(octets)), "");
  }
  const long = HELLO_OCTETS - 3;
  const head = [22, 3, 1, 1, 0, 1, 0, long >> 8, long & 255];
  assert.equal(nameIn(new Uint8Array(head)), "");
  assert.equal(nameIn(new Uint8Array([...head.slice(0, -1), (long - 1) & 255])), null);
});

Deno.test("a ClientHello whose lengths point beyond it names nobody", () => {
  const message = clientHello("imap.example.org");
  for (const at of [38, 71, 72, 77, 97, 98]) {
    const broken = message.slice();
    broken[at] = 255;
    assert.equal(nameIn(records(broken)), "");
  }
});
