/** Wishes of RFC 3461 and RFC 8689 on the way out: passed on where the peer offers it, kept by us where not. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { ALICE, QueueHarness, relayRule } from "./queue_harness.ts";

const X = "x@one.test";
const DSN = ["PIPELINING", "SIZE 50000000", "8BITMIME", "DSN"];

Deno.test("a peer with DSN gets the wishes, and we report no success", async () => {
  await using next = new FakeSmtpServer({ extensions: DSN });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X], notify: "SUCCESS,FAILURE", entry: { ret: "HDRS", envelopeId: "e+2B1" } });
  await queue.empty();
  assert.ok(next.commands.some((line) => /^MAIL .* RET=HDRS ENVID=e\+2B1$/.test(line)), next.commands.join());
  assert.ok(next.commands.includes(`RCPT TO:<${X}> NOTIFY=SUCCESS,FAILURE`), next.commands.join());
  assert.deepEqual(queue.inbox(), []);
});

Deno.test("a peer without DSN takes it: reported as relayed, with its words", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X], notify: "SUCCESS" });
  await queue.empty();
  await until("the report", () => queue.inbox().length === 1);
  const [report] = queue.inbox();
  assert.match(report!, /^Action: relayed\r$/m);
  assert.match(report!, /^Status: 2\./m);
  assert.match(report!, /^Diagnostic-Code: smtp; 250/m);
  assert.ok(next.commands.includes(`RCPT TO:<${X}>`));
});

Deno.test("NOTIFY=NEVER, and success to the null reverse-path, tell nobody", async () => {
  await using next = new FakeSmtpServer({
    script: (line) => line.startsWith("RCPT") ? "550 5.1.1 no" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X], notify: "NEVER" });
  await queue.empty();
  assert.deepEqual(queue.inbox(), []);
  assert.deepEqual(queue.t.store.queue.counts(), { queued: 0, held: 0, oldestCreatedAt: null });
});

Deno.test("mail that must stay under TLS does not go out in clear: 4.7.4, and waits", async () => {
  await using next = new FakeSmtpServer({ extensions: [...DSN, "REQUIRETLS"] });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X], entry: { tls: "require" } });
  const [row] = await queue.deferred();
  assert.match(row!.lastReply, /^4\.7\.4 /);
  assert.deepEqual(next.messages, []);
});

Deno.test("what was held for a mailbox here is filed when its time has come, and reported as delivered", async () => {
  await using queue = await QueueHarness.open({ rules: [] });
  queue.start();
  const at = Date.now() + 300;
  await queue.submit({
    to: [],
    entry: {
      notBefore: at,
      recipients: [{ recipient: ALICE, destination: "local:held", notify: "SUCCESS", originalRecipient: "" }],
    },
  });
  assert.deepEqual(queue.inbox(), []);
  await queue.empty();
  await until("message and report", () => queue.inbox().length === 2);
  assert.ok(Date.now() >= at);
  assert.ok(queue.inbox().some((message) => /^Action: delivered\r$/m.test(message)));
});
