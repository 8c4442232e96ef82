/**
 * IMAP clients that people and scripts read and write mail with: they upload, mark, move, remove, create and rename, hear what
 * others do, and what they have is compared with what we have, octet by octet and flag by flag.
 */
import assert from "node:assert/strict";
import { ImapFlow } from "imapflow";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { run, runOk } from "../lib/program.ts";
import { PASSWORD, type RunningServer } from "../lib/running_server.ts";
import {
  account,
  ALICE,
  asMaildir,
  BOB,
  connect,
  FOLDER,
  folders,
  maildir,
  placesOf,
  TEXTS,
  within,
} from "./imap_bed.ts";

const LETTER = "From: a@b.test\r\nSubject: from this client\r\n\r\n.dot\r\nFrom here\r\n";

/** Of one mailbox, sorted. */
function textsIn(kept: Awaited<ReturnType<typeof account>>, mailbox: string): string[] {
  return kept.filter((message) => message.mailbox === mailbox).map(({ text }) => text).sort();
}

function octets(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encodeLatin1(text));
}

Deno.test("mutt copies mailboxes out, and saves, uploads, marks, removes and creates", () =>
  within(async ({ server, folder, port }) => {
    await Deno.writeTextFile(
      `${folder}/muttrc`,
      `set imap_user=${ALICE} imap_pass=${PASSWORD} ssl_starttls=no ssl_force_tls=no folder=imap://127.0.0.1:${port}/\n` +
        `set quit=yes delete=no mark_old=no mbox_type=maildir confirmappend=no confirmcreate=no wait_key=no move=no\n` +
        `set copy=no read_inc=0 write_inc=0 sort=mailbox-order\n`,
    );
    const keys = (pushed: string, file = `imap://127.0.0.1:${port}/INBOX`) =>
      runOk("script", ["-qec", `mutt -n -F ${folder}/muttrc -f ${file} -e 'push "${pushed}"'`, "/dev/null"], {
        env: { TERM: "xterm", HOME: folder },
      });
    await keys(`<tag-pattern>.<enter><tag-prefix><copy-message>${folder}/copy<enter><exit>`);
    const kept = await account(server, ALICE);
    // Mutt says in fields of its own how long a message is and what is marked, and ends a header that has no end.
    const plain = (text: string) =>
      text.replace(/(?:Content-Length: \d+\n?|Lines: \d+\n|(?:X-)?Status: \w+\n)/g, "");
    const same = (mailbox: string, copies: string, now: typeof kept) =>
      assert.deepEqual(
        maildir(copies).map(({ text }) => plain(text).trimEnd()),
        asMaildir(now, mailbox).map(({ text }) => plain(text).trimEnd()),
      );
    same("INBOX", `${folder}/copy`, kept);
    await keys(`<first-entry><save-message>=Archive<enter><sync-mailbox><exit>`);
    const saved = await account(server, ALICE);
    assert.deepEqual(placesOf(saved, "Subject: plain"), ["Archive \\Seen", "INBOX \\Deleted \\Seen"]);
    assert.deepEqual(textsIn(saved, "Archive"), [TEXTS[0]]);
    // Up again from the copy, into a mailbox that mutt creates.
    await keys(`<tag-pattern>.<enter><tag-prefix><copy-message>=Up<enter><exit>`, `${folder}/copy`);
    const up = await account(server, ALICE);
    assert.equal(textsIn(up, "Up").length, TEXTS.length);
    same("Up", `${folder}/copy`, up);
    await keys(
      "<search>~s long<enter><flag-message><search>~s no.body<enter><set-flag>r<sync-mailbox>" +
        `<delete-pattern>~s plain<enter><sync-mailbox><exit>`,
    );
    await Deno.writeTextFile(
      `${folder}/purge`,
      await Deno.readTextFile(`${folder}/muttrc`) + "set delete=yes\n",
    );
    await runOk("script", [
      "-qec",
      `mutt -n -F ${folder}/purge -f imap://127.0.0.1:${port}/INBOX -e 'push "<sync-mailbox><exit>"'`,
      "/dev/null",
    ], { env: { TERM: "xterm", HOME: folder } });
    const after = await account(server, ALICE);
    assert.deepEqual(placesOf(after, "Subject: long").sort(), [
      "INBOX \\Draft \\Flagged \\Seen",
      "Up \\Seen",
    ]);
    assert.deepEqual(placesOf(after, "Subject: plain").sort(), ["Archive \\Seen", "Up \\Seen"]);
  }));

Deno.test("curl reads, uploads, marks, copies, moves, removes, creates and renames; by POP3 it reads and removes", () =>
  within(async ({ server, folder, port }) => {
    const user = ["-sS", "--user", `${ALICE}:${PASSWORD}`];
    const imap = `imap://127.0.0.1:${port}`;
    const curl = async (...args: string[]) => (await runOk("curl", [...user, ...args])).stdout;
    const fetched = async (url: string) => {
      const file = `${folder}/fetched`;
      await runOk("curl", [...user, "-o", file, url]);
      return latin1(await Deno.readFile(file));
    };
    const same = async () => {
      const kept = await account(server, ALICE);
      const client = await connect(server, ALICE);
      for (const mailbox of new Set(kept.map((message) => message.mailbox))) {
        const { untagged } = await client.ok(`STATUS "${mailbox}" (UIDNEXT)`);
        const next = Number(/UIDNEXT (\d+)/.exec(untagged[0]!.line)![1]);
        const { untagged: found } = await client.ok(`EXAMINE "${mailbox}"`).then(() =>
          client.ok(`UID SEARCH UID 1:${next}`)
        );
        const uids = found[0]!.line.split(" ").slice(2);
        const url = `${imap}/${mailbox.split("/").map(encodeURIComponent).join("%2F")}`;
        const texts: string[] = [];
        for (const uid of uids) texts.push(await fetched(`${url};UID=${uid}`));
        assert.deepEqual(texts.sort(), textsIn(kept, mailbox), mailbox);
      }
      await client.logout();
      return kept;
    };
    await same();
    await Deno.writeFile(`${folder}/letter`, octets(LETTER));
    await curl(`${imap}/`, "-X", "CREATE Curls");
    await curl("-T", `${folder}/letter`, `${imap}/Curls`);
    await curl(`${imap}/Curls`, "-X", "STORE 1 +FLAGS (\\Flagged $Curl)");
    await curl(`${imap}/`, "-X", "RENAME Curls Mine");
    await curl(`${imap}/Mine`, "-X", "COPY 1 Archive");
    await curl(`${imap}/INBOX`, "-X", "UID MOVE 1 Archive");
    await curl(`${imap}/INBOX`, "-X", "STORE 1 +FLAGS.SILENT (\\Deleted)");
    await curl(`${imap}/INBOX`, "-X", "EXPUNGE");
    await curl(`${imap}/`, "-X", "CREATE Empty");
    await curl(`${imap}/`, "-X", "DELETE Empty");
    const kept = await same();
    assert.deepEqual(placesOf(kept, "from this client").sort(), [
      "Archive $Curl \\Flagged \\Seen",
      "Mine $Curl \\Flagged \\Seen",
    ]);
    assert.deepEqual(textsIn(kept, "Mine"), [LETTER]);
    assert.deepEqual(placesOf(kept, "Subject: plain"), ["Archive \\Seen"]);
    assert.equal(textsIn(kept, "INBOX").length, TEXTS.length - 2);
    assert.ok(!(await folders(server, ALICE)).some((name) => ["Curls", "Empty"].includes(name)));
    const pop3 = `pop3://127.0.0.1:${server.port("pop3")}`;
    const first = await fetched(`${pop3}/1`);
    // POP3 ends a last line that has no end.
    const read = textsIn(kept, "INBOX").find((text) => text === first || `${text}\r\n` === first);
    assert.ok(read !== undefined, first);
    await curl(`${pop3}/1`, "-X", "DELE", "-l");
    const rest = await account(server, ALICE);
    assert.deepEqual(textsIn(rest, "INBOX"), textsIn(kept, "INBOX").filter((text) => text !== read));
  }));

Deno.test("fetchmail moves whole mailboxes from POP3 and IMAP to another account: there octet by octet, here gone", () =>
  within(async ({ server, folder, port }) => {
    const poll = async (how: string, more: string) => {
      await Deno.writeTextFile(
        `${folder}/fetchmailrc`,
        `poll 127.0.0.1 ${how} auth password no dns\n  user "${ALICE}" password "${PASSWORD}" is "${BOB}" here ` +
          `options ${more} fetchall no rewrite sslproto ""\n` +
          `  smtphost "127.0.0.1/${server.port("smtp")}" smtpname "${BOB}"\n`,
        { mode: 0o600 },
      );
      const { code, stdout, stderr } = await run("fetchmail", [
        ...["-f", `${folder}/fetchmailrc`, "--nosyslog", "--pidfile", `${folder}/pid`, "-i", `${folder}/ids`],
      ], { env: { HOME: folder } });
      assert.equal(code, 0, stdout + stderr);
    };
    const before = await account(server, ALICE);
    // A field of its own comes before what the message has, and SMTP ends what has no end.
    const arrived = async () =>
      textsIn(await account(server, BOB), "INBOX").map((text) => {
        const [, message] = /^(?:Return-Path|Delivered-To|Received)[^]*?\r\n(?=(?:From: a@b|Subject))([^]*)$/
          .exec(text)!;
        return message!.trimEnd();
      }).sort();
    await poll(`protocol POP3 port ${server.port("pop3")}`, "keep");
    const once = textsIn(before, "INBOX").map((text) => text.trimEnd()).sort();
    assert.deepEqual(await arrived(), once);
    assert.deepEqual(textsIn(await account(server, ALICE), "INBOX"), textsIn(before, "INBOX"), "kept");
    await poll(`protocol POP3 port ${server.port("pop3")}`, "no keep");
    assert.deepEqual(textsIn(await account(server, ALICE), "INBOX"), [], "removed by QUIT");
    assert.deepEqual(await arrived(), [...once, ...once].sort());
    await poll(`protocol IMAP port ${port}`, `folder "${FOLDER}" no keep`);
    const after = await account(server, ALICE);
    assert.deepEqual(textsIn(after, FOLDER), [], "removed by EXPUNGE");
    assert.deepEqual(after, before.filter(({ mailbox }) => !["INBOX", FOLDER].includes(mailbox)));
    assert.deepEqual(await arrived(), [...once, ...once, TEXTS[1]!.trimEnd()].sort());
  }));

Deno.test("imapflow uploads, reads, marks, copies, moves, removes, creates, renames, and hears what others do", () =>
  within(async ({ server, port }) => {
    const client = new ImapFlow({
      ...{ host: "127.0.0.1", port: Number(port), secure: false, doSTARTTLS: false, logger: false },
      auth: { user: ALICE, pass: PASSWORD },
      qresync: true,
    });
    await client.connect();
    try {
      await sameByImapflow(client, server);
      await client.mailboxCreate("Flows");
      const date = new Date(1_700_000_000_000);
      await client.append("Flows", octets(LETTER) as never, ["\\Flagged", "$Flow"], date);
      await client.mailboxOpen("INBOX");
      await client.messageFlagsAdd("1", ["\\Answered"], { uid: true });
      await client.messageFlagsRemove("2", ["\\Flagged"], { uid: true });
      await client.messageFlagsSet("3", ["$Set"], { uid: true });
      await client.messageCopy("1", "Flows", { uid: true });
      await client.messageMove("4", "Archive", { uid: true });
      await client.messageDelete("5", { uid: true });
      await client.mailboxRename("Flows", "Streams");
      await client.mailboxCreate("Short");
      await client.mailboxDelete("Short");
      await client.mailboxUnsubscribe("Junk");
      const kept = await sameByImapflow(client, server);
      assert.deepEqual(placesOf(kept, "Subject: plain").sort(), [
        "INBOX \\Answered \\Seen",
        "Streams \\Answered \\Seen",
      ]);
      assert.deepEqual(placesOf(kept, "utf-8?q?"), ["INBOX $Todo", "Work/&ANw-n&AO8- \\Seen"]);
      assert.deepEqual(placesOf(kept, "no body"), ["INBOX $Set"]);
      assert.deepEqual(placesOf(kept, "multipart"), ["Archive \\Answered"]);
      assert.deepEqual(placesOf(kept, "Subject: long"), []);
      assert.deepEqual(placesOf(kept, "from this client"), ["Streams $Flow \\Flagged"]);
      assert.ok(!(await folders(server, ALICE)).some((name) => ["Flows", "Short"].includes(name)));
      // Others: flags, a message that goes, one that comes.
      await client.mailboxOpen("INBOX");
      const heard: string[] = [];
      client.on("flags", ({ uid, flags }) => heard.push(`flags ${uid} ${[...flags ?? []].sort().join(" ")}`));
      client.on("expunge", ({ uid }) => heard.push(`expunge ${uid}`));
      client.on("exists", ({ count }) => heard.push(`exists ${count}`));
      const other = await connect(server, ALICE);
      await other.ok("SELECT INBOX");
      await other.ok("UID STORE 1 +FLAGS.SILENT ($Other)");
      await client.noop();
      await other.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)");
      await other.ok("UID EXPUNGE 2");
      await client.noop();
      await other.ok("APPEND INBOX (\\Seen)", LETTER);
      await client.noop();
      await other.logout();
      assert.deepEqual(heard.filter((one) => !one.startsWith("flags 2")), [
        "flags 1 $Other \\Answered \\Seen",
        "expunge 2",
        "exists 3",
      ]);
      await sameByImapflow(client, server);
    } finally {
      await client.logout();
    }
  }));

/** What it has of every mailbox is what we have. */
async function sameByImapflow(client: ImapFlow, server: RunningServer) {
  const kept = await account(server, ALICE);
  const seen: typeof kept = [];
  for (const { path } of await client.list()) {
    await client.mailboxOpen(path, { readOnly: true });
    const exists = client.mailbox === false ? 0 : client.mailbox.exists;
    if (exists === 0) continue;
    for await (const { flags, source } of client.fetch("1:*", { flags: true, source: true })) {
      const names = [...flags!].filter((flag) => flag !== "\\Recent").sort().join(" ");
      seen.push({ mailbox: path, flags: names, text: source!.toString("latin1") });
    }
  }
  const order = (messages: typeof kept) => messages.map((message) => JSON.stringify(message)).sort();
  // It speaks of names as people read them.
  const named = kept.map((message) => ({
    ...message,
    mailbox: message.mailbox.replace("&ANw-n&AO8-", "\u00dcn\u00ef"),
  }));
  assert.deepEqual(order(seen), order(named));
  return kept;
}

for (
  const [name, program, script] of [
    ["Python's imaplib", "python3", "imaplib_client.py"],
    ["Perl's Mail::IMAPClient", "perl", "mail_imapclient.pl"],
  ] as const
) {
  Deno.test(`${name} uploads, reads, marks, searches, copies, renames and removes`, () =>
    within(async ({ folder, port }) => {
      await Deno.mkdir(`${folder}/texts`);
      for (const [at, text] of TEXTS.entries()) {
        await Deno.writeFile(`${folder}/texts/${at}`, encodeLatin1(text));
      }
      const path = new URL(script, import.meta.url).pathname;
      const { stdout } = await runOk(program, [path, port, ALICE, PASSWORD, `${folder}/texts`]);
      assert.equal(stdout, `same ${TEXTS.length}\n`);
    }));
}
