/**
 * What goes wrong around a running server: the peer hears that it is temporary, the operator reads why, nothing is lost.
 *
 * The death of the writer is in process/start_test.ts, a disk whose calls fail in storage/faults_test.ts.
 */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { makeSelfSigned } from "../../server/certificate.ts";
import type { Config } from "../../server/config/config.ts";
import { parseConfig } from "../../server/config/load.ts";
import { Connection } from "../../storage/libsql.ts";
import { registry } from "../../telemetry/metrics.ts";
import { literalText } from "../lib/imap_client.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, RunningServer } from "../lib/running_server.ts";
import type { SmtpClient } from "../lib/smtp_client.ts";

const ALICE = "alice@example.test";
const FROM = "x@elsewhere.test";

function messageOf(name: string, from = FROM): string {
  return `From: ${from}\r\nSubject: ${name}\r\n\r\nbody\r\n`;
}

/** Code and enhanced code of the reply to the end of data, or of the command that was refused. */
async function deliver(client: SmtpClient, name: string): Promise<string> {
  for (const line of ["RSET", `MAIL FROM:<${FROM}>`, `RCPT TO:<${ALICE}>`]) {
    const { code, lines } = await client.command(line);
    if (code !== 250) return `${code} ${lines[0]?.split(" ")[0]}`;
  }
  await client.command("DATA", 354);
  const { code, lines } = await client.command(`${messageOf(name)}.`);
  return `${code} ${lines[0]?.split(" ")[0]}`;
}

async function subjects(server: RunningServer): Promise<string[]> {
  const client = await server.imap("alice");
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
  await client.logout();
  return untagged.filter(({ literals }) => literals.length > 0)
    .map((response) => literalText(response).trim().replace("Subject: ", ""));
}

inBothShapes(
  "another program holds the database: 451, an error that says so, and mail again afterwards",
  async (start) => {
    await using server = await start();
    const client = await server.smtp();
    assert.equal(await deliver(client, "before"), "250 2.6.0");
    const other = new Connection(server.server.folder.database);
    other.exec("BEGIN IMMEDIATE");
    assert.equal(await deliver(client, "locked"), "451 4.3.0");
    assert.equal(await deliver(client, "locked too"), "451 4.3.0");
    const imap = await server.imap("alice");
    await imap.ok("SELECT INBOX");
    assert.equal((await imap.command("STORE 1 +FLAGS (\\Seen)")).status, "NO");
    assert.equal((await imap.command("FETCH 1 (FLAGS)")).status, "OK");
    await imap.logout();
    await until("the operator is told", async () => {
      // With threads the writer's log comes here, without them its metrics do.
      if (/another program holds the write lock of .*veredus\.db/.test(server.logs.join(""))) return true;
      return /^veredus_database_locked_total [1-9]/m.test(await registry.metrics());
    });
    other.exec("ROLLBACK");
    other.close();
    assert.equal(await deliver(client, "after"), "250 2.6.0");
    await client.quit();
    assert.deepEqual(await subjects(server), ["before", "after"]);
    assert.deepEqual(server.fatal, []);
  },
);

inBothShapes("DNS is dead: mail comes in, and what goes out waits with the reason", async (start) => {
  // Nobody answers there, and nobody says so: the port is open and mute.
  const mute = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const at = `127.0.0.1:${(mute.addr as Deno.NetAddr).port}`;
  const yaml = `hostname: mx.example.test
resolver: { mode: forward, servers: ["${at}"], timeout: 100ms }
sender_checks: { skip: [] }
filter: { checks: [{ check: null-mx }, { check: reverse-dns }, { check: dnsbl, zones: [{ zone: list.test }] }] }
`;
  const { resolver, senderChecks, filter } = parseConfig(yaml, "/veredus.yaml");
  const config: Partial<Config> = { resolver, senderChecks, filter, captureOutbound: "" };
  await using server = await start({ config });
  const client = await server.smtp();
  assert.equal(await deliver(client, "in"), "250 2.6.0");
  await client.quit();
  assert.deepEqual(await subjects(server), ["in"]);
  const out = await server.submission();
  assert.equal((await out.send(ALICE, ["far@outside.test"], messageOf("out", ALICE))).code, 250);
  await out.quit();
  const reader = new Connection(server.server.folder.database);
  const waiting = () =>
    reader.prepare("SELECT attempts, last_reply FROM queue_recipients WHERE recipient = 'far@outside.test'")
      .raw()
      .get() as [number, string] | undefined;
  await until("it was tried once", () => (waiting()?.[0] ?? 0) > 0, 30_000);
  assert.match(waiting()![1], /outside\.test|DNS|resol|answer/i);
  reader.close();
  mute.close();
});

/** SHA-256 of the certificate behind STARTTLS. */
async function shownCertificate(server: RunningServer): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: server.port("submissions"), rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

inBothShapes("a broken TLS key at reload: the reload says which file, the old pair stays", async (start) => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-pair-" });
  const [certificate, key] = [`${folder}/c.pem`, `${folder}/k.pem`];
  const certify = async () => {
    const made = await makeSelfSigned({ names: ["mx.example.test"], now: Date.now() });
    Deno.writeTextFileSync(certificate!, made.certificatePem);
    Deno.writeTextFileSync(key!, made.keyPem);
    return made;
  };
  await certify();
  const { certificates } = parseConfig(
    `hostname: mx.example.test\ncertificates: [{ certificate: ${certificate}, key: ${key} }]\n`,
    "/veredus.yaml",
  );
  await using server = await start({ config: { certificates } });
  const first = await shownCertificate(server);
  const { keyPem } = await certify();
  for (
    const broken of [
      "",
      keyPem.slice(0, 80),
      (await makeSelfSigned({ names: ["x"], now: Date.now() })).keyPem,
    ]
  ) {
    Deno.writeTextFileSync(key!, broken);
    await assert.rejects(server.server.reload(server.server.config), /k\.pem/);
    assert.equal(await shownCertificate(server), first);
  }
  Deno.writeTextFileSync(key!, keyPem);
  await server.server.reload(server.server.config);
  assert.notEqual(await shownCertificate(server), first);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the clock goes back an hour: ids stay unique, UIDVALIDITY grows, mail and the queue go on", async () => {
  const { now } = Date;
  let offsetMs = 0;
  Date.now = () => now() + offsetMs;
  try {
    await using server = await RunningServer.start({ threads: 0 });
    const client = await server.smtp();
    const imap = await server.imap("alice");
    const uidValidity = async (): Promise<number> => {
      await imap.ok("CREATE again");
      const { untagged } = await imap.ok("STATUS again (UIDVALIDITY)");
      await imap.ok("DELETE again");
      return Number(/UIDVALIDITY (\d+)/.exec(untagged[0]!.line)![1]);
    };
    const traces = new Set<string>();
    const validities: number[] = [];
    for (const step of [0, -3_600_000, -3_600_000, 5_000, -86_400_000]) {
      offsetMs = step;
      for (let i = 0; i < 5; i++) {
        const { code, lines } = await client.send(FROM, [ALICE], messageOf(`${step}-${i}`));
        assert.equal(code, 250);
        traces.add(lines[0]!.split(" ")[1]!);
      }
      const submission = await server.submission();
      assert.equal(
        (await submission.send(ALICE, ["far@outside.test"], messageOf("captured", ALICE))).code,
        250,
      );
      await submission.quit();
      validities.push(await uidValidity());
    }
    assert.equal(traces.size, 25);
    assert.deepEqual(
      validities,
      [...new Set(validities)].sort((a, b) => a - b),
      "each is larger than the last",
    );
    assert.equal((await subjects(server)).length, 25);
    await imap.logout();
    await client.quit();
    assert.deepEqual(server.fatal, []);
  } finally {
    Date.now = now;
  }
});
