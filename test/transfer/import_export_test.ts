/** Moving in and out: what export writes import reads back; imports go on, keep ids, and say what they cannot bring. */
import assert from "node:assert/strict";
import { strToU8, zipSync } from "fflate";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { Account } from "../../storage/directory_view.ts";
import { type ExportForm, exportMail } from "../../transfer/export.ts";
import { importMail, type ImportOptions, type ImportProgress, newProgress } from "../../transfer/importer.ts";
import { messagesInZip } from "../../transfer/zip_count.ts";
import { openSource, type SourceRequest } from "../../transfer/request.ts";
import { freePort } from "../lib/ports.ts";
import { RunningServer } from "../lib/running_server.ts";
import { TestStore } from "../lib/test_store.ts";
import { message, Random } from "../search/messages.ts";

class Bed {
  readonly test: TestStore;
  readonly folder = Deno.makeTempDirSync({ prefix: "veredus-move-" });

  private constructor(test: TestStore) {
    this.test = test;
  }

  static async open(): Promise<Bed> {
    return new Bed(await TestStore.open());
  }

  account(name: string): Account {
    return this.test.store.directory.account(`${name}@example.test`)!;
  }

  async bring(
    request: SourceRequest,
    name = "alice",
    wishes: Partial<ImportOptions> = {},
  ): Promise<ImportProgress> {
    const progress = newProgress();
    const source = await openSource(request);
    try {
      await importMail(source, progress, {
        store: this.test.store,
        account: this.account(name),
        into: "",
        keepUids: false,
        keepUidls: false,
        parallel: 2,
        signal: new AbortController().signal,
        ...wishes,
      });
    } finally {
      await source.close();
    }
    return progress;
  }

  export(name: string, form: ExportForm) {
    const to = `${this.folder}/${name}-${form}-${crypto.randomUUID()}`;
    return exportMail({ store: this.test.store, accountId: this.account(name).id, form, to })
      .then((report) => ({ report, to }));
  }

  /** Everything of an account: by mailbox, what each message is. */
  async contents(
    name: string,
    options: { uids: boolean } = { uids: false },
  ): Promise<Record<string, unknown>> {
    const { store } = this.test;
    const all: Record<string, unknown> = {};
    for (const mailbox of store.mailboxes.list(this.account(name).id)) {
      const index = (await store.mailboxes.open(mailbox.id))!;
      const uidls = store.messages.keptUidls(mailbox.id);
      const rows = store.messages.rows(mailbox.id, [[1, 0xffffffff]], { limit: 10_000, withImap: true });
      all[mailbox.name] = rows.map((row) => ({
        octets: latin1(row.prefix) + latin1(store.blobs.readSync(row.blob, 0, row.blob.length)),
        flags: index.flagsAt(index.positionOf(row.uid)),
        keywords: index.keywordsAt(index.positionOf(row.uid)),
        seconds: Math.floor(row.internalDate / 1000),
        ...(options.uids &&
          { uid: row.uid, uidValidity: mailbox.uidValidity, uidl: uidls.get(row.uid) ?? null }),
      }));
      index.release();
    }
    return all;
  }

  write(path: string, text: string): string {
    const full = `${this.folder}/${path}`;
    Deno.mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(full, encodeLatin1(text));
    return full;
  }

  async close(): Promise<void> {
    await this.test.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function moving(name: string, body: (bed: Bed) => Promise<void>): void {
  Deno.test(name, async () => {
    const bed = await Bed.open();
    try {
      await body(bed);
    } finally {
      await bed.close();
    }
  });
}

/** Mailboxes with all kinds of messages, flags and names. */
async function fill(bed: Bed, name: string): Promise<void> {
  const random = new Random(11);
  const accountId = bed.account(name).id;
  for (const mailbox of ["Work", "Work/Été 1.5", "東京", "100% & more", "Empty"]) {
    await bed.test.ok({ kind: "create-mailbox", accountId, name: mailbox, specialUse: null });
  }
  for (const mailbox of ["INBOX", "Work", "Work/Été 1.5", "東京", "100% & more"]) {
    const texts = Array.from({ length: 12 }, () => {
      const text = message(random).replace(/\r?\n/g, "\n");
      return `From x@y.test Thu Jan  2 03:04:${10 + random.below(50)} 2020\nX-Keywords: ${
        random.below(2) ? "$Label1 work" : ""
      }\nStatus: ${random.below(2) ? "RO" : "O"}\nX-Status: ${random.one(["", "AF", "T", "D"])}\nX-UIDL: u${
        random.below(1e9)
      }\n${text.replace(/^(>*From )/gm, ">$1")}\n\n`;
    });
    bed.write(`mbox/${mailbox.replace("%", "%25")}.mbox`, texts.join(""));
  }
  const brought = await bed.bring({ kind: "mbox", path: `${bed.folder}/mbox` }, name, { keepUidls: true });
  assert.deepEqual([brought.imported, brought.failed], [60, 0], JSON.stringify(brought.failures));
}

for (const form of ["maildir", "mbox"] as const) {
  moving(`what is exported as ${form} is the same when it is brought back`, async (bed) => {
    await fill(bed, "alice");
    const { report, to } = await bed.export("alice", form);
    assert.deepEqual([report.messages, report.failures], [60, []]);
    const progress = await bed.bring({ kind: form, path: to }, "bob", { keepUids: true, keepUidls: true });
    assert.deepEqual([progress.imported, progress.failures], [60, []]);
    const uids = form === "maildir";
    const [before, after] = [await bed.contents("alice", { uids }), await bed.contents("bob", { uids })];
    for (const [name, messages] of Object.entries(before)) assert.deepEqual(after[name], messages, name);
    // Brought again: nothing new.
    const again = await bed.bring({ kind: form, path: to }, "bob", { keepUids: true });
    assert.deepEqual([again.imported, again.skipped, again.failed], [0, 60, 0]);
  });
}

moving("the ids that POP3 gave to messages of our own are kept in every form", async (bed) => {
  const mailboxId = bed.test.mailboxId("alice", "INBOX");
  for (const text of ["Subject: a\r\n\r\n1\r\n", "Subject: b\r\n\r\n2\r\n"]) {
    await bed.test.deliver(text, [mailboxId]);
  }
  const { uidValidity } = bed.test.store.mailboxes.byName(bed.account("alice").id, "INBOX")!;
  for (const form of ["maildir", "mbox"] as const) {
    const { to } = await bed.export("alice", form);
    await bed.bring({ kind: form, path: to }, "bob", { keepUidls: true, into: form });
    const brought = (await bed.contents("bob", { uids: true }))[form] as { uidl: string }[];
    assert.deepEqual(brought.map(({ uidl }) => uidl), [`${uidValidity}.1`, `${uidValidity}.2`], form);
  }
});

moving("what is imported teaches the spam filter nothing, in Junk, marked or answered", async (bed) => {
  for (const folder of [".Junk", ""]) {
    const path = `Maildir/${folder === "" ? "" : `${folder}/`}cur`;
    bed.write(`${path}/1${folder}.host:2,RSa`, `Subject: one\nMessage-ID: <1${folder}@x.test>\n\nx\n`);
    bed.write(`Maildir/${folder}/dovecot-keywords`, "0 $Junk\n");
  }
  const progress = await bed.bring({ kind: "maildir", path: `${bed.folder}/Maildir` });
  assert.deepEqual([progress.imported, progress.failures], [2, []]);
  const { spam } = bed.test.store;
  assert.deepEqual(spam.counts(bed.account("alice").id), { ...spam.counts(0), spam: 0, ham: 0, waiting: 0 });
  assert.deepEqual(spam.wishes(10), []);
});

moving("a Maildir: folders, letters, dates, Dovecot's lists, what is new at the next time", async (bed) => {
  const path = `${bed.folder}/Maildir`;
  bed.write("Maildir/cur/100.a.host:2,FSab", "Subject: one\n\nbare\n");
  bed.write("Maildir/new/99.b.host", "Subject: two\r\n\r\nwhole\r\n");
  bed.write("Maildir/cur/.hidden", "x");
  bed.write("Maildir/dovecot-keywords", "0 $Label1\n1 not a keyword\n");
  bed.write("Maildir/dovecot-uidlist", "3 V1500000000 N9 Gabc\n5 W20 Pold-id :100.a.host\n7 :99.b.host:2,\n");
  bed.write("Maildir/.Gesendet.2&AOQ-/cur/1.x:2,RT", "Subject: sub\n\nx\n");
  bed.write("Maildir/Plain/Deep/cur/2.y:2,", "Subject: fs\n\nx\n");
  Deno.utimeSync(`${path}/cur/100.a.host:2,FSab`, 1_000_000_000, 1_000_000_000);
  const progress = await bed.bring({ kind: "maildir", path }, "alice", { keepUids: true, keepUidls: true });
  assert.deepEqual([progress.imported, progress.failures], [4, []]);
  const contents = await bed.contents("alice", { uids: true });
  const [first, second] = contents.INBOX as Record<string, unknown>[];
  assert.deepEqual(first, {
    octets: "Subject: one\r\n\r\nbare\r\n",
    flags: 5,
    keywords: "$Label1",
    seconds: 1_000_000_000,
    uid: 5,
    uidValidity: 1_500_000_000,
    uidl: "old-id",
  });
  assert.deepEqual([second!.uid, second!.octets, second!.flags], [7, "Subject: two\r\n\r\nwhole\r\n", 0]);
  assert.equal(second!.uidl, "0000000759682f00"); // as Dovecot's POP3 makes it of both numbers
  assert.equal((contents["Gesendet/2ä"] as unknown[]).length, 1);
  assert.equal((contents["Plain/Deep"] as unknown[]).length, 1);
  bed.write("Maildir/cur/200.c.host:2,", "Subject: three\n\nx\n");
  bed.write("Maildir/cur/300.d.host:2,", "");
  const again = await bed.bring({ kind: "maildir", path });
  assert.deepEqual([again.imported, again.skipped, again.failed], [1, 4, 1]);
  assert.deepEqual(again.failures, [{ folder: "INBOX", item: "300.d.host", reason: "it is empty" }]);
});

moving("UIDs are kept or the folder is not brought, and says so", async (bed) => {
  bed.write("Maildir/cur/100.a.host:2,", "Subject: one\n\nx\n");
  bed.write("Maildir/dovecot-uidlist", "3 V1500000000 N9 Gabc\n5 :100.a.host\n");
  await bed.test.deliver("Subject: here\r\n\r\nx\r\n", [bed.test.mailboxId("alice", "INBOX")]);
  const { imported, failures } = await bed.bring(
    { kind: "maildir", path: `${bed.folder}/Maildir` },
    "alice",
    {
      keepUids: true,
    },
  );
  assert.equal(imported, 0);
  assert.match(failures[0]!.reason, /UIDVALIDITY 1500000000 cannot be kept: the mailbox has given out UIDs/);
});

moving("an import that is cut off goes on without doubling anything", async (bed) => {
  for (let i = 0; i < 400; i++) bed.write(`Maildir/cur/${1000 + i}.m:2,S`, `Subject: ${i}\n\nx\n`);
  const path = `${bed.folder}/Maildir`;
  let runs = 0;
  for (let done = false; !done; runs++) {
    const stop = new AbortController();
    const progress = newProgress();
    const source = await openSource({ kind: "maildir", path });
    const timer = setInterval(() => progress.imported > 100 && stop.abort(new Error("stopped")), 0);
    try {
      await importMail(source, progress, {
        ...{
          store: bed.test.store,
          account: bed.account("alice"),
          into: "",
          keepUids: false,
          keepUidls: false,
        },
        ...{ parallel: 1, signal: stop.signal },
      });
      done = true;
    } catch (error) {
      assert.match(String(error), /stopped/);
    } finally {
      clearInterval(timer);
    }
  }
  assert.ok(runs > 1, `${runs} runs`);
  const messages = (await bed.contents("alice")).INBOX as { octets: string }[];
  assert.deepEqual(
    messages.map(({ octets }) => octets).sort(),
    Array.from({ length: 400 }, (_, i) => `Subject: ${i}\r\n\r\nx\r\n`).sort(),
  );
});

moving("an mbox: quoting, marks inside of bodies, line ends of both kinds", async (bed) => {
  const path = bed.write(
    "box",
    "From a@b Thu Jan  2 03:04:05 2020\r\nSubject: one\r\nStatus: RO\r\n\r\nFrom here on\r\n>From x\r\n>>From y\r\n\r\n" +
      "From c@d Fri Jan  3 03:04:05 2020\nDate: x\nSubject: two\n\nlast without an end",
  );
  const { imported, failures } = await bed.bring({ kind: "mbox", path }, "alice", { into: "Old" });
  assert.deepEqual([imported, failures], [2, []]);
  const contents = (await bed.contents("alice")).Old as Record<string, unknown>[];
  assert.deepEqual(contents, [
    {
      octets: "Subject: one\r\n\r\nFrom here on\r\nFrom x\r\n>From y\r\n",
      flags: 1,
      keywords: "",
      seconds: Date.UTC(2020, 0, 2, 3, 4, 5) / 1000,
    },
    {
      octets: "Date: x\r\nSubject: two\r\n\r\nlast without an end",
      flags: 0,
      keywords: "",
      seconds: Date.UTC(2020, 0, 3, 3, 4, 5) / 1000,
    },
  ]);
});

moving("a large mbox is cut at its messages wherever blocks end", async (bed) => {
  const random = new Random(5);
  const bodies = Array.from(
    { length: 300 },
    (_, i) => `Subject: ${i}\n\n${"x".repeat(random.below(20_000))}\n`,
  );
  const path = bed.write(
    "box",
    bodies.map((body) => `From a@b Thu Jan  2 03:04:05 2020\n${body}\n`).join(""),
  );
  const { imported } = await bed.bring({ kind: "mbox", path });
  assert.equal(imported, 300);
  const contents = (await bed.contents("alice")).INBOX as { octets: string }[];
  assert.deepEqual(contents.map(({ octets }) => octets), bodies.map((body) => body.replaceAll("\n", "\r\n")));
});

moving("NUL and bare line ends reach nobody, whatever the source", async (bed) => {
  const text = "Subject: nul\r\n\r\na\0b\r\n";
  const parts =
    "Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n" +
    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\x01\xff\r\n--b--\r\n";
  const header = "Subject: h\0der\r\n\r\nx\r\n";
  const bare = "Subject: bare\n\nl\rc\r\r\nx\n";
  const all = [text, parts, header, bare];
  all.forEach((one, at) => bed.write(`Maildir/cur/${at}.m:2,`, one));
  bed.write("box", all.map((one) => `From a@b Thu Jan  2 03:04:05 2020\r\n${one}\r\n`).join(""));
  const zip = all.map((one, at): [string, Uint8Array] => [`${at}.eml`, encodeLatin1(one)]);
  Deno.writeFileSync(`${bed.folder}/mail.zip`, zipSync(Object.fromEntries(zip)));
  for (
    const [at, request] of ([
      { kind: "maildir", path: `${bed.folder}/Maildir` },
      { kind: "mbox", path: `${bed.folder}/box` },
      { kind: "zip", path: `${bed.folder}/mail.zip` },
    ] as const).entries()
  ) {
    const { imported, failures } = await bed.bring(request, "alice", { into: `from${at}` });
    assert.deepEqual([imported, failures.map(({ reason }) => reason)], [
      3,
      ["it has NUL outside the body of a MIME part"],
    ], request.kind);
    const brought = (await bed.contents("alice"))[`from${at}`] as { octets: string }[];
    assert.deepEqual(brought.map(({ octets }) => octets).sort(), [
      "Subject: bare\r\n\r\nl\r\nc\r\n\r\nx\r\n",
      "Subject: nul\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiDQo=\r\n",
      parts.replace("binary", "base64").replace("\0\x01\xff", "AAH/"),
    ], request.kind);
  }
});

moving("a zip: folders inside, other files passed over, damage told", async (bed) => {
  const path = `${bed.folder}/mail.zip`;
  Deno.writeFileSync(
    path,
    zipSync({
      "a.eml": strToU8("Date: Thu, 2 Jan 2020 03:04:05 +0000\nSubject: a\n\n1\n"),
      "Sent/b.EML": strToU8("Subject: b\n\n2\n"),
      "Deep/../Er/c.eml": [strToU8("Subject: c\n\n3\n"), { level: 0 }],
      "readme.txt": strToU8("no mail"),
      "empty.eml": new Uint8Array(0),
    }),
  );
  const { imported, failures } = await bed.bring({ kind: "zip", path });
  assert.deepEqual([imported, failures.map(({ reason }) => reason)], [3, ["it is empty"]]);
  const contents = await bed.contents("alice");
  assert.deepEqual(
    [contents.INBOX, contents.Sent, contents["Deep/Er"]].map((all) => (all as unknown[]).length),
    [
      ...[1, 1, 1],
    ],
  );
  assert.equal((contents.INBOX as { seconds: number }[])[0]!.seconds, Date.UTC(2020, 0, 2, 3, 4, 5) / 1000);
  const again = await bed.bring({ kind: "zip", path });
  assert.deepEqual([again.total, again.imported, again.skipped, again.failed], [4, 0, 3, 1]);
  await assert.rejects(
    bed.bring({ kind: "zip", path: `${bed.folder}/none.zip` }),
    /none\.zip cannot be read/,
  );
});

moving("a zip: what lies in a folder that cannot be a mailbox is told, all else is brought", async (bed) => {
  const path = `${bed.folder}/mail.zip`;
  const names = ["ok/1.eml", "b\u0001d/2.eml", `${"d/".repeat(100)}3.eml`, "ok/4.eml", "5.eml"];
  Deno.writeFileSync(
    path,
    zipSync(Object.fromEntries(names.map((name) => [name, strToU8(`Subject: ${name}\n\nx\n`)]))),
  );
  const { imported, failures } = await bed.bring({ kind: "zip", path });
  assert.deepEqual([imported, failures.map(({ item }) => item.split(" ")[0])], [3, names.slice(1, 3)]);
  assert.match(failures[0]!.reason, /control characters/);
  const contents = await bed.contents("alice");
  assert.deepEqual([contents.INBOX, contents.ok].map((all) => (all as unknown[]).length), [1, 2]);
});

moving("how many messages a zip has is known before it is read, by either kind of directory", async (bed) => {
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`${i % 3 ? "a/" : ""}${i}.eml`, strToU8("x")]),
  );
  const zip = zipSync({ ...files, "readme.txt": strToU8("x") });
  const path = bed.write("mail.zip", latin1(zip));
  assert.equal(messagesInZip(path), 300);
  const end = latin1(zip).lastIndexOf("PK\x05\x06", zip.length - 22);
  const [wide, locator] = [new DataView(new ArrayBuffer(56)), new DataView(new ArrayBuffer(20))];
  const old = new DataView(zip.buffer, end);
  wide.setUint32(0, 0x06064b50, true);
  wide.setBigUint64(40, BigInt(old.getUint32(12, true)), true);
  locator.setUint32(0, 0x07064b50, true);
  old.setUint32(12, 0xffffffff, true);
  const parts = [zip.subarray(0, end), wide, locator, zip.subarray(end)].map((part) =>
    new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
  );
  assert.equal(messagesInZip(bed.write("wide.zip", parts.map((part) => latin1(part)).join(""))), 300);
  assert.equal(messagesInZip(bed.write("none.zip", "no zip at all")), 0);
  assert.equal(messagesInZip(bed.write("short.zip", "PK\x05\x06")), 0);
});

moving("by IMAP: folders, special uses, flags, dates, UIDs; what is new at the next time", async (bed) => {
  await using server = await RunningServer.start({ threads: 0 });
  const client = await server.imap();
  await client.ok("CREATE Work/Projects");
  const append = async (mailbox: string, text: string, flags: string) => {
    const date = '"02-Jan-2020 03:04:05 +0000"';
    await client.ok(`APPEND ${mailbox} (${flags}) ${date} {${text.length}+}\r\n${text}`);
  };
  for (let i = 0; i < 60; i++) {
    await append("INBOX", `Subject: ${i}\r\n\r\nx\r\n`, i % 2 ? "\\Seen $Work" : "\\Flagged");
  }
  await append(
    "Work/Projects",
    `Subject: large\r\n\r\n${"y".repeat(78)}\r\n`.repeat(1) + "z\r\n".repeat(700_000),
    "",
  );
  await append("Sent", "Subject: sent\r\n\r\nx\r\n", "\\Answered");
  await client.ok("SELECT INBOX");
  await client.ok("UID STORE 1:9 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  const request: SourceRequest = {
    ...{ kind: "imap", host: "127.0.0.1", port: server.port("imap"), tls: "none" },
    ...{ user: "alice@example.test", password: "secret" },
  };
  const progress = await bed.bring(request, "alice", { keepUids: true, keepUidls: true });
  assert.deepEqual([progress.imported, progress.failures], [53, []]);
  const contents = await bed.contents("alice", { uids: true });
  const inbox = contents.INBOX as {
    uid: number;
    uidl: string;
    flags: number;
    keywords: string;
    seconds: number;
  }[];
  assert.deepEqual(inbox.map(({ uid }) => uid), Array.from({ length: 51 }, (_, i) => i + 10));
  assert.deepEqual([inbox[0]!.flags, inbox[0]!.keywords, inbox[1]!.flags], [1, "$Work", 4]);
  assert.equal(inbox[0]!.seconds, Date.UTC(2020, 0, 2, 3, 4, 5) / 1000);
  assert.match(inbox[0]!.uidl, /^0000000a[0-9a-f]{8}$/);
  assert.equal((contents.Sent as unknown[]).length, 1);
  assert.ok((contents["Work/Projects"] as { octets: string }[])[0]!.octets.length > 2_000_000);
  await append("INBOX", "Subject: late\r\n\r\nx\r\n", "");
  const again = await bed.bring(request, "alice", { keepUids: true });
  assert.deepEqual([again.imported, again.skipped, again.failed], [1, 53, 0]);
  await assert.rejects(bed.bring({ ...request, password: "wrong" }), /127\.0\.0\.1/);
  await client.logout();
});

moving(
  "by IMAP: a folder goes where its use is, new ones are subscribed, a slash in a name divides nothing",
  async (bed) => {
    await using server = await RunningServer.start({ threads: 0 });
    const client = await server.imap();
    for (const command of ["DELETE Sent", "CREATE Gesendet (USE (\\Sent))", "CREATE a/b"]) {
      await client.ok(
        command,
      );
    }
    const text = "Subject: sent\r\n\r\nx\r\n";
    for (const name of ["Gesendet", "a/b"]) await client.ok(`APPEND ${name} {${text.length}+}\r\n${text}`);
    await client.logout();
    // The server as one whose levels are divided by dots.
    const front = relayed(server.port("imap"), {
      back: (text) => uncompressed(text).replaceAll(/^(\* LIST \([^)]*\)) "\/" /gm, '$1 "." '),
    });
    const { imported, failures } = await bed.bring({
      ...{ kind: "imap", host: "127.0.0.1", port: front.port, tls: "none" },
      ...{ user: "alice@example.test", password: "secret" },
    });
    await front.close();
    assert.deepEqual([imported, failures], [2, []]);
    const contents = await bed.contents("alice");
    assert.deepEqual([contents.Sent, contents["a_b"]].map((all) => (all as unknown[]).length), [1, 1]);
    assert.equal(contents.Gesendet, undefined);
    const subscribed = bed.test.store.mailboxes.subscriptions(bed.account("alice").id);
    assert.ok(subscribed.includes("a_b"), `${subscribed}`);
  },
);

moving("by IMAP, so many folders at the same time as were asked for", async (bed) => {
  await using server = await RunningServer.start({ threads: 0 });
  const client = await server.imap();
  for (let i = 0; i < 7; i++) {
    await client.ok(`CREATE More${i}`);
    const text = `Subject: ${i}\r\n\r\nx\r\n`;
    await client.ok(`APPEND More${i} {${text.length}+}\r\n${text}`);
  }
  await client.logout();
  for (const parallel of [1, 4]) {
    const { port, most, close } = gate(server.port("imap"), parallel);
    const { imported, failures } = await bed.bring(
      { kind: "imap", host: "127.0.0.1", port, tls: "none", user: "alice@example.test", password: "secret" },
      "alice",
      { parallel, into: `by ${parallel}` },
    );
    assert.deepEqual([imported, failures], [7, []]);
    assert.equal(most(), parallel);
    await close();
  }
});

moving("by IMAP, NUL and bare line ends reach nobody, in small messages and large ones", async (bed) => {
  await using server = await RunningServer.start({ threads: 0 });
  const client = await server.imap();
  const text = "Subject: nul\r\n\r\na\u0001b\r\n", header = "Subject: h\u0001der\r\n\r\nx\r\n";
  const bare = "Subject: bare\r\n\r\nl\u0002c\r\n";
  const large = `${text}${"y".repeat(1_000)}\r\n`.padEnd(2_000_000, `${"z".repeat(98)}\r\n`);
  for (const one of [text, header, bare, large]) await client.ok(`APPEND INBOX {${one.length}+}\r\n${one}`);
  await client.logout();
  // No server of ours gives such octets out: they are put in on the way.
  const front = relayed(server.port("imap"), {
    back: (text) => uncompressed(text).replaceAll("\u0001", "\0").replaceAll("\u0002", "\r"),
  });
  const { imported, failures } = await bed.bring({
    ...{ kind: "imap", host: "127.0.0.1", port: front.port, tls: "none" },
    ...{ user: "alice@example.test", password: "secret" },
  });
  await front.close();
  assert.deepEqual([imported, failures.map(({ item, reason }) => [item.split(".")[1], reason])], [
    3,
    [["2", "it has NUL outside the body of a MIME part"]],
  ]);
  const brought = (await bed.contents("alice")).INBOX as { octets: string }[];
  const [first, second, third] = brought.map(({ octets }) => octets);
  const head = "Subject: nul\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n";
  assert.deepEqual([first, second], [`${head}YQBiDQo=\r\n`, "Subject: bare\r\n\r\nl\r\nc\r\n"]);
  assert.ok(third!.startsWith(head) && !third!.includes("\0"));
  const body = latin1(Uint8Array.fromBase64(third!.slice(head.length).replaceAll("\r\n", "")));
  assert.equal(body, large.slice(large.indexOf("\r\n\r\n") + 4).replace("\u0001", "\0"));
});

/**
 * In front of a server of IMAP: lets no mailbox be opened before so many connections want to, and counts them.
 */
function gate(
  server: number,
  connections: number,
): { readonly port: number; readonly most: () => number; readonly close: () => Promise<void> } {
  const all = Promise.withResolvers<void>();
  const late = setTimeout(all.resolve, 30_000); // there are never so many: the count says so
  const examining = new Set<Deno.Conn>();
  let most = 0;
  const { port, close } = relayed(server, {
    back: uncompressed,
    forth: async (text, one) => {
      if (/ LOGOUT\r\n/.test(text)) examining.delete(one);
      if (/ EXAMINE /.test(text)) {
        examining.add(one);
        most = Math.max(most, examining.size);
        if (examining.size === connections) all.resolve();
        await all.promise;
      }
      return text;
    },
  });
  return {
    port,
    most: () => most,
    close: async () => {
      clearTimeout(late);
      await close();
    },
  };
}

/** What a server says without its offer of compression, in which nothing could be read. */
function uncompressed(text: string): string {
  return text.replaceAll("COMPRESS=DEFLATE", "X-NOT-COMPRESSED");
}

/** Stands in front of a server; `back` is what it says, `forth` what it is told, by connection. */
function relayed(
  server: number,
  { back, forth = (text) => text }: {
    readonly back: (text: string) => string;
    readonly forth?: (text: string, from: Deno.Conn) => string | Promise<string>;
  },
): { readonly port: number; readonly close: () => Promise<void> } {
  const port = freePort();
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const relays: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const one of listener) {
      const other = await Deno.connect({ hostname: "127.0.0.1", port: server });
      relays.push(
        Promise.all([relay(other, one, back), relay(one, other, (text) => forth(text, one))]).then(() => {
          one.close();
          other.close();
        }),
      );
    }
  })();
  return {
    port,
    close: async () => {
      listener.close();
      await accepting;
      await Promise.all(relays);
    },
  };
}

/** Passes on what comes until either end hangs up. */
async function relay(
  from: Deno.Conn,
  to: Deno.Conn,
  through: (text: string) => string | Promise<string>,
): Promise<void> {
  const buffer = new Uint8Array(16_384);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      const octets = encodeLatin1(await through(latin1(buffer, 0, count)));
      for (let at = 0; at < octets.length;) at += await to.write(octets.subarray(at));
    }
    await to.closeWrite();
  } catch (error) {
    const hungUp = [Deno.errors.BrokenPipe, Deno.errors.ConnectionReset, Deno.errors.NotConnected];
    if (!hungUp.some((kind) => error instanceof kind)) throw error;
  }
}
