import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { closeQuietly, SocketWriter } from "../../server/socket_writer.ts";

interface Pair {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

async function connected(listener: Deno.TcpListener): Promise<Pair> {
  const [near, far] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
  ]);
  return { near, far };
}

async function listening(use: (listener: Deno.TcpListener) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    await use(listener);
  } finally {
    listener.close();
  }
}

async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  return new Uint8Array(await new Response(conn.readable).arrayBuffer());
}

/** Octets that tell their place. */
function counted(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (from + at) % 251);
}

Deno.test("a reply goes to the kernel without the runtime's write", async () => {
  await listening(async (listener) => {
    const { near, far } = await connected(listener);
    let runtimeWrites = 0;
    near.write = () => {
      runtimeWrites++;
      return Promise.reject(new Error("not to be called"));
    };
    await new SocketWriter(near, { direct: true }).write(counted(100));
    closeQuietly(near);
    assert.deepEqual(await readAll(far), counted(100));
    assert.equal(runtimeWrites, 0);
  });
});

Deno.test("last words wait for the end of the connection, and come with it", async () => {
  await listening(async (listener) => {
    const { near, far } = await connected(listener);
    const into = new Uint8Array(200);
    let cameAfterMs = Infinity;
    const begin = performance.now();
    const read = far.read(into).then((count) => {
      cameAfterMs = performance.now() - begin;
      return count;
    });
    assert.equal(new SocketWriter(near, { direct: true }).write(counted(100), { last: true }), undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert(cameAfterMs > 100, `they came after ${cameAfterMs} ms`); // by itself the kernel sends them after 200
    closeQuietly(near);
    assert.equal(await read, 100);
    assert.deepEqual(into.subarray(0, 100), counted(100));
    assert.equal(await far.read(into), null);
    far.close();
  });
});

Deno.test("what the kernel does not take at once follows in order", async () => {
  await listening(async (listener) => {
    const { near, far } = await connected(listener);
    const writer = new SocketWriter(near, { direct: true });
    const size = 16_000_000; // more than any socket's buffer
    const large = writer.write(counted(size));
    const small = writer.write(counted(1_000, size));
    let taken = false;
    assert(large !== undefined);
    large.then(() => taken = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert(!taken, "nobody has read, and all of it was taken");
    const received = readAll(far);
    await Promise.all([large, small]);
    closeQuietly(near);
    assert.equal(Buffer.compare(await received, counted(size + 1_000)), 0);
  });
});

Deno.test("nothing is sent on a closed connection, whose descriptor another one has by now", async () => {
  await listening(async (listener) => {
    const old = await connected(listener);
    const writer = new SocketWriter(old.near, { direct: true });
    closeQuietly(old.near);
    closeQuietly(old.near);
    const others: Pair[] = [];
    while (others.length < 4) others.push(await connected(listener));
    await assert.rejects(async () => await writer.write(counted(10)), Deno.errors.BadResource);
    for (const { near, far } of others) {
      near.close();
      assert.equal((await readAll(far)).length, 0);
    }
    assert.equal((await readAll(old.far)).length, 0);
  });
});

Deno.test("a write to a peer that is gone rejects", async () => {
  await listening(async (listener) => {
    const { near, far } = await connected(listener);
    far.close();
    const writer = new SocketWriter(near, { direct: true });
    await assert.rejects(async () => {
      for (;;) await writer.write(counted(100_000));
    });
    closeQuietly(near);
  });
});
