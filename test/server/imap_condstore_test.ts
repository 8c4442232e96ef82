/** CONDSTORE, QRESYNC, ESEARCH and SEARCHRES over the real store (RFC 7162, 4731, 5182, 5032). */
import assert from "node:assert/strict";
import { Compactor } from "../../storage/compaction.ts";
import { until } from "../lib/program.ts";
import { Harness, imapTest, type TestClient } from "./imap_harness.ts";

const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;

imapTest("a client that knows MODSEQ is told of it with every change of flags", async (h) => {
  for (const subject of ["a", "b", "c"]) await h.deliver(letter(subject));
  const [one, two] = [await h.login(), await h.login()];
  assert.match(await one.command("SELECT INBOX (CONDSTORE)"), /^\* OK \[HIGHESTMODSEQ 4\] /m);
  await two.command("SELECT INBOX");
  assert.match(await one.command("FETCH 1:3 (UID MODSEQ)"), /^\* 2 FETCH \(UID 2 MODSEQ \(3\)\)\r$/m);
  await two.command("STORE 2 +FLAGS (\\Seen)");
  assert.match(await one.command("NOOP"), /^\* 2 FETCH \(UID 2 FLAGS \(\\Seen[^)]*\) MODSEQ \(5\)\)\r$/m);
  const silent = await one.command("STORE 3 +FLAGS.SILENT (\\Flagged)");
  assert.match(silent, /^\* 3 FETCH \(UID 3 MODSEQ \(6\)\)\r$/m);
  const quiet = await two.command("NOOP");
  assert.match(quiet, /^\* 3 FETCH \(UID 3 FLAGS \(\\Flagged[^)]*\)\)\r$/m);
  assert.match(await two.command("STATUS INBOX (HIGHESTMODSEQ)"), /HIGHESTMODSEQ 6/);
});

imapTest("a STORE on condition leaves alone what has changed since", async (h) => {
  for (const subject of ["a", "b", "c"]) await h.deliver(letter(subject));
  const client = await h.login();
  await client.command("SELECT INBOX");
  await client.command("STORE 2 +FLAGS (\\Seen)");
  const reply = await client.command("STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Deleted)");
  assert.match(reply, /^OK \[MODIFIED 2\]/m);
  assert.match(reply, /^\* 1 FETCH \(UID 1 MODSEQ \(6\)\)\r$/m);
  assert.doesNotMatch(reply, /^\* 2 FETCH/m);
  assert.match(await client.command("SEARCH DELETED"), /^\* SEARCH 1 3\r$/m);
  assert.match(await client.command("UID STORE 1:3 (UNCHANGEDSINCE 5) FLAGS ()"), /^OK \[MODIFIED 1,3\]/m);
});

imapTest("what was expunged and changed while a client was away is told at SELECT", async (h) => {
  for (let at = 1; at <= 6; at++) await h.deliver(letter(`n${at}`));
  const first = await h.login();
  const opened = await first.command("SELECT INBOX");
  const validity = /UIDVALIDITY (\d+)/.exec(opened)![1];
  const modSeq = /HIGHESTMODSEQ (\d+)/.exec(opened)![1];
  await first.command("STORE 2,4 +FLAGS.SILENT (\\Deleted)");
  await first.command("EXPUNGE");
  await first.command("STORE 1 +FLAGS.SILENT (\\Answered)");
  const back = await h.login();
  assert.match(await back.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq}))`), /^BAD/m);
  await back.command("ENABLE QRESYNC");
  const news = await back.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq}))`);
  assert.match(news, /^\* VANISHED \(EARLIER\) 2,4\r$/m);
  assert.match(news, /^\* 1 FETCH \(UID 1 FLAGS \(\\Answered[^)]*\) MODSEQ \(\d+\)\)\r$/m);
  assert.equal(news.match(/ FETCH /g)?.length, 1);
  assert.match(
    await back.command(`UID FETCH 1:3 (FLAGS) (CHANGEDSINCE ${modSeq} VANISHED)`),
    /EARLIER\) 2\r/,
  );
  const some = await back.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq} 3:9))`);
  assert.match(some, /^\* OK \[CLOSED\]/m);
  assert.match(some, /^\* VANISHED \(EARLIER\) 4\r$/m);
  assert.doesNotMatch(some, / FETCH /);
  const stale = await back.command(`SELECT INBOX (QRESYNC (1 ${modSeq}))`);
  assert.doesNotMatch(stale, /VANISHED|FETCH/);
  const expunging = await back.command("UID STORE 6 +FLAGS.SILENT (\\Deleted)");
  assert.match(expunging, /^OK/m);
  const gone = await back.command("UID EXPUNGE 6");
  assert.match(gone, /^\* VANISHED 6\r$/m);
  assert.match(gone, /^OK \[HIGHESTMODSEQ \d+\]/m);
  assert.doesNotMatch(gone, /EXPUNGE\r/);
  assert.match(await first.command("NOOP"), /^\* 4 EXPUNGE\r$/m);
});

Deno.test("what was expunged is told after compaction and after a restart, and HIGHESTMODSEQ is where it was", async () => {
  const segment = { maxOctets: 8 * 1024, preallocateOctets: 0 };
  const before = await Harness.open({}, { segment });
  for (let at = 1; at <= 20; at++) await before.deliver(letter(`n${at}`) + "x".repeat(2_000));
  const client = await before.login();
  const [, validity] = /UIDVALIDITY (\d+)/.exec(await client.ok("SELECT INBOX"))!;
  const modSeqOf = async (one: TestClient) =>
    Number(/HIGHESTMODSEQ (\d+)/.exec(await one.ok("STATUS INBOX (HIGHESTMODSEQ)"))![1]);
  const known = await modSeqOf(client);
  await client.ok("STORE 2:19 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  const highest = await modSeqOf(client);
  assert.ok(highest > known);
  const later = Date.now() + 3_600_000;
  const { folder, writer } = before.test;
  const compactor = new Compactor({ folder, writer, clock: () => later, options: { pauseMs: 0 } });
  await until("messages to be moved by compaction", async () => (await compactor.run()).moved > 0 || null);
  await compactor.stop();
  const resynchronized = async (h: Harness) => {
    const back = await h.login();
    await back.ok("ENABLE QRESYNC");
    assert.match(
      await back.ok(`SELECT INBOX (QRESYNC (${validity} ${known}))`),
      new RegExp(`^\\* OK \\[HIGHESTMODSEQ ${highest}\\][^]*^\\* VANISHED \\(EARLIER\\) 2:19\\r$`, "m"),
    );
    assert.equal(await modSeqOf(back), highest);
    return back;
  };
  await resynchronized(before);
  await before.close({ keep: true });
  const after = await Harness.open({}, { segment, path: folder.path });
  try {
    const back = await resynchronized(after);
    await back.ok("UID STORE 1 +FLAGS.SILENT (\\Flagged)");
    assert.ok(await modSeqOf(back) > highest);
  } finally {
    await after.close();
  }
});

imapTest("FETCH of what changed, by numbers and by UID", async (h) => {
  for (let at = 1; at <= 4; at++) await h.deliver(letter(`n${at}`));
  const client = await h.login();
  await client.command("SELECT INBOX");
  await client.command("STORE 3 +FLAGS (\\Seen)");
  const changed = await client.command("FETCH 1:* (UID) (CHANGEDSINCE 5)");
  assert.match(changed, /^\* 3 FETCH \(UID 3 MODSEQ \(6\)\)\r$/m);
  assert.equal(changed.match(/ FETCH /g)?.length, 1);
  assert.match(await client.command("FETCH 3 (RFC822.SIZE MODSEQ)"), /RFC822\.SIZE \d+ MODSEQ \(6\)\)/);
  assert.match(await client.command("UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)"), /^BAD/m);
});

imapTest("SEARCH answers what was asked for, and keeps it under $", async (h) => {
  for (let at = 1; at <= 6; at++) await h.deliver(letter(at % 2 === 0 ? `even ${at}` : `odd ${at}`));
  const client = await h.login();
  await client.command("SELECT INBOX");
  const all = await client.command("SEARCH RETURN (MIN MAX COUNT ALL) SUBJECT even");
  assert.match(all, /^\* ESEARCH \(TAG "[^"]+"\) MIN 2 MAX 6 COUNT 3 ALL 2,4,6\r$/m);
  assert.match(
    await client.command("UID SEARCH RETURN () 1:3"),
    /^\* ESEARCH \(TAG "[^"]+"\) UID ALL 1:3\r$/m,
  );
  assert.match(await client.command("SEARCH RETURN (MIN) SUBJECT none"), /^\* ESEARCH \(TAG "[^"]+"\)\r$/m);
  assert.doesNotMatch(await client.command("SEARCH RETURN (SAVE) SUBJECT odd"), /SEARCH/);
  assert.match(await client.command("FETCH $ (UID)"), /UID 1\)[^]*UID 3\)[^]*UID 5\)/);
  assert.match(await client.command("UID SEARCH RETURN (COUNT) UID $ 3:6"), /COUNT 2\r/);
  await client.command("STORE $ +FLAGS.SILENT (\\Deleted)");
  await client.command("UID EXPUNGE $");
  assert.doesNotMatch(await client.command("FETCH $ (UID)"), /FETCH/);
  await client.command("SEARCH RETURN (SAVE MIN) ALL");
  assert.match(await client.command("FETCH $ (UID)"), /^\* 1 FETCH \(UID 2\)\r$/m);
  assert.match(await client.command("SEARCH MODSEQ 1"), /^\* SEARCH 1 2 3 \(MODSEQ \d+\)\r$/m);
  assert.match(await client.command("SEARCH OLDER 3600"), /^\* SEARCH 1 2 3\r$/m);
  assert.match(await client.command("SEARCH YOUNGER 3600"), /^\* SEARCH\r$/m);
});

imapTest("PARTIAL gives a part of what SEARCH, SORT and UID FETCH found (RFC 9394)", async (h) => {
  for (let at = 1; at <= 9; at++) await h.deliver(letter(at % 3 === 0 ? `third ${at}` : `other ${at}`));
  const client = await h.login();
  await client.ok("SELECT INBOX");
  const other = await h.selected();
  await other.ok("STORE 1,5 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  await client.ok("NOOP"); // left: 2 3 4 6 7 8 9
  for (
    const [returns, answer] of [
      ["PARTIAL 1:2", "PARTIAL (1:2 2:3)"],
      ["PARTIAL 2:1", "PARTIAL (2:1 2:3)"],
      ["PARTIAL 3:4", "PARTIAL (3:4 4,6)"],
      ["PARTIAL 6:100", "PARTIAL (6:100 8:9)"],
      ["PARTIAL 8:9", "PARTIAL (8:9 NIL)"],
      ["PARTIAL -1:-2", "PARTIAL (-1:-2 8:9)"],
      ["PARTIAL -100:-6", "PARTIAL (-100:-6 2:3)"],
      ["PARTIAL -8:-9", "PARTIAL (-8:-9 NIL)"],
      ["COUNT PARTIAL -1:-1 MIN", "MIN 2 COUNT 7 PARTIAL (-1:-1 9)"],
    ] as const
  ) {
    const reply = await client.ok(`UID SEARCH RETURN (${returns}) ALL`);
    assert.ok(reply.includes(` UID ${answer}\r\n`), `${returns}: ${reply}`);
  }
  assert.match(
    await client.ok("UID SORT RETURN (PARTIAL 1:3) (REVERSE ARRIVAL REVERSE SUBJECT) UTF-8 ALL"),
    /UID PARTIAL \(1:3 9,6,3\)\r/, // "third" is above "other"
  );
  // What $ keeps (3.2, table 1).
  const found = async () =>
    [...(await client.ok("UID FETCH $ (UID)")).matchAll(/UID (\d+)\)/g)].map(([, uid]) => Number(uid));
  for (
    const [returns, uids] of [
      ["SAVE PARTIAL 2:3", [3, 4]],
      ["SAVE PARTIAL 2:3 MIN", [2, 3, 4]],
      ["SAVE PARTIAL 2:3 MAX", [3, 4, 9]],
      ["SAVE PARTIAL 2:3 MIN MAX", [2, 3, 4, 9]],
      ["SAVE PARTIAL 2:3 COUNT MIN", [2, 3, 4, 6, 7, 8, 9]],
    ] as const
  ) {
    await client.ok(`UID SEARCH RETURN (${returns}) ALL`);
    assert.deepEqual(await found(), uids, returns);
  }
  await client.ok("UID SORT RETURN (SAVE MIN MAX) (REVERSE ARRIVAL REVERSE SUBJECT) UTF-8 ALL");
  assert.deepEqual(await found(), [2, 9], "the first and the last in sort order");
  assert.deepEqual(
    [...(await client.ok("UID FETCH 3:8 (UID) (PARTIAL -1:-3)")).matchAll(/UID (\d+)\)/g)].map(([, uid]) =>
      uid
    ),
    ["6", "7", "8"],
  );
  const modSeq = /HIGHESTMODSEQ (\d+)/.exec(await client.ok("STATUS INBOX (HIGHESTMODSEQ)"))![1];
  await other.ok("UID STORE 2,8 +FLAGS.SILENT (\\Flagged)");
  await client.ok("NOOP");
  // The part is chosen first (3.4).
  const changed = await client.ok(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${modSeq} PARTIAL -1:-3)`);
  assert.deepEqual([...changed.matchAll(/UID (\d+) FLAGS/g)].map(([, uid]) => uid), ["8"]);
  assert.match(await client.ok("UID SORT (ARRIVAL) UTF-8 MODSEQ 1"), /^\* SORT [\d ]+ \(MODSEQ \d+\)\r$/m);
});

imapTest("while an expunge is held back a client goes by no larger MODSEQ (RFC 7162 3.2, 6)", async (h) => {
  for (let at = 1; at <= 5; at++) await h.deliver(letter(`n${at}`));
  const [away, other] = [await h.login(), await h.selected()];
  await away.ok("ENABLE QRESYNC");
  const validity = /UIDVALIDITY (\d+)/.exec(await away.ok("SELECT INBOX"))![1];
  await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
  await away.ok("NOOP");
  await other.ok("EXPUNGE"); // MODSEQ 8
  await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)"); // and 9
  const held = /^\* OK \[HIGHESTMODSEQ 7\] Expunges are still to be told\r$/m;
  const told = await away.ok("FETCH 3 (UID)");
  assert.match(told, /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged\) MODSEQ \(9\)\)\r$/m);
  assert.match(told, held);
  assert.match(await away.ok("STORE 3 +FLAGS.SILENT (\\Seen)"), held);
  assert.match(
    await away.ok("UID SEARCH 1:*"),
    held,
    "nor is it told while message numbers are searched for",
  );
  // A client that is cut off here and comes back hears of it.
  const back = await h.login();
  await back.ok("ENABLE QRESYNC");
  assert.match(
    await back.ok(`SELECT INBOX (QRESYNC (${validity} 7))`),
    /^\* VANISHED \(EARLIER\) 2\r$/m,
  );
  assert.match(await away.ok("UID SEARCH ALL"), /^\* VANISHED 2\r\n\* OK \[HIGHESTMODSEQ 10\] Highest\r$/m);
  assert.equal(await away.ok("NOOP"), "OK Noop completed\r\n");
});

imapTest(
  "HIGHESTMODSEQ is told to whoever first asks for MODSEQ with a mailbox open (RFC 7162 3.1)",
  async (h) => {
    await h.deliver(letter("a"));
    const other = await h.selected();
    for (
      const command of [
        "FETCH 1 (MODSEQ)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "SEARCH MODSEQ 1",
        "STORE 1 (UNCHANGEDSINCE 100) +FLAGS.SILENT ($x)",
        "STATUS Sent (HIGHESTMODSEQ)",
      ]
    ) {
      const client = await h.selected();
      await other.ok("STORE 1 FLAGS.SILENT ()");
      const highest = /HIGHESTMODSEQ (\d+)/.exec(await other.ok("STATUS INBOX (HIGHESTMODSEQ)"))![1];
      const more = command.startsWith("STORE") ? 1 : 0; // it changes a flag itself
      assert.match(
        await client.ok(command),
        new RegExp(`^\\* OK \\[HIGHESTMODSEQ ${Number(highest) + more}\\] Highest\\r\nOK`, "m"),
        command,
      );
      assert.doesNotMatch(await client.ok("FETCH 1 (MODSEQ)"), /HIGHESTMODSEQ/);
    }
  },
);

imapTest("MOVE, REPLACE and EXPUNGE tell HIGHESTMODSEQ, CLOSE does not", async (h) => {
  for (let at = 1; at <= 5; at++) await h.deliver(letter(`n${at}`));
  const client = await h.login();
  await client.ok("ENABLE QRESYNC");
  await client.ok("SELECT INBOX");
  const highest = async () => /HIGHESTMODSEQ (\d+)/.exec(await client.ok("STATUS INBOX (HIGHESTMODSEQ)"))![1];
  for (
    const command of [
      "UID MOVE 1 Trash",
      "UID REPLACE 2 Drafts {7+}\r\nA: b\r\n\r",
      "UID EXPUNGE 3",
    ]
  ) {
    await client.ok("UID STORE 3 +FLAGS.SILENT (\\Deleted)");
    const reply = await client.ok(command);
    // RFC 6851 4.4, RFC 8508 4.5, RFC 7162 3.2.9.
    assert.match(
      reply,
      new RegExp(`^\\* VANISHED \\d\\r\nOK \\[HIGHESTMODSEQ ${await highest()}\\]`, "m"),
      command,
    );
  }
  await client.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)");
  assert.equal(await client.ok("CLOSE"), "OK Close completed\r\n", "RFC 7162 3.2.8");
});

imapTest("annotations of a mailbox move its HIGHESTMODSEQ (RFC 7162 3.2)", async (h) => {
  const client = await h.login();
  await client.ok("ENABLE CONDSTORE");
  const highest = async (text: string) => Number(/HIGHESTMODSEQ (\d+)/.exec(await client.ok(text))![1]);
  const before = await highest("SELECT INBOX");
  await client.ok('SETMETADATA INBOX (/private/comment "x" /shared/comment "y")');
  assert.equal(await highest("STATUS INBOX (HIGHESTMODSEQ)"), before + 1);
  assert.equal(await highest("SELECT INBOX"), before + 1, "in the index that stayed open too");
  await client.ok('SETMETADATA "" (/private/comment "x")');
  assert.equal(await highest("STATUS INBOX (HIGHESTMODSEQ)"), before + 1);
});

imapTest(
  "a search with SAVE that is answered NO leaves nothing under $, BAD leaves what is there (RFC 5182 2.1)",
  async (h) => {
    for (let at = 1; at <= 3; at++) await h.deliver(letter(`n${at}`));
    const client = await h.selected();
    const saved = async () => (await client.ok("FETCH $ (UID)")).match(/ FETCH /g)?.length ?? 0;
    for (
      const command of [
        "SEARCH RETURN (SAVE) CHARSET KOI8-R ALL",
        "UID SORT RETURN (SAVE) (DATE) KOI8-R ALL",
        "ESEARCH RETURN (SAVE) CHARSET KOI8-R ALL",
      ]
    ) {
      await client.ok("SEARCH RETURN (SAVE) ALL");
      assert.match(await client.command("SEARCH RETURN (SAVE) NOWHERE"), /^BAD/);
      assert.match(await client.command("SEARCH CHARSET KOI8-R ALL"), /^NO \[BADCHARSET/);
      assert.equal(await saved(), 3);
      assert.match(await client.command(command), /^NO \[BADCHARSET/);
      assert.equal(await saved(), 0, command);
    }
  },
);
