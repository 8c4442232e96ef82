/** Results that are kept up to date (RFC 5267), and searches in many mailboxes (RFC 7377), over the real store. */
import assert from "node:assert/strict";
import { seeded } from "../lib/seeded.ts";
import { type Harness, imapTest, type TestClient } from "./imap_harness.ts";

function letter(subject: string): string {
  return `From: a@example.test\r\nSubject: ${subject}\r\n\r\ntext\r\n`;
}

function numbersOf(set: string): number[] {
  return set.split(",").flatMap((range) => {
    const [from, to = from] = range.split(":").map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
  });
}

/** Applies what a reply says of one context to a result list, as a client does. */
function follow(list: number[], reply: string, tag: string): void {
  for (const line of reply.split("\r\n")) {
    const match = new RegExp(`^\\* ESEARCH \\(TAG "${tag}"\\) UID (ADDTO|REMOVEFROM) \\((.*)\\)$`).exec(line);
    if (match === null) continue;
    const words = match[2]!.split(" ");
    for (let at = 0; at < words.length; at += 2) {
      const position = Number(words[at]);
      const uids = numbersOf(words[at + 1]!);
      if (match[1] === "ADDTO") {
        if (position > 0) list.splice(position - 1, 0, ...uids);
        else {
          list.push(...uids);
          list.sort((a, b) => a - b);
        }
      } else if (position > 0) {
        assert.deepEqual(list.splice(position - 1, uids.length), uids, "REMOVEFROM names what is there");
      } else {
        for (const uid of uids) {
          assert.ok(list.includes(uid), "REMOVEFROM of what was told");
          list.splice(list.indexOf(uid), 1);
        }
      }
    }
  }
}

/** The tag is the harness's next one. */
async function begin(client: TestClient, command: string): Promise<{ tag: string; list: number[] }> {
  const reply = await client.ok(command);
  const match = /^\* ESEARCH \(TAG "(t\d+)"\) UID(?: ALL ([\d:,]+))?\r$/m.exec(reply);
  assert.ok(match, reply);
  return { tag: match[1]!, list: match[2] === undefined ? [] : numbersOf(match[2]) };
}

imapTest("UPDATE tells what comes into a result and what leaves it, in step with its cause", async (h) => {
  for (let at = 1; at <= 5; at++) await h.deliver(letter(`n${at}`));
  const client = await h.selected();
  const other = await h.selected();
  const reply = await client.ok("SEARCH RETURN (UPDATE COUNT) FLAGGED");
  const tag = /TAG "(t\d+)"\) COUNT 0/.exec(reply)![1];
  await other.ok("STORE 2,4 +FLAGS.SILENT (\\Flagged)");
  // The FETCH stands before (RFC 5465 5.1).
  assert.match(
    await client.ok("NOOP"),
    new RegExp(
      `^\\* 2 FETCH [^\r]*\r\n\\* 4 FETCH [^\r]*\r\n\\* ESEARCH \\(TAG "${tag}"\\) ADDTO \\(0 2,4\\)\r\nOK`,
    ),
  );
  assert.match(
    await client.ok("STORE 5 +FLAGS (\\Flagged)"),
    /ADDTO \(0 5\)\r\n/,
    "changes of one's own too",
  );
  await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  // Numbers of before the EXPUNGE (4.3.4).
  assert.match(
    await client.ok("NOOP"),
    new RegExp(`^\\* ESEARCH \\(TAG "${tag}"\\) REMOVEFROM \\(0 2\\)\r\n\\* 2 EXPUNGE\r\n`),
  );
  await h.deliver(letter("new"), { flags: 4 });
  assert.match(
    await client.ok("NOOP"),
    /^\* 5 EXISTS\r\n\* \d RECENT\r\n\* ESEARCH \(TAG "t\d+"\) ADDTO \(0 5\)\r\n/,
  );
  assert.match(await client.ok("STORE 3 -FLAGS.SILENT (\\Flagged)"), /REMOVEFROM \(0 3\)\r\n/);
  await client.ok(`CANCELUPDATE "${tag}"`);
  assert.doesNotMatch(await client.ok("STORE 3 +FLAGS (\\Flagged)"), /ESEARCH/);
});

imapTest("IDLE tells updates as they come", async (h) => {
  await h.deliver(letter("one"));
  const client = await h.selected();
  await client.ok("UID SEARCH RETURN (UPDATE) UNSEEN");
  client.send("i1 IDLE\r\n");
  await client.until(/^\+ idling\r\n/m);
  await h.deliver(letter("two"));
  assert.match(await client.until(/ADDTO[^\r]*\r\n/), /EXISTS\r\n[^]*UID ADDTO \(0 2\)\r\n$/);
  client.send("DONE\r\n");
  await client.until(/^i1 OK/m);
});

imapTest(
  "updates are refused where they cannot be kept: [NOUPDATE], and the search is answered",
  async (h) => {
    await h.deliver(letter("one"));
    const client = await h.selected();
    assert.match(
      await client.ok("SEARCH RETURN (UPDATE COUNT) YOUNGER 60"),
      /^\* NO \[NOUPDATE "t\d+"\][^\r]*\r\n\* ESEARCH \(TAG "t\d+"\) COUNT 0\r\n/,
    );
    for (let at = 0; at < 16; at++) {
      assert.doesNotMatch(
        await client.ok("SEARCH RETURN (UPDATE) ALL"),
        /NOUPDATE/,
      );
    }
    assert.match(await client.ok("SEARCH RETURN (UPDATE) ALL"), /NOUPDATE/);
    client.send("x1 SEARCH RETURN (UPDATE) ALL\r\n");
    await client.until(/^x1 OK/m);
    await client.ok('CANCELUPDATE "t3" "t4"');
    client.send("x1 SEARCH RETURN (UPDATE) ALL\r\n");
    await client.until(/^x1 OK/m);
    client.send("x1 SORT RETURN (UPDATE) (DATE) UTF-8 ALL\r\n");
    assert.match(await client.until(/^x1 [^\r]*\r\n/m), /x1 BAD The tag belongs/);
    // A refused search leaves nothing behind; so does leaving the mailbox.
    client.send("x2 SEARCH RETURN (UPDATE) CHARSET KOI8-R ALL\r\nx2 SEARCH RETURN (UPDATE) ALL\r\n");
    assert.match(await client.until(/^x2 OK/m), /x2 NO \[BADCHARSET/);
    await client.ok("SELECT INBOX");
    client.send("x1 SEARCH RETURN (UPDATE) ALL\r\n");
    assert.match(await client.until(/^x1 OK/m), /ESEARCH/);
  },
);

async function change(h: Harness, client: TestClient, next: (below: number) => number): Promise<string> {
  const uid = 1 + next(30);
  switch (next(5)) {
    case 0:
      await h.deliver(letter(`${"abc"[next(3)]}${next(9)}`), { flags: next(2) * 4 });
      return "NOOP";
    case 1:
      return `UID STORE ${uid}:${uid + next(4)} ${"+-"[next(2)]}FLAGS (\\Flagged)`;
    case 2:
      await client.ok(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`);
      return "EXPUNGE";
    case 3:
      return `FETCH 1 FLAGS`;
    default:
      return "NOOP";
  }
}

imapTest("a client that follows the updates has what a new search finds, whatever happened", async (h) => {
  for (let at = 0; at < 20; at++) await h.deliver(letter(`${"cab"[at % 3]}${at}`), { flags: (at % 2) * 4 });
  for (let seed = 1; seed <= 12; seed++) {
    const next = seeded(seed);
    const client = await h.selected();
    const other = await h.selected();
    const search = "FLAGGED NOT SUBJECT b";
    const found = await begin(client, `UID SEARCH RETURN (UPDATE ALL) ${search}`);
    const sorted = await begin(
      client,
      "UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT ARRIVAL) UTF-8 FLAGGED",
    );
    const log: string[] = [];
    for (let at = 0; at < 40; at++) {
      const mine = next(2) === 0;
      const command = await change(h, other, next);
      log.push(`${mine ? "client" : "other"}: ${command}`);
      if (!mine) await other.command(command);
      let text = mine ? await client.command(command) : "";
      text += await client.ok("NOOP");
      follow(found.list, text, found.tag);
      follow(sorted.list, text, sorted.tag);
      const now = await client.ok(`UID SEARCH RETURN (ALL) ${search}`);
      const again = await client.ok("UID SORT RETURN (ALL) (REVERSE SUBJECT ARRIVAL) UTF-8 FLAGGED");
      const all = (reply: string) =>
        numbersOf(/ ALL ([\d:,]+)\r/.exec(reply)?.[1] ?? "").filter((uid) => uid > 0);
      assert.deepEqual(found.list, all(now), `seed ${seed}: ${log.join("; ")}`);
      assert.deepEqual(sorted.list, all(again), `seed ${seed}: ${log.join("; ")}`);
    }
    client.close();
    other.close();
  }
});

imapTest("ESEARCH answers for each mailbox that has something, by UIDs", async (h) => {
  const client = await h.login();
  for (const name of ["Work", "Work/a", "Work/a/b", "Play"]) {
    await client.ok(`CREATE ${name}`);
    await h.deliver(letter(`in ${name}`), { mailbox: name });
  }
  await h.deliver(letter("none"));
  const validity = async (name: string) =>
    /UIDVALIDITY (\d+)/.exec(await client.ok(`STATUS ${name} (UIDVALIDITY)`))![1];
  const where = async (sources: string) =>
    [...(await client.ok(`ESEARCH IN (${sources}) SUBJECT "in "`)).matchAll(/MAILBOX "([^"]+)"/g)].map((
      [, name],
    ) => name);
  assert.deepEqual(await where("personal"), ["Play", "Work", "Work/a", "Work/a/b"]);
  assert.deepEqual(await where("inboxes"), ["Play", "Work", "Work/a", "Work/a/b"]);
  assert.deepEqual(await where("subtree Work"), ["Work", "Work/a", "Work/a/b"]);
  assert.deepEqual(await where("subtree-one Work"), ["Work", "Work/a"]);
  assert.deepEqual(await where("mailboxes (Work/a Play Nowhere) subtree Work/a"), [
    "Play",
    "Work/a",
    "Work/a/b",
  ]);
  await client.ok("SUBSCRIBE Play");
  assert.deepEqual(await where("subscribed"), ["Play"]);
  const reply = await client.ok("ESEARCH IN (mailboxes Play) RETURN (MIN MAX COUNT PARTIAL 1:5) ALL");
  assert.match(
    reply,
    new RegExp(
      `^\\* ESEARCH \\(TAG "t\\d+" MAILBOX "Play" UIDVALIDITY ${await validity(
        "Play",
      )}\\) UID MIN 1 MAX 1 COUNT 1 PARTIAL \\(1:5 1\\)\r\nOK`,
    ),
  );
  assert.equal(
    await client.ok("ESEARCH IN (personal) RETURN (COUNT) SUBJECT nothing"),
    "OK Esearch completed\r\n",
  );
  for (
    const command of ["ESEARCH ALL", "ESEARCH IN (selected) ALL", "ESEARCH IN (personal) RETURN (SAVE) ALL"]
  ) {
    assert.match(await client.command(command), /^BAD/, command);
  }
  await client.ok("SELECT Work");
  assert.match(
    await client.ok("ESEARCH RETURN (SAVE COUNT) 1:9"),
    /MAILBOX "Work" UIDVALIDITY \d+\) UID COUNT 1\r/,
  );
  assert.match(await client.ok("UID SEARCH $"), /^\* SEARCH 1\r$/m);
  assert.match(await client.command("ESEARCH IN (selected personal) RETURN (SAVE) ALL"), /^BAD/);
  // Named twice, told once; the selected mailbox stays selected, and numbers are those of each mailbox.
  assert.deepEqual(await where("selected personal 1:2 ".replace(" 1:2 ", "")), [
    "Work",
    "Play",
    "Work/a",
    "Work/a/b",
  ]);
  assert.match(await client.ok("ESEARCH IN (mailboxes Play) RETURN (ALL) 1:*"), /UID ALL 1\r/);
  assert.match(await client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]"), /in Work\r/);
  assert.match(await client.command('ESEARCH IN (personal) CHARSET KOI8-R TEXT "x"'), /^NO \[BADCHARSET/);
});

imapTest("a number beyond the end is no fault of a search (RFC 7377 2)", async (h) => {
  await h.deliver(letter("one"));
  await h.deliver(letter("two"));
  const client = await h.selected();
  assert.match(await client.ok("SEARCH 2:9"), /^\* SEARCH 2\r$/m);
  assert.match(await client.ok("SEARCH NOT 5"), /^\* SEARCH 1 2\r$/m);
  assert.match(await client.ok("SORT (ARRIVAL) UTF-8 9:*"), /^\* SORT 2\r$/m);
});
