/** Bounces and delay notices: their parts as a reader of mail sees them, and who gets none. */
import assert from "node:assert/strict";
import { decodeBase64Body } from "../../bytes/base64.ts";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { decodeQuotedPrintable } from "../../bytes/quoted_printable.ts";
import { FactsBuilder } from "../../message/facts.ts";
import type { QueueEntry } from "../../storage/ops.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { ALICE, HOUR, QueueHarness, relayRule } from "./queue_harness.ts";

const LATER = { script: (command: string) => command.startsWith("RCPT") ? "451 4.2.0 later" : null };
const NEVER = {
  script: (command: string) => command.startsWith("RCPT") ? "550-5.1.1 who\r\n550 5.1.1 is that" : null,
};

/** The three parts of a report, each with its header. */
function parts(message: string): string[] {
  const boundary = /boundary="([^"]+)"/.exec(message)![1]!;
  const pieces = message.split(`--${boundary}`);
  assert.equal(pieces.length, 5);
  assert.equal(pieces[4], "--\r\n");
  return pieces.slice(1, 4).map((piece) => piece.replace(/^\r\n/, ""));
}

async function failing(submission: Parameters<QueueHarness["submit"]>[0]): Promise<string[]> {
  await using next = new FakeSmtpServer(NEVER);
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit(submission);
  await queue.empty();
  return queue.inbox();
}

Deno.test("a bounce is a multipart/report that tells of all recipients", async () => {
  const original = "Subject: 8bit \xe4\r\nX: y\r\n\r\nsecret body\r\n";
  const inbox = await failing({
    to: ["x@one.test", "y@one.test"],
    text: original,
    entry: { envelopeId: "env1" },
  });
  assert.equal(inbox.length, 1);
  const [message] = inbox;
  const facts = new FactsBuilder();
  facts.push(new TextEncoder().encode(message));
  assert.equal(facts.finish().from, "Mail Delivery System <postmaster@mx.example.test>");
  assert.match(message!, /^Return-Path: <>\r\n/);
  assert.match(message!, /^Auto-Submitted: auto-replied\r$/m);
  assert.match(message!, /^Content-Type: multipart\/report; report-type=delivery-status;/m);
  assert.match(message!, new RegExp(`^To: <${ALICE}>\r$`, "m"));
  const [words, status, returned] = parts(message!);
  assert.match(words!, /<x@one\.test>\r\n {2}127\.0\.0\.1:\d+ said: 550 5\.1\.1 who is that\r\n/);
  const blocks = status!.replace(/^Content-Type: message\/delivery-status\r\n\r\n/, "").trimEnd().split(
    "\r\n\r\n",
  );
  assert.equal(blocks.length, 3);
  assert.match(blocks[0]!, /^Reporting-MTA: dns; mx\.example\.test\r\nOriginal-Envelope-Id: env1\r\n/);
  for (const [at, name] of ["x", "y"].entries()) {
    assert.match(
      blocks[at + 1]!,
      new RegExp(
        `^Final-Recipient: rfc822; ${name}@one\\.test\r\nAction: failed\r\nStatus: 5\\.1\\.1\r\n` +
          "Remote-MTA: dns; 127\\.0\\.0\\.1\r\nDiagnostic-Code: smtp; 550 5\\.1\\.1 who is that\r\nLast-Attempt-Date: ",
      ),
    );
  }
  assert.match(
    returned!,
    /^Content-Type: message\/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: 8bit/,
  );
  assert.doesNotMatch(returned!, /secret body/);
});

Deno.test("RET=FULL returns a small message whole, with clean line ends; a large one as its header", async () => {
  const [small] = await failing({
    to: ["x@one.test"],
    text: "Subject: s\r\n\r\nbare\nbody\r",
    entry: { ret: "FULL" },
  });
  assert.match(
    parts(small!)[2]!,
    /^Content-Type: message\/rfc822\r\n.*\r\n\r\nSubject: s\r\n\r\nbare\r\nbody\r\n/,
  );
  const text = `Subject: s\r\n\r\n${"x".repeat(70_000)}\r\n`;
  const [large] = await failing({ to: ["x@one.test"], text, entry: { ret: "FULL" } });
  assert.match(parts(large!)[2]!, /^Content-Type: text\/rfc822-headers\r\n/);
});

Deno.test("addresses that are not ASCII are told as RFC 6533 has it", async () => {
  const [message] = await failing({ to: ["x@one.test"], entry: {} });
  assert.match(message!, /Final-Recipient: rfc822; x@one\.test/);
  await using next = new FakeSmtpServer();
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: ["jos\u00e9@one.test"] });
  await queue.empty();
  const [refused] = queue.inbox();
  assert.match(refused!, /^Final-Recipient: utf-8; jos\\x\{E9\}@one\.test\r$/m);
  assert.match(refused!, /^Status: 5\.6\.7\r$/m);
});

Deno.test("nobody is told where the null path or NOTIFY says so", async () => {
  assert.deepEqual(await failing({ to: ["x@one.test"], entry: { sender: "" } }), []);
  assert.deepEqual(await failing({ to: ["x@one.test"], notify: "NEVER" }), []);
  assert.deepEqual(await failing({ to: ["x@one.test"], notify: "DELAY" }), []);
  assert.equal((await failing({ to: ["x@one.test"], notify: "SUCCESS,FAILURE" })).length, 1);
});

Deno.test("a bounce to somebody elsewhere is queued, from the null path", async () => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith("RCPT TO:<x@") ? "550 5.1.1 who" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: ["x@one.test"], entry: { sender: "far@away.test", accountId: null } });
  await queue.empty();
  const [bounce] = next.messages;
  assert.equal(bounce!.sender, "");
  assert.deepEqual(bounce!.recipients, ["far@away.test"]);
});

Deno.test("a message that expires is given up with 4.4.7 and the last words of the peer", async () => {
  await using next = new FakeSmtpServer(LATER);
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({ to: ["x@one.test"], entry: { expiresAt: Date.now() - 1 } });
  await queue.empty();
  assert.match(
    queue.inbox()[0]!,
    /^Status: 4\.4\.7\r\nRemote-MTA: .*\r\nDiagnostic-Code: smtp; 451 4\.2\.0 later\r$/m,
  );
});

Deno.test("a delay is told once, after its time, to logins alone", async () => {
  await using next = new FakeSmtpServer(LATER);
  await using queue = await QueueHarness.open({
    rules: [relayRule(next.port)],
    options: { firstRetryMs: 30 },
  });
  queue.start();
  const old = { createdAt: Date.now() - 5 * HOUR, notBefore: Date.now() };
  await queue.submit({ to: ["x@one.test"], entry: old });
  await queue.submit({ to: ["stranger@one.test"], entry: { ...old, accountId: null } });
  await queue.submit({ to: ["young@one.test"] });
  const rows = await queue.deferred(3);
  assert.deepEqual(rows.map(({ delayNotified }) => delayNotified), [true, false, false]);
  const inbox = queue.inbox();
  assert.equal(inbox.length, 1);
  assert.match(inbox[0]!, /^Subject: Delayed mail/m);
  assert.match(inbox[0]!, /^Action: delayed\r$/m);
  assert.match(inbox[0]!, /^Will-Retry-Until: /m);
  assert.match(inbox[0]!, /^Final-Recipient: rfc822; x@one\.test\r$/m);
});

Deno.test("a header in UTF-8 comes back as message/global-headers, or message/global when whole", async () => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith("RCPT") ? "550 5.1.1 who" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  const text = "Subject: Gr\u00fc\u00dfe\r\n\r\nbody\r\n";
  await queue.submit({ to: ["x@one.test"], text });
  await queue.empty();
  await queue.submit({ to: ["x@one.test"], text, entry: { ret: "FULL" } });
  await queue.empty();
  await queue.submit({
    to: ["x@one.test"],
    text: "Subject: x\r\n\r\nGr\u00fc\u00dfe\r\n",
    entry: { ret: "FULL" },
  });
  await queue.empty();
  const types = queue.inbox().map((notice) => [...notice.matchAll(/^Content-Type: (.*)\r$/gm)].at(-1)![1]);
  assert.deepEqual(types, ["message/global-headers", "message/global", "message/rfc822"]);
});

const JOERG = "j\u00f6rg@else.example";
const USER = "\u7528\u6237@\u4f8b\u3048.test";
const NO_UTF8 = {
  extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8"],
  script: (command: string) =>
    command.startsWith("RCPT TO:<\u00e7") ? "550 5.1.1 \u4e0d\u660e \u202etxet" : null, // the fake reads one character an octet
};

/** A message that came by SMTPUTF8 fails; its sender is told. */
function international(recipients: Partial<QueueEntry>["recipients"], more: Partial<QueueEntry> = {}) {
  return {
    to: [],
    text: "Subject: Gr\u00fc\u00dfe\r\n\r\nbody\r\n",
    entry: { smtputf8: true, eightBit: true, ...more, recipients: recipients! },
  };
}

Deno.test("who sent by SMTPUTF8 is told in UTF-8: message/global-delivery-status, -headers, words of the peer", async () => {
  await using next = new FakeSmtpServer(NO_UTF8);
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit(international([{
    ...{ recipient: USER, destination: "xn--r8jz45g.test", notify: "" },
    originalRecipient: "utf-8;j\\x{F6}rg\\x{2B}tag@example.test",
  }]));
  await queue.empty();
  const [message] = queue.inbox();
  assert.match(message!, /^Content-Transfer-Encoding: 8bit\r\n\r\n--/m, "as its parts are");
  const [words, status, returned] = parts(message!);
  assert.ok(words!.includes(`<${USER}>`), words);
  assert.match(
    status!,
    /^Content-Type: message\/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n/,
  );
  assert.match(status!, /^Original-Recipient: utf-8; j\u00f6rg\+tag@example\.test\r$/m);
  assert.match(status!, new RegExp(`^Final-Recipient: utf-8; ${USER}\r$`, "m"));
  assert.match(status!, /^Diagnostic-Code: smtp; 550 5\.1\.1 \u4e0d\u660e \?txet\r$/m);
  assert.match(
    returned!,
    /^Content-Type: message\/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: Gr\u00fc\u00dfe\r\n/,
  );
});

Deno.test("the same in ASCII to who did not, without a loss: message/delivery-status", async () => {
  await using next = new FakeSmtpServer(NO_UTF8);
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({
    to: [],
    entry: {
      recipients: [{
        ...{ recipient: USER, destination: "xn--r8jz45g.test", notify: "" },
        originalRecipient: "utf-8;j\\x{F6}rg\\x{2B}tag@example.test",
      }],
    },
  });
  await queue.empty();
  const [, status] = parts(queue.inbox()[0]!);
  assert.match(status!, /^Content-Type: message\/delivery-status\r\n\r\n/);
  assert.match(status!, /^Original-Recipient: utf-8; j\\x\{F6\}rg\\x\{2B\}tag@example\.test\r$/m);
  assert.match(status!, /^Final-Recipient: utf-8; \\x\{7528\}\\x\{6237\}@\\x\{4F8B\}\\x\{3048\}\.test\r$/m);
  assert.match(status!, /^Diagnostic-Code: smtp; 550 5\.1\.1 \\x\{4E0D\}\\x\{660E\} \?txet\r$/m);
  assert.ok(/^[\x20-\x7e\r\n]*$/.test(status!));
});

Deno.test("RET=FULL of such a message is message/global, whose inside may be UTF-8 anywhere", async () => {
  await using next = new FakeSmtpServer(NEVER);
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  const recipients = [{
    recipient: "x@one.test",
    destination: "one.test",
    notify: "",
    originalRecipient: "",
  }];
  const text = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe\r\n";
  await queue.submit({ ...international(recipients, { ret: "FULL" }), text });
  await queue.empty();
  const [, status, returned] = parts(queue.inbox()[0]!);
  assert.match(status!, /^Content-Type: message\/delivery-status\r\n/, "there is nothing to say in UTF-8");
  assert.match(
    returned!,
    /^Content-Type: message\/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n/,
  );
});

Deno.test("a notice that leaves is 7-bit, so that any server can carry it, and says the same; no half characters", async () => {
  await using next = new FakeSmtpServer({
    extensions: ["PIPELINING"],
    script: (command) => command.startsWith("RCPT TO:<x@") ? "550 5.1.1 who" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  const recipients = [
    { recipient: USER, destination: "xn--r8jz45g.test", notify: "", originalRecipient: "" },
    { recipient: "x@one.test", destination: "one.test", notify: "", originalRecipient: "" },
  ];
  const stranger = { sender: "far@away.test", accountId: null };
  for (const ret of ["", "FULL"] as const) {
    const mail = international(recipients, { ...stranger, ret });
    await queue.submit({ ...mail, text: `Subject: ${"\u00fc".repeat(700)}\r\n\r\nGr\u00fc\u00dfe\r\n` });
    await queue.empty();
  }
  assert.ok(next.messages.length >= 2);
  for (const { sender, recipients, data } of next.messages) {
    assert.deepEqual([sender, recipients], ["", ["far@away.test"]]);
    assert.ok(/^[\x20-\x7e\t\r\n]*$/.test(data), data);
  }
  const all = next.messages.flatMap(({ data }) => parts(data));
  const status = all.find((part) => part.startsWith("Content-Type: message/global-delivery-status"))!;
  assert.match(opened(status), new RegExp(`^Final-Recipient: utf-8; ${USER}\r$`, "m"));
  const header = all.find((part) => part.startsWith("Content-Type: message/global-headers"))!;
  assert.equal(opened(header).replace(/\r\n(?!$)/g, ""), `Subject: ${"\u00fc".repeat(700)}\r\n`);
  const whole = all.find((part) => /^Content-Type: message\/global\r/.test(part))!;
  assert.match(opened(whole), /\r\n\r\nGr\u00fc\u00dfe\r\n$/);
});

/** The body of a part, its encoding undone. */
function opened(part: string): string {
  const [head, ...body] = part.split("\r\n\r\n");
  const octets = encodeLatin1(body.join("\r\n\r\n").replace(/\r\n$/, ""));
  return new TextDecoder("utf-8", { fatal: true }).decode(
    /quoted-printable/.test(head!) ? decodeQuotedPrintable(octets) : decodeBase64Body(octets),
  );
}

Deno.test("a sender in a domain of U-labels is told at A-labels, so that no server needs SMTPUTF8 for it", async () => {
  await using next = new FakeSmtpServer({
    extensions: ["PIPELINING"],
    script: (command) => command.startsWith("RCPT TO:<x@") ? "550 5.1.1 who" : null,
  });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  await queue.submit({
    to: ["x@one.test"],
    entry: { sender: "far@b\u00fccher.test", accountId: null, smtputf8: true },
  });
  await queue.empty();
  const [bounce] = next.messages;
  assert.deepEqual(bounce!.recipients, ["far@xn--bcher-kva.test"]);
  assert.match(bounce!.data, /^To: <far@xn--bcher-kva\.test>\r$/m);
});

Deno.test("a sender whose address is UTF-8 is told by SMTPUTF8, or by nobody", async () => {
  for (const extensions of [["8BITMIME", "SMTPUTF8"], ["8BITMIME"]]) {
    await using next = new FakeSmtpServer({
      extensions,
      script: (command) => command.startsWith("RCPT TO:<x@") ? "550 5.1.1 who" : null,
    });
    await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
    queue.start();
    const entry = { sender: JOERG, accountId: null, smtputf8: true };
    await queue.submit({ to: ["x@one.test"], entry });
    await queue.empty();
    const told = next.messages.filter(({ sender }) => sender === "");
    assert.equal(told.length, extensions.includes("SMTPUTF8") ? 1 : 0);
    if (told.length > 0) assert.ok(next.commands.some((line) => /^MAIL FROM:<>.* SMTPUTF8$/.test(line)));
  }
});
