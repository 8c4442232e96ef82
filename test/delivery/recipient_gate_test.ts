/** Whom mail that leaves is taken for: the suppression list, lists of relay domains, questions to their next hops. */
import assert from "node:assert/strict";
import { callAhead } from "../../delivery/queue/call_ahead.ts";
import { isGone, suppressionRow } from "../../delivery/queue/suppression.ts";
import {
  type CallAhead,
  NO_KEPT_MS,
  RecipientGate,
  YES_FRESH_MS,
  YES_KEPT_MS,
} from "../../delivery/recipient_gate.ts";
import type { RelayRecipients } from "../../storage/ops.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { QueueHarness, relayRule } from "./queue_harness.ts";

const GONE = "gone@one.test";

function remote(address: string, destination = address.slice(address.indexOf("@") + 1)) {
  return [{ kind: "remote" as const, address, destination, forwardedBy: "" }];
}

async function relayDomain(queue: QueueHarness, relayRecipients: RelayRecipients, nextHop = "127.0.0.1:1") {
  await queue.t.ok({
    kind: "put-domain",
    domain: {
      name: "relay.test",
      kind: "relay",
      nextHop,
      catchAll: "",
      subaddressSeparators: "",
      relayRecipients,
    },
  });
}

function gateOf(
  queue: QueueHarness,
  parts: { suppress?: boolean; ask?: CallAhead; now?: () => number } = {},
) {
  return new RecipientGate({
    store: queue.t.store,
    clock: parts.now ?? Date.now,
    suppress: parts.suppress ?? false,
    ask: parts.ask ?? (() => Promise.reject(new Error("nobody is asked"))),
  });
}

Deno.test("a recipient that is no more is remembered, refused in the session and not tried again", async () => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith(`RCPT TO:<${GONE}`) ? "550 5.1.1 no such user" : null,
  });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { suppressMs: 60_000 },
  });
  queue.start();
  await queue.submit({ to: [GONE] });
  await queue.empty();
  const rows = () => queue.t.store.policy.list("suppressed", { after: "", limit: 10, now: Date.now() });
  assert.deepEqual(rows().map(({ key, note }) => [key, note]), [[GONE, "550 5.1.1 no such user"]]);
  await queue.submit({ to: [GONE.toUpperCase()] });
  await queue.empty();
  assert.equal(next.commands.filter((command) => command.startsWith("RCPT")).length, 1, "not tried again");
  assert.match(queue.inbox()[1]!, /on the suppression list since/);
  const gate = gateOf(queue, { suppress: true });
  assert.match(String((await gate.refusal(remote(GONE)))?.text), /suppression list/);
  assert.equal(await gate.refusal(remote("other@one.test")), null);
  assert.equal(await gateOf(queue).refusal(remote(GONE)), null, "off");
  await queue.t.ok({ kind: "remove-state", of: "suppressed", keys: [GONE] });
  assert.equal(await gate.refusal(remote(GONE)), null);
});

Deno.test("only what is about the address counts", () => {
  const verdict = (enhanced: string, text: string, fromPeer = true) =>
    isGone({
      outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
      enhanced,
      text,
      fromPeer,
      remote: "",
    });
  assert.ok(verdict("5.1.1", "550 5.1.1 who"));
  assert.ok(verdict("5.2.1", "550 5.2.1 disabled"));
  assert.ok(verdict("5.0.0", "550 No such user here"));
  assert.ok(!verdict("5.7.1", "550 5.7.1 spam"));
  assert.ok(!verdict("5.2.2", "552 5.2.2 full"));
  assert.ok(!verdict("4.1.1", "450 4.1.1 who"));
  assert.ok(!verdict("5.1.1", "ours", false));
  assert.ok(!verdict("5.0.0", "554 transaction failed"));
});

Deno.test("a relay domain with a list takes mail for its addresses and no others", async () => {
  await using queue = await QueueHarness.open({});
  await relayDomain(queue, "list");
  const row = {
    ...suppressionRow("known@relay.test", { text: "", now: 0, forMs: 1e15 }),
    kind: "relay-recipient" as const,
  };
  await queue.t.ok({ kind: "put-state", rows: [row], add: false });
  const gate = gateOf(queue);
  assert.equal(await gate.refusal(remote("Known@relay.test")), null);
  assert.equal((await gate.refusal(remote("stranger@relay.test")))?.code, 550);
  await relayDomain(queue, "any");
  assert.equal(await gate.refusal(remote("stranger@relay.test")), null);
});

Deno.test("the next hop is asked once; its word is kept, a yes while it is away", async () => {
  await using queue = await QueueHarness.open({});
  await relayDomain(queue, "ask");
  let now = Date.now();
  let answer: boolean | null = true;
  let questions = 0;
  const ask: CallAhead = () => {
    questions++;
    return Promise.resolve(answer);
  };
  const gate = gateOf(queue, { ask, now: () => now });
  const code = async (address: string) => (await gate.refusal(remote(address)))?.code ?? 250;
  assert.deepEqual(await Promise.all([code("yes@relay.test"), code("YES@relay.test")]), [250, 250]);
  assert.equal(await code("yes@relay.test"), 250);
  assert.equal(questions, 1);
  answer = false;
  assert.equal(await code("no@relay.test"), 550);
  assert.equal(await code("no@relay.test"), 550);
  assert.equal(questions, 2);
  answer = null;
  assert.equal(await code("new@relay.test"), 451, "nobody can be asked");
  now += YES_FRESH_MS + 1;
  assert.equal(await code("yes@relay.test"), 250, "known from before");
  assert.equal(questions, 4);
  now += NO_KEPT_MS;
  assert.equal(await code("no@relay.test"), 451, "a no is not kept for long");
  now += YES_KEPT_MS;
  assert.equal(await code("yes@relay.test"), 451);
});

Deno.test("asking is MAIL FROM:<>, RCPT and nothing more", async () => {
  await using next = new FakeSmtpServer({
    script: (command) =>
      command.startsWith("RCPT TO:<no@")
        ? "550 5.1.1 who"
        : command.startsWith("RCPT TO:<busy@")
        ? "450 4.2.1 later"
        : null,
  });
  await using queue = await QueueHarness.open({ rules: [] });
  queue.start();
  const ask = callAhead(queue.outbound);
  const domain = (nextHop: string) => ({ ...queue.t.store.directory.domain("example.test")!, nextHop });
  const says = (address: string, hop = `127.0.0.1:${next.port}`) => ask(domain(hop), address);
  assert.equal(await says("yes@relay.test"), true);
  assert.equal(await says("no@relay.test"), false);
  assert.equal(await says("busy@relay.test"), null);
  assert.equal(await says("yes@relay.test", "127.0.0.1:1"), null);
  assert.equal(next.messages.length, 0);
  assert.ok(!next.commands.includes("DATA"));
  assert.ok(next.commands.includes("MAIL FROM:<> SIZE=0"));
});
