/** A file system that is really full: a small tmpfs, where this user may mount one. */
import assert from "node:assert/strict";
import { FactsBuilder } from "../../message/facts.ts";
import { FLAG_DELETED } from "../../storage/changes.ts";
import { verify } from "../../storage/verify.ts";
import { fileMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const MOUNT_OCTETS = 64 * 1024 * 1024;
const TEXT = `Subject: hello\r\n\r\n${"body\r\n".repeat(2_000)}`;

function run(command: string, ...args: string[]): boolean {
  return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
}

/** Takes every octet that is left. */
function fill(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  for (const size of [1024 * 1024, 4096]) {
    const piece = new Uint8Array(size);
    try {
      for (;;) file.writeSync(piece);
    } catch (error) {
      assert.match(String(error), /No space left/);
    }
  }
}

const place = Deno.makeTempDirSync({ prefix: "veredus-full-" });
const mounted = Deno.uid() === 0 && run("mount", "-t", "tmpfs", "-o", `size=${MOUNT_OCTETS}`, "tmpfs", place);
if (!mounted) Deno.removeSync(place);

Deno.test({
  name: "on a disk without a free octet mail is refused and removed, and nothing is lost",
  ignore: !mounted,
  fn: async () => {
    const t: TestStore = await TestStore.open({
      path: `${place}/data`,
      minFreeOctets: 0,
      writer: { reserve: { release: () => t.folder.releaseReserve(), fill: () => t.folder.fillReserve() } },
    });
    try {
      const inbox = t.mailboxId("alice", "INBOX");
      const texts = new Map<number, string>();
      const deliver = async (text: string): Promise<boolean> => {
        const uid = await fileMessage(t.store, inbox, text).catch(() => null);
        if (uid !== null) texts.set(uid, text);
        return uid !== null;
      };
      assert.equal(t.folder.fillReserve(), true);
      for (let i = 0; i < 50; i++) assert.ok(await deliver(`X-N: ${i}\r\n${TEXT}`));
      t.writer.connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
      fill(`${place}/filler`);
      let refused = 0;
      for (let i = 0; i < 100; i++) if (!await deliver(`X-N: full ${i}\r\n${TEXT}`)) refused++;
      assert.ok(refused > 0, "mail is refused");
      // The log has no room either: flags and removal run in the reserve.
      const flagged = await t.write({
        ...{ kind: "store-flags", mailboxId: inbox, uids: [[1, 10]], mode: "add", flags: FLAG_DELETED },
        ...{ keywords: [], unchangedSince: null },
      });
      assert.ok(flagged.ok, JSON.stringify(flagged));
      const gone = await t.ok({ kind: "expunge", mailboxId: inbox, uids: null, onlyDeleted: true });
      assert.equal(gone.kind === "expunged" && gone.uids.length, 10);
      for (let uid = 1; uid <= 10; uid++) texts.delete(uid);
      Deno.removeSync(`${place}/filler`);
      const deadline = Date.now() + 5_000;
      while (!await deliver(`X-N: again\r\n${TEXT}`)) {
        assert.ok(Date.now() < deadline, "mail is taken again");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal(Deno.statSync(t.folder.reserve).size, 8 * 1024 * 1024);
      assert.deepEqual(t.store.messages.maildrop(inbox, { after: 0, limit: 1_000 }).uids, [...texts.keys()]);
      for (const [uid, text] of texts) {
        const { blob } = t.store.messages.row(inbox, uid, { withImap: false })!;
        assert.equal(new TextDecoder().decode(t.store.blobs.readSync(blob, 0, blob.length)), text);
      }
      const newFacts = () => new FactsBuilder();
      const { problems } = await verify({ folder: t.folder, fix: false, newFacts, progress: () => {} });
      assert.deepEqual(problems, []);
      assert.deepEqual(t.fatal, []);
    } finally {
      await t.close();
      run("umount", "-l", place);
      Deno.removeSync(place);
    }
  },
});
