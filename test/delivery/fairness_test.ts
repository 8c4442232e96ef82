/** Who is served when: priorities, senders, destinations; and how many connections one gets. */
import assert from "node:assert/strict";
import { Concurrency, FIRST_CONNECTIONS } from "../../delivery/queue/concurrency.ts";
import { CROWDED_MS } from "../../delivery/queue/connection.ts";
import { FairJobs } from "../../delivery/queue/fair_jobs.ts";
import { FamilyMemory, ordered } from "../../delivery/queue/families.ts";
import { listedWaitMs, namesUsAsListed } from "../../delivery/queue/listed.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { PLAIN_MANNER } from "../../delivery/routes.ts";
import { HOUR, QueueHarness, relayRule } from "./queue_harness.ts";

interface Work {
  readonly priority: number;
  readonly sender: string;
  readonly name: string;
}

function takenFrom(given: readonly Work[], count: number): string {
  const jobs = new FairJobs<Work>();
  for (const job of given) jobs.add(job);
  return Array.from({ length: count }, () => jobs.take()?.name ?? "-").join(" ");
}

function work(name: string, sender: string, priority = 0): Work {
  return { name, sender, priority };
}

Deno.test("the senders of one priority take turns, each in its order", () => {
  const many = ["a1", "a2", "a3", "a4"].map((name) => work(name, "a"));
  assert.equal(takenFrom([...many, work("b1", "b"), work("c1", "c")], 7), "a1 b1 c1 a2 a3 a4 -");
});

Deno.test("the higher priority goes first, the lowest is not starved", () => {
  const high = Array.from({ length: 10 }, (_, at) => work(`h${at}`, "a", 3));
  assert.equal(
    takenFrom([work("low", "b", -3), work("mid", "b"), ...high], 12),
    "h0 h1 h2 h3 h4 h5 h6 low h7 h8 h9 mid",
  );
});

Deno.test("what is put back comes first of its sender", () => {
  const jobs = new FairJobs<Work>();
  for (const name of ["1", "2"]) jobs.add(work(name, "a"));
  const first = jobs.take()!;
  jobs.putBack(first);
  assert.equal(jobs.take(), first);
  assert.equal(jobs.length, 1);
  assert.equal(jobs.takeAll().length, 1);
  assert.equal(jobs.take(), undefined);
});

Deno.test("connections grow fast until the first push-back, then slowly, and never below one", () => {
  const limit = new Concurrency(20);
  assert.equal(limit.connections, FIRST_CONNECTIONS);
  for (let n = 0; n < 15; n++) limit.succeeded();
  assert.equal(limit.connections, 20);
  limit.succeeded();
  assert.equal(limit.connections, 20, "not over the limit");
  limit.pushedBack(10_000);
  assert.equal(limit.connections, 10);
  limit.pushedBack(10_500);
  assert.equal(limit.connections, 10, "one round counts once");
  for (let n = 0; n < 9; n++) limit.succeeded();
  assert.equal(limit.connections, 10, "one more for each round only");
  for (let n = 0; n < 3; n++) limit.succeeded();
  assert.equal(limit.connections, 11);
  for (let at = 20_000; at < 40_000; at += 1_000) limit.pushedBack(at);
  assert.equal(limit.connections, 1);
  limit.atMost(0);
  assert.equal(limit.connections, 1);
});

Deno.test("another connection helps where the peer is slow more often than not", () => {
  const limit = new Concurrency(20);
  const answers = (afterMs: number, times: number) => {
    for (let n = 0; n < times; n++) limit.answered(afterMs);
  };
  assert.equal(limit.helpsAt, Infinity, "nothing is known");
  answers(50, 1);
  assert.equal(limit.helpsAt, -Infinity, "the first answer says");
  answers(2, 1);
  assert.equal(limit.helpsAt, Infinity);
  answers(0, 100);
  answers(50, 11);
  assert.equal(limit.helpsAt, Infinity, "after many that came soon");
  answers(50, 100);
  assert.equal(limit.helpsAt, -Infinity);
  answers(0, 2);
  assert.equal(limit.helpsAt, Infinity, "it is soon seen that the peer has become quick");
});

Deno.test("another connection helps where those that are open have heard nothing for long", () => {
  const limit = new Concurrency(20);
  for (let n = 0; n < 100; n++) limit.answered(0);
  limit.waits(10_000);
  limit.waits(10_060);
  assert.equal(limit.helpsAt, 10_100, "since the first that waits");
  limit.answered(50);
  assert.equal(limit.helpsAt, Infinity, "one was answered");
  limit.waits(10_080);
  assert.equal(limit.helpsAt, 10_180);
});

Deno.test("the family that cannot be reached goes last for a while", () => {
  const memory = new FamilyMemory();
  const addresses = ["2001:db8::1", "192.0.2.1"];
  const order = (now: number) => ordered(addresses, { choice: "any", memory, now });
  assert.deepEqual(order(0), addresses);
  for (let n = 0; n < 3; n++) memory.unreachable("2001:db8::1", 0);
  assert.deepEqual(order(1), ["192.0.2.1", "2001:db8::1"]);
  assert.deepEqual(order(HOUR), addresses, "tried first again");
  memory.reached("2001:db8::1");
  assert.deepEqual(order(1), addresses);
  const now = { memory, now: 0 };
  assert.deepEqual(ordered(addresses, { choice: "ipv4-first", ...now }), ["192.0.2.1", "2001:db8::1"]);
  assert.deepEqual(ordered(addresses, { choice: "ipv4", ...now }), ["192.0.2.1"]);
  assert.deepEqual(ordered(addresses, { choice: "ipv6", ...now }), ["2001:db8::1"]);
});

Deno.test("replies that name our address as listed, and others", () => {
  const says = (enhanced: string, text: string) =>
    namesUsAsListed({
      outcome: enhanced[0] === "5" ? "permanent" : "temporary",
      enhanced,
      text,
      fromPeer: true,
      remote: "",
    });
  const listed: [string, string][] = [
    ["5.7.1", "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"],
    ["5.7.606", "550 5.7.606 Access denied, banned sending IP; your IP is listed by us"],
    ["5.0.0", "554 Your IP address is on our blocklist"],
    ["4.7.0", "421 4.7.0 [192.0.2.1] Messages temporarily deferred due to poor reputation"],
    ["5.7.1", "554 5.7.1 You are listed in bl.spamcop.net"],
  ];
  for (const [enhanced, text] of listed) assert.ok(says(enhanced, text), text);
  const others: [string, string][] = [
    ["5.1.1", "550 5.1.1 The user is not listed in our directory"],
    ["5.7.1", "554 5.7.1 The message holds a URL on a block list (uribl)"],
    ["5.7.1", "550 5.7.1 relaying denied"],
    ["4.2.1", "450 4.2.1 mailbox busy"],
  ];
  for (const [enhanced, text] of others) assert.ok(!says(enhanced, text), text);
  assert.deepEqual([1, 2, 3, 50].map(listedWaitMs), [300_000, 600_000, 1_200_000, 4 * HOUR]);
});

Deno.test("urgent mail overtakes what waits, and a small sender overtakes a large one", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { connections: 1, connectionsPerDestination: 1 },
  });
  for (let n = 0; n < 30; n++) await queue.submit({ to: [`x${n}@one.test`] });
  await queue.submit({ to: ["small@one.test"], entry: { sender: "bob@example.test", accountId: null } });
  await queue.submit({ to: ["urgent@one.test"], entry: { priority: 5 } });
  queue.start();
  await queue.empty();
  const order = next.messages.map(({ recipients }) => recipients[0]);
  assert.equal(order[0], "urgent@one.test");
  assert.ok(order.indexOf("small@one.test") <= 2, order.slice(0, 4).join());
});

/** Messages that get through before a peer of these tests waits: more than {@linkcode FIRST_CONNECTIONS} needs to grow. */
const AT_ONCE = 20;
const MESSAGES = 200;

interface Crowd {
  open: number;
  most: number;
  refused: number;
}

/**
 * Takes `limit` connections and refuses others with `words`. Behind {@linkcode AT_ONCE} messages it takes no more before it has seen
 * `enough`, so that nothing depends on how fast either side is.
 */
function crowdedServer(
  { limit, words, enough }: {
    readonly limit: number;
    readonly words: string;
    readonly enough: (crowd: Crowd) => boolean;
  },
): { readonly next: FakeSmtpServer; readonly crowd: Crowd } {
  const crowd: Crowd = { open: 0, most: 0, refused: 0 };
  const seen = Promise.withResolvers<void>();
  let taken = 0;
  const next = new FakeSmtpServer({
    script: async (command) => {
      if (command === "connect") {
        const refused = crowd.open >= limit;
        if (refused) crowd.refused++;
        else crowd.most = Math.max(crowd.most, ++crowd.open);
        if (enough(crowd)) seen.resolve();
        if (refused) return { cut: words };
      }
      if (command === "QUIT") crowd.open--;
      if (command === "." && ++taken > AT_ONCE) await seen.promise;
      return null;
    },
  });
  return { next, crowd };
}

async function sendAll(next: FakeSmtpServer): Promise<void> {
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { connectionsPerDestination: 12 },
  });
  for (let n = 0; n < MESSAGES; n++) await queue.submit({ to: [`x${n}@one.test`] });
  queue.start();
  await queue.empty();
  assert.equal(next.messages.length, MESSAGES);
}

Deno.test("a destination gets more connections as mail gets through, up to the limit", async () => {
  const { next, crowd } = crowdedServer({ limit: 100, words: "", enough: ({ most }) => most === 12 });
  await using _ = next;
  await sendAll(next);
  assert.equal(crowd.most, 12);
});

for (const words of ["421 4.7.0 too many connections", ""]) {
  Deno.test(`a destination that ends further connections ${words ? "with 421" : "without a word"} gets no more`, async () => {
    const enough = ({ most, refused }: Crowd) => most === 3 && refused > 0;
    const { next, crowd } = crowdedServer({ limit: 3, words, enough });
    await using _ = next;
    const begin = performance.now();
    await sendAll(next);
    const rounds = 1 + Math.floor((performance.now() - begin) / CROWDED_MS);
    assert.equal(crowd.most, 3);
    assert.ok(crowd.refused <= 12 * rounds, `${crowd.refused} were refused`);
  });
}

Deno.test("4yz to MAIL takes connections away from the destination, half of them", async () => {
  const MOST = 8;
  let open = 0;
  let taken = 0;
  let busy = false;
  const full = Promise.withResolvers<void>();
  /** Sessions that were told so; the first answer comes when all have asked. */
  const told = new Set<number>();
  const allAsked = Promise.withResolvers<void>();
  await using next = new FakeSmtpServer({
    script: async (command, { number }) => {
      if (command === "connect" && ++open === MOST) {
        busy = true;
        full.resolve();
      }
      if (command === "QUIT") open--;
      if (command === "." && ++taken > AT_ONCE) await full.promise;
      if (!command.startsWith("MAIL") || !busy) return null;
      if (told.add(number).size === MOST) allAsked.resolve();
      await allAsked.promise;
      return "451 4.3.2 too busy";
    },
  });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    // What has no work stays: connections go because of what the peer says.
    options: { connectionsPerDestination: MOST, idleMs: 600_000 },
  });
  for (let n = 0; n < MESSAGES; n++) await queue.submit({ to: [`x${n}@one.test`] });
  queue.start();
  await full.promise;
  // One may have come back for messages that were in their data when the peer became busy.
  await until("half of the connections to be gone", () => open <= MOST / 2 + 1);
  const rows = await queue.deferred();
  assert.ok(rows.length > MOST, `${rows.length} were put off`);
  assert.ok(open <= MOST / 2 + 1, `${open} at the end`);
});

Deno.test("a connection that waits takes the next message, no other is opened for it", async () => {
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { idleMs: 600_000 },
  });
  queue.start();
  for (let n = 0; n < 3; n++) {
    await queue.submit({ to: [`x${n}@one.test`] });
    await queue.empty();
    await until(
      "it to wait",
      () => queue.runner.sessions().every(({ doing }) => doing.startsWith("waiting")),
    );
  }
  assert.deepEqual(next.sessions.map(({ messages }) => messages), [3]);
});

Deno.test("a quota lets so many through and keeps the rest in its place", async () => {
  await using next = new FakeSmtpServer();
  const manner = { ...PLAIN_MANNER, quota: { messages: 3, perMs: 400 } };
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port, { manner })] });
  for (let n = 0; n < 5; n++) await queue.submit({ to: [`x${n}@one.test`] });
  const began = Date.now();
  queue.start();
  await until("the quota to be used", () => next.messages.length === 3);
  await queue.empty();
  assert.equal(next.messages.length, 5);
  assert.ok(Date.now() - began >= 390, "the rest waited for the next period");
});

Deno.test("a route that holds keeps mail for the operator; what he releases goes", async () => {
  await using next = new FakeSmtpServer();
  const manner = { ...PLAIN_MANNER, hold: true };
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port, { manner })] });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  await until("it to be held", () => queue.rows()[0]?.state === "held");
  assert.match(queue.rows()[0]!.lastReply, /holds mail for the operator/);
  const recipientIds = queue.rows().map(({ recipientId }) => recipientId);
  await queue.t.ok({ kind: "queue-control", action: "release", recipientIds, at: Date.now() });
  await queue.empty();
  assert.equal(next.messages.length, 1);
});

Deno.test("a route's own schedule and lifetime", async () => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith("RCPT") ? "451 4.3.0 later" : null,
  });
  const manner = { ...PLAIN_MANNER, schedule: { firstRetryMs: 50, maxRetryMs: 50, lifetimeMs: 2_000 } };
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port, { manner })] });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  await queue.empty();
  assert.ok(
    next.sessions.length >= 2 || next.commands.filter((command) => command.startsWith("RCPT")).length >= 2,
  );
  assert.match(queue.inbox()[0]!, /^Status: 4\.4\.7\r$/m);
});

Deno.test("several next hops share by weight, and stand in for one another", async () => {
  await using a = new FakeSmtpServer();
  const b = new FakeSmtpServer();
  const [portA, portB] = [a.port, b.port];
  await b.close();
  const hops = [{ host: "127.0.0.1", port: portB, weight: 100 }, {
    host: "127.0.0.1",
    port: portA,
    weight: 1,
  }];
  await using queue = await QueueHarness.open({ rules: [relayRule(0, { hops })] });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  await queue.empty();
  assert.equal(a.messages.length, 1);
});

Deno.test("LMTP over a Unix socket, and our own address and name by the sender's domain", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-lmtp-" });
  await using lmtp = new FakeSmtpServer({ lmtp: true, unix: `${folder}/lmtp` });
  await using next = new FakeSmtpServer();
  const identityOf = (sender: string) =>
    sender.endsWith("@b.test")
      ? { key: "b", helloName: "mx.b.test", sourceV4: "127.0.0.77", sourceV6: "" }
      : { key: "", helloName: "mx.example.test", sourceV4: "", sourceV6: "" };
  await using queue = await QueueHarness.open({
    rules: [
      relayRule(0, {
        recipients: ["box.test"],
        mode: "lmtp",
        hops: [{ host: `unix:${folder}/lmtp`, port: 0, weight: 1 }],
      }),
      relayRule(next.port),
    ],
    outbound: { identityOf },
  });
  queue.start();
  await queue.submit({ to: ["x@box.test"] });
  await queue.submit({ to: ["y@one.test"], entry: { sender: "u@b.test", accountId: null } });
  await queue.submit({ to: ["z@one.test"] });
  await queue.empty();
  assert.equal(lmtp.messages.length, 1);
  assert.ok(lmtp.commands.includes("LHLO mx.example.test"));
  const hello = (domain: string) => next.sessions.find(({ commands }) => commands.includes(`EHLO ${domain}`));
  assert.equal(hello("mx.b.test")?.peer, "127.0.0.77");
  assert.equal(hello("mx.example.test")?.peer, "127.0.0.1");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("who names our address as listed gets one message now and then; the others are not slowed", async () => {
  await using grumpy = new FakeSmtpServer({
    script: (command) =>
      command.startsWith("MAIL")
        ? "550 5.7.1 Client host blocked using zen.spamhaus.org; you are listed"
        : null,
  });
  await using next = new FakeSmtpServer();
  const told: string[] = [];
  await using queue = await QueueHarness.open({
    rules: [relayRule(grumpy.port, { recipients: ["grumpy.test"] }), relayRule(next.port)],
    options: { connectionsPerDestination: 1 },
    listed: (destination) => told.push(destination),
  });
  for (let n = 0; n < 10; n++) await queue.submit({ to: [`x${n}@grumpy.test`] });
  await queue.submit({ to: ["y@one.test"] });
  queue.start();
  await until("the other to get through", () => next.messages.length === 1);
  await until("the administrator to be told", () => told.length === 1);
  await until("one to bounce", () => queue.inbox().length === 1);
  assert.deepEqual(told, [`[127.0.0.1]:${grumpy.port}`]);
  assert.equal(grumpy.commands.filter((command) => command.startsWith("MAIL")).length, 1);
  assert.equal(queue.rows().length, 9, "the rest waits and does not bounce");
});
