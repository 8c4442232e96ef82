/** Real clients over shared mailboxes: Python's imaplib with its ACL commands, imapflow as it lists and reads. */
import assert from "node:assert/strict";
import { ImapFlow } from "imapflow";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { runOk } from "../lib/program.ts";
import { ServerProcess } from "../lib/server_process.ts";

const ALICE = "alice@example.test", BOB = "bob@example.test", PASSWORD = "secret";

async function withServer(body: (port: number) => Promise<void>): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "veredus-sharing-" });
  const server = await ServerProcess.start({ dataDir, offset: freeOffset(), password: PASSWORD });
  try {
    await body(server.port(143));
  } finally {
    await server.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test("imaplib gives and takes rights, and reads with them", () =>
  withServer(async (port) => {
    const script = new URL("imaplib_sharing.py", import.meta.url).pathname;
    await runOk("python3", [script, String(port), ALICE, BOB, PASSWORD]);
  }));

Deno.test("imapflow finds a mailbox of another in its namespace, reads it and keeps what it has seen", () =>
  withServer(async (port) => {
    const owner = await ImapClient.connect(port, { login: ALICE, password: PASSWORD });
    await owner.ok("CREATE Work");
    await owner.ok("APPEND Work", "Subject: plan\r\n\r\nplan\r\n");
    await owner.ok(`SETACL Work ${BOB} lrs`);
    const client = new ImapFlow({
      ...{ host: "127.0.0.1", port, secure: false, auth: { user: BOB, pass: PASSWORD }, logger: false },
      tls: { rejectUnauthorized: false },
    });
    await client.connect();
    try {
      const path = `Other Users/${ALICE}/Work`;
      assert.ok((await client.list()).some((folder) => folder.path === path));
      const lock = await client.getMailboxLock(path);
      try {
        const message = await client.fetchOne("1", { source: true, flags: true });
        assert.ok(message !== false && message.source?.toString().includes("plan"));
        await client.messageFlagsAdd("1", ["\\Seen"]);
      } finally {
        lock.release();
      }
      const status = await client.status(path, { unseen: true });
      assert.ok(status !== false && status.unseen === 0);
      const { untagged } = await owner.ok("STATUS Work (UNSEEN)");
      assert.match(untagged[0]!.line, /UNSEEN 1/);
    } finally {
      await client.logout();
      await owner.logout();
    }
  }));
