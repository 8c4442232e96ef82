/** Many messages at once are answered as each alone: they are read another way (storage/known_pages.ts, header_batch.ts, field_blocks.ts). */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import { imapTest } from "./imap_harness.ts";

const COUNT = 90;

/** Some are so long that the next header is far, some headers are longer than what is read in one piece. */
function letter(number: number): string {
  const padding = number % 17 === 3 ? `X-Long: ${"h".repeat(9_000)}\r\n` : "";
  const huge = number === 40 ? `X-Huge: ${("h".repeat(900) + "\r\n ").repeat(160)}end\r\n` : "";
  const body = "b".repeat(number % 7 === 0 ? 12_000 : number * 10);
  return `From: Sender ${number} <s${number}@a.test>\r\n${padding}${huge}Subject: number ${number}\r\n` +
    `Date: ${1 + number % 28} Jan 2024 00:00:00 +0000\r\nMessage-ID: <${number}@x>\r\n\r\n${body}\r\n`;
}

imapTest("FETCH of many messages says what FETCH of each one says", async (h) => {
  for (let number = 1; number <= COUNT; number++) {
    const prefix = encode(number % 3 === 0 ? `Delivered-To: box${number}@example.test\r\n` : "");
    await h.deliver(letter(number), { prefix, internalDate: 1_700_000_000_000 + number * 1_000 });
  }
  const client = await h.selected();
  const items = [
    "BODY.PEEK[HEADER.FIELDS (FROM DELIVERED-TO SUBJECT)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (X-LONG X-HUGE DATE)]",
    "BODY.PEEK[HEADER]<0.40>",
    "UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY",
    "ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<3.5> BODY.PEEK[1]<0.3>",
    "RFC822.SIZE BODY.PEEK[]<0.100>",
  ];
  const untagged = (reply: string) => reply.slice(0, reply.lastIndexOf("\r\n", reply.length - 3) + 2);
  const compare = async (numbers: readonly number[], set: string) => {
    for (const item of items) {
      let each = "";
      for (const number of numbers) each += untagged(await client.ok(`FETCH ${number} (${item})`));
      assert.equal(untagged(await client.ok(`FETCH ${set} (${item})`)), each, item);
    }
  };
  const all = Array.from({ length: COUNT }, (_, at) => at + 1);
  await compare(all, "1:*");
  await compare(all, "1:*"); // from memory
  // After some are gone, and when more have come behind the page.
  await client.ok("STORE 5,7:9,60 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  await h.deliver(letter(COUNT + 1), { internalDate: 1_700_000_000_000 });
  await client.ok("NOOP");
  await compare(all.slice(0, COUNT - 4), "1:*");
});

imapTest("SORT goes on from the order it has when messages come and go", async (h) => {
  const subjects = ["c", "a", "b", "a"];
  const deliver = (subject: string, day: number) =>
    h.deliver(`Subject: ${subject}\r\nDate: ${day} Jan 2024 00:00:00 +0000\r\n\r\nx\r\n`, {
      internalDate: 0,
    });
  for (const [at, subject] of subjects.entries()) await deliver(subject, 9 - at);
  const client = await h.selected();
  const sorted = async (keys: string) =>
    /^\* SORT ?(.*)\r$/m.exec(await client.ok(`UID SORT (${keys}) UTF-8 ALL`))![1];
  assert.equal(await sorted("SUBJECT"), "2 4 3 1");
  assert.equal(await sorted("DATE"), "4 3 2 1");
  await client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  await deliver("aa", 1);
  await deliver("b", 30);
  await client.ok("NOOP");
  assert.equal(await sorted("SUBJECT"), "4 5 3 6 1");
  assert.equal(await sorted("REVERSE SUBJECT DATE"), "1 3 6 5 4");
  assert.equal(await sorted("DATE"), "5 4 3 1 6");
  assert.match(
    await client.ok("UID THREAD ORDEREDSUBJECT UTF-8 ALL"),
    /^\* THREAD \(5\)\(4\)\(3 6\)\(1\)\r$/m,
  );
});
