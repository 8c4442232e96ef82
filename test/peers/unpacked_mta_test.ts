/** Exim and OpenSMTPD of Debian: as the next hop that we send to, and as the sender whose mail we take under TLS. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { freeOffset, freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { issue } from "../lib/test_ca.ts";
import { type MtaName, obtain, UnpackedMta } from "../lib/unpacked_mta.ts";

const ALICE = "alice@example.test";
const PASSWORD = "secret";
const COUNT = 20;
/** How it says that it took our mail: under TLS, or in clear. */
const TAKEN: Readonly<Record<MtaName, Readonly<Record<"tls" | "clear", RegExp>>>> = {
  exim: { tls: /^Received: .* with esmtps /, clear: /^Received: .* with esmtp / },
  opensmtpd: {
    tls: /^Received: .*\(OpenSMTPD\) with ESMTPS id /,
    clear: /^Received: .*\(OpenSMTPD\) with ESMTP id /,
  },
};
const ADDRESSES: Readonly<Record<MtaName, string>> = { exim: "127.0.0.71", opensmtpd: "127.0.0.72" };

const obtained = await obtain();
if ("missing" in obtained) console.log(`Exim and OpenSMTPD are not tried: ${obtained.missing}`);
else globalThis.addEventListener("unload", () => Deno.removeSync(obtained.folder, { recursive: true }));

for (const name of ["exim", "opensmtpd"] as const) {
  Deno.test({
    name: `${name}: our mail goes on through it, whole and under TLS; its mail comes to us under TLS`,
    ignore: "missing" in obtained,
    fn: () => bothWays(name, (obtained as { folder: string }).folder, { brokenTls: false }),
  });
}

Deno.test({
  name:
    "opensmtpd, which breaks every handshake off as Debian has it: it gets our mail in clear, at once (RFC 7435)",
  ignore: "missing" in obtained,
  fn: () => bothWays("opensmtpd", (obtained as { folder: string }).folder, { brokenTls: true }),
});

async function bothWays(
  name: MtaName,
  folder: string,
  { brokenTls }: { readonly brokenTls: boolean },
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: `veredus-${name}-` });
  await using others = new FakeSmtpServer();
  const [offset, port, address] = [freeOffset(), freePort(), ADDRESSES[name]];
  const ca = await issue({ name: "CA", by: null, ca: true });
  const certificate = await issue({ name: `${name}.test`, dns: [`${name}.test`], by: ca });
  const ways = { address, port, ours: 25 + offset, others: others.port, certificate, brokenTls };
  const mta = await UnpackedMta.start(name, folder, ways);
  const server = await ServerProcess.start({
    ...{ dataDir, offset, password: PASSWORD },
    args: ["--relay", `${address}:${port}`],
  });
  try {
    const client = await SmtpClient.connect(server.port(587));
    await client.authPlain(ALICE, PASSWORD);
    for (let at = 0; at < COUNT; at++) await client.send(ALICE, [`x${at}@elsewhere.test`], text(at));
    await client.quit();
    await until(`${COUNT} messages behind ${name}`, () => others.messages.length >= COUNT);
    for (let at = 0; at < COUNT; at++) {
      const found = others.messages.filter(({ recipients }) => recipients.includes(`x${at}@elsewhere.test`));
      assert.equal(found.length, 1, `message ${at}`);
      assert.ok(found[0]!.data.endsWith(body(at)), found[0]!.data);
      const [received] = found[0]!.data.replace(/\r\n[\t ]+/g, " ").split("\r\n");
      assert.match(received!, TAKEN[name][brokenTls ? "clear" : "tls"]);
    }
    const sender = await SmtpClient.connect(port, { hostname: address });
    for (let at = 0; at < COUNT; at++) await sender.send("friend@elsewhere.test", [ALICE], text(at));
    await sender.quit();
    const came = await until(`${COUNT} messages from ${name}`, () => inbox(server));
    for (let at = 0; at < COUNT; at++) {
      const found = came.filter((octets) => octets.includes(`Subject: number ${at}\r\n`));
      assert.equal(found.length, 1, `message ${at}`);
      assert.ok(found[0]!.endsWith(body(at)));
      assert.match(found[0]!, /^Received: from \S+[^;]* with (UTF8SMTPS|ESMTPS)\b/m, "we took it under TLS");
    }
  } finally {
    await server.stop();
    await mta.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

function text(at: number): string {
  return `From: ${ALICE}\r\nTo: friend@elsewhere.test\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\n` +
    `Message-ID: <m${at}@example.test>\r\nSubject: number ${at}\r\n\r\n${body(at)}`;
}

/** Lines that begin with dots, and one that is nothing else. */
function body(at: number): string {
  return `.dot\r\n..\r\n${"y".repeat(70 * (at % 3))}\r\nend ${at}\r\n`;
}

async function inbox(server: ServerProcess): Promise<string[] | null> {
  const client = await ImapClient.connect(server.port(143), { login: ALICE, password: PASSWORD });
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[])");
  await client.logout();
  const all = untagged.filter(({ literals }) => literals.length > 0).map(literalText);
  return all.length >= COUNT ? all : null;
}
