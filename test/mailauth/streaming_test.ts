/** Large messages are hashed while they arrive: little memory, and nothing left to do at their end. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { encode } from "../../bytes/decode.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import { SenderCheck } from "../../mailauth/sender_check.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";

const LINE = encode("A line of a large message, as long as lines of messages are. 0123456789\r\n");
const PIECE_LINES = 900;
const OCTETS = 50_000_000;
/** What checking it may add to the heap; the message itself would be 50 MB. */
const MAX_GROWTH = 8_000_000;

Deno.test("a signed message of 50 MB verifies from its pieces, and none of them is kept", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = { domain: "good.test", selector: "s", kind: "rsa" as const, key: rsa.privateKey };
  const published = rsa.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const piece = new Uint8Array(LINE.length * PIECE_LINES);
  for (let i = 0; i < PIECE_LINES; i++) piece.set(LINE, i * LINE.length);
  const pieces = Math.ceil(OCTETS / piece.length);
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  for (let i = 0; i < pieces; i++) body.write(piece, 0, piece.length);
  const fields = encode("From: <a@good.test>\r\nTo: <bob@example.test>\r\nSubject: large\r\n");
  const now = Date.UTC(2026, 10, 23);
  const signature = await signHeader(fields, { bodyHash: body.digest(), key, now });
  const check = new SenderCheck({
    resolver: new MockResolver({ "s._domainkey.good.test TXT": [txt(`v=DKIM1; p=${published}`)] }),
    ...{ hostname: "mx.test", iprev: false, spf: false, dkim: true, arc: true, dmarc: null },
    ...{ deadlineMs: 60_000, isRelay: () => false },
  }, { address: "192.0.2.1", heloName: "client.test", sender: "a@good.test", now });
  const header = encode(signature + new TextDecoder().decode(fields) + "\r\n");
  check.write(header, 0, header.length);
  const held = () => Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;
  const before = held();
  let most = 0;
  for (let i = 0; i < pieces; i++) {
    check.write(piece, 0, piece.length);
    if (i % 100 === 0) most = Math.max(most, held() - before);
  }
  const { dkim } = await check.finish();
  assert.deepEqual(dkim?.map(({ result, domain }) => `${result} ${domain}`), ["pass good.test"]);
  assert.ok(most < MAX_GROWTH, `${most} octets`);
});

Deno.test("the deadline begins with the end of a message: who sends slowly is checked like others", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = { domain: "good.test", selector: "s", kind: "rsa" as const, key: rsa.privateKey };
  const published = rsa.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  body.write(LINE, 0, LINE.length);
  const fields = "From: <a@good.test>\r\nSubject: slow\r\n";
  const now = Date.UTC(2026, 10, 23);
  const signature = await signHeader(encode(fields), { bodyHash: body.digest(), key, now });
  const check = new SenderCheck({
    resolver: new MockResolver({
      "s._domainkey.good.test TXT": [txt(`v=DKIM1; p=${published}`)],
      "_dmarc.good.test TXT": [txt("v=DMARC1; p=reject")],
    }),
    ...{ hostname: "mx.test", iprev: false, spf: false, dkim: true, arc: false, isRelay: () => false },
    ...{ deadlineMs: 1_500, dmarc: { standard: "rfc9989", random: () => 0 } },
  }, { address: "192.0.2.1", heloName: "client.test", sender: "a@good.test", now });
  const header = encode(`${signature}${fields}\r\n`);
  check.write(header, 0, header.length);
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  check.write(LINE, 0, LINE.length);
  const { dkim, dmarc } = await check.finish();
  assert.deepEqual([dkim?.[0]?.result, dmarc?.result], ["pass", "pass"]);
});
