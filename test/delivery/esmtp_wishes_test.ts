/** What clients ask for by parameters and fields: DSN, BINARYMIME, REQUIRETLS, FUTURERELEASE, ETRN, VRFY and EXPN. */
import assert from "node:assert/strict";
import type { Account } from "../../storage/directory_view.ts";
import { isReply } from "../../delivery/reception.ts";
import type { TraceEvent } from "../../delivery/tracer.ts";
import {
  type MailParameters,
  NO_MAIL_PARAMETERS,
  NO_RCPT_PARAMETERS,
  type RcptParameters,
} from "../../protocols/smtp/parameters.ts";
import { line, NOW, pathOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const DOMAIN = {
  name: "example.test",
  kind: "local",
  nextHop: "",
  catchAll: "",
  subaddressSeparators: "+",
} as const;

async function bed(config = {}): Promise<ReceptionBed> {
  const t = await ReceptionBed.open(config);
  await t.ok(
    { kind: "put-domain", domain: DOMAIN },
    { kind: "put-domain", domain: { ...DOMAIN, name: "relay.example", kind: "relay", nextHop: "mx" } },
    ...["alice", "bob"].map((name) => ({
      kind: "put-account" as const,
      account: { address: `${name}@example.test` },
    })),
    { kind: "put-alias", address: "both@example.test", targets: ["bob@example.test", "x@far.example"] },
    { kind: "put-alias", address: "away@example.test", targets: ["x@far.example"] },
  );
  return t;
}

const MESSAGE = "Subject: x\r\n\r\nhello\r\n";

Deno.test("NOTIFY, ORCPT, RET and ENVID wait in the queue with the message", async () => {
  await using t = await bed();
  await t.send({
    to: ["x@relay.example"],
    message: MESSAGE,
    parameters: { ret: "HDRS", envelopeId: "QQ+3D1" },
    rcpt: { notify: "SUCCESS,DELAY", originalRecipient: "rfc822;first@a.example" },
  });
  const [row] = t.queued();
  assert.deepEqual([row!.notify, row!.originalRecipient], ["SUCCESS,DELAY", "rfc822;first@a.example"]);
  const message = t.test.store.queue.message(row!.queueId)!;
  assert.deepEqual([message.ret, message.envelopeId], ["HDRS", "QQ+3D1"]);
});

Deno.test("what a client asked for by extensions stands in the trace; SIZE and 8BITMIME change nothing and do not", async () => {
  const traced: TraceEvent[] = [];
  await using t = await ReceptionBed.open({}, {}, { tracer: { note: (event) => void traced.push(event) } });
  const asked = async (parameters: Partial<MailParameters>, rcpt: Partial<RcptParameters> = {}) => {
    await t.send({ to: ["alice@example.test"], message: MESSAGE, parameters, rcpt });
    return traced.at(-1)!.esmtp;
  };
  assert.equal(await asked({ size: 30, body: "8BITMIME" }), undefined);
  assert.equal(await asked({}, { notify: "NEVER" }), "DSN");
  assert.equal(await asked({ smtputf8: true, requireTls: true, ret: "HDRS" }), "SMTPUTF8 DSN REQUIRETLS");
  assert.equal(await asked({ priority: 3, hold: { forSeconds: 60 } }), "FUTURERELEASE MT-PRIORITY=3");
});

Deno.test("success in a mailbox is reported with the message, by ENVID and ORCPT as they were meant", async () => {
  await using t = await bed();
  const { data } = await t.send({
    client: t.login("alice"),
    from: "alice@example.test",
    to: ["bob@example.test"],
    message: `From: alice@example.test\r\n${MESSAGE}`,
    parameters: { envelopeId: "a+2Bb" },
    rcpt: { notify: "SUCCESS", originalRecipient: "rfc822;bob+2Btag@example.test" },
  });
  assert.equal(data!.code, 250);
  assert.equal(t.stored("bob").length, 1);
  const [report] = t.stored("alice");
  assert.match(report!, /^Action: delivered\r$/m);
  assert.match(report!, /^Original-Envelope-Id: a\+b\r$/m);
  assert.match(report!, /^Original-Recipient: rfc822; bob\+tag@example\.test\r$/m);
  assert.match(report!, /^Return-Path: <>\r$/m);
  assert.match(report!, /^Content-Type: text\/rfc822-headers\r$/m);
});

Deno.test("without NOTIFY=SUCCESS, and to the null reverse-path, nothing is reported", async () => {
  await using t = await bed();
  await t.send({
    from: "alice@example.test",
    to: ["bob@example.test"],
    message: MESSAGE,
    rcpt: { notify: "FAILURE" },
  });
  await t.send({ from: "", to: ["bob@example.test"], message: MESSAGE, rcpt: { notify: "SUCCESS" } });
  assert.equal(t.stored("alice").length, 0);
  assert.equal(t.queued().length, 0);
});

Deno.test("an alias to several is reported as expanded, and asks the others for failures only", async () => {
  await using t = await bed();
  await t.send({
    from: "alice@example.test",
    to: ["both@example.test"],
    message: MESSAGE,
    rcpt: { notify: "SUCCESS,FAILURE" },
  });
  const [report] = t.stored("alice");
  assert.match(report!, /^Action: expanded\r$/m);
  assert.match(report!, /^Final-Recipient: rfc822; both@example\.test\r$/m);
  assert.equal(t.queued().find(({ recipient }) => recipient === "x@far.example")!.notify, "FAILURE");
});

Deno.test("an alias to one other address hands the wishes on, with itself as ORCPT", async () => {
  await using t = await bed();
  await t.send({ to: ["away@example.test"], message: MESSAGE, rcpt: { notify: "SUCCESS" } });
  const [row] = t.queued();
  assert.deepEqual([row!.notify, row!.originalRecipient], ["SUCCESS", "rfc822;away@example.test"]);
});

Deno.test("binary parts become base64, lines stay, and no NUL or bare line end is stored", async () => {
  await using t = await bed();
  const message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n" +
    "Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n" +
    "--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\x01\n\r.\n\xff\r\n" +
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\nl\xc3\xa4nger\r\n--b--\r\n";
  const { data } = await t.send({ to: ["bob@example.test"], message, parameters: { body: "BINARYMIME" } });
  assert.equal(line(data!), "250 2.6.0");
  const [stored] = t.stored("bob");
  assert.doesNotMatch(stored!.replaceAll("\r\n", ""), /[\0\r\n]/);
  assert.match(stored!, /\r\nplain\r\n--b\r\n/);
  assert.match(stored!, /Content-Transfer-Encoding: base64\r\n\r\nAAEKDS4K\/w==\r\n--b\r\n/);
  assert.match(stored!, /Content-Transfer-Encoding: 8bit\r\n\r\nl\xc3\xa4nger\r\n--b--/);
  assert.match(stored!, /boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n/);
  assert.doesNotMatch(stored!, /binary/);
});

for (
  const [name, message] of [
    ["NUL in the header", "Subject: a\0b\r\n\r\nx\r\n"],
    [
      "a bare LF between parts",
      "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\ny\r\n--b\r\n\r\nz\r\n--b--\r\n",
    ],
    ["NUL in a part that is encoded", "Content-Transfer-Encoding: base64\r\n\r\nAA\0A\r\n"],
  ] as const
) {
  Deno.test(`binary that no encoding mends is refused: ${name}`, async () => {
    await using t = await bed();
    const { data } = await t.send({ to: ["bob@example.test"], message, parameters: { body: "BINARYMIME" } });
    assert.equal(line(data!), "554 5.6.0");
    assert.equal(t.stored("bob").length, 0);
  });
}

for (
  const [name, parameters, header, tls] of [
    ["REQUIRETLS", { requireTls: true }, "TLS-Required: No\r\n", "require"],
    ["TLS-Required: No", {}, "TLS-Required: No\r\n", "optional"],
    ["neither", {}, "X-TLS-Required: No\r\n", ""],
  ] as const
) {
  Deno.test(`what TLS the next hop needs waits in the queue: ${name}`, async () => {
    await using t = await bed();
    await t.send({ to: ["x@relay.example"], message: header + MESSAGE, parameters });
    assert.equal(t.test.store.queue.message(t.queued()[0]!.queueId)!.tls, tls);
  });
}

Deno.test("held mail waits for its time, for mailboxes here too, and lives as long from then", async () => {
  await using t = await bed();
  await t.send({
    to: ["bob@example.test", "x@relay.example"],
    message: MESSAGE,
    parameters: { hold: { forSeconds: 3_600 } },
  });
  assert.equal(t.stored("bob").length, 0);
  const rows = t.queued();
  assert.deepEqual(rows.map(({ destination }) => destination).sort(), ["local:held", "relay.example"]);
  for (const row of rows) {
    assert.equal(row.nextAttemptAt, NOW + 3_600_000);
    assert.equal(row.expiresAt - row.nextAttemptAt, 5 * 86_400_000);
  }
});

Deno.test("ETRN starts what waits for a relay domain, not what is held, and nothing of others", async () => {
  await using t = await bed();
  await t.send({ to: ["x@relay.example"], message: MESSAGE });
  await t.send({ to: ["y@relay.example"], message: MESSAGE, parameters: { hold: { forSeconds: 60 } } });
  const etrn = async (text: string) => line(await t.reception.etrn(STRANGER, text));
  assert.equal(await etrn("relay.example"), "251 2.0.0");
  const [tried, held] = t.queued();
  await t.ok({
    kind: "queue-outcomes",
    at: NOW,
    outcomes: [{
      ...{
        recipientId: tried!.recipientId,
        outcome: "deferred",
        reply: "",
        remote: "",
        delayNotified: false,
      },
      nextAttemptAt: NOW + 9_999_999,
    }],
  });
  assert.equal(await etrn("RELAY.example."), "253 2.0.0");
  const after = t.queued();
  assert.deepEqual(after.map(({ nextAttemptAt }) => nextAttemptAt), [NOW, held!.nextAttemptAt]);
  assert.equal(await etrn("example.test"), "459 4.7.1");
  assert.equal(await etrn("far.example"), "459 4.7.1");
  assert.equal(await etrn("@relay.example"), "501 5.5.4");
});

Deno.test("VRFY and EXPN answer nobody, logins, or everybody, as configured", async () => {
  await using t = await bed();
  const ask = (verb: "VRFY" | "EXPN", text: string, account: Account | null = null) =>
    t.reception.lookup({ ...STRANGER, account }, { verb, text });
  assert.equal(line(ask("VRFY", "bob@example.test")), "252 2.1.5");
  assert.equal(line(ask("EXPN", "both@example.test")), "502 5.5.1");
  await using open = await bed({ vrfy: "logins", expn: "everybody" });
  const asked = (verb: "VRFY" | "EXPN", text: string, account: Account | null = null) =>
    open.reception.lookup({ ...STRANGER, account }, { verb, text });
  assert.equal(line(asked("VRFY", "bob@example.test")), "252 2.1.5");
  const alice = open.account("alice");
  assert.equal(asked("VRFY", "<Bob@example.test>", alice).text, "<bob@example.test>");
  assert.equal(line(asked("VRFY", "nobody@example.test", alice)), "550 5.1.1");
  assert.equal(line(asked("VRFY", "x@far.example", alice)), "252 2.1.5");
  const list = asked("EXPN", "both@example.test");
  assert.deepEqual([list.text, ...list.more!], ["<bob@example.test>", "<x@far.example>"]);
  assert.equal(line(asked("EXPN", "bob@example.test")), "550 5.1.1");
});

const BOB = "bob@example.test";

/** One LMTP message to these; what each of RCPT and the end of data is answered. */
async function lmtp(
  t: ReceptionBed,
  mail: { to: string[]; message: string; meanwhile?: () => Promise<void> },
) {
  const transaction = t.reception.mail({ ...STRANGER, service: "lmtp" }, {
    reversePath: null,
    parameters: NO_MAIL_PARAMETERS,
  });
  assert.ok(!isReply(transaction));
  const rcpt: string[] = [];
  for (const to of mail.to) rcpt.push(line(await transaction.rcpt(pathOf(to), NO_RCPT_PARAMETERS)));
  assert.equal(transaction.begin(), null);
  await mail.meanwhile?.();
  const octets = new TextEncoder().encode(mail.message);
  await transaction.write(octets, 0, octets.length);
  return { rcpt, data: (await transaction.finishEach()).map(line) };
}

Deno.test("LMTP: full, gone and circling recipients are refused behind the data, the others get it", async () => {
  await using t = await bed();
  const { to, message } = {
    to: ["alice@example.test", BOB, "gone@example.test", "loop@example.test", "both@example.test"],
    message: `Delivered-To: loop@example.test\r\n${MESSAGE}${"x".repeat(70)}\r\n`,
  };
  await t.ok(
    { kind: "put-account", account: { address: "alice@example.test", quotaOctets: 100 } },
    { kind: "put-account", account: { address: "carol@example.test", quotaOctets: 100 } },
    { kind: "put-account", account: { address: "gone@example.test" } },
    { kind: "put-account", account: { address: "loop@example.test" } },
  );
  // A notice to who is full is none.
  const copies = (name: string) => t.stored(name).filter((text) => text.includes("hello")).length;
  const meanwhile = () => t.ok({ kind: "remove-account", address: "gone@example.test" });
  const { rcpt, data } = await lmtp(t, { to, message, meanwhile });
  assert.deepEqual(rcpt, Array.from(to, () => "250 2.1.5"));
  assert.deepEqual(data, ["452 4.2.2", "250 2.6.0", "550 5.1.1", "554 5.4.6", "250 2.6.0"]);
  assert.deepEqual(["alice", "bob", "loop"].map(copies), [0, 1, 0]);
  assert.deepEqual(t.queued().map(({ recipient }) => recipient), ["x@far.example"]);
  // Nobody left: each hears its own, and nothing is stored.
  const none = await lmtp(t, { to: ["loop@example.test", "carol@example.test"], message });
  assert.deepEqual(none.data, ["554 5.4.6", "452 4.2.2"]);
  // What concerns the message concerns all.
  const huge = await lmtp(t, { to: [BOB, BOB], message: "Received: x\r\n".repeat(101) + MESSAGE });
  assert.deepEqual(huge.data, ["554 5.4.6", "554 5.4.6"]);
  assert.equal(copies("bob"), 1);
});

Deno.test("LMTP: a reply for each recipient that was accepted", async () => {
  await using t = await bed();
  const transaction = t.reception.mail({ ...STRANGER, service: "lmtp" }, {
    reversePath: null,
    parameters: {
      ...{
        size: null,
        body: "7BIT",
        smtputf8: false,
        ret: "",
        envelopeId: "",
        requireTls: false,
        hold: null,
        priority: null,
      },
    },
  });
  assert.ok(!isReply(transaction));
  const none = { notify: "", originalRecipient: "" };
  const path = (localPart: string, domain = "example.test") => ({ localPart, domain, international: false });
  assert.equal((await transaction.rcpt(path("bob"), none)).code, 250);
  assert.equal((await transaction.rcpt(path("nobody"), none)).code, 550);
  assert.equal((await transaction.rcpt(path("x", "far.example"), none)).code, 550);
  assert.equal((await transaction.rcpt(path("alice"), none)).code, 250);
  assert.equal(transaction.begin(), null);
  await transaction.write(new TextEncoder().encode(MESSAGE), 0, MESSAGE.length);
  assert.deepEqual((await transaction.finishEach()).map(line), ["250 2.6.0", "250 2.6.0"]);
  assert.match(t.stored("bob")[0]!, /with LMTP/);
});
