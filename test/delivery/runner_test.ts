/** The queue runner over a real store and real sockets: what each reply does to each recipient, and to whom it is told. */
import assert from "node:assert/strict";
import { type Answer, FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { ALICE, QueueHarness, relayRule } from "./queue_harness.ts";

const X = "x@one.test", Y = "y@one.test";
const STAGES = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "."] as const;

function at(stage: string, answer: Answer) {
  return (command: string): Answer => command.startsWith(stage) ? answer : null;
}

/** The first time something else, then as usual. */
function once(stage: string, answer: Answer) {
  let said = false;
  return (command: string): Answer => {
    if (said || !command.startsWith(stage)) return null;
    said = true;
    return answer;
  };
}

Deno.test("a message is delivered, with what it was, and leaves the queue", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X, Y], text: "Subject: x\r\n\r\n.one\r\nbare\nlf\r\n..\r\nno end" });
  await queue.empty();
  assert.deepEqual(next.messages, [{
    sender: ALICE,
    recipients: [X, Y],
    data: "Subject: x\r\n\r\n.one\r\nbare\r\nlf\r\n..\r\nno end\r\n",
  }]);
  assert.ok(next.commands.includes(`MAIL FROM:<${ALICE}> SIZE=39`), next.commands.join());
  assert.deepEqual(queue.t.store.queue.counts(), { queued: 0, held: 0, oldestCreatedAt: null });
});

for (const stage of STAGES) {
  Deno.test(`4xx at ${stage} puts off, the next attempt gets through`, async () => {
    const script = once(stage, "451 4.3.0 later");
    await using next = new FakeSmtpServer({ script });
    await using queue = await QueueHarness.open({
      rules: [relayRule(next.port)],
      options: { firstRetryMs: 300 },
    });
    const beganAt = Date.now();
    queue.start();
    await queue.submit({ to: [X] });
    await until("the first attempt", () => queue.rows()[0]?.attempts === 1);
    const [row] = queue.rows();
    assert.equal(row!.lastReply, "4.3.0 451 4.3.0 later");
    assert.ok(row!.nextAttemptAt > beganAt && row!.nextAttemptAt <= Date.now() + 330);
    await queue.empty();
    assert.equal(next.messages.length, 1);
    assert.deepEqual(queue.inbox(), []);
  });

  Deno.test(`a connection lost at ${stage} puts off, the next attempt gets through`, async () => {
    for (const cut of ["", "421 4.3.2 closing"]) {
      await using next = new FakeSmtpServer({ script: once(stage, { cut }) });
      await using queue = await QueueHarness.open({
        rules: [relayRule(next.port)],
        options: { firstRetryMs: 30 },
      });
      queue.start();
      await queue.submit({ to: [X] });
      await queue.empty();
      assert.equal(next.messages.length, 1);
      assert.equal(next.sessions.length, 2);
    }
  });

  Deno.test(`5xx at ${stage} is final`, async () => {
    await using next = new FakeSmtpServer({
      script: (command) =>
        command.startsWith(stage) || (stage === "EHLO" && command.startsWith("HELO")) ? "554 5.7.1 no" : null,
    });
    await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
    queue.start();
    await queue.submit({ to: [X, Y] });
    await queue.empty();
    assert.equal(queue.inbox().length, 1, "one notice for both");
    assert.match(queue.inbox()[0]!, /^Status: 5\.7\.1\r$/m);
    assert.match(queue.inbox()[0]!, /^Diagnostic-Code: smtp; 554 5\.7\.1 no\r$/m);
  });
}

Deno.test("each recipient has its own fate", async () => {
  await using next = new FakeSmtpServer({
    script: (command) =>
      command.startsWith("RCPT TO:<bad")
        ? "550 5.1.1 who"
        : command.startsWith("RCPT TO:<busy")
        ? "450 4.2.1 full"
        : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: ["bad@one.test", "busy@one.test", X] });
  await until("two to be settled", () => queue.rows().length === 1 && queue.rows()[0]!.attempts === 1);
  assert.equal(queue.rows()[0]!.recipient, "busy@one.test");
  assert.deepEqual(next.messages.map(({ recipients }) => recipients), [[X]]);
  const [notice] = queue.inbox();
  assert.match(notice!, /^Final-Recipient: rfc822; bad@one\.test\r$/m);
  assert.doesNotMatch(notice!, /busy@one\.test/);
});

Deno.test("connections are used again, and few are opened", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { connectionsPerDestination: 2 },
  });
  for (let n = 0; n < 30; n++) await queue.submit({ to: [`r${n}@one.test`] });
  queue.start();
  await queue.empty();
  assert.equal(next.messages.length, 30);
  assert.equal(next.sessions.length, 2);
  assert.ok(next.sessions.every(({ messages }) => messages > 1));
  await until("the connections to end", () => queue.runner.sessions().length === 0);
  assert.ok(next.sessions.every(({ commands }) => commands.at(-1) === "QUIT"));
});

Deno.test("a connection the peer closed between two messages costs no attempt", async () => {
  await using next = new FakeSmtpServer({
    script: (command, { messages, number }) =>
      number === 1 && messages === 1 && command.startsWith("MAIL") ? { cut: "421 4.4.2 enough" } : null,
  });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { connectionsPerDestination: 1 },
  });
  await queue.submit({ to: [X] });
  await queue.submit({ to: [Y] });
  queue.start();
  await queue.empty();
  assert.equal(next.messages.length, 2);
  assert.equal(next.sessions.length, 2);
});

Deno.test("after 452 4.5.3 the rest go at once in another transaction", async () => {
  await using next = new FakeSmtpServer({
    script: (command, { recipients }) =>
      command.startsWith("RCPT") && recipients.length === 2 ? "452 4.5.3 too many" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [1, 2, 3, 4, 5].map((n) => `r${n}@one.test`) });
  await queue.empty();
  assert.deepEqual(next.messages.map(({ recipients }) => recipients.length), [2, 2, 1]);
  assert.equal(next.sessions.length, 1);
});

Deno.test("no transaction has more recipients than the limit", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { recipientsPerTransaction: 100, connectionsPerDestination: 1 },
  });
  queue.start();
  await queue.submit({ to: Array.from({ length: 230 }, (_, n) => `r${n}@one.test`) });
  await queue.empty();
  assert.deepEqual(next.messages.map(({ recipients }) => recipients.length), [100, 100, 30]);
});

Deno.test("LMTP: each recipient is answered behind the data", async () => {
  await using next = new FakeSmtpServer({
    lmtp: true,
    script: (command) => command === `. ${Y}` ? "552 5.2.2 full" : null,
  });
  await using queue = await QueueHarness.open({});
  await queue.t.ok({
    kind: "put-domain",
    domain: {
      name: "one.test",
      kind: "relay",
      nextHop: `lmtp:127.0.0.1:${next.port}`,
      catchAll: "",
      subaddressSeparators: "",
    },
  });
  queue.start();
  await queue.submit({ to: [X, Y, "z@one.test"] });
  await queue.empty();
  assert.deepEqual(next.messages.map(({ recipients }) => recipients[0]), [X, "z@one.test"]);
  assert.match(queue.inbox()[0]!, /^Final-Recipient: rfc822; y@one\.test\r$/m);
  assert.ok(next.commands.includes("LHLO mx.example.test"));
});

Deno.test("what is held is not sent; release, retry and remove do what they say", async () => {
  const control = async (queue: QueueHarness, action: "retry" | "hold" | "release" | "remove") => {
    const recipientIds = queue.rows().map(({ recipientId }) => recipientId);
    await queue.t.ok({ kind: "queue-control", action, recipientIds, at: Date.now() });
  };
  await using next = new FakeSmtpServer({ script: once("MAIL", "451 4.0.0 later") });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  await queue.submit({ to: [X] });
  await control(queue, "hold");
  queue.start();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(next.sessions.length, 0);
  await control(queue, "release");
  await queue.deferred();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(next.messages.length, 0, "the next attempt is a minute away");
  await control(queue, "retry");
  await queue.empty();
  assert.equal(next.messages.length, 1);
  await queue.submit({ to: [Y], entry: { createdAt: Date.now() + 60_000 } });
  await control(queue, "remove");
  await queue.empty();
  assert.equal(next.messages.length, 1);
  assert.deepEqual(queue.inbox(), []);
});

Deno.test("what the operator gives up comes back with his reason, also while it waits for a connection", async () => {
  await using next = new FakeSmtpServer({ script: at("connect", "451 4.0.0 later") });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: [X] });
  const [row] = await queue.deferred();
  assert.equal(await queue.runner.fail([row!.recipientId, 999], "the domain is closed"), 1);
  assert.deepEqual(queue.rows(), []);
  assert.match(queue.inbox()[0]!, /^Diagnostic-Code: X-Veredus; the domain is closed\r$/m);
  assert.equal(await queue.runner.fail([row!.recipientId], "again"), 0);
});

Deno.test("a restart goes on with what is left, and sends nothing twice", async () => {
  await using next = new FakeSmtpServer({ script: once("connect", { cut: "" }) });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { firstRetryMs: 150 },
  });
  queue.start();
  await queue.submit({ to: [X] });
  await queue.deferred();
  await queue.stop();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(next.messages.length, 0);
  queue.start();
  await queue.empty();
  await queue.stop();
  queue.start();
  await queue.submit({ to: [Y] });
  await queue.empty();
  assert.deepEqual(next.messages.map(({ recipients }) => recipients[0]), [X, Y]);
});

Deno.test("draining lets transactions end that have begun, and leaves the rest", async () => {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using next = new FakeSmtpServer({
    script: async (command) => {
      if (command !== ".") return null;
      arrived.resolve();
      await go.promise;
      return null;
    },
  });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { connectionsPerDestination: 1 },
  });
  await queue.submit({ to: [X] });
  await queue.submit({ to: [Y] }); // its envelope goes behind the first message
  await queue.submit({ to: ["z@one.test"] });
  queue.start();
  await arrived.promise;
  const stopped = queue.stop();
  go.resolve();
  await stopped;
  assert.deepEqual(next.messages.map(({ recipients }) => recipients[0]), [X, Y]);
  assert.deepEqual(queue.rows().map(({ recipient, attempts }) => [recipient, attempts]), [["z@one.test", 0]]);
});

Deno.test("a dead destination does not hold up the others, nor does one with much mail", async () => {
  await using slow = new FakeSmtpServer({
    script: async (command) => {
      if (command === ".") await new Promise((resolve) => setTimeout(resolve, 5));
      return null;
    },
  });
  let before = Infinity;
  await using next = new FakeSmtpServer({
    script: (command) => {
      if (command === ".") before = slow.messages.length;
      return null;
    },
  });
  const dead = new FakeSmtpServer();
  const deadPort = dead.port;
  await dead.close();
  await using queue = await QueueHarness.open({
    rules: [
      relayRule(slow.port, { recipients: ["slow.test"] }),
      relayRule(deadPort, { recipients: ["dead.test"] }),
      relayRule(next.port),
    ],
    options: { connections: 2, connectionsPerDestination: 2 },
  });
  for (let n = 0; n < 100; n++) await queue.submit({ to: [`s${n}@slow.test`] });
  for (let n = 0; n < 20; n++) await queue.submit({ to: [`d${n}@dead.test`] });
  await queue.submit({ to: [X] });
  queue.start();
  await until("the last one to get through", () => next.messages.length === 1);
  assert.ok(before < 50, `${before} of the others came first`);
  await until(
    "the rest",
    () => slow.messages.length === 100 && queue.rows().every(({ attempts }) => attempts === 1),
  );
  assert.equal(queue.rows().length, 20);
  assert.match(queue.rows()[0]!.lastReply, /^4\.4\.1 cannot connect to 127\.0\.0\.1:\d+: /);
});

Deno.test("a login at the smart host, its password from the file, and never in clear", async () => {
  await using next = new FakeSmtpServer({
    extensions: ["PIPELINING", "AUTH PLAIN"],
    script: (command) =>
      command === "AUTH PLAIN AHUAc2VjcmV0"
        ? "235 2.7.0 ok"
        : command.startsWith("AUTH")
        ? "535 5.7.8 no"
        : null,
  });
  const login = { username: "u", passwordFile: "/password" };
  await using queue = await QueueHarness.open({
    rules: [
      relayRule(next.port, { ...login, tls: "none", recipients: ["one.test"] }),
      relayRule(next.port, { ...login, tls: "opportunistic" }),
    ],
  });
  queue.start();
  await queue.submit({ to: [X] });
  await queue.empty();
  assert.equal(next.messages.length, 1);
  await queue.submit({ to: ["x@two.test"] });
  assert.match((await queue.deferred())[0]!.lastReply, /^4\.7\.11 the password is not sent without TLS/);
});

Deno.test("a message of many megabytes passes", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  const text = `Subject: large\r\n\r\n${"x".repeat(98)}\r\n`.concat(`${"y".repeat(98)}\r\n`.repeat(20_000));
  queue.start();
  await queue.submit({ to: [X], text });
  await queue.empty();
  assert.equal(next.messages[0]!.data.length, text.length);
  assert.ok(next.messages[0]!.data === text);
});
