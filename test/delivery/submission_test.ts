/** Submitted messages: whose From, what is added, what goes, and what is left alone. RFC 6409 */
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { MAX_HEADER_OCTETS, SubmissionHeader } from "../../delivery/submission.ts";
import { accountRow } from "../lib/account_row.ts";
import { domainRow } from "../lib/domain_row.ts";
import { line, NOW, octetsOf, ReceptionBed, STRANGER, text } from "./reception_bed.ts";

const ALICE = accountRow({ sendAs: ["news@elsewhere.example", "jürgen@example.test"] });
const DIRECTORY = {
  address: () => null,
  domain: () => domainRow({ name: "example.test", subaddressSeparators: "+" }),
  alias: (address: string) =>
    address === "sales@example.test" ? { address, targets: ["alice@example.test"] } : null,
};

/** Pushes the message in pieces; the octets stored, or the refusal. */
function submit(message: string, pieces: readonly number[] = []): string {
  const gate = new SubmissionHeader({
    account: ALICE,
    directory: DIRECTORY,
    date: NOW,
    messageId: "<id@mx.example.test>",
  });
  let stored = "";
  const cuts = [...new Set([0, ...pieces.filter((cut) => cut < message.length), message.length])].sort((
    a,
    b,
  ) => a - b);
  for (let at = 1; at < cuts.length; at++) {
    // Octets in front and behind belong to somebody else.
    const bytes = octetsOf(`..${message.slice(cuts[at - 1], cuts[at])}\r\n\r\n`);
    const end = bytes.length - 4;
    const result = gate.push(bytes, 2, end);
    if (result.kind === "refused") return line(result.reply);
    if (result.kind === "header") stored += text(result.header);
    if (result.kind !== "held") stored += text(bytes.subarray(result.bodyStart, end));
  }
  const last = gate.end();
  if (last?.kind === "refused") return line(last.reply);
  return last?.kind === "header" ? stored + text(last.header) : stored;
}

const COMPLETE = "Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <a@b>\r\n";

const HEADERS: [name: string, header: string, answer: string][] = [
  ["the login's own address", "From: alice@example.test\r\n", ""],
  ["with a name, in any case", 'From: "Alice, Dr." <ALICE@Example.Test>\r\n', ""],
  ["folded", "From: Alice\r\n <alice@example.test>\r\n", ""],
  ["an alias", "From: sales@example.test\r\n", ""],
  ["a sub-address", "From: alice+shop@example.test\r\n", ""],
  ["a granted one", "From: news@elsewhere.example\r\n", ""],
  ["a granted one in UTF-8", "From: j\xc3\xbcrgen@example.test\r\n", ""],
  [
    "several of them, with Sender",
    "From: alice@example.test, sales@example.test\r\nSender: sales@example.test\r\n",
    "",
  ],
  ["a group of them", "From: us: alice@example.test, sales@example.test;\r\n", ""],
  ["white space before the colon", "From : alice@example.test\r\n", ""],
  ["somebody else", "From: bob@example.test\r\n", "550 5.7.1"],
  ["one of several", "From: alice@example.test, bob@example.test\r\n", "550 5.7.1"],
  ["somebody behind one's own name", 'From: "alice@example.test" <bob@example.test>\r\n', "550 5.7.1"],
  ["somebody in a group", "From: us: alice@example.test, bob@example.test;\r\n", "550 5.7.1"],
  ["two angle addresses", "From: <alice@example.test> <bob@example.test>\r\n", "550 5.7.1"],
  ["no domain", "From: alice\r\n", "550 5.7.1"],
  ["a foreign Sender", "From: alice@example.test\r\nSender: bob@example.test\r\n", "550 5.7.1"],
  ["two Senders", "From: alice@example.test\r\nSender: alice@example.test\r\nSender: bob@b\r\n", "554 5.6.0"],
  ["an empty Sender", "From: alice@example.test\r\nSender: \r\n", "554 5.6.0"],
  ["no From", "Subject: x\r\n", "554 5.6.0"],
  ["an empty From", "From: \r\n", "554 5.6.0"],
  ["an empty group", "From: undisclosed:;\r\n", "554 5.6.0"],
  ["two From fields", "From: alice@example.test\r\nfrom: alice@example.test\r\n", "554 5.6.0"],
  ["a line that is no field", "From: alice@example.test\r\nhello\r\n", "554 5.6.0"],
  ["a field name with a space", "From: alice@example.test\r\nFrom bob: x\r\n", "554 5.6.0"],
  ["a mailbox file's first line", "From alice Mon Nov 23\r\nFrom: alice@example.test\r\n", "554 5.6.0"],
  ["a fold before any field", " x\r\nFrom: alice@example.test\r\n", "554 5.6.0"],
];

for (const [name, header, answer] of HEADERS) {
  Deno.test(`header: ${name}`, () => {
    const message = `${header}${COMPLETE}\r\nbody\r\n`;
    equal(submit(message), answer === "" ? message : answer);
  });
}

Deno.test("a header larger than what is looked at is refused", () => {
  const fill = `X: ${"y".repeat(70)}\r\n`.repeat(Math.ceil(MAX_HEADER_OCTETS / 75));
  equal(submit(`From: alice@example.test\r\n${fill}From: bob@example.test\r\n\r\n`), "552 5.3.4");
});

Deno.test("what is missing is put in front, nothing else changes", () => {
  const message = "Subject:  two  spaces \r\nFrom: alice@example.test\r\nX-y: \xe4\xff\r\n\r\nb\0dy";
  equal(
    submit(message),
    `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <id@mx.example.test>\r\n${message}`,
  );
  equal(
    submit(`MESSAGE-ID: <x@y>\r\nFrom: alice@example.test\r\n\r\n`),
    `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMESSAGE-ID: <x@y>\r\nFrom: alice@example.test\r\n\r\n`,
  );
});

Deno.test("Bcc goes, with its folds, wherever it stands", () => {
  equal(
    submit(
      `BCC: a@b.example,\r\n\tc@d.example\r\nFrom: alice@example.test\r\nbcc:\r\nTo: x@y.example\r\n` +
        `${COMPLETE}Resent-Bcc: e@f.example\r\n\r\nBcc: stays\r\n`,
    ),
    `From: alice@example.test\r\nTo: x@y.example\r\n${COMPLETE}\r\nBcc: stays\r\n`,
  );
});

Deno.test("a message that is all header", () => {
  equal(submit(`${COMPLETE}From: alice@example.test\r\n`), `${COMPLETE}From: alice@example.test\r\n`);
  equal(submit(`${COMPLETE}From: alice@example.test\r\nBcc: x@y`), `${COMPLETE}From: alice@example.test\r\n`);
  equal(submit(""), "554 5.6.0");
  equal(submit("\r\nFrom: alice@example.test\r\n"), "554 5.6.0");
});

Deno.test("property: the result does not depend on how the octets arrive", () => {
  const parts = fc.array(
    fc.constantFrom(
      "From: alice@example.test\r\n",
      "Bcc: x@y.example\r\n",
      " fold\r\n",
      "\r\n",
      "\r",
      "A: b\r\n",
      "\n",
    ),
    { maxLength: 8 },
  );
  fc.assert(fc.property(parts, fc.array(fc.nat(120), { maxLength: 6 }), (words, cuts) => {
    const message = words.join("");
    equal(submit(message, cuts), submit(message));
  }));
});

Deno.test("end to end: mended, filed and queued without the blind copy", async () => {
  await using bed = await ReceptionBed.open();
  const { rcpt, data } = await bed.send({
    client: bed.login("alice"),
    from: "alice+x@example.test",
    to: ["bob@example.test", "friend@far.example"],
    message: "Bcc: bob@example.test\r\nFrom: alice@example.test\r\n\r\nHi\r\n",
    pieceOctets: 7,
  });
  equal(rcpt.map(line), ["250 2.1.5", "250 2.1.5"]);
  equal(line(data!), "250 2.6.0");
  const stored = "Received: from client.example ([192.0.2.1])\r\n" +
    "\tby mx.example.test with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) id trace1;\r\n" +
    "\tMon, 23 Nov 2026 20:09:29 +0000\r\n" +
    "Date: Mon, 23 Nov 2026 20:09:29 +0000\r\n" +
    "Message-ID: <trace1@mx.example.test>\r\n" +
    "From: alice@example.test\r\n\r\nHi\r\n";
  equal(bed.stored("bob"), [
    `Return-Path: <alice+x@example.test>\r\nDelivered-To: bob@example.test\r\n${stored}`,
  ]);
  const [row] = bed.queued();
  equal(bed.queuedOctets(row!), stored);
  equal(bed.test.store.queue.message(row!.queueId)!.accountId, bed.account("alice").id);
  const message = bed.test.store.messages.row(bed.test.mailboxId("bob", "INBOX"), 1, { withImap: false })!;
  equal(message.headerOctets, stored.indexOf("\r\n\r\n") + 4);
});

Deno.test("end to end: a foreign From is read to the end, refused, and leaves nothing", async () => {
  await using bed = await ReceptionBed.open();
  const { data } = await bed.send({
    client: bed.login("alice"),
    from: "alice@example.test",
    to: ["bob@example.test"],
    message: `From: bob@example.test\r\n\r\n${"text\r\n".repeat(1_000)}`,
  });
  equal(data, {
    code: 550,
    enhanced: "5.7.1",
    text: "The From address does not belong to this login",
  });
  equal(bed.stored("bob"), []);
});

Deno.test("mail of trusted networks is not a submission: stored as it came", async () => {
  await using bed = await ReceptionBed.open();
  const message = `Bcc: x@y\r\nFrom: anybody\r\n\r\n${"z".repeat(2_000)}\r\n`;
  const { data } = await bed.send({
    client: { ...STRANGER, trusted: true },
    to: ["bob@example.test"],
    message,
  });
  equal(data?.code, 250);
  ok(bed.stored("bob")[0]!.endsWith(`\r\n${message}`));
});
