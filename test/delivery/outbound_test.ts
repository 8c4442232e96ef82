/** Finding a host that takes mail: MX, addresses, ourselves, TLS that fails, and how far each failure reaches. */
import assert from "node:assert/strict";
import { configure, reset } from "@logtape/logtape";
import { selfSignedCertificate } from "../../server/certificate.ts";
import { denoConnector } from "../../server/outgoing.ts";
import { TlsServer } from "../../server/tls_transport.ts";
import { peerFacts } from "../../server/deno_transport.ts";
import type { Transport } from "../../server/transport.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { a, aaaa, type MockEntry, MockResolver, mx } from "../lib/mock_resolver.ts";
import { freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { type HarnessOptions, QueueHarness, relayRule } from "./queue_harness.ts";

const X = "x@one.test";

/** MX of one.test: hosts at 127.0.0.2 and up, in order of preference. */
function zone(hosts: number): MockResolver {
  const entries: Record<string, ReturnType<typeof a>[] | ReturnType<typeof mx>[]> = {
    "one.test MX": Array.from({ length: hosts }, (_, n) => mx(10 * (n + 1), `mx${n + 1}.one.test`)),
  };
  for (let n = 0; n < hosts; n++) entries[`mx${n + 1}.one.test A`] = [a(`127.0.0.${n + 2}`)];
  return new MockResolver(entries);
}

/** Sends one message and returns what its row says, or null once it is gone. */
async function send(options: HarnessOptions): Promise<{ reply: string | null; inbox: string[] }> {
  await using queue = await QueueHarness.open(options);
  queue.start();
  await queue.submit({ to: [X] });
  const [row] = await queue.deferred();
  return { reply: row?.lastReply ?? null, inbox: queue.inbox() };
}

Deno.test("the next MX is tried where one cannot be reached or refuses its greeting or EHLO", async () => {
  const port = freePort();
  await using second = new FakeSmtpServer({
    hostname: "127.0.0.3",
    port,
    script: () => ({ cut: "554 no service" }),
  });
  await using third = new FakeSmtpServer({
    hostname: "127.0.0.4",
    port,
    script: (command) => /^(EHLO|HELO)/.test(command) ? "550 5.7.1 not you" : null,
  });
  await using fourth = new FakeSmtpServer({ hostname: "127.0.0.5", port });
  const { reply } = await send({ outbound: { resolver: zone(4), smtpPort: port } });
  assert.equal(reply, null);
  assert.deepEqual([second, third, fourth].map(({ sessions }) => sessions.length), [1, 1, 1]);
  assert.equal(fourth.messages.length, 1);
});

Deno.test("5yz at the greeting of every host is final; with one host that said nothing the mail waits", async () => {
  const port = freePort();
  const script = () => ({ cut: "554 5.7.1 no mail here" });
  await using _first = new FakeSmtpServer({ hostname: "127.0.0.2", port, script });
  const waiting = await send({ outbound: { resolver: zone(2), smtpPort: port } });
  assert.match(waiting.reply!, /^4\.4\.1 cannot connect to mx2/);
  assert.deepEqual(waiting.inbox, []);
  await using _second = new FakeSmtpServer({ hostname: "127.0.0.3", port, script });
  const { reply, inbox } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
  assert.equal(reply, null);
  assert.match(inbox[0]!, /^Status: 5\.7\.1\r$/m);
  assert.match(inbox[0]!, /^Remote-MTA: dns; mx2\.one\.test\r$/m);
});

Deno.test("5yz to MAIL or RCPT is the domain's word: no other MX is asked", async () => {
  const port = freePort();
  await using first = new FakeSmtpServer({
    hostname: "127.0.0.2",
    port,
    script: (command) => command.startsWith("RCPT") ? "550 5.1.1 who" : null,
  });
  await using second = new FakeSmtpServer({ hostname: "127.0.0.3", port });
  const { reply, inbox } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
  assert.equal(reply, null);
  assert.equal(first.sessions.length, 1);
  assert.equal(second.sessions.length, 0);
  assert.match(inbox[0]!, /^Remote-MTA: dns; mx1\.one\.test\r$/m);
});

/** A host that puts mail off at one command. */
function puttingOff(hostname: string, port: number, at: string, says = "451 4.3.2 later"): FakeSmtpServer {
  return new FakeSmtpServer({ hostname, port, script: (command) => command.startsWith(at) ? says : null });
}

Deno.test("what one MX puts off at MAIL, RCPT, DATA or its end the next is asked for at once; 5yz is final", async () => {
  for (const at of ["MAIL", "RCPT", "DATA", "."]) {
    const port = freePort();
    await using first = puttingOff("127.0.0.2", port, at);
    await using second = new FakeSmtpServer({ hostname: "127.0.0.3", port });
    const { reply } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
    assert.equal(reply, null, at);
    assert.deepEqual([first.messages.length, second.messages.length], [0, 1], at);
  }
  const port = freePort();
  await using _first = puttingOff("127.0.0.2", port, "RCPT");
  await using _second = puttingOff("127.0.0.3", port, "RCPT", "550 5.1.1 who");
  const { reply, inbox } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
  assert.equal(reply, null);
  assert.match(inbox[0]!, /^Remote-MTA: dns; mx2\.one\.test\r$/m);
});

Deno.test("a connection lost before the end of data goes on at the next MX, one lost behind it waits: it may have arrived", async () => {
  for (const [at, taken] of [["RCPT", 1], [".", 0]] as const) {
    const port = freePort();
    await using _first = new FakeSmtpServer({
      hostname: "127.0.0.2",
      port,
      script: (command) => command.startsWith(at) ? { cut: "" } : null,
    });
    await using second = new FakeSmtpServer({ hostname: "127.0.0.3", port });
    const { reply } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
    assert.equal(second.messages.length, taken, at);
    assert.equal(reply === null, taken === 1, at);
  }
});

Deno.test("one more host is asked and no third; each recipient goes where it is taken, over one connection to each", async () => {
  const port = freePort();
  await using first = puttingOff("127.0.0.2", port, "RCPT TO:<late");
  await using second = puttingOff("127.0.0.3", port, "RCPT TO:<late-everywhere");
  await using third = new FakeSmtpServer({ hostname: "127.0.0.4", port });
  await using queue = await QueueHarness.open({
    outbound: { resolver: zone(3), smtpPort: port },
    options: { connectionsPerDestination: 2, idleMs: 600_000 },
  });
  queue.start();
  for (let n = 0; n < 3; n++) {
    await queue.submit({ to: [`x${n}@one.test`, `late${n}@one.test`, `late-everywhere${n}@one.test`] });
    await queue.deferred();
    const waits = () => queue.runner.sessions().every(({ doing }) => doing.startsWith("waiting"));
    await until("the connection to wait", waits);
  }
  const rows = await queue.deferred();
  assert.deepEqual(
    rows.map(({ recipient }) => recipient),
    [0, 1, 2].map((n) => `late-everywhere${n}@one.test`),
  );
  const got = (server: FakeSmtpServer) => server.messages.flatMap(({ recipients }) => recipients);
  assert.deepEqual(got(first), [0, 1, 2].map((n) => `x${n}@one.test`));
  assert.deepEqual(got(second), [0, 1, 2].map((n) => `late${n}@one.test`));
  assert.deepEqual([first, second, third].map(({ sessions }) => sessions.length), [1, 1, 0]);
});

Deno.test("a connection to another host counts like any other, and takes the place of the first where there is no room", async () => {
  for (const [connections, connectionsPerDestination] of [[1, 5], [5, 1], [3, 3]] as const) {
    const port = freePort();
    let open = 0;
    let most = 0;
    const server = (hostname: string, putsOff: string) =>
      new FakeSmtpServer({
        ...{ hostname, port },
        script: (command) => {
          if (command === "connect") most = Math.max(most, ++open);
          if (command === "QUIT") open--;
          return command.startsWith(putsOff) ? "451 4.3.2 later" : null;
        },
      });
    await using first = server("127.0.0.2", "RCPT");
    await using second = server("127.0.0.3", "never");
    await using queue = await QueueHarness.open({
      outbound: { resolver: zone(2), smtpPort: port },
      options: { connections, connectionsPerDestination, idleMs: 600_000 },
    });
    for (let n = 0; n < 12; n++) await queue.submit({ to: [`x${n}@one.test`] });
    queue.start();
    const waiting = await queue.deferred();
    assert.deepEqual([waiting.length, first.messages.length, second.messages.length], [0, 0, 12]);
    const limit = Math.min(connections, connectionsPerDestination);
    assert.ok(most <= limit, `${most} connections, ${limit} were allowed`);
    for (const { sessions } of [first, second]) assert.ok(sessions.length <= limit, "each is kept");
  }
});

Deno.test("with no host left the mail waits, and says why", async () => {
  const port = freePort();
  const { reply } = await send({ outbound: { resolver: zone(2), smtpPort: port } });
  assert.match(
    reply!,
    new RegExp(`^4\\.4\\.1 cannot connect to mx2\\.one\\.test\\[127\\.0\\.0\\.3\\]:${port}: `),
  );
});

Deno.test("DNS decides: never, not now, or to the domain itself", async () => {
  const cases: [
    string,
    Readonly<Record<string, MockEntry>>,
    RegExp | null,
    RegExp | null,
  ][] = [
    ["null MX", { "one.test MX": [mx(0, ".")] }, null, /^Status: 5\.1\.10\r$/m],
    ["no such domain", {}, null, /^Status: 5\.1\.2\r$/m],
    ["neither MX nor address", { "one.test TXT": [] }, null, /^Status: 5\.4\.4\r$/m],
    ["servers fail", { "one.test MX": "server-failure" }, /^4\.4\.3 one\.test: DNS could not answer$/, null],
    [
      "no answer for the host",
      { "one.test MX": [mx(1, "h.test")], "h.test A": "timeout", "h.test AAAA": "timeout" },
      /^4\.4\.3 h\.test/,
      null,
    ],
    [
      "a host without address",
      { "one.test MX": [mx(1, "h.test")] },
      /^4\.4\.4 h\.test has no address$/,
      null,
    ],
    ["only ourselves", { "one.test MX": [mx(1, "mx.example.test")] }, null, /^Status: 5\.4\.6\r$/m],
    [
      "our address",
      { "one.test MX": [mx(1, "h.test")], "h.test A": [a("127.0.0.9")] },
      null,
      /^Status: 5\.4\.6\r$/m,
    ],
  ];
  for (const [name, entries, reply, notice] of cases) {
    const found = await send({
      outbound: {
        resolver: new MockResolver(entries),
        smtpPort: 1,
        ourselves: { names: new Set(["mx.example.test"]), addresses: new Set(["127.0.0.9"]) },
      },
    });
    if (reply === null) assert.equal(found.reply, null, `${name}: ${found.reply}`);
    else assert.match(found.reply ?? "", reply, name);
    if (notice === null) assert.deepEqual(found.inbox, [], name);
    else assert.match(found.inbox[0] ?? "", notice, name);
  }
});

Deno.test("without MX the domain's own address is its host; better ones than ours are kept", async () => {
  const port = freePort();
  await using host = new FakeSmtpServer({ hostname: "127.0.0.2", port });
  const implicit = new MockResolver({ "one.test A": [a("127.0.0.2")] });
  assert.equal((await send({ outbound: { resolver: implicit, smtpPort: port } })).reply, null);
  const resolver = new MockResolver({
    "one.test MX": [mx(10, "mx1.one.test"), mx(20, "mx.example.test"), mx(30, "worse.test")],
    "mx1.one.test A": [a("127.0.0.2")],
    "worse.test A": [a("127.0.0.3")],
  });
  assert.equal((await send({ outbound: { resolver, smtpPort: port } })).reply, null);
  assert.equal(host.messages.length, 2);
});

const certificate = await (async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-test-" });
  const made = await selfSignedCertificate(folder, { names: ["127.0.0.1", "localhost"], now: Date.now() });
  await Deno.remove(folder, { recursive: true });
  return made;
})();

/** One connection of a server with STARTTLS: says its lines, upgrades, and collects what it hears. */
async function tlsServer(handshake: "good" | "garbage" | "refused") {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heard: string[] = [];
  const tlsEnds = new TlsServer([certificate]);
  const serve = async (conn: Deno.TcpConn) => {
    let transport: Pick<Transport, "read" | "write"> = {
      read: (into) => conn.read(into),
      write: async (bytes) => {
        await conn.write(bytes);
      },
    };
    let upgraded: Transport | null = null;
    const say = (text: string) => transport.write(new TextEncoder().encode(text));
    await say("220 fake\r\n");
    let data = false;
    for (const buffer = new Uint8Array(4_096);;) {
      const octets = await transport.read(buffer);
      if (octets === null) break;
      for (const line of new TextDecoder().decode(buffer.subarray(0, octets)).split("\r\n")) {
        if (line === "") continue;
        heard.push(`${upgraded === null ? "clear" : "tls"} ${line}`);
        if (data && line !== ".") continue;
        data = false;
        if (line.startsWith("EHLO")) {
          await say(upgraded === null ? "250-fake\r\n250 STARTTLS\r\n" : "250 fake\r\n");
        } else if (line === "STARTTLS") {
          if (handshake === "refused") {
            await say("454 4.7.0 no\r\n");
            continue;
          }
          await say("220 go\r\n");
          if (handshake === "garbage") {
            await say("this is no TLS at all, whatever you think\r\n");
            return conn.close();
          }
          transport = upgraded = await tlsEnds.upgrade(conn, peerFacts(conn));
        } else if (line === "DATA") {
          await say("354 go\r\n");
          data = true;
        } else await say("250 ok\r\n");
      }
    }
    if (upgraded === null) conn.close();
    else upgraded.close();
  };
  const running = (async () => {
    for await (const conn of listener) {
      serve(conn as Deno.TcpConn).catch((error) => {
        if (!(error instanceof Error)) throw error; // the client went away
      });
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    heard,
    async [Symbol.asyncDispose]() {
      listener.close();
      await running.catch(() => {});
    },
  };
}

Deno.test("opportunistic TLS: any certificate will do", async () => {
  await using server = await tlsServer("good");
  assert.equal((await send({ rules: [relayRule(server.port)] })).reply, null);
  assert.ok(server.heard.includes("tls DATA"), server.heard.join("\n"));
  assert.ok(!server.heard.includes("clear DATA"));
});

for (const handshake of ["garbage", "refused"] as const) {
  Deno.test(`opportunistic TLS that is ${handshake} goes on in clear, at once`, async () => {
    await using server = await tlsServer(handshake);
    assert.equal((await send({ rules: [relayRule(server.port)] })).reply, null);
    assert.ok(server.heard.includes("clear DATA"), server.heard.join("\n"));
  });
}

for (const handshake of ["garbage", "refused"] as const) {
  Deno.test(`opportunistic TLS that is ${handshake}: the same MX in clear, at once, logged, and no other`, async () => {
    await using server = await tlsServer(handshake);
    await using second = new FakeSmtpServer({ hostname: "127.0.0.3", port: server.port });
    const resolver = new MockResolver({
      "one.test MX": [mx(10, "mx1.one.test"), mx(20, "mx2.one.test")],
      "mx1.one.test A": [a("127.0.0.1")],
      "mx2.one.test A": [a("127.0.0.3")],
    });
    const lines: string[] = [];
    await configure({
      sinks: { lines: ({ level, message }) => void lines.push(`${level}: ${message.join("")}`) },
      loggers: [
        { category: ["veredus", "queue"], sinks: ["lines"] },
        { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
      ],
    });
    try {
      assert.equal((await send({ outbound: { resolver, smtpPort: server.port } })).reply, null);
    } finally {
      await reset();
    }
    assert.ok(server.heard.includes("clear DATA"), server.heard.join("\n"));
    assert.deepEqual(second.sessions, []);
    const words = handshake === "garbage"
      ? "the TLS handshake failed"
      : "refused STARTTLS, mail goes in clear";
    assert.ok(lines.some((line) => line.startsWith("warning: ") && line.includes(words)), lines.join("\n"));
  });
}

Deno.test("a host of both families: what cannot be reached by IPv6 is by IPv4, in the same attempt", async () => {
  await using server = new FakeSmtpServer({ hostname: "127.0.0.2" });
  const resolver = new MockResolver({
    "one.test MX": [mx(10, "mx1.one.test")],
    "mx1.one.test AAAA": [aaaa("::1")],
    "mx1.one.test A": [a("127.0.0.2")],
  });
  assert.equal((await send({ outbound: { resolver, smtpPort: server.port } })).reply, null);
  assert.equal(server.messages.length, 1);
});

Deno.test("required TLS: verified, or no mail", async () => {
  await using server = await tlsServer("good");
  const rules = [relayRule(server.port, { tls: "required" })];
  assert.match((await send({ rules })).reply!, /^4\.7\.5 TLS failed: the certificate is not trusted/);
  assert.ok(!server.heard.some((line) => line.includes("MAIL")), server.heard.join("\n"));
  const trusting = denoConnector({ extraRoots: [certificate.certificatePem] });
  assert.equal((await send({ rules, outbound: { connector: trusting } })).reply, null);
  assert.ok(server.heard.includes("tls DATA"));
  const other = [
    relayRule(server.port, { tls: "required", hops: [{ host: "other.test", port: server.port, weight: 1 }] }),
  ];
  const resolver = new MockResolver({ "other.test A": [a("127.0.0.1")] });
  assert.match(
    (await send({ rules: other, outbound: { connector: trusting, resolver } })).reply!,
    /^4\.7\.5 TLS failed: .*other\.test/,
  );
  await using refusing = await tlsServer("refused");
  assert.match(
    (await send({ rules: [relayRule(refusing.port, { tls: "required" })] })).reply!,
    /^4\.7\.0 454 4\.7\.0 no$/,
  );
});
