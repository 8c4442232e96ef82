/** A server process whose disk or file descriptors run out: clear answers, no spinning, nothing lost. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { run, until } from "../lib/program.ts";
import { freeOffset } from "../lib/ports.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { READY, Running, withFolder } from "./veredus.ts";

const FROM = "x@elsewhere.test";
const ALICE = "alice@example.test";
const BOB = "bob@example.test";
const SUBJECT = /^Subject: (\d+)/gm;

function messageOf(number: number): string {
  return `From: ${FROM}\r\nSubject: ${number}\r\n\r\n${"body of the message\r\n".repeat(20)}`;
}

/** The code that ended the transaction. */
async function deliver(client: SmtpClient, number: number): Promise<number> {
  for (const line of ["RSET", `MAIL FROM:<${FROM}>`, `RCPT TO:<${ALICE}>`, "DATA"]) {
    const { code } = await client.command(line);
    if (code >= 400) return code;
  }
  return (await client.command(`${messageOf(number)}.`)).code;
}

async function inbox(offset: number): Promise<number[]> {
  const client = await ImapClient.connect(143 + offset, { login: ALICE, password: "secret" });
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
  await client.logout();
  const text = untagged.flatMap(({ literals }) => literals.map((octets) => new TextDecoder().decode(octets)));
  return [...text.join("").matchAll(SUBJECT)].map(([, number]) => Number(number));
}

for (const threads of ["0", "1"]) {
  Deno.test(`descriptors are kept for the work: connections beyond are told to come again (--threads ${threads})`, () =>
    withFolder(async (data) => {
      const offset = freeOffset();
      const args = ["start", "--data", data, "--port-offset", String(offset), "--password", "secret"];
      const server = new Running([...args, "--threads", threads], {
        before: ["sh", "-c", 'ulimit -n 240; exec "$@"', "sh"],
      });
      await server.said(READY);
      await server.said(
        /240 open files are enough for some \d+ connections, not for limits\.connections = 10000/,
      );
      const early = await SmtpClient.connect(25 + offset);
      const greetings = await Promise.all(Array.from({ length: 100 }, () => greeting(25 + offset)));
      const served = greetings.filter(({ line }) => line.startsWith("220 ")).length;
      const sentAway = greetings.filter(({ line }) => line.startsWith("421 4.7.0 ")).length;
      assert.equal(served + sentAway, 100);
      assert.ok(served >= 8 && sentAway >= 8, `${served} of 100 got in`);
      // Everybody who is in has a large message under way: files for some of them are there.
      const inside = greetings.filter(({ line }) => line.startsWith("220 "));
      const large = new TextEncoder().encode(
        `EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<${BOB}>\r\nDATA\r\nSubject: large\r\n\r\n` +
          `${"x".repeat(998)}\r\n`.repeat(400),
      );
      for (const { connection } of inside) await connection.write(large);
      for (let number = 1; number < 6; number++) assert.equal(await deliver(early, number), 250);
      const ends = await Promise.all(inside.map(({ connection }) => endOfData(connection)));
      const filed = ends.filter((code) => code === 250).length;
      assert.ok(filed > 0 && filed < ends.length, `${filed} of ${ends.length} were filed`);
      assert.deepEqual([...new Set(ends)].sort(), [250, 452]);
      for (const { connection } of greetings) connection.close();
      await until("somebody gets in", async () => {
        const late = await SmtpClient.connect(25 + offset, { timeoutMs: 5_000 }).catch(() => null);
        if (late === null || await deliver(late, 6) !== 250) return false;
        await late.quit();
        return true;
      }, 20_000);
      await early.quit();
      assert.deepEqual(await inbox(offset), [1, 2, 3, 4, 5, 6]);
      const bob = await ImapClient.connect(143 + offset, { login: BOB, password: "secret" });
      const { untagged } = await bob.ok("STATUS INBOX (MESSAGES)");
      assert.match(untagged[0]!.line, new RegExp(`MESSAGES ${filed}\\)`));
      await bob.logout();
      assert.equal((await server.stop()).code, 0);
    }));
}

/** Ends a message; the code of the reply to it, which is the last one. */
async function endOfData(connection: Deno.Conn): Promise<number> {
  await connection.write(new TextEncoder().encode(".\r\nQUIT\r\n"));
  let text = "";
  for (const octets = new Uint8Array(1_000);;) {
    const count = await connection.read(octets);
    if (count === null) break;
    text += new TextDecoder().decode(octets.subarray(0, count));
  }
  return Number(/^(\d{3}) [^\r\n]*\r\n221 /m.exec(text)?.[1]);
}

async function greeting(port: number): Promise<{ connection: Deno.Conn; line: string }> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const octets = new Uint8Array(200);
  const count = await connection.read(octets);
  return { connection, line: new TextDecoder().decode(octets.subarray(0, count ?? 0)) };
}

const place = Deno.makeTempDirSync({ prefix: "veredus-full-server-" });
const mount = ["-t", "tmpfs", "-o", "size=300m", "tmpfs", place];
const mounted = Deno.uid() === 0 && (await run("mount", mount)).code === 0;
if (!mounted) Deno.removeSync(place);

Deno.test({
  name:
    "a full disk: 452 before the message, an error in the log, mail can be read and removed, and comes again",
  ignore: !mounted,
  fn: async () => {
    try {
      const offset = freeOffset();
      const args = ["start", "--data", `${place}/data`, "--port-offset", String(offset)];
      const server = new Running([...args, "--password", "secret"]);
      await server.said(READY);
      const client = await SmtpClient.connect(25 + offset);
      for (let number = 1; number <= 3; number++) assert.equal(await deliver(client, number), 250);
      await run("sh", ["-c", 'cat /dev/zero >"$0/filler" 2>/dev/null', place]);
      // The writer may meet the full disk before it is looked at again, which is every second.
      let refused = 0;
      await until("mail is refused", async () => (refused = await deliver(client, 50)) === 452, 20_000);
      assert.equal(refused, 452);
      let refusal = { code: 0, lines: [""] };
      await until("it is refused before it is sent", async () => {
        await client.command("RSET");
        refusal = await client.command(`MAIL FROM:<${FROM}>`);
        return refusal.code === 452;
      }, 20_000);
      assert.match(refusal.lines[0]!, /^4\.3\.1 /);
      await server.said(/new mail is put off: \d+ octets of the disk are free, 64000000 are the least/);
      const imap = await ImapClient.connect(143 + offset, { login: ALICE, password: "secret" });
      await imap.ok("SELECT INBOX");
      await imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
      await imap.ok("EXPUNGE");
      await imap.logout();
      Deno.removeSync(`${place}/filler`);
      await until("mail is taken", async () => await deliver(client, 51) === 250, 20_000);
      await client.quit();
      const there = await inbox(offset);
      assert.deepEqual([there.slice(0, 2), there.at(-1)], [[2, 3], 51]);
      assert.equal((await server.stop()).code, 0);
    } finally {
      await run("umount", ["-l", place]);
      Deno.removeSync(place);
    }
  },
});
