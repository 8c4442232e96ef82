/** SORT and THREAD over a real store (RFC 5256, RFC 5267, RFC 5957). */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";

function letter(from: string, subject: string, options: { day: number; id: string; re?: string }): string {
  return `From: ${from}\r\nTo: x@example.test\r\nSubject: ${subject}\r\n` +
    `Date: ${options.day} Jan 2024 00:00:00 +0000\r\nMessage-ID: <${options.id}@x>\r\n` +
    (options.re === undefined ? "" : `References: <${options.re}@x>\r\n`) +
    `\r\n${"o".repeat(options.day)}\r\n`;
}

imapTest("SORT by every key, both ways", async (h) => {
  await h.deliver(letter('"Zoe" <adam@a.test>', "b", { day: 3, id: "1" }), { internalDate: 3_000 });
  await h.deliver(letter('"=?UTF-8?Q?=C3=84rger?=" <zed@a.test>', "Re: A", { day: 1, id: "2" }), {
    internalDate: 2_000,
  });
  await h.deliver(letter("mia@a.test", "a", { day: 2, id: "3" }), { internalDate: 1_000 });
  const client = await h.selected();
  for (
    const [keys, numbers] of [
      ["ARRIVAL", "3 2 1"],
      ["DATE", "2 3 1"],
      ["REVERSE DATE", "1 3 2"],
      ["SUBJECT", "2 3 1"],
      ["SUBJECT REVERSE DATE", "3 2 1"],
      ["FROM", "1 3 2"],
      ["DISPLAYFROM", "2 3 1"],
      ["TO", "1 2 3"],
      ["CC REVERSE ARRIVAL", "1 2 3"],
      ["REVERSE SIZE", "2 1 3"],
    ] as const
  ) {
    assert.match(
      await client.ok(`SORT (${keys}) UTF-8 ALL`),
      new RegExp(`^\\* SORT ${numbers}\r$`, "m"),
      keys,
    );
  }
  assert.match(await client.ok("UID SORT (DATE) US-ASCII FROM zed"), /^\* SORT 2\r$/m);
  assert.match(await client.ok("SORT (DATE) UTF-8 FROM nobody"), /^\* SORT\r$/m);
  assert.match(await client.command("SORT (DATE) KOI8-R ALL"), /^NO \[BADCHARSET/m);
  assert.match(await client.command("SORT (AGE) UTF-8 ALL"), /^BAD/m);
  assert.match(await client.command("SORT () UTF-8 ALL"), /^BAD/m);
  const extended = await client.ok("SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL");
  assert.match(extended, /^\* ESEARCH \(TAG "[^"]+"\) MIN 2 MAX 1 COUNT 3 ALL 2:3,1\r$/m);
});

imapTest("THREAD by references and by subject, across an expunge", async (h) => {
  await h.test.store.write({ kind: "subscribe", accountId: 1, name: "x", subscribed: true });
  const client = await h.selected();
  for (
    const text of [
      letter("a@a.test", "one", { day: 1, id: "1" }),
      letter("a@a.test", "Re: one", { day: 2, id: "2", re: "1" }),
      letter("a@a.test", "two", { day: 3, id: "3" }),
      letter("a@a.test", "Re: one", { day: 4, id: "4", re: "1" }),
    ]
  ) await client.ok(`APPEND INBOX {${text.length}+}\r\n${text}`);
  assert.match(await client.ok("THREAD REFERENCES UTF-8 ALL"), /^\* THREAD \(1 \(2\)\(4\)\)\(3\)\r$/m);
  assert.match(await client.ok("THREAD REFS UTF-8 ALL"), /^\* THREAD \(3\)\(1 \(2\)\(4\)\)\r$/m);
  assert.match(
    await client.ok("UID THREAD ORDEREDSUBJECT UTF-8 ALL"),
    /^\* THREAD \(1 \(2\)\(4\)\)\(3\)\r$/m,
  );
  await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  assert.match(await client.ok("UID THREAD REFERENCES UTF-8 ALL"), /^\* THREAD \(\(2\)\(4\)\)\(3\)\r$/m);
  assert.match(await client.ok("THREAD REFERENCES UTF-8 SUBJECT none"), /^\* THREAD\r$/m);
  assert.match(await client.command("THREAD DATES UTF-8 ALL"), /^BAD/m);
});
