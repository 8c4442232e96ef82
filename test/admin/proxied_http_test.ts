/** The admin API behind proxies: the client of the PROXY header is who asks. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import tls from "node:tls";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { ProxiedHttp, type ProxiedLimits } from "../../server/proxied_http.ts";
import { administer } from "../../admin/serve.ts";
import { DEFAULT_LIMITS, defaultListener } from "../../server/config/defaults.ts";
import { SharedLimits } from "../../server/shared_limits.ts";
import { until } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";

const V1 = encodeLatin1("PROXY TCP4 192.0.2.7 198.51.100.2 4711 443\r\n");
const V2 = new Uint8Array([
  ...encodeLatin1("\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"),
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x12, 0x67, 1, 0xbb],
]);
const REQUEST = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST_REQUEST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** The line of a refusal, which is lost where what was sent is not read any more. */
const BUSY = /^(HTTP\/1\.1 503 [^]*)?$/;

/** All that comes until the end, of a socket that may be reset. */
async function all(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data: Uint8Array) => text += new TextDecoder().decode(data));
  await new Promise<void>((resolve) => socket.once("close", () => resolve()).once("error", () => resolve()));
  return text;
}

async function said(port: number, ...parts: (string | Uint8Array)[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  for (const part of parts) socket.write(part);
  return await all(socket);
}

/** A server that says who asks, on `port`; its inner one is on `innerPort`. */
class Echo {
  readonly port: number;
  readonly http: ProxiedHttp;
  innerPort = 0;

  constructor(isProxy: (address: string) => boolean, own?: ProxiedLimits) {
    const socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (socket.addr as Deno.NetAddr).port;
    this.http = new ProxiedHttp(socket, {
      isProxy,
      protocol: "http",
      hostname: "mx.example.test",
      limits: new SharedLimits(SharedLimits.buffer(1), { epoch: Date.now() }),
      ...(own && { own }),
      handle: async (request, address) =>
        new Response(`${address} ${(await request.arrayBuffer()).byteLength};`),
      openInner: (handle) => {
        const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
        const server = Deno.serve(options, (request, { remoteAddr }) => handle(request, remoteAddr.port));
        this.innerPort = server.addr.port;
        return server;
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.shutdown();
  }
}

Deno.test("a request is of the client in the PROXY header, of both versions, all requests of a connection", async () => {
  await using echo = new Echo(() => true);
  for (const [header, address] of [[V1, "192.0.2.7"], [V2, "2001:db8::7"]] as const) {
    const heard = await said(echo.port, header, REQUEST, REQUEST, LAST_REQUEST);
    assert.equal(heard.split(`${address} 0;`).length, 4, heard);
  }
  assert.match(await said(echo.port, "PROXY UNKNOWN\r\n", LAST_REQUEST), /127\.0\.0\.1 0;/);
});

Deno.test("octets pass both ways, whatever their number and cut, and both sides are closed", async () => {
  await using echo = new Echo(() => true);
  const size = 3_000_000;
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`;
  const heard = await said(echo.port, V1.subarray(0, 9), V1.subarray(9), head, new Uint8Array(size));
  assert.match(heard, new RegExp(`192\\.0\\.2\\.7 ${size};`));
});

Deno.test("who is not listed as a proxy passes with its own address, and a header of it is no request", async () => {
  await using echo = new Echo(() => false);
  assert.match(await said(echo.port, LAST_REQUEST), /127\.0\.0\.1 0;/);
  const heard = await said(echo.port, V1, LAST_REQUEST);
  assert.match(heard, /^HTTP\/1\.1 400 /);
  assert.ok(!heard.includes("192.0.2.7"));
});

Deno.test("a proxy without a proper header is cut", async () => {
  await using echo = new Echo(() => true);
  for (
    const bad of [LAST_REQUEST, "PROXY TCP4 1.2.3.4\r\n" + LAST_REQUEST, "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"]
  ) {
    assert.equal(await said(echo.port, bad), "");
  }
});

/** A connection whose header was taken, and all that it hears until its end. */
async function idle(port: number): Promise<{ readonly socket: Socket; readonly heard: Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  const heard = all(socket);
  socket.write(V1);
  socket.write(REQUEST);
  await new Promise((resolve) => socket.once("data", resolve));
  return { socket, heard };
}

Deno.test("connections have a limit, which those that end give back; who is silent is cut", async () => {
  await using echo = new Echo(() => true, { connections: 2, idleMs: 400 });
  const held = [await idle(echo.port), await idle(echo.port)];
  assert.match(await said(echo.port, V1, LAST_REQUEST), BUSY);
  held[0]!.socket.destroy();
  await until(
    "its place is free",
    async () => /192\.0\.2\.7 0;/.test(await said(echo.port, V1, LAST_REQUEST)) ? true : null,
    2_000,
  );
  assert.match(await held[1]!.heard, /192\.0\.2\.7 0;/);
});

Deno.test("connections of one client have the limit of the whole server, by the address in the header, and refusals are counted", async () => {
  const listeners = [{ ...defaultListener("http"), address: "127.0.0.1", port: 0 }];
  const limits = { ...DEFAULT_LIMITS, connectionsPerAddress: 2 };
  const config = { listeners, limits, proxyNetworks: ["127.0.0.0/8"] };
  await using running = await RunningServer.start({ threads: 1, config });
  const { server } = running;
  const administration = await administer(server, { version: "0", local: true, reload: null });
  const port = running.port("http");
  const open = (count: number) =>
    until(
      `${count} are open`,
      async () => (await server.metricsText()).includes(`veredus_connections{protocol="http"} ${count}\n`),
    );
  const healthy = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  try {
    const held = [await idle(port), await idle(port)];
    assert.match(await said(port, V1, healthy), BUSY);
    assert.match(await said(port, V2, healthy), /^HTTP\/1\.1 200 /, "another client behind the same proxy");
    const metrics = await server.metricsText();
    assert.match(metrics, /^veredus_connections_refused_total\{protocol="http",limit="address"\} 1$/m);
    await open(2);
    await server.reload({ ...server.config, limits: { ...limits, connectionsPerAddress: 3 } });
    assert.match(await said(port, V1, healthy), /^HTTP\/1\.1 200 /);
    for (const { socket } of held) socket.destroy();
    await open(0);
  } finally {
    await administration.close();
  }
});

Deno.test("at the end clients that hold their connection do not hold the server", async () => {
  const echo = new Echo(() => true);
  const held = [await idle(echo.port), await idle(echo.port)];
  const silent = connect(echo.port, "127.0.0.1");
  const unheard = all(silent);
  await new Promise((resolve) => silent.write(V1, resolve));
  const began = performance.now();
  await echo.http.shutdown();
  assert.ok(performance.now() - began < 4_000);
  for (const { heard } of held) assert.match(await heard, /192\.0\.2\.7 0;/);
  assert.equal(await unheard, "");
});

Deno.test("a connection to the inner port that is not ours is refused", async () => {
  await using echo = new Echo(() => true);
  assert.match(await said(echo.innerPort, LAST_REQUEST), /^HTTP\/1\.1 403 /);
  assert.match(await said(echo.port, V1, LAST_REQUEST), /192\.0\.2\.7 0;/);
});

/** Through TLS behind a PROXY header; the authority must have signed. */
async function secure(
  port: number,
  { authority, request }: { authority: string; request: string },
): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(V1);
  const inside = tls.connect({ socket, ca: authority, checkServerIdentity: () => undefined });
  inside.write(request);
  return await all(inside);
}

Deno.test("http and https of a server with proxy_networks: header, TLS behind it, the certificate of the last reload", async () => {
  const listeners = (["http", "https"] as const).map((protocol) => ({
    ...{ ...defaultListener(protocol), address: "127.0.0.1", port: 0 },
  }));
  const config = { listeners, proxyNetworks: ["127.0.0.0/8"] };
  await using running = await RunningServer.start({ threads: 0, config });
  const { server } = running;
  const administration = await administer(server, { version: "0", local: true, reload: null });
  const request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  try {
    assert.match(await said(running.port("http"), V1, request), /^HTTP\/1\.1 200 /);
    assert.equal(await said(running.port("http"), request), "");
    // Wrong tokens count against the client, not against the proxy.
    const wrong =
      "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\nConnection: close\r\n\r\n";
    let last = "";
    for (let count = 0; count < 100 && !/^HTTP\/1\.1 429 /.test(last); count++) {
      last = await said(running.port("http"), V1, wrong);
    }
    assert.match(last, /^HTTP\/1\.1 429 [^]*192\.0\.2\.7/);
    assert.match(await said(running.port("http"), V2, wrong), /^HTTP\/1\.1 401 /);

    const port = running.port("https");
    const first = server.certificates[0]!.certificatePem;
    assert.match(await secure(port, { authority: first, request }), /^HTTP\/1\.1 200 /);
    const other = await running.renewCertificate();
    await until(
      "the new certificate",
      async () => /^HTTP\/1\.1 200 /.test(await secure(port, { authority: other, request })) ? true : null,
    );
    assert.equal(await secure(port, { authority: first, request }), "");
  } finally {
    await administration.close();
  }
});
