import assert from "node:assert/strict";
import { Patience } from "../../server/near_read.ts";
import { SocketReader } from "../../server/socket_reader.ts";
import { closeQuietly } from "../../server/socket_writer.ts";

const WORDS = new TextEncoder().encode("NOOP\r\n");

async function connected(use: (near: Deno.Conn, far: Deno.Conn) => Promise<void>): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
  ]);
  try {
    await use(near, far);
  } finally {
    closeQuietly(near);
    closeQuietly(far);
  }
}

/** Other tests of this process may have used patience up, which comes back within a second. */
async function untilNear(reader: SocketReader, far: Deno.Conn, into: Uint8Array): Promise<void> {
  for (const end = performance.now() + 5_000; performance.now() < end;) {
    await far.write(WORDS);
    if (reader.readNear(into) > 0) return;
    await reader.read(into);
  }
  assert.fail("a client that alone talks is never read near");
}

Deno.test("of a client that alone talks, what is there is read without a turn of the event loop", async () => {
  await connected(async (near, far) => {
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(64);
    await untilNear(reader, far, into);
    assert.deepEqual(into.subarray(0, WORDS.length), WORDS);
  });
});

Deno.test("a read of somebody else ends reading near, until many in a row are its again", async () => {
  await connected(async (near, far) => {
    await connected(async (other, otherFar) => {
      const reader = new SocketReader(near, { direct: true });
      const into = new Uint8Array(64);
      await untilNear(reader, far, into);
      await otherFar.write(WORDS);
      await new SocketReader(other, { direct: true }).read(new Uint8Array(64));
      for (let reads = 0; reads < 17; reads++) {
        await far.write(WORDS);
        assert.equal(reader.readNear(into), 0, `behind ${reads} reads`);
        assert.equal(await reader.read(into), WORDS.length);
      }
      await untilNear(reader, far, into);
    });
  });
});

Deno.test("the event loop has its turn, however fast the client is", async () => {
  await connected(async (near, far) => {
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(1);
    await untilNear(reader, far, into);
    await far.write(new Uint8Array(20_000));
    const begin = performance.now();
    let reads = 0;
    while (reader.readNear(into) > 0) {
      reads++;
      while (performance.now() < begin + reads / 10) { /* a command of a tenth of a millisecond */ }
    }
    assert(reads > 0 && reads < 20, `${reads} reads at a stretch`);
  });
});

Deno.test("the end of what a client sends, and a closed connection, are left to the ordinary read", async () => {
  await connected(async (near, far) => {
    const reader = new SocketReader(near, { direct: true });
    const into = new Uint8Array(64);
    await untilNear(reader, far, into);
    await (far as Deno.TcpConn).closeWrite();
    for (let ended = false; !ended;) {
      ended = reader.readNear(into) === 0 && await reader.read(into) === null;
    }
    closeQuietly(near);
    assert.equal(reader.readNear(into), 0);
  });
});

Deno.test("a client that never answers in time costs a hundredth of the time", () => {
  const patience = new Patience();
  let lost = 0;
  for (let now = 0; now < 10_000; now += 0.1) {
    if (!patience.allows(now)) continue;
    lost += 0.05;
    now += 0.05;
    patience.lost(0.05, now);
  }
  assert(lost > 50 && lost < 110, `${lost} ms of ten seconds`);
});

Deno.test("who lost milliseconds at once rests for a hundred times as long", () => {
  const patience = new Patience();
  for (let hits = 0; hits < 1_000; hits++) patience.gained();
  patience.lost(4, 1_000);
  assert(!patience.allows(1_250));
  assert(patience.allows(1_301), "what was put by pays for a part");
});

Deno.test("a client that mostly answers in time is waited for always", () => {
  const patience = new Patience();
  for (let now = 0; now < 1_000; now++) {
    assert(patience.allows(now));
    for (let hits = 0; hits < 10; hits++) patience.gained();
    patience.lost(0.05, now);
  }
});
