/** What the running server tells of mail that it took and sends: webhooks, and the word to the administrator about lists. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import type { Config } from "../../server/config/config.ts";
import { defaultListener } from "../../server/config/defaults.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { inBothShapes } from "../lib/running_server.ts";

const ALICE = "alice@example.test", BOB = "bob@example.test";

/** Keys of the configuration as an operator writes them; mail for others goes to `next`. */
function configured(next: Pick<FakeSmtpServer, "port">, yaml: string): Partial<Config> {
  const { filter, relay, webhooks, trustedNetworks } = parseConfig(
    `hostname: mx.example.test\nrelay: [{ next_hop: "127.0.0.1:${next.port}" }]\n${yaml}`,
    "/veredus.yaml",
  );
  return { filter, relay, webhooks, trustedNetworks, captureOutbound: "" };
}

const message = (from: string, more = "") => `From: ${from}\r\nSubject: x\r\n${more}\r\nbody\r\n`;

inBothShapes(
  "a webhook is told what was accepted, from strangers and from logins, and nothing refused",
  async (start) => {
    const told: Record<string, unknown>[] = [];
    const secretFile = await Deno.makeTempFile({ prefix: "veredus-webhook-" });
    await Deno.writeTextFile(secretFile, "key");
    await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      assert.match(request.headers.get("veredus-signature") ?? "", /^t=\d+,v1=[0-9a-f]{64}$/);
      told.push(await request.json());
      return new Response(null, { status: 204 });
    });
    await using next = new FakeSmtpServer();
    const hook =
      `{ name: crm, url: "http://127.0.0.1:${http.addr.port}/", events: [accepted], secret_file: ${secretFile} }`;
    await using server = await start({
      config: configured(next, `filter: { checks: [] }\nwebhooks: [${hook}]\n`),
    });
    const stranger = await server.smtp();
    await stranger.command("MAIL FROM:<ann@far.test>", 250);
    await stranger.command("RCPT TO:<nobody@example.test>", 550);
    await stranger.command(`RCPT TO:<${ALICE}>`, 250);
    await stranger.command("DATA", 354);
    await stranger.wire.write(`${message("ann@far.test")}.\r\n`);
    const [reply] = (await stranger.expect(250)).lines;
    await stranger.quit();
    const login = await server.submission();
    await login.send(ALICE, ["x@far.test", BOB], message(ALICE));
    await login.quit();
    await until("both events", () => told.length >= 2);
    await until("the mail to go out", () => next.messages.length === 1);
    assert.deepEqual(
      told.map(({ event, sender, recipients }) => ({ event, sender, recipients }))
        .sort((one, other) => String(one.sender) < String(other.sender) ? -1 : 1),
      [
        { event: "accepted", sender: ALICE, recipients: ["x@far.test", BOB] },
        { event: "accepted", sender: "ann@far.test", recipients: [ALICE] },
      ],
    );
    const [of] = told.filter(({ sender }) => sender === "ann@far.test");
    assert.ok(reply!.includes(String(of!["traceId"])), reply);
    assert.equal(of!["remote"], "127.0.0.1");
    assert.notEqual(told[0]!["id"], told[1]!["id"]);
    await Deno.remove(secretFile);
  },
);

inBothShapes(
  "a reply that names our address as listed is told to the administrator, once a day for a destination",
  async (start) => {
    const why = "550 5.7.1 [192.0.2.1] is on the block list of spamhaus";
    await using next = new FakeSmtpServer({ script: (line) => line.startsWith("MAIL") ? why : null });
    await using server = await start({
      config: configured(next, `filter: { checks: [], administrator: ${ALICE} }\n`),
    });
    const login = await server.submission("bob");
    const refused = () => next.commands.filter((line) => line.startsWith("MAIL")).length;
    await login.send(BOB, ["x@far.test"], message(BOB));
    await until("the first refusal", () => refused() === 1);
    const notices = async () => (await server.inbox()).filter((text) => text.includes("is on a list\r\n"));
    const [notice] = await until("the word to the administrator", async () => {
      const found = await notices();
      return found.length > 0 ? found : null;
    });
    assert.match(notice!, /^Return-Path: <>\r$/m);
    assert.match(notice!, /^From: .*postmaster@mx\.example\.test/m);
    assert.match(notice!, /^Auto-Submitted: auto-generated\r$/m);
    assert.ok(
      notice!.includes(`[127.0.0.1]:${next.port} refuses mail because our address is on a list:`),
      notice,
    );
    assert.ok(notice!.includes(`  ${why}\r\n`), notice);
    // Mail that needs no TLS is sent apart: the same place says the same again.
    await login.send(BOB, ["y@far.test"], message(BOB, "TLS-Required: No\r\n"));
    await login.quit();
    await until("the second refusal", () => refused() === 2);
    const reports = await until("reports to the sender", async () => {
      const client = await server.imap("bob");
      const { untagged } = await client.ok("STATUS INBOX (MESSAGES)");
      await client.logout();
      return /MESSAGES 2\b/.test(untagged[0]!.line);
    });
    assert.ok(reports);
    assert.equal((await notices()).length, 1);
  },
);

inBothShapes(
  "a smart host that sends the mail back: the circle ends, and its sender is told why",
  async (start) => {
    const smtp = { ...defaultListener("smtp"), address: "127.0.0.1", port: freePort() };
    const listeners = [
      smtp,
      ...(["submission", "imap"] as const).map((protocol) => ({
        ...{ ...defaultListener(protocol), address: "127.0.0.1", port: 0 },
      })),
    ];
    await using server = await start({
      // The next hop stands for one that hands everything back.
      config: {
        ...configured(smtp, "filter: { checks: [] }\ntrusted_networks: [127.0.0.1/32]\n"),
        listeners,
      },
    });
    const login = await server.submission();
    await login.send(ALICE, ["x@far.test"], message(ALICE));
    await login.quit();
    const report = await until("the report", async () => (await server.inbox())[0] ?? null, 60_000);
    assert.match(report, /^Final-Recipient: rfc822; x@far\.test\r$/m);
    assert.match(report, /^Action: failed\r$/m);
    assert.match(report, /^Status: 5\.4\.6\r$/m);
    assert.match(report, /^Diagnostic-Code: smtp; 554 5\.4\.6 /m);
    assert.equal((await server.inbox()).length, 1);
  },
);
