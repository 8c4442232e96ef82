/**
 * IMAP clients that keep a copy of whole accounts: what came, changed, moved, went and was created goes both ways, and what
 * they have is compared with what we have, octet by octet and flag by flag.
 */
import assert from "node:assert/strict";
import { runOk } from "../lib/program.ts";
import { PASSWORD, type RunningServer } from "../lib/running_server.ts";
import {
  account,
  ALICE,
  BOB,
  changeFromElsewhere,
  compareMaildirs,
  connect,
  folders,
  placesOf,
  TEXTS,
  within,
} from "./imap_bed.ts";

const NEW = "Subject: from the mirror\n\n.up\n";
const NEW_OCTETS = "Subject: from the mirror\r\n\r\n.up\r\n";

Deno.test("interimap keeps two accounts the same, both ways, by QRESYNC", () =>
  within(async ({ server, folder, port }) => {
    const side = (name: string, login: string) =>
      `[${name}]\ntype = imap\nhost = 127.0.0.1\nport = ${port}\nusername = ${login}\npassword = ${PASSWORD}\nSTARTTLS = NO\n`;
    await Deno.writeTextFile(
      `${folder}/config`,
      `database = ${folder}/state.db\nlist-mailbox = *\n${side("local", ALICE)}${side("remote", BOB)}`,
    );
    const interimap = (...args: string[]) =>
      runOk("interimap", [`--config=${folder}/config`, ...args], { env: { HOME: folder } });
    const same = async () => {
      const [ours, theirs] = [await account(server, ALICE), await account(server, BOB)];
      assert.deepEqual(theirs, ours);
      assert.deepEqual(await folders(server, BOB), await folders(server, ALICE));
      return ours;
    };
    await interimap();
    assert.equal((await same()).length, TEXTS.length + 1);
    // On both sides between two runs.
    await changeFromElsewhere(server, ALICE);
    const bob = await connect(server, BOB);
    await bob.ok("SELECT INBOX");
    await bob.ok("UID STORE 3 +FLAGS.SILENT (\\Seen $Bob)");
    await bob.ok("UID STORE 5 +FLAGS.SILENT (\\Deleted)");
    await bob.ok("UID EXPUNGE 5");
    await bob.ok("CREATE Bobs");
    await bob.ok("APPEND Bobs (\\Seen)", NEW_OCTETS);
    await interimap();
    const kept = await same();
    assert.deepEqual(placesOf(kept, "Subject: plain"), []);
    assert.deepEqual(placesOf(kept, "Subject: long"), []);
    assert.deepEqual(placesOf(kept, "multipart/mixed"), ["Work \\Answered"]);
    assert.deepEqual(placesOf(kept, "Subject: no body"), ["INBOX $Bob \\Seen"]);
    assert.deepEqual(placesOf(kept, "Subject: later"), ["Later \\Flagged"]);
    assert.deepEqual(placesOf(kept, "Subject: from the mirror"), ["Bobs \\Seen"]);
    await interimap("--target=local,remote,database", "--rename", "Later", "Now");
    await interimap("--target=local,remote,database", "--delete", "Bobs");
    await interimap();
    assert.deepEqual(placesOf(await same(), "Subject: later"), ["Now \\Flagged"]);
    assert.ok(!(await folders(server, BOB)).some((name) => ["Later", "Bobs"].includes(name)));
    await bob.logout();
  }));

/** What every mirror into Maildir is put through; `sync` runs it once. */
async function mirrors({ server, root, sync, without }: {
  server: RunningServer;
  root: string;
  sync: () => Promise<unknown>;
  /** As {@linkcode compareMaildirs} has it. */
  without?: (text: string) => string | null;
}): Promise<void> {
  const path = (mailbox: string) => `${root}/${mailbox}`;
  const same = async () => {
    const kept = await account(server, ALICE);
    compareMaildirs(kept, path, without);
    return kept;
  };
  await sync();
  await same();
  await changeFromElsewhere(server, ALICE);
  await sync();
  const kept = await same();
  assert.deepEqual(placesOf(kept, "Subject: later"), ["Later \\Flagged"]);

  // The other way: a message and a folder that are new, one marked, one removed.
  const cur = `${path("INBOX")}/cur`;
  for (const part of ["cur", "new"]) {
    for (const { name } of [...Deno.readDirSync(`${path("INBOX")}/${part}`)]) {
      const file = `${path("INBOX")}/${part}/${name}`;
      const text = new TextDecoder("latin1").decode(await Deno.readFile(file));
      if (text.includes("Subject: long")) await Deno.remove(file);
      else if (text.includes("utf-8?q?")) {
        await Deno.rename(file, `${cur}/${name.split(":")[0]}:2,FRS`);
      }
    }
  }
  await Deno.writeTextFile(`${cur}/1700000000.1_1.test:2,RS`, NEW);
  for (const part of ["cur", "new", "tmp"]) await Deno.mkdir(`${path("Local")}/${part}`, { recursive: true });
  await Deno.writeTextFile(`${path("Local")}/cur/1700000001.1_2.test:2,F`, NEW);
  await sync();
  const after = await same();
  assert.deepEqual(placesOf(after, "Subject: long"), []);
  assert.deepEqual(placesOf(after, "utf-8?q?"), [
    "INBOX $Todo \\Answered \\Flagged \\Seen",
    "Work/&ANw-n&AO8- \\Seen",
  ]);
  // Both put a field of their own into it to know it again.
  assert.deepEqual(placesOf(after, NEW_OCTETS.slice(NEW_OCTETS.indexOf("\r\n\r\n"))), [
    "INBOX \\Answered \\Seen",
    "Local \\Flagged",
  ]);
  await sync();
  assert.deepEqual(await same(), after, "nothing is left to do");
}

Deno.test("offlineimap mirrors an account into Maildir, both ways", () =>
  within(async ({ server, folder, port }) => {
    await Deno.writeTextFile(
      `${folder}/config`,
      `[general]\naccounts = a\nmetadata = ${folder}/meta\nui = quiet\n[Account a]\nlocalrepository = l\n` +
        `remoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = ${folder}/mail\nsep = /\n` +
        `[Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = ${port}\nremoteuser = ${ALICE}\n` +
        `remotepass = ${PASSWORD}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\n`,
    );
    const sync = () => runOk("offlineimap", ["-o", "-c", `${folder}/config`], { env: { HOME: folder } });
    await mirrors({ server, root: `${folder}/mail`, sync });
  }));

Deno.test("mbsync mirrors an account into Maildir, both ways", () =>
  within(async ({ server, folder, port }) => {
    await Deno.mkdir(`${folder}/mail`);
    await Deno.writeTextFile(
      `${folder}/mbsyncrc`,
      `IMAPStore remote\nHost 127.0.0.1\nPort ${port}\nUser ${ALICE}\nPass ${PASSWORD}\nSSLType None\n` +
        `AuthMechs LOGIN\n\nMaildirStore local\nPath ${folder}/mail/\nInbox ${folder}/mail/INBOX\n` +
        `SubFolders Verbatim\n\nChannel all\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nRemove Both\n` +
        `Expunge Both\nSyncState *\n`,
    );
    const sync = () => runOk("mbsync", ["-c", `${folder}/mbsyncrc`, "-a"], { env: { HOME: folder } });
    // It knows messages again by a field of its own, and takes none without an end of its header.
    const without = (text: string) =>
      text.startsWith("Subject: no body") ? null : text.replace(/^X-TUID: \S+\r?\n/m, "");
    await mirrors({ server, root: `${folder}/mail`, sync, without });
    // A folder that went there goes here.
    const client = await connect(server, ALICE);
    await client.ok("SELECT Local");
    await client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
    await client.ok("CLOSE");
    await sync();
    await client.ok("DELETE Local");
    await client.logout();
    await sync();
    assert.ok(![...Deno.readDirSync(`${folder}/mail`)].some(({ name }) => name === "Local"));
  }));

Deno.test("doveadm sync copies an account over imapc, both ways", () =>
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
    const same = async () => {
      const kept = await account(server, ALICE);
      const home = `${folder}/home/Maildir`;
      compareMaildirs(
        kept,
        (mailbox) => mailbox === "INBOX" ? home : `${home}/.${mailbox.replaceAll("/", ".")}`,
      );
      return kept;
    };
    // Where a mailbox is new or renamed its first run says by 2 that it wants another one.
    const sync = () => doveadm(["sync", "imapc:"]).catch(() => doveadm(["sync", "imapc:"]));
    await doveadm(["backup", "-R", "imapc:"]);
    await same();
    await changeFromElsewhere(server, ALICE);
    await doveadm(["mailbox", "create", "Dovecots"]);
    await doveadm(["save", "-m", "Dovecots"], NEW_OCTETS);
    await doveadm(["flags", "add", "\\Flagged", "mailbox", "INBOX", "header", "subject", "no body"]);
    await sync();
    const kept = await same();
    assert.deepEqual(placesOf(kept, "Subject: plain"), []);
    assert.deepEqual(placesOf(kept, "Subject: later"), ["Later \\Flagged"]);
    assert.deepEqual(placesOf(kept, "multipart/mixed"), ["Work \\Answered"]);
    assert.deepEqual(placesOf(kept, "Subject: no body"), ["INBOX \\Flagged"]);
    assert.deepEqual(placesOf(kept, NEW_OCTETS), ["Dovecots "]);
    // What it removes goes there by backup only: without GUIDs, sync takes it for something new on the other side.
    // (A mailbox that is renamed there it can bring nowhere by imapc: "Backend didn't update mailbox GUID".)
    await doveadm(["expunge", "mailbox", "INBOX", "header", "subject", "long"]);
    await doveadm(["move", "Work", "mailbox", "Dovecots", "all"]);
    await doveadm(["mailbox", "delete", "Dovecots"]);
    const backup = () => doveadm(["backup", "imapc:"]);
    await backup().catch(backup);
    const after = await same();
    assert.deepEqual(placesOf(after, "Subject: long"), []);
    assert.deepEqual(placesOf(after, NEW_OCTETS), ["Work "]);
    assert.ok(!(await folders(server, ALICE)).includes("Dovecots"));
  }));
