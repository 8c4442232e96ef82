/** COMPRESS=DEFLATE as a transport: both ways, bounded, bombs cut (RFC 4978). */
import { joined } from "../../bytes/joined.ts";
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { CompressedTransport } from "../../server/compressed_transport.ts";
import type { PeerFacts, Transport } from "../../server/transport.ts";

/** A peer that sends what it is given and keeps what it gets. */
class Wire implements Transport {
  readonly peer: PeerFacts = { address: "127.0.0.1", port: 1, localAddress: "127.0.0.1", localPort: 143 };
  readonly tls = null;
  readonly canStartTls = false;
  readonly sent: Uint8Array[] = [];
  closed = false;
  taken = 0;
  #input: Uint8Array;
  #step: number;

  constructor(input: Uint8Array, step = 1_000_000) {
    this.#input = input;
    this.#step = step;
  }

  read(into: Uint8Array): Promise<number | null> {
    const count = Math.min(this.#input.length - this.taken, into.length, this.#step);
    into.set(this.#input.subarray(this.taken, this.taken + count));
    this.taken += count;
    return Promise.resolve(count === 0 ? null : count);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes.slice());
    return Promise.resolve();
  }

  startTls(): Promise<Transport> {
    return Promise.reject(new Error("no TLS here"));
  }

  close(): void {
    this.closed = true;
  }
}

function noise(octets: number): Uint8Array {
  const all = new Uint8Array(octets);
  for (let at = 0; at < octets; at += 65_536) {
    crypto.getRandomValues(all.subarray(at, Math.min(octets, at + 65_536)));
  }
  return all;
}

for (const step of [1, 7, 1_000_000]) {
  Deno.test(`what is sent compressed is read as it was, ${step} octets at a time`, async () => {
    const text = new TextEncoder().encode("a1 NOOP\r\n".repeat(step === 1 ? 50 : 20_000));
    const transport = new CompressedTransport(new Wire(zlib.deflateRawSync(text), step));
    const pieces: Uint8Array[] = [];
    const into = new Uint8Array(1_000);
    for (let count = await transport.read(into); count !== null; count = await transport.read(into)) {
      pieces.push(into.slice(0, count));
    }
    assert.deepEqual(joined(pieces), text);
    transport.close();
  });
}

Deno.test("what comes in clear behind the last flush is there when compression ends", async () => {
  const zeros = new Uint8Array(600); // blocks whose own octets are much like the mark of a flush
  for (const text of [noise(2), zeros, noise(5_000), joined([zeros, noise(70_000), zeros])]) {
    const deflate = zlib.createDeflateRaw({ level: 0 });
    const packed: Uint8Array[] = [];
    deflate.on("data", (piece: Uint8Array) => packed.push(piece));
    deflate.write(text);
    await new Promise<void>((done) => deflate.flush(zlib.constants.Z_SYNC_FLUSH, done));
    deflate.destroy();
    const clear = new TextEncoder().encode("\0\0\0a1 LOGIN a b\r\n");
    for (const step of [1, 3, 1_000_000]) {
      const wire = new Wire(joined([...packed, clear]), step);
      const transport = new CompressedTransport(wire);
      const got: Uint8Array[] = [];
      const into = new Uint8Array(1_000);
      for (let octets = 0; octets < text.length;) {
        const count = await transport.read(into);
        got.push(into.slice(0, count!));
        octets += count!;
      }
      assert.deepEqual(joined(got), text);
      const behind = [transport.stop() ?? new Uint8Array(0)];
      for (let count = await wire.read(into); count !== null; count = await wire.read(into)) {
        behind.push(into.slice(0, count));
      }
      // Of the flush itself some octets may be left, where what is before it was read without them.
      assert.deepEqual(joined(behind).subarray(-clear.length), clear, `${text.length} by ${step}`);
    }
  }
});

Deno.test("every write can be read at once by the other side, small and large", async () => {
  const wire = new Wire(new Uint8Array(0));
  const transport = new CompressedTransport(wire);
  const inflate = zlib.createInflateRaw();
  const got: Uint8Array[] = [];
  inflate.on("data", (piece: Uint8Array) => got.push(piece));
  const written: Uint8Array[] = [];
  for (const piece of [noise(10), new Uint8Array(300_000), noise(2_000_000), noise(1)]) {
    await transport.write(piece);
    written.push(piece);
    for (const octets of wire.sent.splice(0)) {
      await new Promise<void>((done) => inflate.write(octets, () => done()));
    }
    assert.deepEqual(joined(got).length, joined(written).length);
  }
  assert.deepEqual(joined(got), joined(written));
  transport.close();
  inflate.destroy();
  assert.ok(wire.closed);
});

Deno.test("a bomb is drawn only as far as it is read, and cut", async () => {
  const bomb = zlib.deflateRawSync(new Uint8Array(100_000_000), { level: 9 });
  const wire = new Wire(bomb);
  const transport = new CompressedTransport(wire, { freeOctets: 1_000_000 });
  const into = new Uint8Array(4_096);
  await transport.read(into);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(wire.taken <= 2_048, `${wire.taken} octets were taken from the peer`);
  let octets = 0;
  await assert.rejects(async () => {
    for (;;) octets += await transport.read(into) ?? assert.fail("the bomb went through");
  }, /inflates to more than 100 times/);
  assert.ok(octets < 1_100_000, `${octets} octets came out`);
  transport.close();
});

Deno.test("octets that are no deflate stream are an error, and close ends a read", async () => {
  const broken = new CompressedTransport(new Wire(new Uint8Array(100).fill(0xff)));
  await assert.rejects(() => broken.read(new Uint8Array(10)));
  broken.close();
  const done = new CompressedTransport(new Wire(new Uint8Array(0)));
  assert.equal(await done.read(new Uint8Array(10)), null);
  done.close();
  done.close();
  assert.equal(await done.read(new Uint8Array(10)), null);
  await assert.rejects(() => done.write(new Uint8Array(1)));
});
