/** 8-bit mail for servers without 8BITMIME, international domains for servers without SMTPUTF8, and BDAT where it is wanted. */
import assert from "node:assert/strict";
import { latin1 } from "../../bytes/decode.ts";
import { PLAIN_MANNER } from "../../delivery/routes.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { QueueHarness, relayRule } from "./queue_harness.ts";

const EIGHT_BIT =
  "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n";

async function send(
  eightBit: "send" | "convert" | "refuse",
  extensions: readonly string[],
  text = EIGHT_BIT,
) {
  await using next = new FakeSmtpServer({ extensions });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)], options: { eightBit } });
  queue.start();
  await queue.submit({ to: ["x@one.test"], text, entry: { eightBit: true } });
  await queue.empty();
  return {
    data: next.messages[0]?.data,
    mail: next.commands.find((command) => command.startsWith("MAIL")),
    inbox: queue.inbox(),
  };
}

Deno.test("8-bit mail for a server without 8BITMIME: as it is, converted, or refused", async () => {
  const raw = latin1(new TextEncoder().encode(EIGHT_BIT));
  assert.equal((await send("send", ["PIPELINING"])).data, raw);
  const converted = await send("convert", ["PIPELINING", "SIZE"]);
  assert.match(converted.data!, /Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ0K\r\n$/);
  assert.equal(converted.mail, `MAIL FROM:<alice@example.test> SIZE=${converted.data!.length}`);
  const refused = await send("refuse", ["PIPELINING"]);
  assert.equal(refused.data, undefined);
  assert.match(refused.inbox[0]!, /^Status: 5\.6\.3\r$/m);
  const taken = await send("convert", ["PIPELINING", "8BITMIME"]);
  assert.equal(taken.data, raw);
  assert.match(taken.mail!, / BODY=8BITMIME$/);
});

Deno.test("8-bit mail that anybody has signed or sealed is never converted, whatever the setting", async () => {
  for (const name of ["DKIM-Signature", "ARC-Message-Signature"]) {
    const text = `${name}: v=1; a=rsa-sha256; d=far.test; s=x; h=from; bh=AAAA; b=AAAA\r\n${EIGHT_BIT}`;
    const { data } = await send("convert", ["PIPELINING"], text);
    assert.equal(data, latin1(new TextEncoder().encode(text)));
  }
});

Deno.test("a domain of U-labels goes as A-labels and needs no SMTPUTF8; a local part does", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: ["info@b\u00fccher.test"], entry: { smtputf8: true } });
  await queue.empty();
  assert.deepEqual(next.messages[0]?.recipients, ["info@xn--bcher-kva.test"]);
  await queue.submit({ to: ["gr\u00fc\u00dfe@one.test"], entry: { smtputf8: true } });
  await queue.empty();
  assert.match(queue.inbox()[0]!, /^Status: 5\.6\.7\r$/m);
});

Deno.test("BDAT where the route asks for it and the peer offers it: whole, without dots, in chunks", async () => {
  await using next = new FakeSmtpServer({ extensions: ["PIPELINING", "CHUNKING"] });
  const manner = { ...PLAIN_MANNER, chunking: true };
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port, { manner })] });
  queue.start();
  const text = `Subject: x\r\n\r\n.one\r\nbare\nlf\r\n${"y".repeat(70)}\r\n`.padEnd(200_000, "z\r\n");
  await queue.submit({ to: ["x@one.test"], text });
  await queue.submit({ to: ["y@one.test"], text: "Subject: y\r\n\r\nno end" });
  await queue.empty();
  const clean = text.replace("bare\nlf", "bare\r\nlf");
  assert.equal(
    next.messages.find(({ recipients }) => recipients[0] === "x@one.test")?.data,
    clean.replace(/(?<!\n)$/, "\r\n").replace(/\r\r\n$/, "\r\n"),
  );
  assert.equal(
    next.messages.find(({ recipients }) => recipients[0] === "y@one.test")?.data,
    "Subject: y\r\n\r\nno end\r\n",
  );
  assert.ok(next.commands.filter((command) => command.startsWith("BDAT")).length >= 4);
  assert.ok(!next.commands.includes("DATA"));
});
