/** Postfix as the next hop that we send to, and Postfix's own load generator as the sender. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { runOk, until } from "../lib/program.ts";
import { freeOffset, freePort } from "../lib/ports.ts";
import { ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";

const ALICE = "alice@example.test";
const PASSWORD = "secret";

Deno.test("smtp-source delivers 500 messages on 10 connections and all are in the mailbox", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "veredus-postfix-" });
  const server = await ServerProcess.start({ dataDir, offset: freeOffset(), password: PASSWORD });
  try {
    await runOk("/usr/sbin/smtp-source", [
      ...["-s", "10", "-m", "500", "-l", "4096", "-c", "-f", "load@elsewhere.test", "-t", ALICE],
      `127.0.0.1:${server.port(25)}`,
    ]);
    const client = await ImapClient.connect(server.port(143), { login: ALICE, password: PASSWORD });
    const status = await client.ok("STATUS INBOX (MESSAGES UNSEEN)");
    assert.match(status.untagged[0]!.line, /MESSAGES 500 UNSEEN 500/);
    await client.logout();
  } finally {
    await server.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a queue of 200 messages goes to smtp-sink as next hop, several per connection", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "veredus-sink-" });
  const folder = await Deno.makeTempDir({ prefix: "veredus-sink-mail-" });
  await Deno.chmod(folder, 0o777);
  const port = freePort();
  const sink = new Deno.Command("/usr/sbin/smtp-sink", {
    args: [
      "-c",
      "-d",
      `${folder}/m.`,
      "-u",
      (await runOk("id", ["-un"])).stdout.trim(),
      `127.0.0.1:${port}`,
      "100",
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const server = await ServerProcess.start({
    dataDir,
    offset: freeOffset(),
    password: PASSWORD,
    args: ["--relay", `127.0.0.1:${port}`],
  });
  try {
    const client = await SmtpClient.connect(server.port(587));
    await client.authPlain(ALICE, PASSWORD);
    for (let i = 0; i < 200; i++) {
      const message =
        `From: ${ALICE}\r\nTo: x${i}@elsewhere.test\r\nSubject: out ${i}\r\n\r\n.dot\r\nbody ${i}\r\n`;
      assert.equal((await client.send(ALICE, [`x${i}@elsewhere.test`], message)).code, 250);
    }
    await client.quit();
    const texts = () =>
      [...Deno.readDirSync(folder)].map(({ name }) => Deno.readTextFileSync(`${folder}/${name}`));
    const complete = (text: string) => /\nbody \d+\n/.test(text); // the sink makes the file at MAIL
    await until("200 messages in the sink", () => texts().filter(complete).length >= 200, 30_000);
    const sunk = texts();
    for (let i = 0; i < 200; i++) {
      const text = sunk.find((candidate) => candidate.includes(`Subject: out ${i}\n`));
      assert.ok(text, `message ${i} is missing`);
      assert.match(text, /^X-Rcpt-Args: <x\d+@elsewhere\.test>/m);
      assert.match(text, /\n\.dot\nbody \d+\n/);
    }
  } finally {
    await server.stop();
    sink.kill("SIGKILL");
    await sink.status;
    await Deno.remove(dataDir, { recursive: true });
    await Deno.remove(folder, { recursive: true });
  }
});
