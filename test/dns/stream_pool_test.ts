/** Streams that wait for the next question. */
import assert from "node:assert/strict";
import { IDLE_MS, MAX_STREAMS, StreamPool } from "../../dns/stream_pool.ts";
import { FakeClock, record, replyOctets, resolverOver, seededBelow, setup } from "./fake_network.ts";

const A1 = { type: "A" as const, address: "192.0.2.1" };

Deno.test("the next question goes over the stream that is open; one that was closed is replaced", async () => {
  let open = true;
  const { clock, network } = setup({
    "192.0.2.53": {
      udp: (query) => [{ octets: replyOctets(query, { truncated: true }) }],
      tcp: (query) =>
        open
          ? replyOctets(query, { answers: [record(query.questions[0]!.name.toLowerCase(), A1)] })
          : "close",
    },
  });
  const streams = new StreamPool(clock);
  const resolver = resolverOver({
    servers: [{ address: "192.0.2.53", port: 53 }],
    network,
    timing: clock,
    random: seededBelow(2),
    timeoutMs: 1_000,
    cacheEntries: 10,
    streams,
  });
  const tcp = () => network.log.filter((line) => line.startsWith("tcp")).length;
  await clock.settle(resolver.resolve("a.test", "A"));
  await clock.settle(resolver.resolve("b.test", "A"));
  assert.equal(tcp(), 1);
  assert.equal(network.openSockets, 1);
  open = false;
  const failing = clock.settle(resolver.resolve("c.test", "A"));
  await assert.rejects(failing);
  assert.ok(tcp() > 1, "a new one was tried");
  assert.equal(network.openSockets, 0);
  open = true;
  await clock.settle(resolver.resolve("d.test", "A"));
  assert.equal(network.openSockets, 1);
  await clock.settle(new Promise<void>((resolve) => void clock.after(IDLE_MS + 1, resolve)));
  assert.equal(network.openSockets, 0, "idle ones are closed");
});

Deno.test("only so many are kept, and close drops them all", () => {
  const clock = new FakeClock();
  const pool = new StreamPool(clock);
  let closed = 0;
  const stream = { read: async () => 0, write: async () => {}, close: () => void closed++ };
  for (let at = 0; at < MAX_STREAMS; at++) {
    assert.ok(pool.keep({ address: `192.0.2.${at}`, port: 53 }, stream));
  }
  assert.equal(pool.keep({ address: "192.0.2.99", port: 53 }, stream), false);
  pool.close();
  assert.equal(closed, MAX_STREAMS);
  assert.equal(clock.pending, 0);
});
