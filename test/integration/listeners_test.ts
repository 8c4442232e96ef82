/** What a listener takes and from whom: LMTP, browsers, limits of its own, too many connections, settings of a reload. */
import assert from "node:assert/strict";
import type { ListenerConfig } from "../../server/config/config.ts";
import { parseConfig } from "../../server/config/load.ts";
import { Line } from "../lib/line.ts";
import { inBothShapes, listeners } from "../lib/running_server.ts";

async function deliverByLmtp(line: Line): Promise<string> {
  await line.until(/220 .* LMTP\r\n/);
  await line.ask("LHLO app.example", /250 LIMITS.*\r\n/);
  await line.ask("MAIL FROM:<app@far.example>", /250 .*\r\n/);
  await line.ask("RCPT TO:<alice@example.test>", /250 .*\r\n/);
  await line.ask("RCPT TO:<nobody@example.test>", /550 .*\r\n/);
  await line.ask("RCPT TO:<x@far.example>", /550 5\.7\.1 .*\r\n/);
  await line.ask("RCPT TO:<bob@example.test>", /250 .*\r\n/);
  await line.ask("DATA", /354 .*\r\n/);
  return await line.ask("Subject: lmtp\n\nhello\r\n.", /(250 2\.6\.0 .*\r\n){2}/);
}

inBothShapes(
  "LMTP by TCP and by Unix socket: a reply each, bare line ends converted, no relay",
  async (start) => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/lmtp.sock`;
    const config = {
      listeners: listeners("imap", "lmtp", { protocol: "lmtp", address: `unix:${path}`, port: 1 }),
    };
    await using t = await start({ config });
    using tcp = await Line.tcp(t.port("lmtp"));
    await deliverByLmtp(tcp);
    using unix = new Line(await Deno.connect({ transport: "unix", path }));
    await deliverByLmtp(unix);
    const imap = await t.imap("bob");
    assert.match(JSON.stringify(await imap.command("SELECT INBOX")), /\* 2 EXISTS/);
    imap.close();
    await Deno.remove(folder, { recursive: true });
  },
);

const PLAIN_PORTS = ["smtp", "submission", "lmtp", "imap", "pop3", "managesieve"] as const;

inBothShapes("a browser or a TLS hello on a plain port is cut at its first octets", async (start) => {
  await using t = await start({ config: { listeners: listeners(...PLAIN_PORTS) } });
  for (const protocol of PLAIN_PORTS) {
    for (
      const hello of ["POST / HTTP/1.1\r\n\r\nQUIT\r\n", "GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\0\x01\0"]
    ) {
      using line = await Line.tcp(t.port(protocol));
      await line.until(protocol === "managesieve" ? /OK "ManageSieve.*\r\n/ : /\r\n/); // the greeting
      await line.say(hello);
      assert.equal(await line.rest(), "", `${protocol} ${JSON.stringify(hello)}`);
    }
  }
});

inBothShapes("a listener has extensions, sizes and room of its own", async (start) => {
  const small: Partial<ListenerConfig> = {
    hide: ["CHUNKING"],
    messageOctets: 70_000,
    recipients: 1,
    connections: 2,
  };
  await using t = await start({ config: { listeners: listeners(small, "submission") } });
  using first = await Line.tcp(t.port("smtp"));
  await first.until(/220 .*\r\n/);
  const offered = await first.ask("EHLO a.example", /250 .*\r\n/);
  assert.match(offered, /^250-SIZE 70000\r$/m);
  assert.match(offered, /^250 LIMITS RCPTMAX=1\r$/m);
  assert.doesNotMatch(offered, /CHUNKING|BINARYMIME/);
  assert.match(await first.ask("MAIL FROM:<a@a.example> SIZE=70001", /\d.*\r\n/), /^552 5\.3\.4/);
  using second = await Line.tcp(t.port("smtp"));
  await second.until(/220 .*\r\n/);
  using third = await Line.tcp(t.port("smtp"));
  assert.match(await third.rest(), /^421 4\.7\.0 /);
  using other = await Line.tcp(t.port("submission"));
  assert.match(await other.ask("EHLO a.example", /250 .*\r\n/), /^250-SIZE 50000000\r$/m);
  assert.match(
    await t.server.metricsText(),
    /connections_refused_total\{protocol="smtp",limit="listener"\} [12]/,
  );
});

inBothShapes("an address that connects too often waits; trusted networks do not", async (start) => {
  const { limits } = parseConfig("hostname: a.example\nlimits: { connections_per_minute: 3 }", "/v.yaml");
  {
    await using t = await start({ config: { listeners: listeners("smtp", "imap"), limits } });
    for (let at = 0; at < 3; at++) {
      using line = await Line.tcp(t.port(at === 0 ? "imap" : "smtp"));
      await line.until(/(220|\* OK) .*\r\n/);
    }
    using late = await Line.tcp(t.port("smtp"));
    assert.match(await late.rest(), /^421 4\.7\.0 /);
    assert.match(
      await t.server.metricsText(),
      /connections_refused_total\{protocol="smtp",limit="rate"\} [12]/,
    );
  }
  await using t = await start({
    config: { listeners: listeners("smtp"), limits, trustedNetworks: ["127.0.0.0/8"] },
  });
  for (let at = 0; at < 6; at++) {
    using line = await Line.tcp(t.port("smtp"));
    await line.until(/220 .*\r\n/);
  }
});

inBothShapes("soft bounces and copies begin and end with a reload, in sessions to come", async (start) => {
  await using t = await start({ config: { listeners: listeners("smtp", "imap") } });
  const asked = async () => {
    using line = await Line.tcp(t.port("smtp"));
    await line.until(/220 .*\r\n/);
    await line.ask("EHLO a.example", /250 .*\r\n/);
    await line.ask("MAIL FROM:<a@a.example>", /250 .*\r\n/);
    const refused = await line.ask("RCPT TO:<nobody@example.test>", /\d.*\r\n/);
    await line.ask("RCPT TO:<alice@example.test>", /250 .*\r\n/);
    await line.ask("DATA", /354 .*\r\n/);
    await line.ask("Subject: x\r\n\r\nhello\r\n.", /250 .*\r\n/);
    return refused.slice(0, 9);
  };
  const { config } = t.server;
  assert.equal(await asked(), "550 5.1.1");
  const soft = { ...config.smtp, softBounce: true };
  const copies = [{ of: [], mail: "all" as const, to: "bob@example.test" }];
  assert.deepEqual(await t.server.reload({ ...config, smtp: soft, copies }), []);
  assert.equal(await asked(), "450 4.1.1");
  assert.deepEqual(await t.server.reload(config), []);
  assert.equal(await asked(), "550 5.1.1");
  const bob = await t.imap("bob");
  assert.ok((await bob.ok("SELECT INBOX")).untagged.some(({ line }) => line === "* 1 EXISTS"));
  await bob.logout();
});
