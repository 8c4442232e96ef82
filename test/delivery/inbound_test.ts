/** What comes in is what is stored: octets, trace, copies, and nothing at all when the disk refuses. */
import { NO_MAIL_PARAMETERS, NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import type { Files, SegmentFile } from "../../storage/files.ts";
import { DENO_FILES } from "../../storage/files.ts";
import { configureLogs, flushLogs, logSettings } from "../../telemetry/log.ts";
import { exposition, metricsAsJson } from "../../telemetry/metrics.ts";
import { isReply } from "../../delivery/reception.ts";
import { CONFIG, DAY_MS, line, NOW, pathOf, ReceptionBed, STRANGER, text } from "./reception_bed.ts";

const MESSAGE = "From: a@remote.example\r\nSubject: hello\r\n\r\nHow are you?\r\n";
const RECEIVED = "Received: from client.example ([192.0.2.1]) by mx.example.test with ESMTP\r\n" +
  "\tid trace1 for <alice@example.test>; Mon, 23 Nov 2026 20:09:29 +0000\r\n";

Deno.test("a message from a stranger is filed with its trace fields, and the 250 carries its id", async () => {
  await using bed = await ReceptionBed.open();
  const { rcpt, data } = await bed.send({ to: ["alice@example.test"], message: MESSAGE });
  equal(rcpt.map(line), ["250 2.1.5"]);
  equal(data, { code: 250, enhanced: "2.6.0", text: "trace1 Message accepted" });
  equal(bed.stored("alice"), [
    "Return-Path: <sender@remote.example>\r\nDelivered-To: alice@example.test\r\n" + RECEIVED + MESSAGE,
  ]);
});

Deno.test("property: what is stored is prefix, Received and the octets given", async () => {
  await using bed = await ReceptionBed.open();
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 3_000 }),
      fc.constantFrom(
        "",
        "A: b\r\n",
        "A: b\r\n\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
      ),
      fc.integer({ min: 1, max: 999 }),
      async (octets, head, pieceOctets) => {
        const message = head + text(octets);
        const { data } = await bed.send({ to: ["alice@example.test"], message, pieceOctets });
        equal(data?.code, 250);
        const stored = bed.stored("alice").at(-1)!;
        const received = RECEIVED.replace("trace1", `trace${++count}`);
        // A longer id moves the date to a line of its own.
        const start = stored.indexOf("Received:");
        equal(
          stored.slice(start).replace(/;\r\n\t/, "; "),
          (received + message).replace(/;\r\n\t/, "; "),
        );
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("long lines, 8-bit octets and a message of several megabytes from port 25 are stored unchanged", async () => {
  await using bed = await ReceptionBed.open({ messageOctets: 4_000_000 });
  const message = `Subject: big\r\n\r\n${"\xe4".repeat(5_000)}\r\n${"0123456789\r\n".repeat(200_000)}`;
  const { data } = await bed.send({ to: ["alice@example.test"], message, pieceOctets: 60_000 });
  equal(data?.code, 250);
  const [stored] = bed.stored("alice");
  ok(stored!.endsWith(message));
});

Deno.test("facts of the stored message count our Received in", async () => {
  await using bed = await ReceptionBed.open();
  await bed.send({ to: ["alice@example.test"], message: MESSAGE });
  const row = bed.test.store.messages.row(bed.test.mailboxId("alice", "INBOX"), 1, { withImap: false })!;
  equal(row.headerOctets, RECEIVED.length + MESSAGE.indexOf("\r\n\r\n") + 4);
  equal(row.sizeOctets, bed.stored("alice")[0]!.length);
  equal(row.internalDate, NOW);
});

Deno.test("two recipients share the octets, have a prefix each and hide each other", async () => {
  await using bed = await ReceptionBed.open();
  await bed.send({ to: ["alice@example.test", "BOB+lists@Example.Test"], message: MESSAGE, from: "" });
  const [alice] = bed.stored("alice");
  const [bob] = bed.stored("bob");
  ok(alice!.startsWith("Return-Path: <>\r\nDelivered-To: alice@example.test\r\nReceived: "));
  ok(bob!.startsWith("Return-Path: <>\r\nDelivered-To: bob+lists@example.test\r\nReceived: "));
  equal(alice!.slice(alice!.indexOf("Received")), bob!.slice(bob!.indexOf("Received")));
  ok(!alice!.includes(" for <"));
  const id = (name: string) => bed.test.mailboxId(name, "INBOX");
  const blob = (name: string) => bed.test.store.messages.row(id(name), 1, { withImap: false })!.blob;
  equal(blob("alice"), blob("bob"));
});

Deno.test("two ways to one mailbox make one copy", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok({ kind: "put-alias", address: "team@example.test", targets: ["alice@example.test"] });
  const { rcpt } = await bed.send({
    to: ["alice@example.test", "team@example.test", "alice+x@example.test"],
    message: MESSAGE,
  });
  equal(rcpt.map(line), ["250 2.1.5", "250 2.1.5", "250 2.1.5"]);
  equal(bed.stored("alice").length, 1);
});

Deno.test("a relay domain's mail waits in the queue, in one transaction with the local copy", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok({
    kind: "put-domain",
    domain: {
      name: "relay.example",
      kind: "relay",
      nextHop: "mx",
      catchAll: "",
      subaddressSeparators: "",
    },
  });
  const { rcpt, data } = await bed.send({
    to: ["alice@example.test", "Carol@Relay.EXAMPLE", "x@elsewhere.example"],
    message: MESSAGE,
  });
  equal(rcpt.map(line), ["250 2.1.5", "250 2.1.5", "550 5.7.1"]);
  equal(data?.code, 250);
  equal(bed.stored("alice").length, 1);
  const [row, ...more] = bed.queued();
  equal(more, []);
  equal([row!.recipient, row!.destination, row!.sender, row!.traceId], [
    "Carol@Relay.EXAMPLE",
    "relay.example",
    "sender@remote.example",
    "trace1",
  ]);
  equal([row!.createdAt, row!.expiresAt], [NOW, NOW + 5 * DAY_MS]);
  ok(bed.queuedOctets(row!).endsWith(MESSAGE));
  ok(bed.queuedOctets(row!).startsWith("Received: "));
});

Deno.test("bounces have a life of their own in the queue", async () => {
  await using bed = await ReceptionBed.open();
  await bed.send({ client: { ...STRANGER, trusted: true }, from: "", to: ["x@y.example"], message: MESSAGE });
  equal(bed.queued().map(({ sender, expiresAt }) => [sender, expiresAt]), [["", NOW + 2 * DAY_MS]]);
});

Deno.test("an 8-bit message is marked so in the queue, said or not", async () => {
  await using bed = await ReceptionBed.open();
  const client = { ...STRANGER, trusted: true };
  await bed.send({ client, to: ["x@y.example"], message: "A: b\r\n\r\n\xff\r\n" });
  await bed.send({ client, to: ["x@y.example"], message: MESSAGE });
  await bed.send({ client, to: ["x@y.example"], message: MESSAGE, parameters: { body: "8BITMIME" } });
  const { queue } = bed.test.store;
  equal(bed.queued().map(({ queueId }) => queue.message(queueId)!.eightBit), [true, false, true]);
});

Deno.test("captured mail lands in one INBOX and nothing is queued", async () => {
  await using bed = await ReceptionBed.open({ captureOutbound: "bob@example.test" });
  const { data } = await bed.send({
    client: { ...STRANGER, trusted: true },
    to: ["x@one.example", "y@two.example", "alice@example.test"],
    message: MESSAGE,
  });
  equal(data?.code, 250);
  equal(bed.queued(), []);
  equal(bed.stored("alice").length, 1);
  const [captured, ...more] = bed.stored("bob");
  equal(more, []);
  ok(captured!.startsWith(
    "Return-Path: <sender@remote.example>\r\nDelivered-To: x@one.example\r\nDelivered-To: y@two.example\r\n",
  ));
});

Deno.test("captured mail of an account that is gone goes nowhere", async () => {
  await using bed = await ReceptionBed.open({ captureOutbound: "nobody@example.test" });
  const { rcpt } = await bed.send({
    client: { ...STRANGER, trusted: true },
    to: ["x@one.example"],
    message: MESSAGE,
  });
  equal(rcpt.map(line), ["550 5.2.1"]);
  equal(bed.queued(), []);
});

Deno.test("more than 100 Received fields are a loop, 100 are not", async () => {
  await using bed = await ReceptionBed.open();
  const hops = (count: number) => "Received: by a.example\r\n".repeat(count) + MESSAGE;
  const sent = async (count: number) =>
    line((await bed.send({ to: ["alice@example.test"], message: hops(count) })).data!);
  equal(await sent(100), "250 2.6.0");
  equal(await sent(101), "554 5.4.6");
  equal(bed.stored("alice").length, 1);
});

Deno.test("our own Delivered-To for a recipient is a loop, another's is not", async () => {
  await using bed = await ReceptionBed.open();
  const sent = async (deliveredTo: string) =>
    line(
      (await bed.send({ to: ["alice@example.test"], message: `Delivered-To: ${deliveredTo}\r\n${MESSAGE}` }))
        .data!,
    );
  equal(await sent("Alice@Example.test"), "554 5.4.6");
  equal(await sent("bob@example.test"), "250 2.6.0");
});

Deno.test("a loop of an address in UTF-8 is seen too", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok({ kind: "put-account", account: { address: "jürgen@example.test" } });
  const { data } = await bed.send({
    to: ["jürgen@example.test"],
    message: `Delivered-To: j\xc3\xbcrgen@example.test\r\n${MESSAGE}`,
    parameters: { smtputf8: true },
  });
  equal(line(data!), "554 5.4.6");
});

Deno.test("recipients are limited", async () => {
  await using bed = await ReceptionBed.open({ recipients: 2 });
  const { rcpt } = await bed.send({
    to: ["alice@example.test", "nobody@example.test", "bob@example.test", "alice@example.test"],
    message: MESSAGE,
  });
  equal(rcpt.map(line), ["250 2.1.5", "550 5.1.1", "250 2.1.5", "452 4.5.3"]);
});

Deno.test("a message over the limit is read to its end and refused", async () => {
  await using bed = await ReceptionBed.open({ messageOctets: MESSAGE.length });
  const size = async (message: string) =>
    line((await bed.send({ to: ["alice@example.test"], message })).data!);
  equal(await size(MESSAGE), "250 2.6.0");
  equal(await size(`${MESSAGE}.`), "552 5.3.4");
  const announced = await bed.send({
    to: ["alice@example.test"],
    message: MESSAGE,
    parameters: { size: MESSAGE.length + 1 },
  });
  equal(line(announced.mail!), "552 5.3.4");
  equal(bed.stored("alice").length, 1);
});

Deno.test("international recipients need SMTPUTF8", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok({ kind: "put-account", account: { address: "jürgen@example.test" } });
  const to = ["jürgen@example.test"];
  equal((await bed.send({ to, message: MESSAGE })).rcpt.map(line), ["553 5.6.7"]);
  const { data } = await bed.send({ to, message: MESSAGE, parameters: { smtputf8: true } });
  equal(data?.code, 250);
  const inbox = bed.test.store.mailboxes.inboxOf(bed.account("jürgen").id)!;
  const [row] = bed.test.store.messages.rows(inbox, [[1, 10]], { limit: 10, withImap: true });
  ok(new TextDecoder().decode(row!.prefix).includes("Delivered-To: jürgen@example.test\r\n"));
  const received = bed.test.store.blobs.readSync(row!.blob, 0, row!.blob.length);
  ok(new TextDecoder().decode(received).includes("with UTF8SMTP\r\n\tid trace2 for <jürgen@example.test>;"));
});

Deno.test("MAIL is refused while the disk is full", async () => {
  await using bed = await ReceptionBed.open({}, { minFreeOctets: Number.MAX_SAFE_INTEGER });
  const { mail } = await bed.send({ to: ["alice@example.test"], message: MESSAGE });
  equal(line(mail!), "452 4.3.1");
});

/** The real files, of which some calls fail once armed. */
class FailingFiles implements Files {
  failure: string | null = null;
  create(path: string): SegmentFile {
    return this.#wrap(DENO_FILES.create(path));
  }
  open(path: string): SegmentFile {
    return this.#wrap(DENO_FILES.open(path));
  }
  syncDirectory(path: string): void {
    DENO_FILES.syncDirectory(path);
  }
  #wrap(file: SegmentFile): SegmentFile {
    const failing = () => {
      if (this.failure !== null) throw new Error(this.failure);
    };
    return {
      ...wrapped(file),
      writeSync: (bytes, at) => (failing(), file.writeSync(bytes, at)),
      write: async (bytes, at) => (failing(), await file.write(bytes, at)),
      sync: async () => (failing(), await file.sync()),
      syncSync: () => (failing(), file.syncSync()),
    };
  }
}

for (
  const [failure, answer] of [
    ["Input/output error (os error 5)", "451 4.3.0"],
    ["No space left on device (os error 28)", "452 4.3.1"],
  ] as const
) {
  for (const size of [1, 40_000]) {
    Deno.test(`${failure} on ${size} lines answers ${answer} and leaves nothing`, async () => {
      const files = new FailingFiles();
      await using bed = await ReceptionBed.open({}, { files });
      const letter = { to: ["alice@example.test"], message: MESSAGE + "0123456789\r\n".repeat(size) };
      equal(line((await bed.send(letter)).data!), "250 2.6.0");
      files.failure = failure;
      equal(line((await bed.send(letter)).data!), answer);
      equal(bed.stored("alice").length, 1);
      files.failure = null;
      equal(line((await bed.send(letter)).data!), "250 2.6.0");
      equal(bed.stored("alice").length, 2);
    });
  }
}

Deno.test("octets are synced before the row is written, and the 250 is said after", async () => {
  const events: string[] = [];
  await using bed = await ReceptionBed.open({}, {
    files: {
      ...DENO_FILES,
      open(path) {
        const file = DENO_FILES.open(path);
        return {
          ...wrapped(file),
          syncSync() {
            file.syncSync();
            const inbox = bed.test.store.mailboxes.byId(bed.test.mailboxId("alice", "INBOX"))!;
            events.push(`synced with ${inbox.messages} in INBOX`);
          },
        };
      },
    },
  });
  const { data } = await bed.send({ to: ["alice@example.test"], message: MESSAGE });
  events.push(String(data!.code));
  equal(events, ["synced with 0 in INBOX", "250"]);
});

function wrapped(file: SegmentFile): SegmentFile {
  return {
    writeSync: (bytes, at) => file.writeSync(bytes, at),
    write: (bytes, at) => file.write(bytes, at),
    sync: () => file.sync(),
    syncSync: () => file.syncSync(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  };
}

Deno.test("an account removed between RCPT and the end of data is temporary trouble", async () => {
  await using bed = await ReceptionBed.open();
  const transaction = bed.reception.mail(STRANGER, {
    reversePath: null,
    parameters: { ...NO_MAIL_PARAMETERS, size: null, body: "7BIT" },
  });
  if (isReply(transaction)) throw new Error(transaction.text);
  equal(line(await transaction.rcpt(pathOf("alice@example.test"), NO_RCPT_PARAMETERS)), "250 2.1.5");
  transaction.begin();
  await bed.ok({ kind: "remove-account", address: "alice@example.test" });
  transaction.write(new TextEncoder().encode(MESSAGE), 0, MESSAGE.length);
  equal(line(await transaction.finish()), "451 4.3.0");
});

Deno.test("a discarded transaction leaves nothing", async () => {
  await using bed = await ReceptionBed.open();
  const transaction = bed.reception.mail(STRANGER, {
    reversePath: null,
    parameters: { ...NO_MAIL_PARAMETERS, size: null, body: "7BIT" },
  });
  if (isReply(transaction)) throw new Error(transaction.text);
  await transaction.rcpt(pathOf("alice@example.test"), NO_RCPT_PARAMETERS);
  transaction.begin();
  transaction.write(new TextEncoder().encode(MESSAGE), 0, MESSAGE.length);
  transaction.discard();
  transaction.discard();
  equal(bed.stored("alice"), []);
});

Deno.test("a client lost during the end of data neither breaks nor halves the message", async () => {
  await using bed = await ReceptionBed.open();
  for (const message of [MESSAGE, `From: alice@example.test\r\n\r\n${"x".repeat(2_000)}\r\n`]) {
    const transaction = bed.reception.mail(bed.login("alice"), {
      reversePath: null,
      parameters: { ...NO_MAIL_PARAMETERS, size: null, body: "7BIT" },
    });
    if (isReply(transaction)) throw new Error(transaction.text);
    await transaction.rcpt(pathOf("bob@example.test"), NO_RCPT_PARAMETERS);
    transaction.begin();
    const octets = new TextEncoder().encode(message.replace("a@remote.example", "alice@example.test"));
    await transaction.write(octets, 0, octets.length);
    const finished = transaction.finish();
    transaction.discard();
    equal((await finished).code, 250);
    transaction.discard();
  }
  const [plain, mended] = bed.stored("bob");
  ok(plain!.endsWith("Subject: hello\r\n\r\nHow are you?\r\n"));
  equal(
    mended!.match(/x/g)!.length,
    2_000 + mended!.slice(0, mended!.indexOf("\r\n\r\n")).match(/x/g)!.length,
  );
});

Deno.test("new settings hold for the next MAIL", async () => {
  await using bed = await ReceptionBed.open();
  bed.reception.configure({ ...CONFIG, messageOctets: 10 });
  const { data } = await bed.send({ to: ["alice@example.test"], message: MESSAGE });
  equal(line(data!), "552 5.3.4");
});

Deno.test("an alias that leads to an address in UTF-8 marks the queued message", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok(
    { kind: "put-alias", address: "out@example.test", targets: ["jürgen@far.example"] },
    { kind: "put-alias", address: "plain@example.test", targets: ["x@far.example"] },
  );
  await bed.send({ to: ["out@example.test"], message: MESSAGE });
  await bed.send({ to: ["plain@example.test"], message: MESSAGE });
  const { queue } = bed.test.store;
  equal(bed.queued().map(({ queueId }) => queue.message(queueId)!.smtputf8), [true, false]);
});

Deno.test("property: any octets from anybody get a reply, and 250 means one more message", async () => {
  await using bed = await ReceptionBed.open({ messageOctets: 2_000 });
  const words = fc.constantFrom(
    "From: alice@example.test\r\n",
    "From: bob@example.test\r\n",
    "Bcc: x@y\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "\r\n",
    "--b\r\n",
    "--b--\r\n",
    " folded\r\n",
    "x".repeat(999),
    "\r",
    "\n",
    "\0\xff",
  );
  let stored = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(words, { maxLength: 12 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 3_000 }),
      async (parts, login, pieceOctets) => {
        const { data } = await bed.send({
          client: login ? bed.login("alice") : STRANGER,
          from: "",
          to: ["bob@example.test"],
          message: parts.join(""),
          pieceOctets,
        });
        ok(/^(250|55\d) /.test(line(data!)), line(data!));
        if (data!.code === 250) stored++;
        equal(bed.stored("bob").length, stored);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("one line tells what became of a message, and the counters follow", async () => {
  const lines: string[] = [];
  const before = logSettings();
  configureLogs({ level: "info", areas: {}, format: "json" }, { write: (text) => void lines.push(text) });
  try {
    await using bed = await ReceptionBed.open();
    const to = ["alice@example.test", "nobody@example.test"];
    await bed.send({ to, message: MESSAGE });
    await bed.send({ to, message: `Delivered-To: alice@example.test\r\n${MESSAGE}` });
    flushLogs();
  } finally {
    configureLogs(before, { write() {} });
  }
  const records = lines.join("").trim().split("\n").map((text) => JSON.parse(text));
  equal(
    records.filter(({ area }) => area === "delivery").map((
      { time: _, ms, ...record },
    ) => [typeof ms, record]),
    [["number", {
      level: "info",
      area: "delivery",
      message: "message accepted",
      outcome: "accepted",
      trace: "trace1",
      session: "session1",
      from: "sender@remote.example",
      recipients: 1,
      size: MESSAGE.length,
      mailboxes: 1,
      queued: 0,
    }], ["number", {
      level: "info",
      area: "delivery",
      message: "message refused",
      outcome: "refused",
      trace: "trace2",
      session: "session1",
      from: "sender@remote.example",
      recipients: 1,
      size: MESSAGE.length + 34,
      mailboxes: 1,
      queued: 0,
      reply: "554 5.4.6 Mail loop detected",
    }]],
  );
  const exposed = await exposition([await metricsAsJson()]);
  for (
    const counted of [
      'veredus_messages_received_total{outcome="accepted",service="mx"}',
      'veredus_messages_received_total{outcome="refused",service="mx"}',
      'veredus_recipients_total{outcome="local"}',
      'veredus_recipients_total{outcome="unknown"}',
      "veredus_reception_seconds_count",
    ]
  ) {
    ok(new RegExp(`^${counted.replace(/[{}"]/g, "\\$&")} [1-9]`, "m").test(exposed), counted);
  }
});
