/** Several messages under way on one connection: each has its own answer, and what breaks off is sent again, once. */
import assert from "node:assert/strict";
import {
  type Answer,
  type FakeServerOptions,
  type FakeSession,
  FakeSmtpServer,
} from "../lib/fake_smtp_server.ts";
import { QueueHarness, relayRule } from "./queue_harness.ts";

const COUNT = 30;
const EXTENSIONS = ["PIPELINING", "CHUNKING"];
const recipients = Array.from({ length: COUNT }, (_, at) => `r${at}@far.test`);

/** A queue that was there before the server, which is far away by its answer to EHLO unless it is not to be. */
async function sendAll(
  script: (command: string, session: FakeSession) => Answer,
  options: FakeServerOptions = {},
  { messagesAhead = 16, far = true }: { messagesAhead?: number; far?: boolean } = {},
): Promise<{ next: FakeSmtpServer; inbox: string[] }> {
  await using next = new FakeSmtpServer({
    extensions: EXTENSIONS,
    ...options,
    script: async (command, session) => {
      if (far && command.startsWith("EHLO")) await new Promise((resolve) => setTimeout(resolve, 60));
      return script(command, session);
    },
  });
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { firstRetryMs: 50, connectionsPerDestination: 1, messagesAhead },
  });
  for (const to of recipients) await queue.submit({ to: [to], text: `Subject: ${to}\r\n\r\n${to}\r\n` });
  queue.start();
  await queue.empty();
  return { next, inbox: queue.inbox() };
}

function resets(next: FakeSmtpServer): number {
  return next.commands.filter((command) => command === "RSET").length;
}

function assertEachOnce(next: FakeSmtpServer, wanted: readonly string[] = recipients): void {
  assert.deepEqual(next.messages.map(({ recipients: [to] }) => to).sort(), [...wanted].sort());
  for (const { recipients: [to], data } of next.messages) {
    assert.equal(data, `Subject: ${to}\r\n\r\n${to}\r\n`, "its own text");
  }
}

Deno.test("a far peer that offers CHUNKING has several messages under way, and each its own answer", async () => {
  let full = false;
  const { next, inbox } = await sendAll((command, { commands }) => {
    if (command === "RCPT TO:<r7@far.test>") return "550 5.1.1 who";
    if (
      command.startsWith("BDAT") && !full && commands.filter((line) => line.startsWith("BDAT")).length === 12
    ) {
      full = true;
      return "452 4.3.1 full";
    }
    return null;
  });
  assertEachOnce(next, recipients.filter((to) => to !== "r7@far.test"));
  assert.ok(resets(next) >= COUNT / 2, `${resets(next)} messages behind others`);
  assert.equal(inbox.length, 1);
  assert.match(inbox[0]!, /r7@far\.test/);
});

Deno.test("a near peer that offers it has several under way while much waits for it, and gets a single message by DATA", async () => {
  const { next } = await sendAll(() => null, {}, { far: false });
  assertEachOnce(next);
  assert.ok(resets(next) >= COUNT / 2, `${resets(next)} messages behind others`);
  // A machine without time for this makes the peer look far away: then it is asked again.
  let how: string[] = [];
  for (let attempt = 0; attempt < 10 && how.at(-1) !== "DATA,DATA,DATA"; attempt++) {
    how = [...how, (await oneByOne()).join()];
  }
  assert.equal(how.at(-1), "DATA,DATA,DATA", how.join("; "));
});

/** How each of three messages was sent to a near peer that offers CHUNKING. */
async function oneByOne(): Promise<string[]> {
  await using alone = new FakeSmtpServer({ extensions: EXTENSIONS });
  await using queue = await QueueHarness.open({
    rules: [relayRule(alone.port)],
    options: { messagesAhead: 16 },
  });
  queue.start();
  for (let at = 0; at < 3; at++) {
    await queue.submit({ to: [`one${at}@near.test`], text: "Subject: one\r\n\r\none\r\n" });
    await queue.empty();
  }
  return alone.commands.filter((command) => /^(RSET|BDAT|DATA)/.test(command));
}

Deno.test("a peer without CHUNKING, or where the operator wants it so, has one message and the envelope of the next", async () => {
  for (const messagesAhead of [1, 16]) {
    const extensions = messagesAhead === 1 ? EXTENSIONS : ["PIPELINING"];
    const { next } = await sendAll(() => null, { extensions }, { messagesAhead });
    assertEachOnce(next);
    assert.equal(resets(next), 0);
  }
});

Deno.test("a connection that breaks with several under way loses none and doubles none without an answer", async () => {
  let cut = false;
  const { next, inbox } = await sendAll((command, { commands }) => {
    if (!command.startsWith("BDAT") || cut) return null;
    cut = commands.filter((line) => line.startsWith("BDAT")).length === 8;
    return cut ? { cut: "" } : null;
  });
  assertEachOnce(next);
  assert.deepEqual(inbox, []);
  const later = next.sessions.slice(1).flatMap(({ commands }) => commands);
  assert.ok(later.length > 0 && !later.includes("RSET"), "one at a time from then on");
});

Deno.test("a peer that takes a chunk for commands is left, and gets its mail by DATA", async () => {
  const { next, inbox } = await sendAll(() => null, { withoutBdat: true });
  assertEachOnce(next);
  assert.deepEqual(inbox, [], "what it said to the text is no answer to a message");
});
