import assert from "node:assert/strict";
import { DenoTransport } from "../../server/deno_transport.ts";
import { SocketReader } from "../../server/socket_reader.ts";
import { closeQuietly } from "../../server/socket_writer.ts";

interface Pair {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

async function connected(use: (pair: Pair) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
  ]);
  listener.close();
  try {
    await use({ near, far });
  } finally {
    closeQuietly(near);
    closeQuietly(far);
  }
}

const WORDS = new TextEncoder().encode("EHLO a.example\r\n");

Deno.test("what is there is read without the runtime's read", async () => {
  await connected(async ({ near, far }) => {
    await far.write(WORDS);
    let runtimeReads = 0;
    const { read } = near;
    near.read = (into) => {
      runtimeReads++;
      return read.call(near, into);
    };
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(64);
    // Other tests of this process may have found that trying is in vain: it is tried again from time to time.
    for (let reads = 0; reads < 200; reads++) {
      assert.equal(await reader.read(into), WORDS.length);
      assert.deepEqual(into.subarray(0, WORDS.length), WORDS);
      await far.write(WORDS);
    }
    assert(runtimeReads < 100, `${runtimeReads} of 200 reads were the runtime's`);
  });
});

Deno.test("a read waits for octets that come later", async () => {
  await connected(async ({ near, far }) => {
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(64);
    for (let reads = 0; reads < 100; reads++) {
      const read = reader.read(into);
      await new Promise((resolve) => setTimeout(resolve, 1));
      await far.write(WORDS.subarray(0, 1 + reads % WORDS.length));
      assert.equal(await read, 1 + reads % WORDS.length);
    }
  });
});

Deno.test("a read that finds nothing says so, one that finds something mostly does not", async () => {
  await connected(async ({ near, far }) => {
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(64);
    let waits = 0;
    const count = () => waits++;
    for (let reads = 0; reads < 200; reads++) {
      await far.write(WORDS);
      await reader.read(into, count);
    }
    assert(waits < 100, `${waits} of 200 reads waited`);
    const before = waits;
    const read = reader.read(into, count);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(waits, before + 1);
    await far.write(WORDS);
    await read;
    assert.equal(waits, before + 1, "once");
  });
});

Deno.test("a read into a part of a buffer leaves the rest alone", async () => {
  await connected(async ({ near, far }) => {
    const reader = new SocketReader(near, { direct: true });
    const buffer = new Uint8Array(20).fill(1);
    await far.write(WORDS);
    assert.equal(await reader.read(buffer.subarray(4, 8)), 4);
    assert.deepEqual([...buffer.subarray(0, 4), ...buffer.subarray(8)], Array(16).fill(1));
    assert.deepEqual(buffer.subarray(4, 8), WORDS.subarray(0, 4));
  });
});

Deno.test("the end of what the peer sends is null", async () => {
  await connected(async ({ near, far }) => {
    const reader = new SocketReader(near, { direct: true });
    await far.write(WORDS);
    await far.closeWrite();
    const into = new Uint8Array(64);
    assert.equal(await reader.read(into), WORDS.length);
    assert.equal(await reader.read(into), null);
  });
});

Deno.test("a close in the turn of a read ends it, and nothing is read from whose descriptor it is by then", async () => {
  await connected(async (old) => {
    const transport = DenoTransport.plain(old.near, null);
    const into = new Uint8Array(64);
    const read = transport.read(into);
    transport.close();
    await connected(async ({ near, far }) => {
      await far.write(WORDS);
      assert.equal(await read, null);
      assert.deepEqual(into, new Uint8Array(64));
      assert.equal(await near.read(into), WORDS.length);
    });
  });
});

Deno.test("a read that waits at the runtime ends with the connection", async () => {
  await connected(async ({ near }) => {
    const transport = DenoTransport.plain(near, null);
    const read = transport.read(new Uint8Array(64));
    await new Promise((resolve) => setTimeout(resolve, 20));
    transport.close();
    assert.equal(await read, null);
  });
});

Deno.test("a peer that resets the connection ends a read", async () => {
  await connected(async ({ near, far }) => {
    const reader = new SocketReader(near, { direct: true });
    await near.write(WORDS);
    far.close(); // with octets it has not read: a reset
    const read = reader.read(new Uint8Array(64)).catch((error) => {
      assert(error instanceof Deno.errors.ConnectionReset, String(error));
      return null;
    });
    assert.equal(await read, null);
  });
});
