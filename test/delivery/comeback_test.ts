/** A destination that was down and is back: its mail goes at once, and nothing else does. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { QueueHarness, relayRule } from "./queue_harness.ts";

const AGES = { firstRetryMs: 3_600_000, maxRetryMs: 3_600_000 };

Deno.test("what waits for a relay domain goes when its server is back, as soon as anything reaches it", async () => {
  const port = freePort();
  await using queue = await QueueHarness.open({ options: AGES });
  for (const name of ["relay.test", "other.test"]) {
    await queue.t.ok({
      kind: "put-domain",
      domain: {
        ...{ name, kind: "relay", catchAll: "", subaddressSeparators: "" },
        nextHop: `127.0.0.1:${name === "relay.test" ? port : freePort()}`,
      },
    });
  }
  queue.start();
  for (let n = 0; n < 20; n++) await queue.submit({ to: [`x${n}@relay.test`] });
  await queue.submit({ to: ["y@other.test"] });
  await queue.deferred();
  await using server = new FakeSmtpServer({ port });
  await queue.submit({ to: ["new@relay.test"] });
  await until("all of it", () => server.messages.length === 21);
  await until("the queue to know", () => queue.rows().length === 1);
  const [row] = queue.rows();
  assert.deepEqual(
    [row!.recipient, row!.attempts],
    ["y@other.test", 1],
    "another destination waits for its time",
  );
});

Deno.test("what its server itself put off waits for its time, and what the operator holds stays", async () => {
  const port = freePort();
  await using queue = await QueueHarness.open({ options: AGES, rules: [relayRule(port)] });
  queue.start();
  {
    await using _busy = new FakeSmtpServer({
      port,
      script: (command) => command.startsWith("RCPT TO:<busy") ? "450 4.2.1 mailbox busy" : null,
    });
    await queue.submit({ to: ["busy@one.test"] });
    await queue.deferred();
    await queue.runner.drain(1_000);
  }
  queue.start();
  for (const name of ["held", "down"]) await queue.submit({ to: [`${name}@one.test`] });
  await queue.deferred();
  const held = queue.rows().filter(({ recipient }) => recipient === "held@one.test");
  const recipientIds = held.map(({ recipientId }) => recipientId);
  await queue.t.ok({ kind: "queue-control", action: "hold", recipientIds, at: Date.now() });
  await using server = new FakeSmtpServer({ port });
  await queue.submit({ to: ["new@one.test"] });
  await until("what could not be reached", () => server.messages.length === 2);
  await until("the queue to know", () => queue.rows().length === 2);
  assert.deepEqual(queue.rows().map(({ recipient, state }) => `${recipient} ${state}`).sort(), [
    "busy@one.test queued",
    "held@one.test held",
  ]);
  assert.deepEqual(server.messages.map(({ recipients }) => recipients[0]).sort(), [
    "down@one.test",
    "new@one.test",
  ]);
});
