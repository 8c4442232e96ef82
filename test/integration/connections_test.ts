/** Ways in besides plain SMTP: LMTP, proxies, XCLIENT, browsers; and logins besides passwords. */
import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { connect } from "node:net";
import tls from "node:tls";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { makeSelfSigned } from "../../server/certificate.ts";
import { defaultListener, type ListenerConfig, type Protocol } from "../../server/config/config.ts";
import { parseConfig } from "../../server/config/load.ts";
import { DnsServer } from "../lib/dns_server.ts";
import { literalText } from "../lib/imap_client.ts";
import { a, txt } from "../lib/mock_resolver.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, PASSWORD, RunningServer } from "../lib/running_server.ts";

const decoder = new TextDecoder();

/** Octets in, text out, one conversation. */
class Line {
  #conn: Deno.Conn;
  #text = "";
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async tcp(port: number): Promise<Line> {
    return new Line(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async say(text: string): Promise<void> {
    const octets = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let at = 0; at < octets.length;) at += await this.#conn.write(octets.subarray(at));
  }

  /** Reads until the pattern has come; returns everything up to there. Fails at the end of the connection. */
  async until(pattern: RegExp): Promise<string> {
    const buffer = new Uint8Array(4_096);
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const found = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return found;
      }
      const count = await this.#conn.read(buffer);
      if (count === null) throw new Error(`the connection ended after ${JSON.stringify(this.#text)}`);
      this.#text += decoder.decode(buffer.subarray(0, count));
    }
  }

  async ask(text: string, pattern: RegExp): Promise<string> {
    await this.say(`${text}\r\n`);
    return await this.until(pattern);
  }

  /** What came until the peer closed. */
  async rest(): Promise<string> {
    const buffer = new Uint8Array(4_096);
    for (;;) {
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) return this.#text;
      this.#text += decoder.decode(buffer.subarray(0, count));
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

function listeners(...protocols: (Protocol | Partial<ListenerConfig>)[]): ListenerConfig[] {
  return protocols.map((one) => ({
    ...defaultListener("smtp"),
    address: "127.0.0.1",
    port: 0,
    ...(typeof one === "string" ? { protocol: one } : one),
  }));
}

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
        carrier.once("data", (data: Uint8Array) => resolve(decoder.decode(data)));
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

/** The client's side of SCRAM-SHA-256 (RFC 5802 3). */
function scramClient(user: string, password: string) {
  const hmac = (key: Uint8Array, text: string) => createHmac("sha256", key).update(text).digest();
  const bare = `n=${user},r=clientnonce`;
  return {
    first: btoa(`n,,${bare}`),
    final(serverFirst: string) {
      const [, nonce, salt, iterations] = /^r=(.*),s=(.*),i=(\d+)$/.exec(serverFirst)!;
      const salted = pbkdf2Sync(password, Uint8Array.fromBase64(salt!), Number(iterations), 32, "sha256");
      const clientKey = hmac(salted, "Client Key");
      const without = `c=biws,r=${nonce}`;
      const message = `${bare},${serverFirst},${without}`;
      const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
      const proof = clientKey.map((octet, at) => octet ^ signature[at]!);
      return {
        final: btoa(`${without},p=${new Uint8Array(proof).toBase64()}`),
        serverFinal: `v=${new Uint8Array(hmac(hmac(salted, "Server Key"), message)).toBase64()}`,
      };
    },
  };
}

inBothShapes(
  "SCRAM-SHA-256 is offered when the last account has its verifier, and works in all protocols",
  async (start) => {
    await using t = await start({ config: { listeners: listeners("smtp", "submission", "imap", "pop3") } });
    const names = ["alice", "bob", "outside"].map((name) => `${name}@example.test`);
    const ehlo = async () => {
      using line = await Line.tcp(t.port("submission"));
      await line.until(/220 .*\r\n/);
      return await line.ask("EHLO a.example", /250 LIMITS.*\r\n/);
    };
    assert.doesNotMatch(await ehlo(), /SCRAM/);
    for (const name of names) {
      using line = await Line.tcp(t.port("submission"));
      await line.until(/220 .*\r\n/);
      await line.ask("EHLO a.example", /250 LIMITS.*\r\n/);
      await line.ask(`AUTH PLAIN ${btoa(`\0${name}\0${PASSWORD}`)}`, /[25]35 .*\r\n/);
    }
    for (let tries = 0; !/AUTH SCRAM-SHA-256 PLAIN/.test(await ehlo()); tries++) {
      assert.ok(tries < 100, "never offered");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const ways = [
      [
        "submission",
        "EHLO a.example",
        /250 LIMITS.*\r\n/,
        "AUTH SCRAM-SHA-256 ",
        /334 (.*)\r\n/,
        /235 .*\r\n/,
        /535 .*\r\n/,
      ],
      [
        "imap",
        "a CAPABILITY",
        /a OK.*\r\n/,
        "b AUTHENTICATE SCRAM-SHA-256 ",
        /\+ (.*)\r\n/,
        /b OK.*\r\n/,
        /b NO.*\r\n/,
      ],
      ["pop3", "CAPA", /\r\n\.\r\n/, "AUTH SCRAM-SHA-256 ", /\+ (.*)\r\n/, /\+OK.*\r\n/, /-ERR.*\r\n/],
    ] as const;
    for (const [protocol, hello, answered, auth, challenge, done, refused] of ways) {
      const begin = async (user: string, password: string) => {
        const line = await Line.tcp(t.port(protocol));
        await line.until(/\r\n/);
        assert.match(await line.ask(hello, answered), /SCRAM-SHA-256/, protocol);
        const client = scramClient(user, password);
        const first = atob(challenge.exec(await line.ask(auth + client.first, challenge))![1]!);
        return { line, first, ...client.final(first) };
      };
      const right = await begin("alice@example.test", PASSWORD);
      using line = right.line;
      assert.equal(atob(challenge.exec(await line.ask(right.final, challenge))![1]!), right.serverFinal);
      await line.ask("", done);
      const wrong = await begin("alice@example.test", "other");
      using again = wrong.line;
      await again.ask(wrong.final, refused);
      const salts = [];
      for (let i = 0; i < 2; i++) {
        const stranger = await begin("nobody@example.test", "x");
        using unknown = stranger.line;
        salts.push(/s=(.*)/.exec(stranger.first)![1]);
        await unknown.ask("*", /\r\n/);
      }
      assert.equal(salts[0], salts[1], "the salt of a stranger is stable");
    }
  },
);

Deno.test("EXTERNAL logs in by the fingerprint of a client certificate, and only with one that is known", async () => {
  const known = await makeSelfSigned({ names: ["alice.example.test"], now: Date.now() });
  const other = await makeSelfSigned({ names: ["other.example.test"], now: Date.now() });
  await using t = await RunningServer.start({
    threads: 0,
    config: {
      listeners: listeners({ protocol: "submissions", tls: "full", clientCertificates: true }, "submission"),
    },
  });
  const fingerprint = createHash("sha256").update(
    Uint8Array.fromBase64(known.certificatePem.replace(/-----[^-]+-----|\s/g, "")),
  ).digest("hex");
  const put = await t.server.writer.submit({ kind: "put-certificate", fingerprint, accountId: 1, note: "" });
  assert.ok(put.ok);
  const afterStartTls = async () => {
    const socket = connect(t.port("submission"), "127.0.0.1");
    for (
      const [command, answer] of [["", /220 .*\r\n/], ["EHLO a.example", /250 LIMITS.*\r\n/], [
        "STARTTLS",
        /220 /,
      ]] as const
    ) {
      if (command !== "") socket.write(`${command}\r\n`);
      let text = "";
      while (!answer.test(text)) {
        text += await new Promise<string>((resolve) =>
          socket.once("data", (data: Uint8Array) => resolve(decoder.decode(data)))
        );
      }
    }
    return socket;
  };
  const talk = async (
    certificate: { certificatePem: string; keyPem: string } | null,
    authzid: string,
    way: "implicit" | "starttls" = "implicit",
  ) => {
    const socket = tls.connect({
      ...(way === "implicit"
        ? { host: "127.0.0.1", port: t.port("submissions") }
        : { socket: await afterStartTls() }),
      rejectUnauthorized: false,
      ...(certificate !== null && { cert: certificate.certificatePem, key: certificate.keyPem }),
    });
    let text = "";
    socket.on("data", (data: Uint8Array) => text += decoder.decode(data));
    const until = async (pattern: RegExp) => {
      for (let i = 0; !pattern.test(text); i++) {
        assert.ok(i < 400, `no ${pattern} in ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    if (way === "implicit") await until(/220 .*\r\n/);
    socket.write("EHLO a.example\r\n");
    await until(/250 LIMITS.*\r\n/);
    socket.write(`AUTH EXTERNAL ${authzid === "" ? "=" : btoa(authzid)}\r\n`);
    await until(/(?:235|535|504) .*\r\n/);
    socket.destroy();
    return { offered: /AUTH .*EXTERNAL/.test(text), code: Number(/^(235|535|504) /m.exec(text)![1]) };
  };
  assert.deepEqual(await talk(known, ""), { offered: true, code: 235 });
  assert.deepEqual(await talk(known, "bob@example.test"), { offered: true, code: 535 });
  assert.deepEqual(await talk(other, ""), { offered: true, code: 535 });
  assert.deepEqual(await talk(null, ""), { offered: false, code: 504 });
  assert.deepEqual(await talk(known, "", "starttls"), { offered: true, code: 235 });
  assert.deepEqual(await talk(other, "", "starttls"), { offered: true, code: 535 });
  assert.deepEqual(await talk(null, "", "starttls"), { offered: false, code: 504 });
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
