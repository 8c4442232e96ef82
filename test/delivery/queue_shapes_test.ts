/** The queue inside the whole server, in both shapes, against another server on a loopback socket. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { relayRule } from "./queue_harness.ts";
import { inBothShapes, RunningServer } from "../lib/running_server.ts";

const ALICE = "alice@example.test";

function relayTo(port: number) {
  return { captureOutbound: "", relay: [relayRule(port)] };
}

inBothShapes("a submitted message reaches the next hop", async (start) => {
  await using next = new FakeSmtpServer();
  await using server = await start({ config: relayTo(next.port) });
  const client = await server.submission();
  const message =
    `From: ${ALICE}\r\nDate: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <a@b>\r\nSubject: on\r\n\r\n.dot\r\n`;
  const sent = await client.send(ALICE, ["x@elsewhere.test", "y@other.test"], message);
  assert.equal(sent.code, 250);
  await client.quit();
  const arrived = () => next.messages.flatMap(({ recipients }) => recipients).length === 2;
  await until("both to arrive", arrived, 30_000); // a busy machine loads the queue's thread meanwhile
  for (const { sender, data } of next.messages) {
    assert.equal(sender, ALICE);
    assert.ok(data.endsWith("\r\n\r\n.dot\r\n"), data);
  }
  const recipients = next.messages.flatMap(({ recipients }) => recipients).toSorted();
  assert.deepEqual(recipients, ["x@elsewhere.test", "y@other.test"]);
});

inBothShapes("a refused recipient comes back as a bounce", async (start) => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith("RCPT") ? "550 5.1.1 no such user" : null,
  });
  await using server = await start({ config: relayTo(next.port) });
  const client = await server.submission();
  const sent = await client.send(ALICE, ["x@elsewhere.test"], `From: ${ALICE}\r\nSubject: on\r\n\r\nx\r\n`);
  assert.equal(sent.code, 250);
  await client.quit();
  const imap = await server.imap("alice");
  await imap.ok("SELECT INBOX");
  let text = "";
  await until("the bounce", async () => {
    const { untagged } = await imap.ok("UID FETCH 1:* (BODY.PEEK[])");
    text = untagged.map(({ literals }) => new TextDecoder().decode(literals[0])).join("");
    return text !== "";
  });
  await imap.logout();
  assert.match(text, /^Return-Path: <>\r\n/);
  assert.match(text, /^Diagnostic-Code: smtp; 550 5\.1\.1 no such user\r$/m);
});

Deno.test("a queue thread that dies in the middle of a message is replaced, and the message goes on", async () => {
  const arrived = Promise.withResolvers<void>();
  const over = Promise.withResolvers<{ readonly cut: string }>();
  await using next = new FakeSmtpServer({
    script: async (command, { number }) => {
      if (command !== "." || number > 1) return null;
      arrived.resolve();
      return await over.promise; // the first session never hears of its message
    },
  });
  await using server = await RunningServer.start({
    threads: 1,
    config: relayTo(next.port),
    entries: { queue: new URL("./mortal_queue.ts", import.meta.url) },
  });
  const client = await server.submission();
  const sent = await client.send(ALICE, ["x@elsewhere.test"], `From: ${ALICE}\r\nSubject: on\r\n\r\nx\r\n`);
  assert.equal(sent.code, 250);
  await client.quit();
  await arrived.promise;
  const channel = new BroadcastChannel("veredus-test-queue-death");
  channel.postMessage("now");
  await until("the new queue to send it", () => next.messages.length === 1, 20_000);
  channel.close();
  over.resolve({ cut: "" });
  assert.deepEqual(server.fatal, []);
});
