/** How sessions stand to each other and to names that change under them. */
import assert from "node:assert/strict";
import { encodeUtf7 } from "../../protocols/imap/utf7.ts";
import { seeded } from "../lib/seeded.ts";
import { imapTest, type TestClient } from "./imap_harness.ts";

function letter(subject: string): string {
  return `From: a@example.test\r\nSubject: ${subject}\r\n\r\ntext of ${subject}\r\n`;
}

/** Puts so many messages into a mailbox at once. */
async function fill(client: TestClient, mailbox: string, count: number): Promise<void> {
  const text = letter("x");
  await client.ok(`APPEND ${mailbox}${` {${text.length}+}\r\n${text}`.repeat(count)}`);
}

imapTest(
  "a STORE that changes nothing hides no change that another session makes at the same time",
  async (h) => {
    await h.deliver(letter("one"));
    const [mine, other] = [await h.selected(), await h.selected()];
    await Promise.all([
      other.ok("STORE 1 +FLAGS.SILENT (\\Answered)"),
      mine.ok("STORE 1 -FLAGS.SILENT (\\Seen)"),
    ]).then(async ([, reply]) => {
      assert.match(reply + await mine.ok("NOOP"), /^\* 1 FETCH \(UID 1 FLAGS \(\\Answered/m);
    });
  },
);

imapTest("a mailbox that is renamed under a session stays what it was, with all below it", async (h) => {
  const client = await h.login();
  for (const name of ["Work", "Work/a", "Work/a/b"]) await client.ok(`CREATE ${name}`);
  await h.deliver(letter("one"), { mailbox: "Work/a" });
  const inside = await h.selected("Work/a");
  const before = /UIDVALIDITY (\d+)/.exec(await client.ok("STATUS Work/a (UIDVALIDITY)"))![1];
  await client.ok("RENAME Work Play/Work");
  await h.deliver(letter("two"), { mailbox: "Play/Work/a" });
  assert.match(await inside.ok("NOOP"), /^\* 2 EXISTS\r$/m);
  assert.match(await inside.ok("UID STORE 2 +FLAGS (\\Deleted)"), /FETCH \(UID 2 /);
  assert.match(await inside.ok("EXPUNGE"), /^\* 2 EXPUNGE\r$/m);
  assert.match(
    await client.ok("STATUS Play/Work/a (MESSAGES UIDVALIDITY)"),
    new RegExp(`MESSAGES 1 UIDVALIDITY ${before}\\)`),
  );
  const names = [...(await client.ok('LIST "" *')).matchAll(/"\/" "([^"]+)"/g)].map(([, name]) => name);
  for (const name of ["Play", "Play/Work", "Play/Work/a", "Play/Work/a/b"]) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(!names.some((name) => name!.startsWith("Work")));
  assert.match(await client.command("RENAME Play Play/Work/deeper"), /^NO \[CANNOT\]/);
  assert.match(await client.command("RENAME Play/Work Sent"), /^NO \[ALREADYEXISTS\]/);
  assert.match(await client.command("RENAME Nowhere Elsewhere"), /^NO \[NONEXISTENT\]/);
});

imapTest(
  "RENAME of INBOX under a session that has it: its messages go, and it hears of new ones",
  async (h) => {
    await h.deliver(letter("one"));
    const inside = await h.selected();
    const client = await h.login();
    await client.ok("RENAME INBOX Old");
    assert.match(await inside.ok("NOOP"), /^\* 1 EXPUNGE\r$/m);
    await h.deliver(letter("two"));
    assert.match(await inside.ok("NOOP"), /^\* 1 EXISTS\r$/m);
    assert.match(await client.ok("STATUS Old (MESSAGES)"), /MESSAGES 1/);
  },
);

imapTest("DELETE of a name with children leaves the name, and the last child can go", async (h) => {
  const client = await h.login();
  await client.ok("CREATE Work/a");
  await h.deliver(letter("one"), { mailbox: "Work" });
  const inside = await h.selected("Work");
  await client.ok("DELETE Work");
  assert.match(await client.ok('LIST "" Work'), /^\* LIST \(\\Noselect \\HasChildren\) "\/" "Work"\r$/m);
  assert.match(await client.command("SELECT Work"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command("STATUS Work (MESSAGES)"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command(`APPEND Work {8+}\r\na: b\r\n\r\n`), /^NO \[TRYCREATE\]/);
  assert.match(await client.command("DELETE Work"), /^NO/);
  await client.ok("DELETE Work/a");
  await client.ok("CREATE Work");
  assert.match(await client.ok("SELECT Work"), /^\* 0 EXISTS\r$/m, "what it held is gone for good");
  inside.send("n NOOP\r\n");
  await inside.until(/^\* BYE \[NONEXISTENT\] The mailbox was deleted\r\n/m);
});

imapTest("UIDVALIDITY of a name only grows, whatever is created, deleted and renamed", async (h) => {
  const client = await h.login();
  const names = ["a", "b", "c", "a/x", "b/x"];
  for (let seed = 1; seed <= 10; seed++) {
    const next = seeded(seed);
    const largest = new Map<string, number>();
    const owner = new Map<string, string>();
    const log: string[] = [];
    for (let at = 0; at < 60; at++) {
      const one = names[next(names.length)]!, other = names[next(names.length)]!;
      const command = [`CREATE ${one}`, `DELETE ${one}`, `RENAME ${one} ${other}`][next(3)]!;
      log.push(`${command}: ${(await client.command(command)).split(" ", 1)[0]}`);
      for (const name of names) {
        const reply = await client.command(`STATUS ${name} (UIDVALIDITY MAILBOXID)`);
        const match = /UIDVALIDITY (\d+) MAILBOXID \(([^)]*)\)/.exec(reply);
        if (match === null) continue;
        const value = Number(match[1]), id = match[2]!;
        const known = largest.get(name) ?? 0;
        if (owner.get(name) === id && value === known) continue;
        assert.ok(
          value > known,
          `${name} went from ${known} to ${value}; seed ${seed}: ${log.slice(-12).join("; ")}`,
        );
        largest.set(name, value);
        owner.set(name, id);
      }
    }
    for (const name of [...names].reverse()) await client.command(`DELETE ${name}`);
    for (const name of [...names].reverse()) await client.command(`DELETE ${name}`);
  }
});

imapTest("names in any script, and subscriptions of names that are not there", async (h) => {
  const client = await h.login();
  await client.ok("ENABLE UTF8=ACCEPT");
  const octets = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  for (const name of ["Ωμέγα/日本語", "Входящие & Отчёты", "مرحبا", "🙂/e\u0301te"]) {
    const wire = octets(name.normalize("NFC"));
    await client.ok(`CREATE "${wire}"`);
    assert.ok((await client.ok(`LIST "" "${wire}"`)).includes(`"${wire}"`), name);
    assert.match(await client.ok(`SELECT "${wire}"`), /^\* 0 EXISTS\r$/m);
  }
  await client.ok("CREATE Work");
  await client.ok("SUBSCRIBE Work");
  await client.ok("DELETE Work");
  assert.match(
    await client.ok('LIST (SUBSCRIBED) "" Work'),
    /^\* LIST \(\\NonExistent [^)]*\) "\/" "Work"\r$/m,
  );
  await client.ok("SUBSCRIBE Never");
  assert.match(await client.ok('LSUB "" Never'), /"Never"/);
});

imapTest(
  "trees of names in any script are renamed and removed whole, and a client without UTF-8 has them too",
  async (h) => {
    const client = await h.login();
    const old = await h.login();
    await client.ok("ENABLE UTF8=ACCEPT");
    const octets = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
    const names = async () =>
      [...(await client.ok('LIST "" *')).matchAll(/"\/" "([^"]+)"/g)].map(([, name]) => name!).sort();
    const before = await names();
    for (const name of ["🙂", "Ωμέγα", "日本語", "𝔘𝔫𝔦", "مرحبا", "a0"]) {
      const from = octets(name);
      await client.ok(`CREATE "${from}/x/${octets("🙃")}"`);
      await h.deliver(letter("one"), { mailbox: `${name}/x` });
      await client.ok(`RENAME "${from}" "Neu/${from}"`);
      assert.deepEqual(
        (await names()).filter((one) => !before.includes(one)),
        ["Neu", `Neu/${from}`, `Neu/${from}/x`, `Neu/${from}/x/${octets("🙃")}`],
        name,
      );
      const wire = `Neu/${encodeUtf7(name)}/x`;
      assert.match(await old.ok(`STATUS "${wire}" (MESSAGES)`), /MESSAGES 1\)/);
      assert.ok((await old.ok('LIST "" Neu/%/%')).includes(`"${wire}"`), wire);
      await client.ok(`DELETE "Neu/${from}"`);
      assert.match(await client.ok(`LIST "" "Neu/${from}"`), /^\* LIST \(\\Noselect \\HasChildren\)/, name);
      for (const last of [`Neu/${from}/x/${octets("🙃")}`, `Neu/${from}/x`, `Neu/${from}`, "Neu"]) {
        await client.ok(`DELETE "${last}"`);
      }
      assert.deepEqual(await names(), before);
    }
  },
);

imapTest("levels, and the mailboxes of an account, have limits that RENAME keeps too", async (h) => {
  const client = await h.login();
  const levels = (count: number) => Array.from({ length: count }, (_, at) => `${at}`).join("/");
  await client.ok(`CREATE deep/${levels(30)}`);
  assert.match(
    await client.command("RENAME deep a/b/deep"),
    /^NO \[CANNOT\] The mailbox name has too many levels below it/,
  );
  await client.ok("RENAME deep a/deep");
  await client.ok(`CREATE wide/${"w".repeat(250)}/${"x".repeat(250)}/${"y".repeat(250)}/${"z".repeat(200)}`);
  assert.match(
    await client.command(`RENAME wide ${"v".repeat(80)}`),
    /^NO \[CANNOT\] The mailbox name is too long below it/,
  );
  assert.ok(!(await client.ok('LIST "" *')).includes("vvv"), "nothing is left of it");
  let answer = "";
  for (let tree = 0; !answer.startsWith("NO"); tree++) {
    assert.ok(tree < 400, "there is no limit");
    answer = await client.command(`CREATE t${tree}/${levels(31)}`);
  }
  assert.match(answer, /^NO \[LIMIT\] A limit is reached: an account has at most 10000 mailboxes/);
  assert.match(
    await client.command(`RENAME Sent s/${levels(30)}`),
    /^NO \[LIMIT\] A limit is reached: an account has at most 10000 mailboxes/,
  );
  assert.ok((await client.ok('LIST "" *')).match(/^\* LIST/gm)!.length <= 10_000);
  await client.ok("RENAME Sent Gone");
});

imapTest("MODSEQ is told only to a client that has shown that it knows it (RFC 7162 3.1)", async (h) => {
  await h.deliver(letter("one"));
  for (
    const enabling of [
      "STATUS INBOX (HIGHESTMODSEQ)",
      "FETCH 1 (MODSEQ)",
      "SEARCH MODSEQ 1",
      "STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)",
      "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
      "SELECT INBOX (CONDSTORE)",
      "ENABLE CONDSTORE",
    ]
  ) {
    const client = await h.selected();
    const other = await h.selected();
    await other.ok("STORE 1 FLAGS.SILENT (\\Flagged)");
    assert.doesNotMatch(await client.ok("NOOP"), /MODSEQ/, enabling);
    await client.command(enabling);
    await other.ok("STORE 1 FLAGS.SILENT (\\Answered)");
    assert.match(
      await client.ok("NOOP"),
      /^\* 1 FETCH \(UID 1 FLAGS \([^)]*\) MODSEQ \(\d+\)\)\r$/m,
      enabling,
    );
  }
});

imapTest(
  "\\Recent is for the first session that selects, and taken by nothing else (RFC 3501 2.3.2)",
  async (h) => {
    await h.deliver(letter("one"));
    await h.deliver(letter("two"), { flags: 1 });
    const recent = (reply: string) => /^\* (\d+) RECENT\r$/m.exec(reply)?.[1];
    for (let times = 0; times < 2; times++) {
      const looker = await h.login();
      assert.match(await looker.ok("STATUS INBOX (RECENT)"), /RECENT 2\)/);
      assert.equal(recent(await looker.ok("EXAMINE INBOX")), "2");
      assert.match(await looker.ok("FETCH 1:2 FLAGS"), /\(\\Recent\)[^]*\(\\Seen \\Recent\)/);
      await looker.ok("CLOSE");
    }
    const first = await h.login();
    assert.equal(recent(await first.ok("SELECT INBOX")), "2");
    assert.match(await first.ok("SEARCH RECENT"), /^\* SEARCH 1 2\r$/m);
    assert.match(await first.ok("SEARCH NEW"), /^\* SEARCH 1\r$/m);
    assert.match(await first.ok("SEARCH OLD"), /^\* SEARCH\r$/m);
    const second = await h.login();
    assert.match(await second.ok("STATUS INBOX (RECENT)"), /RECENT 0\)/);
    assert.equal(recent(await second.ok("SELECT INBOX")), "0");
    assert.match(await second.ok("FETCH 1:2 FLAGS"), /\(\)[^]*\(\\Seen\)/);
    assert.match(await second.ok("SEARCH OLD"), /^\* SEARCH 1 2\r$/m);
    // Who hears of it first cannot be known: it is recent for both, and for nobody who comes when one of them has left.
    await h.deliver(letter("three"));
    assert.equal(recent(await first.ok("NOOP")), "3");
    assert.equal(recent(await second.ok("NOOP")), "1");
    await second.ok("STORE 3 FLAGS (\\Seen)");
    assert.match(await first.ok("NOOP"), /^\* 3 FETCH \(UID 3 FLAGS \(\\Seen \\Recent\)\)\r$/m);
    await first.ok("UNSELECT");
    assert.match(await first.ok("STATUS INBOX (RECENT)"), /RECENT 0\)/);
    assert.equal(recent(await first.ok("SELECT INBOX")), "0");
    await second.ok("COPY 1 Archive");
    await second.ok("APPEND Archive {8+}\r\na: b\r\n\r\n");
    assert.equal(recent(await second.ok("SELECT Archive")), "2");
  },
);

imapTest("a command that waits for the disk does not stop other sessions", async (h) => {
  await h.deliver(letter("one"));
  const client = await h.selected();
  const other = await h.selected();
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const write = h.test.store.write.bind(h.test.store);
  h.test.store.write = async (op) => {
    await gate;
    return await write(op);
  };
  client.send("w1 STORE 1 +FLAGS (\\Seen)\r\nw2 NOOP\r\n");
  for (let at = 0; at < 20; at++) await other.ok("FETCH 1 (UID FLAGS)");
  assert.equal(client.pending, "", "and nothing is acknowledged before it is there");
  release();
  assert.match(await client.until(/^w2 OK[^\r]*\r\n/m), /^\* 1 FETCH [^]*w1 OK [^]*w2 OK/);
});

imapTest(
  "a message that goes while FETCH reads the one before it is left out, and not told without its flags",
  async (h) => {
    await h.deliver(`${letter("long")}${"a line of text\r\n".repeat(10_000)}`);
    await h.deliver(letter("short"));
    const client = await h.selected();
    const other = await h.selected();
    const { blobs } = h.test.store;
    const reading = Promise.withResolvers<void>(), gone = Promise.withResolvers<void>();
    const read = blobs.read.bind(blobs);
    blobs.read = async (...args) => {
      reading.resolve();
      await gone.promise;
      return await read(...args);
    };
    client.send("f UID FETCH 1:2 (FLAGS MODSEQ BODY.PEEK[])\r\n");
    await reading.promise;
    await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    await other.ok("EXPUNGE");
    gone.resolve();
    const text = await client.until(/^f [^\r]*\r\n/m);
    assert.match(text, /^\* 1 FETCH \(UID 1 FLAGS \([^]*^f OK \[EXPUNGEISSUED\]/m);
    assert.doesNotMatch(text, /^\* 2 FETCH/m);
  },
);

imapTest("a long SEARCH, SORT and THREAD give way to other sessions", async (h) => {
  const client = await h.login();
  for (let times = 0; times < 4; times++) await fill(client, "INBOX", 1_000);
  await client.ok("SELECT INBOX");
  const other = await h.login();
  for (
    const command of [
      "SEARCH TEXT nothing",
      "SORT (FROM SUBJECT) UTF-8 TEXT text",
      "THREAD REFS UTF-8 TEXT text",
    ]
  ) {
    let done = false;
    const reply = client.ok(command).finally(() => done = true);
    let answered = 0;
    while (!done) {
      await other.ok("NOOP");
      answered++;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await reply;
    assert.ok(answered >= 3, `${command}: ${answered} others were answered`);
  }
});

/** What a client knows after reading everything. */
function replay(text: string, view: string[]): string[] {
  for (const line of text.split("\r\n")) {
    let match = /^\* (\d+) EXISTS$/.exec(line);
    if (match !== null) { while (view.length < Number(match[1])) view.push("?"); }
    match = /^\* (\d+) EXPUNGE$/.exec(line);
    if (match !== null) view.splice(Number(match[1]) - 1, 1);
    match = /^\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)$/.exec(line);
    if (match !== null) view[Number(match[1]) - 1] = `${match[2]} ${match[3]!.replace(/ ?\\Recent/, "")}`;
  }
  return view;
}

imapTest("a session that falls behind is caught up with what is, not with all that was", async (h) => {
  const other = await h.login();
  await fill(other, "INBOX", 500);
  await other.ok("SELECT INBOX");
  const client = await h.selected();
  const view = replay(await client.ok("FETCH 1:* (UID FLAGS)"), Array.from({ length: 500 }, () => "?"));
  let release = () => {};
  client.blocked = new Promise((resolve) => release = resolve);
  client.send("i IDLE\r\n");
  for (let round = 0; round < 8; round++) {
    await other.ok(`STORE 1:* ${"+-"[round % 2]}FLAGS.SILENT (\\Flagged)`);
  }
  await other.ok("STORE 101:300 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  await fill(other, "INBOX", 20);
  await other.ok("STORE 1:10 +FLAGS.SILENT (\\Answered)");
  client.blocked = null;
  release();
  await client.until(/^\+ idling\r\n/m);
  client.send("DONE\r\n");
  const told = await client.until(/^i OK[^\r]*\r\n/m);
  replay(told, view);
  const truth = replay(await client.ok("FETCH 1:* (UID FLAGS)"), Array.from({ length: 320 }, () => "?"));
  assert.equal(view.length, 320);
  assert.deepEqual(view.slice(0, 300), truth.slice(0, 300));
  const flags = told.match(/ FETCH /g)?.length ?? 0;
  assert.ok(flags < 2_500, `${flags} flag updates for 4,000 changes of 500 messages`);
});
