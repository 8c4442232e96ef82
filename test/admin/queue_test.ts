/** The queue over the API: filters, one message, and each action by recipient, by message and by filter. */
import assert from "node:assert/strict";
import { Harness } from "./harness.ts";

interface Setup {
  readonly h: Harness;
  readonly first: number;
  readonly second: number;
}

async function withQueue(
  work: (setup: Setup) => Promise<void>,
  options: { alone?: boolean } = {},
): Promise<void> {
  const h = await Harness.open(options);
  try {
    const accountId = h.test.accountId("alice");
    const first = await h.queue("alice@example.test", ["x@a.test", "y@a.test", "z@b.test"], { accountId });
    const second = await h.queue("", ["x@b.test"]);
    await work({ h, first, second });
  } finally {
    await h.close();
  }
}

async function recipients(h: Harness, query = ""): Promise<string[]> {
  const { body } = await h.get(`/queue${query}`);
  return body.items.map((item: { recipient: string; state: string }) => `${item.recipient} ${item.state}`);
}

async function control(h: Harness, body: Record<string, unknown>): Promise<string> {
  const answer = await h.send("POST", "/queue/control", { body });
  return answer.status === 200 ? String(answer.body.recipients) : `${answer.status} ${answer.body.fault}`;
}

Deno.test("the list is filtered by sender, recipient, destination and state", () =>
  withQueue(async ({ h }) => {
    assert.equal((await recipients(h)).length, 4);
    assert.deepEqual(await recipients(h, "?destination=a.test"), ["x@a.test queued", "y@a.test queued"]);
    assert.deepEqual(await recipients(h, "?recipient=z@b.test"), ["z@b.test queued"]);
    assert.deepEqual(await recipients(h, "?sender="), ["x@b.test queued"]);
    assert.equal((await recipients(h, "?sender=alice@example.test")).length, 3);
    assert.deepEqual(await recipients(h, "?state=held"), []);
    assert.equal((await h.get("/queue?state=lost")).status, 400);
  }));

Deno.test("a message shows who submitted it and all its recipients", () =>
  withQueue(async ({ h, first, second }) => {
    const { body } = await h.get(`/queue/${first}`);
    assert.equal(body.submittedBy, "alice@example.test");
    assert.equal(body.recipients.length, 3);
    assert.equal(body.recipients[0].attempts, 0);
    assert.equal((await h.get(`/queue/${second}`)).body.submittedBy, null);
    const none = await h.get("/queue/999");
    assert.deepEqual([none.status, none.body.fault], [404, "no-such-message"]);
    assert.equal((await h.get("/queue/zero")).status, 400);
  }));

Deno.test("hold, release and retry work by message, by recipient and by filter", () =>
  withQueue(async ({ h, first, second }) => {
    assert.equal(await control(h, { action: "hold", messages: [first] }), "3");
    assert.deepEqual(await recipients(h, "?state=queued"), ["x@b.test queued"]);
    assert.equal(await control(h, { action: "release", filter: { destination: "a.test" } }), "2");
    assert.deepEqual(await recipients(h, "?state=held"), ["z@b.test held"]);
    const [held] = (await h.get("/queue?state=held")).body.items;
    h.now += 3_600_000;
    assert.equal(await control(h, { action: "retry", recipients: [held.id] }), "1");
    const { body } = await h.get(`/queue/${first}`);
    const tried = body.recipients.find((row: { id: number }) => row.id === held.id);
    assert.deepEqual([tried.state, tried.nextAttemptAt], ["queued", new Date(h.now).toISOString()]);
    assert.equal(await control(h, { action: "hold", filter: {} }), "4");
    assert.equal(await control(h, { action: "release", messages: [first, second] }), "4");
  }));

Deno.test("remove drops recipients, and the message with the last one", () =>
  withQueue(async ({ h, first }) => {
    assert.equal(await control(h, { action: "remove", filter: { destination: "a.test" } }), "2");
    assert.equal((await h.get(`/queue/${first}`)).body.recipients.length, 1);
    assert.equal(await control(h, { action: "remove", messages: [first] }), "1");
    assert.equal((await h.get(`/queue/${first}`)).status, 404);
    assert.deepEqual(await recipients(h), ["x@b.test queued"]);
  }));

Deno.test("fail is handed to the runner with its reason", () =>
  withQueue(async ({ h, second }) => {
    const [row] = (await h.get("/queue?sender=")).body.items;
    assert.equal(await control(h, { action: "fail", messages: [second], reason: "mailbox closed" }), "1");
    assert.deepEqual(h.failed, [{ ids: [row.id], reason: "mailbox closed" }]);
    assert.equal(await control(h, { action: "fail", messages: [second], reason: "a\r\nb" }), "400 invalid");
  }));

Deno.test("without a runner fail says so, and nothing happens", () =>
  withQueue(async ({ h, second }) => {
    assert.equal(await control(h, { action: "fail", messages: [second] }), "501 no-server");
    assert.equal((await recipients(h)).length, 4);
    assert.equal(await control(h, { action: "hold", messages: [second] }), "1");
  }, { alone: true }));

Deno.test("what is not there, or not said clearly, is refused whole", () =>
  withQueue(async ({ h, first }) => {
    assert.equal(await control(h, { action: "hold", messages: [first, 999] }), "404 no-such-message");
    assert.equal(await control(h, { action: "hold", recipients: [999] }), "404 no-such-recipient");
    assert.equal(await control(h, { action: "hold" }), "400 invalid");
    assert.equal(await control(h, { action: "hold", messages: [first], filter: {} }), "400 invalid");
    assert.equal(await control(h, { action: "hold", messages: [] }), "400 invalid");
    assert.equal(await control(h, { action: "burn", messages: [first] }), "400 invalid");
    assert.deepEqual(await recipients(h, "?state=held"), []);
  }));

Deno.test("a filter reaches a queue longer than one step", () =>
  withQueue(async ({ h }) => {
    const many = Array.from({ length: 1_203 }, (_, i) => `r${i}@many.test`);
    await h.queue("bob@example.test", many);
    assert.equal(await control(h, { action: "hold", filter: { destination: "many.test" } }), "1203");
    assert.equal(await control(h, { action: "remove", filter: { destination: "many.test" } }), "1203");
    assert.equal((await recipients(h)).length, 4);
  }));
