/** Clients that are named by somebody else: PROXY headers and XCLIENT. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import tls from "node:tls";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { parseConfig } from "../../server/config/load.ts";
import { DnsServer } from "../lib/dns_server.ts";
import { literalText } from "../lib/imap_client.ts";
import { Line } from "../lib/line.ts";
import { a, txt } from "../lib/mock_resolver.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, listeners, RunningServer } from "../lib/running_server.ts";

const V2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x02\x12\x67\0\x19";

inBothShapes(
  "PROXY headers name the client, before TLS too; without one a listed proxy is cut",
  async (start) => {
    const config = {
      listeners: listeners("smtp", "submissions", "imap"),
      proxyNetworks: ["127.0.0.1/32"],
      captureOutbound: "",
    };
    await using t = await start({ config });
    for (const header of ["PROXY TCP4 192.0.2.7 198.51.100.2 4711 25\r\n", V2]) {
      using line = await Line.tcp(t.port("smtp"));
      await line.say(header);
      await line.until(/220 .*\r\n/);
      const sessions = await t.server.sessions();
      assert.ok(sessions.some(({ address }) => address === "192.0.2.7"), JSON.stringify(sessions));
      await line.ask("QUIT", /221 .*\r\n/);
    }
    for (
      const begin of [
        "EHLO a.example\r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0",
      ]
    ) {
      using line = await Line.tcp(t.port("smtp"));
      await line.say(begin);
      assert.equal(await line.rest(), "");
    }
    // Implicit TLS begins behind the header.
    using line = await Line.tcp(t.port("submissions"));
    await line.say("PROXY UNKNOWN\r\n\x16\x03\x01\x00\x05hello");
    assert.doesNotMatch(await line.rest(), /220/);
  },
);

/** Address 192.0.2.7 by version 1; 2001:db8::7 by version 2. */
const PROXIED = [
  { header: encodeLatin1("PROXY TCP4 192.0.2.7 198.51.100.2 4711 25\r\n"), address: "192.0.2.7" },
  {
    header: new Uint8Array([
      ...encodeLatin1("\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"),
      ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
      ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      ...[0x12, 0x67, 0, 25],
    ]),
    address: "2001:db8::7",
  },
];

inBothShapes("PROXY headers of both versions on every mail port, TLS behind them", async (start) => {
  const plain = ["smtp", "submission", "lmtp", "imap", "pop3", "managesieve"] as const;
  const implicit = ["submissions", "imaps", "pop3s"] as const;
  await using t = await start({
    config: { listeners: listeners(...plain, ...implicit), proxyNetworks: ["127.0.0.1/32"] },
  });
  for (const { header, address } of PROXIED) {
    for (const protocol of [...plain, ...implicit]) {
      const socket = connect(t.port(protocol), "127.0.0.1");
      await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
      socket.write(header);
      const inClear = plain.some((one) => one === protocol);
      const carrier = inClear ? socket : tls.connect({ socket, rejectUnauthorized: false });
      const greeting = await new Promise<string>((resolve, reject) => {
        carrier.once("data", (data: Uint8Array) => resolve(new TextDecoder().decode(data)));
        carrier.once("error", reject);
      });
      assert.match(greeting, /^(220 |\* OK|\+OK|"IMPLEMENTATION")/, protocol);
      const sessions = await t.server.sessions();
      assert.deepEqual(sessions.map((one) => one.address), [address], protocol);
      carrier.destroy();
      socket.destroy();
      await until("the session is gone", async () => (await t.server.sessions()).length === 0 ? true : null);
    }
  }
});

Deno.test("a PROXY header from anywhere else is a command like any other", async () => {
  await using t = await RunningServer.start({ threads: 0, config: { listeners: listeners("smtp") } });
  using line = await Line.tcp(t.port("smtp"));
  await line.until(/220 .*\r\n/);
  await line.ask("PROXY TCP4 192.0.2.7 198.51.100.2 4711 25", /500 .*\r\n/);
});

Deno.test("XCLIENT from a listed network names the client in Received and for relaying", async () => {
  const config = {
    listeners: listeners("smtp", "imap"),
    xclientNetworks: ["127.0.0.0/8"],
    trustedNetworks: ["127.0.0.0/8"],
  };
  await using t = await RunningServer.start({ threads: 0, config });
  using line = await Line.tcp(t.port("smtp"));
  await line.until(/220 .*\r\n/);
  assert.match(await line.ask("EHLO filter.example", /250 LIMITS.*\r\n/), /250-XCLIENT/);
  await line.ask("XCLIENT ADDR=192.0.2.9 HELO=far.example", /220 .*\r\n/);
  await line.ask("EHLO filter.example", /250 LIMITS.*\r\n/);
  await line.ask("MAIL FROM:<x@far.example>", /250 .*\r\n/);
  // The filter itself is trusted, the client it speaks for is not.
  await line.ask("RCPT TO:<y@elsewhere.example>", /550 5\.7\.1.*\r\n/);
  await line.ask("RCPT TO:<bob@example.test>", /250 .*\r\n/);
  await line.ask("DATA", /354 .*\r\n/);
  await line.ask("Subject: x\r\n\r\nx\r\n.", /250 .*\r\n/);
  const imap = await t.imap("bob");
  await imap.command("SELECT INBOX");
  const [header] = (await imap.ok("FETCH 1 BODY[HEADER]")).untagged;
  assert.match(literalText(header!), /from far\.example \(\[192\.0\.2\.9\]\)/);
  imap.close();
});

Deno.test("SPF, lists in DNS and greylisting judge the client that XCLIENT names", async () => {
  await using dns = new DnsServer(
    ["far.example", txt("v=spf1 ip4:192.0.2.9 -all")],
    ["2.0.0.127.bl.test", a("127.0.0.2")],
    ["9.2.0.192.bl.test", a("127.0.0.2")],
  );
  const { filter, senderChecks, resolver } = parseConfig(
    `hostname: mx.example.test
resolver: { mode: forward, servers: ["${dns.at}"] }
sender_checks: { skip: [] }
filter: { checks: [{ check: dnsbl, zones: [{ zone: bl.test }] }, { check: greylist, delay: 1s }] }
`,
    "/veredus.yaml",
  );
  const config = {
    ...{ filter, senderChecks, resolver, listeners: listeners("smtp", "imap") },
    ...{ xclientNetworks: ["127.0.0.0/8"], trustedNetworks: ["127.0.0.0/8"] },
  };
  await using t = await RunningServer.start({ threads: 0, config });
  const rcpt = async (line: Line, address: string) => {
    await line.until(/220 .*\r\n/);
    await line.ask("EHLO filter.example", /250 LIMITS.*\r\n/);
    await line.ask(`XCLIENT ADDR=${address} HELO=far.example`, /220 .*\r\n/);
    await line.ask("EHLO filter.example", /250 LIMITS.*\r\n/);
    await line.ask("MAIL FROM:<x@far.example>", /250 .*\r\n/);
    return (await line.ask("RCPT TO:<bob@example.test>", /\d{3} .*\r\n/)).slice(0, 3);
  };
  const send = async (address: string) => {
    using line = await Line.tcp(t.port("smtp"));
    assert.equal(await rcpt(line, address), "451", "not seen before");
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    using again = await Line.tcp(t.port("smtp"));
    assert.equal(await rcpt(again, address), "250");
    await again.ask("DATA", /354 .*\r\n/);
    await again.ask("From: <x@far.example>\r\nSubject: x\r\n\r\nx\r\n.", /250 .*\r\n/);
  };
  await send("192.0.2.9");
  await send("203.0.113.9");
  const imap = await t.imap("bob");
  const headers: string[] = [];
  for (const mailbox of ["INBOX", "Junk"]) {
    await imap.ok(`SELECT ${mailbox}`);
    const { untagged } = await imap.ok("UID FETCH 1:* BODY.PEEK[HEADER]");
    headers.push(
      ...untagged.filter(({ literals }) => literals.length > 0)
        .map((line) => literalText(line).replace(/\r\n[\t ]+/g, " ")),
    );
  }
  const of = (address: string) => headers.find((one) => one.includes(`([${address}])`)) ?? "";
  const [named, other] = [of("192.0.2.9"), of("203.0.113.9")];
  assert.match(named, /; spf=pass .*smtp\.mailfrom=x@far\.example/);
  assert.match(named, /^X-Veredus-Verdict: .*dnsbl=tag/m);
  assert.match(other, /; spf=fail .*smtp\.mailfrom=x@far\.example/);
  assert.doesNotMatch(other, /dnsbl=tag/);
  imap.close();
});

Deno.test("XCLIENT names the protocol of the client: it stands in Received, whatever the filter speaks itself", async () => {
  const config = { listeners: listeners("smtp", "imap"), xclientNetworks: ["127.0.0.0/8"] };
  await using t = await RunningServer.start({ threads: 0, config });
  using line = await Line.tcp(t.port("smtp"));
  await line.until(/220 .*\r\n/);
  const send = async () => {
    await line.ask("MAIL FROM:<x@far.example>", /250 .*\r\n/);
    await line.ask("RCPT TO:<bob@example.test>", /250 .*\r\n/);
    await line.ask("DATA", /354 .*\r\n/);
    await line.ask("Subject: x\r\n\r\nx\r\n.", /250 .*\r\n/);
  };
  // What makes no sense changes nothing.
  for (const bad of ["LMTP", "SMTPS", "E", "SMTP+20"]) {
    await line.ask(`XCLIENT PROTO=${bad}`, /501 5\.5\.4 .*\r\n/);
  }
  for (const said of ["PROTO=SMTP", "PROTO=esmtp", "PROTO=[UNAVAILABLE]", "proto=smtp ADDR=192.0.2.9"]) {
    await line.ask(`XCLIENT ${said}`, /220 .*\r\n/);
    assert.match(await line.ask("EHLO f.example", /250 LIMITS.*\r\n/), /250-XCLIENT (?:\w+ )*PROTO\b/);
    await send();
  }
  await line.ask("XCLIENT PROTO=ESMTP", /220 .*\r\n/);
  await line.ask("HELO f.example", /250 .*\r\n/);
  await send();
  const imap = await t.imap("bob");
  await imap.command("SELECT INBOX");
  const { untagged } = await imap.ok("FETCH 1:* BODY[HEADER]");
  assert.deepEqual(
    untagged.filter(({ literals }) => literals.length > 0).map((one) =>
      /with (\w+)/.exec(literalText(one))?.[1]
    ),
    ["SMTP", "ESMTP", "ESMTP", "SMTP", "ESMTP"],
  );
  imap.close();
});
