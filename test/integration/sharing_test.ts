/** Shared mailboxes through the whole server, in both shapes: mail in, rights across threads, what is kept over a restart. */
import assert from "node:assert/strict";
import { openStore } from "../../storage/open_store.ts";
import { until } from "../lib/program.ts";
import { inBothShapes } from "../lib/running_server.ts";

const DESK = "desk@example.test";
const FOLDER = `"Shared Folders/${DESK}"`;
const MESSAGE = "From: x@elsewhere.test\r\nSubject: order\r\n\r\ntwo kettles\r\n";

inBothShapes(
  "a shared account: mail by its address and sub-address, two readers, kept over a restart",
  async (start) => {
    const server = await start({ ops: [{ kind: "put-account", account: { address: DESK, shared: true } }] });
    const store = openStore({ folder: server.server.folder, writer: server.server.writer });
    const desk = store.directory.account(DESK)!;
    const grant = async (mailbox: string, identifier: string, rights: string) => {
      const { id: mailboxId } = store.mailboxes.byName(desk.id, mailbox)!;
      const result = await store.write({ kind: "set-acl", mailboxId, identifier, rights, mode: "replace" });
      assert.ok(result.ok);
    };
    await grant("INBOX", "alice@example.test", "lrswipkxte");
    await grant("INBOX", "bob@example.test", "lrs");
    const alice = await server.imap("alice"), bob = await server.imap("bob");
    await until("the rights are known to alice's thread", async () => {
      return (await alice.command(`CREATE ${FOLDER.replace(/"$/, '/orders"')}`)).status === "OK" || null;
    });
    await until("bob sees the folder", async () => {
      const { untagged } = await bob.ok('LIST "" "Shared Folders/*"');
      return untagged.length === 2 || null;
    });
    await bob.ok(`SELECT ${FOLDER}`);
    await bob.wire.write("i IDLE\r\n");
    assert.match((await bob.response()).line, /^\+/);
    const smtp = await server.smtp();
    assert.equal(
      (await smtp.send("x@elsewhere.test", [DESK, "desk+orders@example.test"], MESSAGE)).code,
      250,
    );
    assert.match((await bob.response()).line, /^\* 1 EXISTS/);
    await bob.wire.write("DONE\r\n");
    while (!(await bob.response()).line.startsWith("i OK"));
    // Nobody may post to "orders" any more: its mail goes to INBOX, and then nowhere.
    await grant("orders", "anyone", "");
    assert.equal((await smtp.send("x@elsewhere.test", ["desk+orders@example.test"], MESSAGE)).code, 250);
    await grant("INBOX", "anyone", "");
    await assert.rejects(smtp.send("x@elsewhere.test", ["desk+orders@example.test"], MESSAGE), /550 5\.7\.2/);
    await smtp.quit();
    const messages = (name: string) => store.mailboxes.byName(desk.id, name)!.messages;
    assert.deepEqual([messages("INBOX"), messages("orders")], [2, 1]);
    await alice.ok(`SELECT ${FOLDER}`);
    await alice.ok("STORE 1 +FLAGS (\\Seen \\Flagged)");
    await bob.ok("NOOP");
    await bob.ok("STORE 2 +FLAGS (\\Seen)");
    await alice.logout();
    await bob.logout();
    await store.close();
    await server.stop({ keep: true });

    const again = await start({ data: server.data });
    for (const [name, seen] of [["alice", "1"], ["bob", "2"]] as const) {
      const client = await again.imap(name);
      await client.ok(`SELECT ${FOLDER}`);
      const line = (await client.ok("SEARCH SEEN")).untagged[0]!.line;
      assert.equal(line, `* SEARCH ${seen}`);
      assert.equal((await client.ok("SEARCH FLAGGED")).untagged[0]!.line, "* SEARCH 1");
      await client.logout();
    }
    await again.stop();
  },
);
