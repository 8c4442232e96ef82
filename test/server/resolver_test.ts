/** The resolver with real sockets, against a small server on loopback. */
import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, type Message } from "../../dns/message.ts";
import { ResolveError } from "../../dns/resolver.ts";
import type { ResolverConfig } from "../../server/config/config.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { cryptoRandomBelow } from "../../server/dns_network.ts";
import { encodeBase64 } from "../../bytes/base64.ts";
import { webDnssecCrypto } from "../../server/dns_crypto.ts";
import { createResolver, trustAnchors } from "../../server/resolver.ts";

/** Answers A with 192.0.2.1; for names that begin with `big` truncated over UDP; not at all for `silent`. */
class LoopbackServer implements AsyncDisposable {
  readonly udp: Deno.DatagramConn;
  readonly tcp: Deno.Listener;
  readonly ports: Set<number>;
  #loops: Promise<void>[];

  constructor(hostname: string) {
    this.tcp = Deno.listen({ hostname, port: 0 });
    this.udp = Deno.listenDatagram({ hostname, port: this.port, transport: "udp" });
    this.ports = new Set();
    this.#loops = [this.#serveUdp(), this.#serveTcp()];
  }

  get port(): number {
    return (this.tcp.addr as Deno.NetAddr).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.udp.close();
    this.tcp.close();
    await Promise.all(this.#loops);
  }

  async #serveUdp(): Promise<void> {
    for await (const [octets, from] of this.udp) {
      this.ports.add((from as Deno.NetAddr).port);
      const query = decodeMessage(octets)!;
      const name = query.questions[0]!.name.toLowerCase();
      if (name.startsWith("silent")) continue;
      const reply = name.startsWith("big")
        ? answer(query, { truncated: true, answers: [] })
        : answer(query, {});
      await this.udp.send(reply, from);
    }
  }

  async #serveTcp(): Promise<void> {
    for await (const connection of this.tcp) {
      using _closing = connection;
      try {
        const buffer = new Uint8Array(512);
        const count = await connection.read(buffer);
        if (count === null) continue;
        const reply = answer(decodeMessage(buffer.subarray(2, count))!, {});
        // In two pieces.
        await connection.write(Uint8Array.of(reply.length >> 8));
        await connection.write(Uint8Array.of(reply.length & 0xff, ...reply));
      } catch (error) {
        if (!(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset)) {
          throw error;
        }
        // who asked twice has taken the other answer
      }
    }
  }
}

function answer(query: Message, parts: Partial<Message>): Uint8Array {
  const name = query.questions[0]!.name;
  return encodeMessage({
    ...query,
    response: true,
    recursionAvailable: true,
    answers: [{ name, class: 1, ttlSeconds: 60, data: { type: "A", address: "192.0.2.1" } }],
    ...parts,
  });
}

function config(servers: string[], timeoutMs = 2_000): ResolverConfig {
  return { ...DEFAULT_RESOLVER, mode: "forward", servers, timeoutMs };
}

const EXPECTED = [{ type: "A" as const, address: "192.0.2.1" }];

Deno.test("over UDP and TCP, from a new port each time", async () => {
  await using server = new LoopbackServer("127.0.0.1");
  using resolver = createResolver(config([`127.0.0.1:${server.port}`]));
  for (let at = 0; at < 20; at++) {
    assert.deepEqual((await resolver.resolve(`h${at}.example.test`, "A")).records, EXPECTED);
  }
  assert.ok(server.ports.size >= 18, `${server.ports.size} ports`);
  assert.deepEqual((await resolver.resolve("big.example.test", "A")).records, EXPECTED);
});

Deno.test("over IPv6", async () => {
  await using server = new LoopbackServer("::1");
  using resolver = createResolver(config([`[::1]:${server.port}`]));
  assert.deepEqual((await resolver.resolve("a.example.test", "A")).records, EXPECTED);
  assert.deepEqual((await resolver.resolve("big.example.test", "A")).records, EXPECTED);
});

Deno.test("every thread begins with the trust anchors that one has kept (RFC 5011)", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-anchors-" });
  try {
    const key = {
      type: "DNSKEY" as const,
      flags: 257,
      protocol: 3,
      algorithm: 13,
      key: new Uint8Array(64).fill(7),
    };
    const names = async (resolver: ResolverConfig) =>
      (await trustAnchors(resolver, folder).entryPoints([key], webDnssecCrypto())).length;
    assert.equal(await names(DEFAULT_RESOLVER), 0);
    const state = { flags: 257, algorithm: 13, key: encodeBase64(key.key), state: "trusted", since: 1 };
    await Deno.writeTextFile(`${folder}/dns-anchors.json`, JSON.stringify({ keys: [state] }));
    assert.equal(await names(DEFAULT_RESOLVER), 1);
    assert.equal(
      await names({ ...DEFAULT_RESOLVER, trustAnchors: ["1 8 2 AB"] }),
      0,
      "not with anchors of one's own",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("many at once", async () => {
  await using server = new LoopbackServer("127.0.0.1");
  using resolver = createResolver(config([`127.0.0.1:${server.port}`], 30_000)); // however busy the machine is
  const answers = await Promise.all(
    Array.from({ length: 400 }, (_, at) => resolver.resolve(`${at % 5 ? "h" : "big"}${at}.test`, "A")),
  );
  assert.ok(answers.every((found) => found.status === "found"));
});

Deno.test("silence ends by itself and leaves no socket behind", async () => {
  await using server = new LoopbackServer("127.0.0.1");
  using resolver = createResolver(config([`127.0.0.1:${server.port}`], 100));
  await assert.rejects(
    resolver.resolve("silent.example.test", "A"),
    (error) => error instanceof ResolveError && error.fault === "timeout",
  );
  assert.equal((await resolver.resolve("a.example.test", "A")).status, "found");
});

Deno.test("servers of resolv.conf are used when none are configured", async () => {
  const file = await Deno.makeTempFile();
  try {
    // Nobody answers DNS at port 53 of this address: the fault names it, so it was read.
    await Deno.writeTextFile(file, "search example.test\nnameserver 127.0.0.77\n");
    const resolver = createResolver(config([], 100), { resolvConf: file });
    await assert.rejects(resolver.resolve("a.example.test", "A"), /127\.0\.0\.77: no answer in time/);
  } finally {
    await Deno.remove(file);
  }
  assert.throws(() => createResolver(config([]), { resolvConf: "/" }), Error);
  assert.throws(() => createResolver(config(["ns.example.test:53"])), RangeError);
});

Deno.test("random numbers stay below their limit and are spread", () => {
  const random = cryptoRandomBelow();
  const seen = new Array<number>(10).fill(0);
  for (let at = 0; at < 10_000; at++) seen[random(10)]!++;
  assert.ok(seen.every((count) => count > 800 && count < 1_200), String(seen));
});
