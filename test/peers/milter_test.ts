/**
 * Debian's opendkim and rspamd as milters, and one of our own over libmilter (milter_changer.py): they see messages through the
 * whole server, sign, mark, hold and refuse them, ask for macros and change the envelope.
 */
import { relayRule } from "../delivery/queue_harness.ts";
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import { parseConfig } from "../../server/config/load.ts";
import { literalText } from "../lib/imap_client.ts";
import { openStore } from "../../storage/open_store.ts";
import { freePort } from "../lib/ports.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { runOk, until } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";

/** Nobody listens there: what leaves waits in the queue. */
const NOWHERE = relayRule(1);
const OPENDKIM = "/usr/sbin/opendkim";

Deno.test("opendkim signs what passes, over one connection a session, and we verify it", async () => {
  // opendkim wants no folder above its files that others can write to.
  const folder = await Deno.makeTempDir({ prefix: ".veredus-milter-", dir: Deno.env.get("HOME")! });
  await runOk("openssl", ["genrsa", "-out", `${folder}/key.pem`, "2048"]);
  await Deno.chmod(`${folder}/key.pem`, 0o600);
  const key = createPublicKey(await Deno.readTextFile(`${folder}/key.pem`));
  const published = key.export({ format: "der", type: "spki" }).toString("base64");
  const resolver = new MockResolver({
    "sel._domainkey.elsewhere.test TXT": [txt(`v=DKIM1; k=rsa; p=${published}`)],
  });
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
    `hostname: mx.example.test\nfilter: { checks: [{ check: milter, at: "unix:${socket}", timeout: 60s, on_failure: defer }] }`,
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
      const octets = encodeLatin1(one);
      const bodyAt = one.indexOf("\r\n\r\n") + 4;
      const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
      verifier.write(octets, bodyAt, octets.length);
      const results = await verifier.finish(resolver, Date.now());
      assert.deepEqual(results.map(({ domain, result, text }) => [domain, result, text]), [[
        "elsewhere.test",
        "pass",
        "",
      ]]);
    }
  } finally {
    await server.stop();
    milter.kill("SIGTERM");
    await milter.status;
    await Deno.remove(folder, { recursive: true });
  }
});

/** Texts that rspamd knows and answers with an action, whatever its rules. */
const gtube = (first: "X" | "Y" | "Z") =>
  `${first}JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X`;

Deno.test("rspamd refuses, marks, changes the subject, and quarantines", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-rspamd-" });
  const ports = { refuses: freePort(), holds: freePort() };
  const worker = (port: number, more: string) =>
    `worker "rspamd_proxy" { bind_socket = "127.0.0.1:${port}"; milter = yes; timeout = 20s; count = 1; ${more}
      upstream "local" { default = yes; self_scan = yes; } }\n`;
  await Deno.writeTextFile(`${folder}/tld`, "example\ntest\n");
  await Deno.writeTextFile(
    `${folder}/rspamd.conf`,
    `options { pidfile = "${folder}/pid"; filters = ""; url_tld = "${folder}/tld"; tempdir = "${folder}";
      enable_test_patterns = true; control_socket = "${folder}/control mode=0600";
      dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; } }
    logging { type = "console"; level = "error"; }
    actions { reject = 15; add_header = 6; rewrite_subject = 8; subject = "[marked] %s"; }
    ${worker(ports.refuses, "")}${worker(ports.holds, "quarantine_on_reject = true;")}`,
  );
  const rspamd = new Deno.Command("/usr/bin/rspamd", {
    args: ["-f", "-i", "-c", `${folder}/rspamd.conf`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const serve = (port: number) =>
    RunningServer.start({
      threads: 0,
      config: {
        filter: parseConfig(
          `hostname: mx.example.test\nfilter: { checks: [{ check: milter, at: "127.0.0.1:${port}", timeout: 20s, on_failure: defer }] }`,
          "/veredus.yaml",
        ).filter,
      },
    });
  const send = async (server: RunningServer, text: string) => {
    const client = await server.smtp();
    const message = "From: x@elsewhere.test\r\nTo: alice@example.test\r\nSubject: hello\r\n" +
      `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <a@elsewhere.test>\r\n\r\n${text}\r\n`;
    const { code } = await client.send("x@elsewhere.test", ["alice@example.test"], message);
    await client.quit();
    return code;
  };
  const inbox = async (server: RunningServer) => {
    const reader = await server.imap("alice");
    await reader.ok("SELECT INBOX");
    const { untagged } = await reader.ok("UID FETCH 1:* (BODY.PEEK[])");
    await reader.logout();
    return untagged.filter(({ literals }) => literals.length > 0).map(literalText);
  };
  const [refuses, holds] = [await serve(ports.refuses), await serve(ports.holds)];
  try {
    for (const port of Object.values(ports)) {
      await until("rspamd listens", async () => {
        const conn = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
        conn?.close();
        return conn === null ? null : true;
      }, 60_000);
    }
    assert.equal(await send(refuses, gtube("X")), 554);
    for (const text of ["plain", gtube("Y"), gtube("Z")]) assert.equal(await send(refuses, text), 250, text);
    const [plain = "", marked = "", renamed = ""] = await inbox(refuses);
    assert.doesNotMatch(plain, /^X-Spam/m);
    assert.match(marked, /^X-Spam: Yes\r$/m);
    assert.match(renamed, /^Subject: \[marked\] hello\r$/m);
    assert.doesNotMatch(renamed, /^Subject: hello\r$/m);
    assert.equal(await send(holds, gtube("X")), 250);
    assert.deepEqual(await inbox(holds), []);
    const store = openStore({ folder: holds.server.folder, writer: holds.server.writer });
    const [row] = store.quarantine.list({}, { after: 0, limit: 5 });
    assert.match(row!.reason, /^milter: /);
    await store.close();
  } finally {
    await Promise.all([refuses.stop(), holds.stop()]);
    rspamd.kill("SIGTERM");
    await rspamd.status;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("libmilter: macros on demand, another sender, recipients more and less, quarantine", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-libmilter-" });
  const socket = `${folder}/milter.sock`, notes = `${folder}/notes`;
  const milter = new Deno.Command("/usr/bin/python3", {
    args: [new URL("milter_changer.py", import.meta.url).pathname, socket, notes],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const { filter } = parseConfig(
    `hostname: mx.example.test\nfilter: { checks: [{ check: milter, at: "unix:${socket}", timeout: 60s, on_failure: defer }] }`,
    "/veredus.yaml",
  );
  const server = await RunningServer.start({
    threads: 0,
    config: { filter, relay: [NOWHERE], captureOutbound: "" },
  });
  const inbox = async (name: string) => {
    const reader = await server.imap(name);
    await reader.ok("SELECT INBOX");
    const { untagged } = await reader.ok("UID FETCH 1:* (BODY.PEEK[])");
    await reader.logout();
    return untagged.filter(({ literals }) => literals.length > 0).map(literalText);
  };
  try {
    await until("the milter listens", async () => {
      const conn = await Deno.connect({ transport: "unix", path: socket }).catch(() => null);
      conn?.close();
      return conn === null ? null : true;
    }, 60_000);
    const client = await server.smtp();
    const message = "From: x@elsewhere.test\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\nbody\r\n";
    for (const sender of ["x", "drop", "hold"]) {
      const { code } = await client.send(`${sender}@elsewhere.test`, ["alice@example.test"], message);
      assert.equal(code, 250, sender);
    }
    await client.quit();
    assert.deepEqual(await inbox("alice"), []);
    const [changed = "", ...more] = await inbox("bob");
    assert.deepEqual(more, []);
    assert.match(changed, /^Return-Path: <other@elsewhere\.test>\r\nDelivered-To: bob@example\.test\r\n/);
    assert.match(changed, /^X-Changed: yes\r$/m);
    const store = openStore({ folder: server.server.folder, writer: server.server.writer });
    const rows = store.queue.list({}, { afterRecipientId: 0, limit: 10 });
    assert.deepEqual(rows.map(({ recipient, sender }) => [recipient, sender]), [
      ["far@elsewhere.test", "other@elsewhere.test"],
    ]);
    const [held] = store.quarantine.list({}, { after: 0, limit: 5 });
    assert.deepEqual([held!.recipient, held!.sender], ["alice@example.test", "hold@elsewhere.test"]);
    assert.match(held!.reason, /^milter: looks odd/);
    const far = store.queue.message(rows[0]!.queueId)!;
    assert.deepEqual([far.ret, far.envelopeId], ["HDRS", "changed"]);
    await store.close();
    const told = (await Deno.readTextFile(notes)).trim().split("\n").map((line) => JSON.parse(line));
    const { i } = told[0].mail;
    assert.match(i, /^[\w-]{8,}$/);
    assert.deepEqual(told[0], {
      connect: { "j": "mx.example.test", "{client_addr}": "127.0.0.1", "v": null },
      mail: { "i": i, "{mail_addr}": "x@elsewhere.test" },
      rcpt: { "{rcpt_host}": "example.test", "{rcpt_addr}": null },
      end: { "i": i, "{nrcpts}": "1" },
    });
  } finally {
    await server.stop();
    milter.kill("SIGTERM");
    await milter.status;
    await Deno.remove(folder, { recursive: true });
  }
});
