/**
 * IMAP clients that copy whole accounts, and the libraries that scripts are written with: both ways, and what they have
 * is compared with what we have, octet by octet and flag by flag.
 */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { runOk } from "../lib/program.ts";
import { PASSWORD, RunningServer } from "../lib/running_server.ts";

const ALICE = "alice@example.test";
const BOB = "bob@example.test";

/** Mail as it comes, with what clients stumble over. */
const TEXTS: readonly string[] = [
  "From: a@b.test\r\nSubject: plain\r\n\r\nbody\r\n",
  "From: a@b.test\r\nSubject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=utf-8\r\n" +
  "Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00c3\u00bc\u00c3\u009fe\r\n.dot\r\nFrom the start\r\n",
  "Subject: no body and no end of line",
  "From: a@b.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\n\r\none\r\n--x\r\n" +
  "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--x--\r\n",
  `From: a@b.test\r\nSubject: long\r\n\r\n${"a line that is repeated often\r\n".repeat(5_000)}`,
];
const FLAGS = ["\\Seen", "\\Flagged $Todo", "", "\\Answered", "\\Seen \\Draft"];
const FOLDER = "Work/&ANw-n&AO8-"; // Ünï

interface Kept {
  readonly mailbox: string;
  readonly flags: string;
  readonly text: string;
}

async function connect(server: RunningServer, login: string): Promise<ImapClient> {
  return await ImapClient.connect(server.port("imap"), { login, password: PASSWORD });
}

async function fill(server: RunningServer, login: string): Promise<void> {
  const client = await connect(server, login);
  await client.ok("CREATE Work");
  await client.ok(`CREATE "${FOLDER}"`);
  for (const [at, text] of TEXTS.entries()) {
    await client.ok(`APPEND INBOX (${FLAGS[at]}) "14-Nov-2023 22:13:2${at} +0000"`, text);
  }
  await client.ok(`APPEND "${FOLDER}" (\\Seen)`, TEXTS[1]);
  await client.logout();
}

/** Every message of an account, in an order of its own. */
async function account(server: RunningServer, login: string): Promise<Kept[]> {
  const client = await connect(server, login);
  const kept: Kept[] = [];
  for (const { line } of (await client.ok('LIST "" *')).untagged) {
    const mailbox = /"\/" "?(.*?)"?$/.exec(line)![1]!;
    await client.ok(`EXAMINE "${mailbox}"`);
    for (const response of (await client.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])")).untagged) {
      if (response.literals.length === 0) continue;
      // \Recent is the session's that was told first, be it ours.
      const flags = /FLAGS \(([^)]*)\)/.exec(response.line)![1]!.split(" ").filter((flag) =>
        flag !== "\\Recent"
      )
        .sort().join(" ");
      kept.push({ mailbox, flags, text: literalText(response) });
    }
  }
  await client.logout();
  return kept.sort((a, b) =>
    a.mailbox < b.mailbox ? -1 : a.mailbox > b.mailbox ? 1 : a.text < b.text ? -1 : 1
  );
}

/** Texts of the messages of a Maildir, with the letters of their flags; its files have the line ends of this system. */
function maildir(folder: string): { text: string; letters: string }[] {
  const found: { text: string; letters: string }[] = [];
  for (const part of ["cur", "new"]) {
    for (const { name } of Deno.readDirSync(`${folder}/${part}`)) {
      const text = new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/${part}/${name}`));
      found.push({ text, letters: /:2,([A-Z]*)/.exec(name)?.[1] ?? "" });
    }
  }
  return found.sort((a, b) => a.text < b.text ? -1 : 1);
}

const LETTERS: Record<string, string> = {
  "\\Draft": "D",
  "\\Flagged": "F",
  "\\Answered": "R",
  "\\Seen": "S",
};

/** What a Maildir with the same mail holds. */
function asMaildir(kept: readonly Kept[], mailbox: string): { text: string; letters: string }[] {
  return kept.filter((message) => message.mailbox === mailbox).map(({ text, flags }) => ({
    text: new TextDecoder("latin1").decode(encodeLatin1(text.replaceAll("\r\n", "\n"))),
    letters: flags.split(" ").map((flag) => LETTERS[flag] ?? "").sort().join(""),
  })).sort((a, b) => a.text < b.text ? -1 : 1);
}

/** Some clients end a last line, or a header, that has no end. */
function ended<T extends { text: string }>(messages: readonly T[]): T[] {
  return messages.map((message) => ({ ...message, text: message.text.trimEnd() }));
}

/** A server with mail, and a folder that any user may write to. */
async function within(
  run: (bed: { server: RunningServer; folder: string; port: string }) => Promise<void>,
): Promise<void> {
  await using server = await RunningServer.start({ threads: 2 });
  const folder = await Deno.makeTempDir({ prefix: "veredus-clients-" });
  await Deno.chmod(folder, 0o777);
  try {
    await fill(server, ALICE);
    await run({ server, folder, port: String(server.port("imap")) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("interimap keeps two accounts the same, both ways, by QRESYNC", () =>
  within(async ({ server, folder, port }) => {
    const side = (name: string, login: string) =>
      `[${name}]\ntype = imap\nhost = 127.0.0.1\nport = ${port}\nusername = ${login}\npassword = ${PASSWORD}\nSTARTTLS = NO\n`;
    await Deno.writeTextFile(
      `${folder}/config`,
      `database = ${folder}/state.db\nlist-mailbox = *\n${side("local", ALICE)}${side("remote", BOB)}`,
    );
    const sync = () => runOk("interimap", [`--config=${folder}/config`], { env: { HOME: folder } });
    await sync();
    assert.deepEqual(await account(server, BOB), await account(server, ALICE));
    const [alice, bob] = [await connect(server, ALICE), await connect(server, BOB)];
    await alice.ok("SELECT INBOX");
    await alice.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    await alice.ok("UID EXPUNGE 1");
    await bob.ok("SELECT INBOX");
    await bob.ok("UID STORE 2 +FLAGS.SILENT (\\Answered)");
    await bob.ok("APPEND Work (\\Seen)", TEXTS[0]);
    await alice.logout();
    await bob.logout();
    await sync();
    const [ours, theirs] = [await account(server, ALICE), await account(server, BOB)];
    assert.deepEqual(theirs, ours);
    assert.equal(ours.length, TEXTS.length + 1);
    assert.ok(ours.some(({ mailbox }) => mailbox === "Work"));
    assert.ok(ours.some(({ flags }) => flags === "$Todo \\Answered \\Flagged"));
  }));

Deno.test("offlineimap mirrors an account into Maildir and back", () =>
  within(async ({ server, folder, port }) => {
    await Deno.writeTextFile(
      `${folder}/config`,
      `[general]\naccounts = a\nmetadata = ${folder}/meta\nui = quiet\n[Account a]\nlocalrepository = l\n` +
        `remoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = ${folder}/mail\nsep = /\n` +
        `[Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = ${port}\nremoteuser = ${ALICE}\n` +
        `remotepass = ${PASSWORD}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\n`,
    );
    const sync = () => runOk("offlineimap", ["-o", "-c", `${folder}/config`], { env: { HOME: folder } });
    await sync();
    const kept = await account(server, ALICE);
    for (const mailbox of ["INBOX", FOLDER]) {
      assert.deepEqual(ended(maildir(`${folder}/mail/${mailbox}`)), ended(asMaildir(kept, mailbox)), mailbox);
    }
    await Deno.writeTextFile(
      `${folder}/mail/INBOX/cur/1700000000.1_1.test:2,FS`,
      "Subject: from offlineimap\n\nup\n",
    );
    await sync();
    const added = (await account(server, ALICE)).find(({ text }) => text.includes("from offlineimap"));
    assert.equal(added?.flags, "\\Flagged \\Seen");
    assert.match(added.text, /\r\n\r\nup\r\n$/);
  }));

Deno.test("doveadm sync copies an account over imapc, and brings back what changed", () =>
  within(async ({ server, folder, port }) => {
    await Deno.writeTextFile(
      `${folder}/config`,
      `first_valid_uid = 1\nfirst_valid_gid = 1\nbase_dir = ${folder}/run\nmail_home = ${folder}/home\n` +
        `mail_location = maildir:~/Maildir\nlog_path = /dev/stderr\nssl = no\nimapc_host = 127.0.0.1\n` +
        `imapc_port = ${port}\nimapc_user = ${ALICE}\nimapc_password = ${PASSWORD}\n` +
        `imapc_features = rfc822.size fetch-headers search modseq delay-login\n` +
        `namespace inbox {\n  inbox = yes\n  separator = /\n}\n`,
    );
    // It never works as root.
    const root = Deno.uid() === 0;
    const as = root ? ["setpriv", "--reuid=mail", "--regid=mail", "--clear-groups", "doveadm"] : ["doveadm"];
    if (root) await runOk("install", ["-d", "-o", "mail", "-g", "mail", `${folder}/home`, `${folder}/run`]);
    const doveadm = (args: string[], stdin?: string) =>
      runOk(as[0]!, [...as.slice(1), "-c", `${folder}/config`, ...args], {
        env: { USER: "mail", HOME: `${folder}/home` },
        ...(stdin !== undefined && { stdin }),
      });
    await doveadm(["backup", "-R", "imapc:"]);
    const kept = await account(server, ALICE);
    assert.deepEqual(maildir(`${folder}/home/Maildir`), asMaildir(kept, "INBOX"));
    assert.deepEqual(maildir(`${folder}/home/Maildir/.${FOLDER.replace("/", ".")}`), asMaildir(kept, FOLDER));
    await doveadm(["save", "-m", "INBOX"], "Subject: from dovecot\r\n\r\nhi\r\n");
    await doveadm(["flags", "add", "\\Flagged", "mailbox", "INBOX", "1"]);
    await doveadm(["sync", "imapc:"]);
    const after = await account(server, ALICE);
    assert.equal(after.find(({ text }) => text.includes("Subject: plain"))?.flags, "\\Flagged \\Seen");
    assert.ok(after.some(({ text }) => text === "Subject: from dovecot\r\n\r\nhi\r\n"));
    assert.equal(after.length, kept.length + 1);
  }));

Deno.test("mutt copies a mailbox, and a message between mailboxes", () =>
  within(async ({ server, folder, port }) => {
    await Deno.writeTextFile(
      `${folder}/muttrc`,
      `set imap_user=${ALICE} imap_pass=${PASSWORD} ssl_starttls=no ssl_force_tls=no folder=imap://127.0.0.1:${port}/\n` +
        `set quit=yes delete=no mark_old=no mbox_type=maildir confirmappend=no confirmcreate=no wait_key=no\n`,
    );
    const keys = (pushed: string) =>
      runOk("script", [
        "-qec",
        `mutt -n -F ${folder}/muttrc -f imap://127.0.0.1:${port}/INBOX -e 'push "${pushed}"'`,
        "/dev/null",
      ], { env: { TERM: "xterm", HOME: folder } });
    await keys(`<tag-pattern>.<enter><tag-prefix><copy-message>${folder}/copy<enter><exit>`);
    const kept = await account(server, ALICE);
    // Mutt says in fields of its own how long a message is.
    const copied = maildir(`${folder}/copy`).map(({ text }) =>
      text.replace(/Content-Length: \d+\nLines: \d+\n/, "").trimEnd()
    );
    assert.deepEqual(copied, asMaildir(kept, "INBOX").map(({ text }) => text.trimEnd()));
    await keys(`<first-entry><save-message>=Archive<enter><sync-mailbox><exit>`);
    const after = await account(server, ALICE);
    assert.equal(after.filter(({ mailbox }) => mailbox === "Archive").length, 1);
    assert.equal(after.length, kept.length + 1); // delete=no: the first one stays, marked
  }));

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
