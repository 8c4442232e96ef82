/**
 * STARTTLS of many connections at once, to a server behind a line that cuts and delays the octets at every point: none may
 * stand still, and none may lose an octet.
 */
import assert from "node:assert/strict";
import net from "node:net";
import tls from "node:tls";
import { encode } from "../../bytes/decode.ts";
import type { TransactionResult } from "../../protocols/smtp/client_result.ts";
import { DEFAULT_TIMEOUTS, OutboundConnection } from "../../delivery/outbound_connection.ts";
import { NO_POLICY } from "../../delivery/security/tls_observation.ts";
import { ClientSession } from "../../protocols/smtp/client_session.ts";
import { makeSelfSigned } from "../../server/certificate.ts";
import { DENO_TIMERS } from "../../server/deno_timers.ts";
import { denoConnector } from "../../server/outgoing.ts";

const CONNECTIONS = 300;
const AT_ONCE = 60;
const MESSAGE = encode("Subject: x\r\n\r\n" + `${"0123456789".repeat(7)}\r\n`.repeat(600));

/** Long for what is done here, and no longer than a handshake may take: one that stands still is told of. */
const STAGES = Object.fromEntries(
  Object.keys(DEFAULT_TIMEOUTS.stages).map((stage) => [stage, 30_000]),
) as Record<keyof typeof DEFAULT_TIMEOUTS.stages, number>;

/** The same numbers in every run: 0 up to below 1. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

/** None, a turn of the event loop, or a few milliseconds. */
function pause(random: () => number): Promise<void> {
  const kind = random();
  if (kind < 0.4) return Promise.resolve();
  return new Promise((resolve) => setTimeout(resolve, kind < 0.8 ? 0 : 5 * random()));
}

/** One direction of the line, to its end or until so many octets went over it. */
async function carry(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  { random, most: limit = Infinity }: { readonly random: () => number; readonly most?: number },
): Promise<void> {
  const most = [7, 100, 1_500, 65_536][Math.floor(random() * 4)]!;
  const buffer = new Uint8Array(65_536);
  for (let budget = 60, left = limit; left > 0;) {
    // Whatever the size, what is cut small is the beginning: the handshake and a little more.
    const octets = await from.read(budget > 0 ? buffer.subarray(0, 1 + Math.floor(random() * most)) : buffer);
    if (octets === null) break;
    if (budget-- > 0) await pause(random);
    const end = Math.min(octets, left);
    for (let at = 0; at < end;) at += await to.write(buffer.subarray(at, end));
    left -= end;
  }
  await to.closeWrite();
}

/** Speaks SMTP on a socket of node's, under node's TLS behind STARTTLS. */
function serve(socket: net.Socket, context: tls.SecureContext, random: () => number): void {
  let text = "";
  let octets = 0;
  let data = false;
  let way: net.Socket = socket;
  const say = async (words: string) => {
    const writer = way;
    await pause(random);
    writer.write(words);
  };
  const hear = (line: string): Promise<void> | void => {
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case "EHLO":
        return say(
          way === socket ? "250-tls.test\r\n250 STARTTLS\r\n" : "250-tls.test\r\n250 PIPELINING\r\n",
        );
      case "STAR":
        // What the client says next is the handshake's, however late that begins.
        socket.removeListener("data", listen);
        socket.pause();
        return say("220 go\r\n").then(() => pause(random)).then(() => {
          const under = new tls.TLSSocket(socket, { isServer: true, secureContext: context });
          under.on("data", listen);
          under.on("error", () => socket.destroy());
          way = under;
        });
      case "DATA":
        data = true;
        octets = 0;
        return say("354 go\r\n");
      case "QUIT":
        return say("221 bye\r\n").then(() => void way.end());
      default:
        return say("250 2.0.0 ok\r\n");
    }
  };
  let turn = Promise.resolve();
  const listen = (chunk: Uint8Array) => {
    text += new TextDecoder("latin1").decode(chunk);
    turn = turn.then(async () => {
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (data && line !== ".") octets += line.length + 2;
        else if (data) {
          data = false;
          await say(`250 2.0.0 ${octets}\r\n`);
        } else await hear(line);
      }
    });
  };
  socket.on("data", listen);
  socket.on("error", () => {});
  void say("220 tls.test\r\n");
}

async function sendOne(port: number, host: string): Promise<TransactionResult> {
  const connection = await denoConnector().connect({ address: "127.0.0.1", port, timeoutMs: 30_000 });
  const opened = await OutboundConnection.start(connection, {
    host,
    session: new ClientSession({
      ...{ mode: "smtp", helloName: "mx.example.test", starttls: "required", chunking: false },
      ...{ tlsActive: false, credentials: null, clearPassword: false },
    }),
    io: {
      timers: DENO_TIMERS,
      timeouts: { ...DEFAULT_TIMEOUTS, stages: STAGES },
      deriveKey: () => Promise.reject(new Error("no login")),
    },
    plan: {
      ...{ starttls: "required", check: { kind: "none" }, enforce: true, serverName: "tls.test" },
      policy: NO_POLICY,
    },
    pace: null,
    password: "",
  });
  if (!(opened instanceof OutboundConnection)) throw new Error(`${host}: ${opened.failure.text}`);
  const result = await opened.send({
    transaction: {
      sender: "a@example.test",
      recipients: [{ address: "b@one.test", notify: "", originalRecipient: "" }],
      ...{ sizeOctets: MESSAGE.length, eightBit: false, smtputf8: false, ret: "", envelopeId: "" },
      ...{ requireTls: false, priority: 0 },
    },
    source: { octets: MESSAGE.length, read: (start, end) => MESSAGE.subarray(start, end) },
  });
  await opened.quit();
  return result;
}

/** Such a server, and the port of a line to it; the line is cut behind so many octets of the server's, where it is. */
async function openLine(cutBehind = Infinity): Promise<AsyncDisposable & { readonly port: number }> {
  const { certificatePem, keyPem } = await makeSelfSigned({ names: ["tls.test"], now: Date.now() });
  const context = tls.createSecureContext({ cert: certificatePem, key: keyPem });
  let seed = 1;
  const server = net.createServer((socket) => serve(socket, context, numbers(seed++)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const line = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const carried: Promise<void>[] = [];
  const carryBoth = async (near: Deno.TcpConn) => {
    const random = numbers(1_000 + seed++);
    const far = await Deno.connect({ hostname: "127.0.0.1", port });
    const ways = [carry(near, far, { random }), carry(far, near, { random, most: cutBehind })];
    // What is cut is cut both ways; else each way has its end.
    await (cutBehind === Infinity ? Promise.allSettled(ways) : ways[1]);
    near.close();
    far.close();
    await Promise.allSettled(ways);
  };
  const ended = (async () => {
    for await (const near of line) carried.push(carryBoth(near));
  })();
  return {
    port: (line.addr as Deno.NetAddr).port,
    [Symbol.asyncDispose]: async () => {
      line.close();
      await ended;
      await Promise.all(carried);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

Deno.test("many connections under STARTTLS at once, over a line that cuts and delays: none stands still, nothing is lost", async () => {
  await using line = await openLine();
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < CONNECTIONS) {
      const { recipients: [said] } = await sendOne(line.port, `tls${next++}.test`);
      assert.equal(said!.outcome, "delivered");
      assert.equal(said!.reply?.lines[0], `${MESSAGE.length}`);
    }
  }));
});

Deno.test("a peer that hangs up in the handshake is known at once, wherever it does", async () => {
  const clear = "220 tls.test\r\n250-tls.test\r\n250 STARTTLS\r\n220 go\r\n".length;
  for (const octets of [0, 1, 5, 60, 200, 400]) {
    await using line = await openLine(clear + octets);
    await assert.rejects(sendOne(line.port, "tls.test"), (error: Error) => {
      assert.match(error.message, /the TLS handshake failed: (?!.*timed out)/, `behind ${octets}`);
      return true;
    });
  }
});
