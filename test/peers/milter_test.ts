/** Debian's opendkim as a milter: it sees a message through the whole server and signs it. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import { literalText } from "../lib/imap_client.ts";
import { runOk } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";

const OPENDKIM = "/usr/sbin/opendkim";

Deno.test("opendkim signs what passes, over one connection a session", async () => {
  // opendkim wants no folder above its files that others can write to.
  const folder = await Deno.makeTempDir({ prefix: ".veredus-milter-", dir: Deno.env.get("HOME")! });
  await runOk("openssl", ["genrsa", "-out", `${folder}/key.pem`, "2048"]);
  await Deno.chmod(`${folder}/key.pem`, 0o600);
  const socket = `${folder}/milter.sock`;
  await Deno.writeTextFile(
    `${folder}/opendkim.conf`,
    [
      "Mode s",
      "Domain elsewhere.test",
      "Selector sel",
      `KeyFile ${folder}/key.pem`,
      `Socket local:${socket}`,
      "InternalHosts 127.0.0.1",
      "Canonicalization relaxed/relaxed",
      "",
    ].join("\n"),
  );
  const milter = new Deno.Command(OPENDKIM, {
    args: ["-f", "-x", `${folder}/opendkim.conf`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const { filter } = parseConfig(
    `hostname: mx.example.test\nfilter: { checks: [{ check: milter, at: "unix:${socket}", on_failure: defer }] }`,
    "/veredus.yaml",
  );
  const server = await RunningServer.start({ threads: 0, config: { filter } });
  try {
    for (let tries = 0;; tries++) {
      try {
        await Deno.stat(socket);
        break;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || tries > 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    const client = await server.smtp();
    const message = "From: x@elsewhere.test\r\nTo: alice@example.test\r\nSubject: signed\r\n" +
      "Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <a@elsewhere.test>\r\n\r\nbody\r\n";
    for (let at = 0; at < 2; at++) {
      assert.equal((await client.send("x@elsewhere.test", ["alice@example.test"], message)).code, 250);
    }
    await client.quit();
    const reader = await server.imap("alice");
    await reader.ok("SELECT INBOX");
    const { untagged } = await reader.ok("UID FETCH 1:* (BODY.PEEK[])");
    await reader.logout();
    const stored = untagged.filter(({ literals }) => literals.length > 0).map(literalText);
    assert.equal(stored.length, 2);
    for (const one of stored) {
      assert.match(one, /\r\nDKIM-Signature: v=1; a=rsa-sha256; [\s\S]*d=elsewhere\.test;\s+s=sel;/);
    }
  } finally {
    await server.stop();
    milter.kill("SIGTERM");
    await milter.status;
    await Deno.remove(folder, { recursive: true });
  }
});
