/** Webhooks: what they are told, signed, again until it is taken, and from the store after a restart. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { WebhookRunner } from "../../delivery/queue/webhooks.ts";
import { DENO_TIMERS } from "../../server/deno_timers.ts";
import { signature, webhookPost } from "../../server/webhook_post.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { ALICE, QueueHarness, relayRule } from "./queue_harness.ts";

const HOOK = { name: "crm", events: ["delivered", "deferred", "bounced"] as const, lifetimeMs: 60_000 };

Deno.test("each outcome is told of, from the same transaction, in signed calls", async () => {
  const told: { body: Record<string, unknown>; signed: boolean }[] = [];
  const secretFile = await Deno.makeTempFile();
  await Deno.writeTextFile(secretFile, "key\n");
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const text = await request.text();
    const [, seconds, hex] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(request.headers.get("veredus-signature") ?? "") ?? [];
    const signed = createHmac("sha256", "key").update(`${seconds}.${text}`).digest("hex") === hex;
    told.push({ body: JSON.parse(text), signed });
    return new Response(null, { status: 204 });
  });
  await using next = new FakeSmtpServer({
    script: (command) =>
      command.startsWith("RCPT TO:<no")
        ? "550 5.1.1 who"
        : command.startsWith("RCPT TO:<later")
        ? "450 4.2.1 busy"
        : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)], webhooks: [HOOK] });
  const url = `http://127.0.0.1:${http.addr.port}/`;
  const configured = { ...HOOK, url, secretFile, timeoutMs: 5_000 };
  const runner = new WebhookRunner({
    store: queue.t.store,
    hooks: [HOOK],
    timers: DENO_TIMERS,
    post: webhookPost([configured], Date.now),
  });
  runner.start();
  queue.start();
  await queue.submit({ to: ["yes@one.test", "no@one.test", "later@one.test"] });
  await until("three events", () => told.length === 3);
  assert.ok(told.every(({ signed }) => signed));
  const seen = Object.fromEntries(told.map(({ body }) => [body["event"], body]));
  assert.deepEqual(Object.keys(seen).sort(), ["bounced", "deferred", "delivered"]);
  assert.deepEqual(seen["delivered"]!["recipients"], ["yes@one.test"]);
  assert.equal(seen["delivered"]!["sender"], ALICE);
  assert.match(String(seen["bounced"]!["reply"]), /^5\.1\.1 550 5\.1\.1 who/);
  assert.ok(Date.parse(String(seen["deferred"]!["nextAttemptAt"])) > Date.now());
  await until("the events to leave the store", () => queue.t.store.queue.nextEventAt() === null);
  await runner.stop();
  await Deno.remove(secretFile);
});

Deno.test("what is not taken is told again, with the same id, also after a restart; then it is given up", async () => {
  await using queue = await QueueHarness.open({});
  const ids: string[] = [];
  let taken = false;
  const start = (lifetimeMs: number) => {
    const runner = new WebhookRunner({
      store: queue.t.store,
      hooks: [{ ...HOOK, lifetimeMs }],
      timers: {
        now: () => Date.now(),
        after: (ms, callback) => DENO_TIMERS.after(Math.min(ms, 20), callback),
      },
      post: (_hook, { body }) => {
        ids.push(JSON.parse(body).id);
        return Promise.resolve(taken);
      },
    });
    runner.start();
    return runner;
  };
  const event = { hook: "crm", body: JSON.stringify({ id: "1" }) };
  await queue.t.ok({ kind: "put-events", events: [event], at: Date.now() - 1 });
  const first = start(60_000);
  await until("the first call", () => ids.length === 1);
  await first.stop();
  const at = queue.t.store.queue.nextEventAt();
  assert.ok(at !== null && at > Date.now() + 5_000, "it waits for its next attempt");
  await queue.t.ok({ kind: "event-outcomes", done: [], again: [{ id: 1, nextAttemptAt: Date.now() - 1 }] });
  taken = true;
  const second = start(60_000);
  await until("the second call", () => queue.t.store.queue.nextEventAt() === null);
  await second.stop();
  assert.deepEqual(ids, ["1", "1"]);
  taken = false;
  await queue.t.ok({ kind: "put-events", events: [event], at: Date.now() - 1_000 });
  const third = start(1);
  await until("it to be given up", () => queue.t.store.queue.nextEventAt() === null);
  await third.stop();
});

Deno.test("the signature covers time and body", () => {
  assert.equal(
    signature("key", "body", 17),
    `t=17,v1=${createHmac("sha256", "key").update("17.body").digest("hex")}`,
  );
});
