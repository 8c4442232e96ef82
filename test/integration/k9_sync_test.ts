/**
 * K-9 Mail keeps a copy of its folders: what it says in a synchronisation and in a push, both ways, beside another client on
 * the same account; after each round both have the same messages octet by octet, and the same flags.
 */
import assert from "node:assert/strict";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";

const FOLDERS = ["INBOX", "Sent", "Archive", "Trash"] as const;
type Folder = typeof FOLDERS[number];

interface Kept {
  readonly octets: string;
  flags: string;
}
type Mirror = Map<Folder, Map<number, Kept>>;

/** Sorted, without \Recent, which is each session's own. */
function flagsOf(line: string): string {
  const flags = /FLAGS \(([^)]*)\)/.exec(line)?.[1] ?? "";
  return flags.split(" ").filter((flag) => flag !== "" && flag !== "\\Recent").sort().join(" ");
}

/** The commands of its folder synchronisation, in its spelling. */
class K9 {
  readonly client: ImapClient;
  readonly kept: Mirror = new Map(FOLDERS.map((folder) => [folder, new Map()]));

  private constructor(client: ImapClient) {
    this.client = client;
  }

  static async connect(server: RunningServer): Promise<K9> {
    const client = await ImapClient.connect(server.port("imap"));
    await client.ok("CAPABILITY");
    await client.ok("AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=");
    await client.ok("CAPABILITY");
    await client.ok("NAMESPACE");
    await client.ok('LIST "" "*" RETURN (SPECIAL-USE)');
    await client.ok('LSUB "" "*"');
    return new K9(client);
  }

  /** What came, what changed and what is gone. */
  async sync(folder: Folder): Promise<void> {
    const { client } = this;
    const kept = this.kept.get(folder)!;
    const selected = await client.ok(`SELECT "${folder}"`);
    const exists = Number(/^\* (\d+) EXISTS/m.exec(selected.untagged.map(({ line }) => line).join("\n"))![1]);
    const there = new Set<number>();
    if (exists > 0) {
      const { untagged } = await client.ok(`UID SEARCH ${Math.max(1, exists - 24)}:${exists} NOT DELETED`);
      for (const uid of untagged[0]!.line.split(" ").slice(2)) there.add(Number(uid));
    }
    for (const uid of kept.keys()) if (!there.has(uid)) kept.delete(uid);
    const unknown = [...there].filter((uid) => !kept.has(uid));
    if (unknown.length > 0) {
      const set = unknown.join(",");
      await client.ok(
        `UID FETCH ${set} (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from ` +
          "content-type to cc reply-to message-id references in-reply-to X-K9mail-Identity)])",
      );
      const { untagged } = await client.ok(`UID FETCH ${set} (UID BODY.PEEK[])`);
      for (const response of untagged) {
        const uid = /UID (\d+)/.exec(response.line);
        if (uid !== null) kept.set(Number(uid[1]), { octets: literalText(response), flags: "" });
      }
    }
    if (kept.size === 0) return;
    const { untagged } = await client.ok(`UID FETCH ${[...kept.keys()].join(",")} (UID FLAGS)`);
    for (const { line } of untagged) {
      const message = kept.get(Number(/UID (\d+)/.exec(line)?.[1]));
      if (message !== undefined) message.flags = flagsOf(line);
    }
  }

  async syncAll(): Promise<void> {
    for (const folder of FOLDERS) await this.sync(folder);
  }

  /** Waits in IDLE until something is said that makes it synchronise; `change` happens meanwhile. */
  async push(folder: Folder, change: () => Promise<void>, told: RegExp): Promise<void> {
    await this.client.ok(`SELECT "${folder}"`);
    await this.client.wire.write("i IDLE\r\n");
    assert.match((await this.client.response()).line, /^\+ /);
    await change();
    for (let said = ""; !told.test(said);) said = (await this.client.response()).line;
    await this.client.wire.write("DONE\r\n");
    for (let said = ""; !said.startsWith("i OK");) said = (await this.client.response()).line;
    await this.sync(folder);
  }
}

/** The folders as another client finds them; messages marked \Deleted count as gone, as K-9 has it. */
async function truth(other: ImapClient): Promise<Mirror> {
  const mirror: Mirror = new Map();
  for (const folder of FOLDERS) {
    const messages = new Map<number, Kept>();
    await other.ok(`EXAMINE ${folder}`);
    const { untagged } = await other.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])");
    for (const response of untagged) {
      const uid = /UID (\d+)/.exec(response.line);
      const flags = flagsOf(response.line);
      if (uid === null || flags.includes("\\Deleted")) continue;
      messages.set(Number(uid[1]), { octets: literalText(response), flags });
    }
    mirror.set(folder, messages);
  }
  return mirror;
}

const letter = (subject: string) =>
  `From: ann@elsewhere.test\r\nTo: alice@example.test\r\nMessage-ID: <${subject}@elsewhere.test>\r\n` +
  `Subject: ${subject}\r\n\r\n.text of ${subject} \xe4\r\n`;

inBothShapes(
  "K-9 Mail and another client have the same, octet by octet, whichever of them changes it",
  async (start) => {
    await using server = await start();
    const other = await server.imap("alice");
    const smtp = await server.smtp();
    const arrives = async (subject: string) => {
      const { code } = await smtp.send("ann@elsewhere.test", ["alice@example.test"], letter(subject));
      assert.equal(code, 250);
    };
    const k9 = await K9.connect(server);
    const same = async (what: string, wanted: readonly number[]) => {
      await k9.syncAll();
      const now = await truth(other);
      assert.deepEqual(k9.kept, now, what);
      assert.deepEqual(FOLDERS.map((folder) => now.get(folder)!.size), wanted, what);
    };

    // From the server to the phone.
    for (const subject of ["one", "two", "three", "four"]) await arrives(subject);
    await same("four deliveries", [4, 0, 0, 0]);
    await other.ok("SELECT INBOX");
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Seen $Label)");
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)");
    await same("flags, and what is deleted but there", [3, 0, 0, 0]);
    await other.ok("SELECT INBOX");
    await other.ok("UID MOVE 3 Archive");
    await other.ok("EXPUNGE");
    await other.ok("APPEND Sent (\\Seen)", letter("mine"));
    await same("a move, an expunge, an upload", [2, 1, 1, 0]);
    await k9.push("INBOX", () => arrives("five"), /^\* \d+ EXISTS/);
    assert.equal(k9.kept.get("INBOX")!.size, 3, "a delivery is pushed");
    await other.ok("SELECT INBOX");
    await k9.push("INBOX", async () => void await other.ok("UID STORE 5 +FLAGS (\\Flagged)"), /^\* 3 FETCH/);
    assert.equal(k9.kept.get("INBOX")!.get(5)!.flags, "\\Flagged", "a flag is pushed");
    await k9.push("INBOX", async () => void await other.ok("UID MOVE 5 Trash"), /^\* 3 EXPUNGE/);
    await same("what was pushed", [2, 1, 1, 1]);

    // From the phone to the server: its pending commands, in its spelling.
    const { client } = k9;
    await client.ok('SELECT "INBOX"');
    await client.ok("UID STORE 4 +FLAGS.SILENT (\\Seen \\Answered)");
    await client.ok("UID STORE 1 -FLAGS.SILENT (\\Seen)");
    await client.ok('UID MOVE 4 "Trash"');
    await client.ok('UID COPY 1 "Archive"');
    await client.ok('APPEND "Sent" (\\Seen)', letter("written on the phone"));
    await client.ok('SELECT "Sent"');
    const found = await client.ok('UID SEARCH HEADER MESSAGE-ID "written on the phone@elsewhere.test"');
    assert.equal(found.untagged[0]!.line, "* SEARCH 2");
    await client.ok('SELECT "Trash"');
    await client.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)");
    await client.ok("EXPUNGE");
    await same("what the phone changed", [1, 2, 2, 0]);
    const sent = (await truth(other)).get("Sent")!;
    assert.equal(sent.get(2)!.octets, letter("written on the phone"), "what it sent is there octet by octet");
    await smtp.quit();
    await other.logout();
    await client.logout();
  },
);
