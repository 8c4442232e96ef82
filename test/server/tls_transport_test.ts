import assert from "node:assert/strict";
import nodeTls from "node:tls";
import net from "node:net";
import { type Certificate, makeSelfSigned } from "../../server/certificate.ts";
import { DenoTransport, peerFacts } from "../../server/deno_transport.ts";
import { covers } from "../../dns/name.ts";
import { closeQuietly } from "../../server/socket_writer.ts";
import { canServeTls, TlsServer } from "../../server/tls_transport.ts";
import type { Transport } from "../../server/transport.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const first = await makeSelfSigned({ names: ["localhost", "mx.example.test"], now: Date.now() });
const second = await makeSelfSigned({ names: ["*.example.org"], now: Date.now() });

/** One accepted connection and the client's end of it. */
async function pair(): Promise<{ server: Deno.TcpConn; client: Deno.TcpConn }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const client = await Deno.connect({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port });
  const server = await accepted;
  listener.close();
  return { server, client };
}

async function line(from: { read(into: Uint8Array): Promise<number | null> }): Promise<string | null> {
  const into = new Uint8Array(200);
  const octets = await from.read(into);
  return octets === null ? null : decoder.decode(into.subarray(0, octets));
}

/** Upgrades both ends; the client trusts `certificate`. */
async function upgraded(
  options: { server?: TlsServer; hostname?: string; trust?: Certificate } = {},
): Promise<{ transport: Transport; client: Deno.TlsConn }> {
  const { server, client } = await pair();
  const transport = DenoTransport.plain(server, options.server ?? new TlsServer([first]));
  assert.equal(transport.canStartTls, true);
  const [up, down] = await Promise.all([
    transport.startTls(),
    Deno.startTls(client, {
      hostname: options.hostname ?? "localhost",
      caCerts: [(options.trust ?? first).certificatePem],
    }).then(async (tls) => {
      await tls.handshake();
      return tls;
    }),
  ]);
  return { transport: up, client: down };
}

Deno.test("a plain transport reads, writes and closes", async () => {
  const { server, client } = await pair();
  const transport = DenoTransport.plain(server, null);
  assert.equal(transport.canStartTls, false);
  assert.equal(transport.tls, null);
  assert.equal(transport.peer.address, "127.0.0.1");
  assert.equal(transport.peer.port, (client.localAddr as Deno.NetAddr).port);
  await transport.write(encoder.encode("220 hello\r\n"));
  assert.equal(await line(client), "220 hello\r\n");
  await client.write(encoder.encode("QUIT\r\n"));
  assert.equal(await line(transport), "QUIT\r\n");
  const pending = transport.read(new Uint8Array(10));
  transport.close();
  transport.close();
  assert.equal(await pending, null);
  assert.equal(await transport.read(new Uint8Array(10)), null);
  assert.equal(await line(client), null);
  client.close();
});

Deno.test("STARTTLS: facts, both directions, end of stream", async () => {
  const { transport, client } = await upgraded();
  assert.equal(transport.tls?.protocol, "TLSv1.3");
  assert.match(transport.tls?.cipher ?? "", /^TLS_/);
  assert.equal(transport.tls?.serverName, "localhost");
  assert.equal(transport.canStartTls, false);
  await transport.write(encoder.encode("220 hello\r\n"));
  assert.equal(await line(client), "220 hello\r\n");
  await client.write(encoder.encode("QUIT\r\n"));
  assert.equal(await line(transport), "QUIT\r\n");
  client.close();
  assert.equal(await line(transport), null);
  transport.close();
});

Deno.test("STARTTLS: close sends what was written and close_notify", async () => {
  const { transport, client } = await upgraded();
  await transport.write(encoder.encode("221 bye\r\n"));
  transport.close();
  assert.equal(await line(client), "221 bye\r\n");
  assert.equal(await line(client), null);
  client.close();
});

Deno.test("STARTTLS: a read that is outstanding at close ends with null", async () => {
  const { transport, client } = await upgraded();
  const pending = transport.read(new Uint8Array(10));
  transport.close();
  assert.equal(await pending, null);
  client.close();
});

Deno.test("STARTTLS: a connection that is cut below ends its session, whatever the peer does", async () => {
  const { server, client } = await pair();
  const upgrading = new TlsServer([first]).upgrade(server, peerFacts(server));
  const down = await Deno.startTls(client, { hostname: "localhost", caCerts: [first.certificatePem] });
  await down.handshake();
  const transport = await upgrading;
  const pending = transport.read(new Uint8Array(10)).catch(() => null);
  closeQuietly(server);
  assert.equal(await pending, null);
  transport.close();
  down.close();
});

Deno.test("STARTTLS: 4 MB pass whole in both directions, and a writer waits for its reader", async () => {
  const { transport, client } = await upgraded();
  const total = 4 << 20;
  const block = new Uint8Array(65_536).map((_, at) => at * 7);
  let sent = 0;
  const sending = (async () => {
    for (; sent < total; sent += block.length) await transport.write(block);
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(sent < total, "nobody reads, the writer must wait");
  const into = new Uint8Array(50_000);
  let received = 0;
  while (received < total) {
    const octets = await client.read(into);
    assert.ok(octets !== null);
    for (let at = 0; at < octets; at += 4_999) assert.equal(into[at], ((received + at) % 65_536 * 7) & 255);
    received += octets;
  }
  await sending;
  const back = (async () => {
    for (let at = 0; at < total; at += block.length) {
      for (let from = 0; from < block.length;) from += await client.write(block.subarray(from));
    }
  })();
  for (received = 0; received < total;) {
    const octets = await transport.read(into);
    assert.ok(octets !== null);
    for (let at = 0; at < octets; at += 4_999) assert.equal(into[at], ((received + at) % 65_536 * 7) & 255);
    received += octets;
  }
  await back;
  transport.close();
  client.close();
});

Deno.test("SNI chooses the certificate; replace changes it for new handshakes", async () => {
  const server = new TlsServer([first, second]);
  for (const [hostname, trust] of [["localhost", first], ["imap.example.org", second]] as const) {
    const { transport, client } = await upgraded({ server, hostname, trust });
    assert.equal(transport.tls?.serverName, hostname);
    transport.close();
    client.close();
  }
  server.replace([second]);
  const { transport, client } = await upgraded({ server, hostname: "mx.example.org", trust: second });
  transport.close();
  client.close();
  assert.throws(() => server.replace([]));
});

Deno.test("a client certificate may be asked for, none is needed", async () => {
  const { transport, client } = await upgraded({
    server: new TlsServer([first], { requestClientCertificate: true }),
  });
  await transport.write(encoder.encode("x"));
  assert.equal(await line(client), "x");
  transport.close();
  client.close();
});

for (
  const [name, octets, fault] of [
    ["octets that are no TLS", "EHLO example.test\r\n", /corrupt message/],
    ["a cut client hello", "\x16\x03\x01\x02\x00\x01", /closed during the TLS handshake/],
    ["nothing", "", /handshake timed out/],
  ] as const
) {
  Deno.test(`a handshake with ${name} fails cleanly`, async () => {
    for (const certificates of [[first], [first, second]]) {
      const { server, client } = await pair();
      const tlsServer = new TlsServer(certificates, { handshakeTimeoutMs: 300 });
      const failed = assert.rejects(tlsServer.upgrade(server, peerFacts(server)), fault);
      await client.write(encoder.encode(octets));
      if (name === "a cut client hello") await client.closeWrite();
      await failed;
      while (await line(client).catch(() => null) !== null);
      client.close();
    }
  });
}

Deno.test("a peer that vanishes during the handshake is an error, not a crash", async () => {
  const { server, client } = await pair();
  client.close();
  await assert.rejects(new TlsServer([first]).upgrade(server, peerFacts(server)));
});

Deno.test("TLS 1.1 is refused", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = (listener.addr as Deno.NetAddr).port;
  const accepted = listener.accept();
  const openssl = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${port}`, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  let child: Deno.ChildProcess;
  try {
    child = openssl.spawn();
  } catch (error) {
    listener.close();
    await accepted.catch(() => {});
    if (error instanceof Deno.errors.NotFound) return; // no openssl on this machine: nothing to try with
    throw error;
  }
  const conn = await accepted;
  await assert.rejects(new TlsServer([first]).upgrade(conn, peerFacts(conn)));
  assert.notEqual((await child.status).code, 0);
  listener.close();
});

Deno.test("octets a client pipelined behind its handshake arrive once and in order", async () => {
  const { server, client } = await pair();
  const port = (client.localAddr as Deno.NetAddr).port;
  assert.ok(port > 0);
  client.close();
  server.close();
  // node:tls as the client: writes before the handshake is done go out with its last flight.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const socket = nodeTls.connect({
    socket: net.connect((listener.addr as Deno.NetAddr).port, "127.0.0.1"),
    servername: "localhost",
    rejectUnauthorized: false,
  });
  socket.write("A\r\nB\r\n");
  const conn = await accepted;
  const transport = await new TlsServer([first]).upgrade(conn, peerFacts(conn));
  let text = "";
  while (text.length < 6) text += await line(transport);
  assert.equal(text, "A\r\nB\r\n");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  transport.close();
  socket.resume();
  socket.end();
  await closed;
  listener.close();
});

Deno.test("wildcards stand for one leftmost label", () => {
  const cases: [string, string, boolean][] = [
    ["mx.example.test", "mx.example.test", true],
    ["*.example.test", "mx.example.test", true],
    ["*.example.test", "a.mx.example.test", false],
    ["*.example.test", "example.test", false],
    ["*.example.test", ".example.test", false],
    ["mx.*.test", "mx.example.test", false],
  ];
  for (const [pattern, name, expected] of cases) {
    assert.equal(covers(pattern, name), expected, `${pattern} ${name}`);
  }
});

Deno.test("this runtime can serve TLS by node:tls", async () => {
  assert.equal(await canServeTls(first), true);
});
