/** Which buffer a session that mostly waits reads into. */
import assert from "node:assert/strict";
import {
  BUSY_OCTETS,
  busyBuffers,
  IDLE_OCTETS,
  idleBuffers,
  SessionBuffer,
  WAITING_OCTETS,
} from "../../server/buffers.ts";

Deno.test("a session reads into little, into more behind a full read or when more is to come, and into little again", () => {
  const buffer = new SessionBuffer();
  const sizes = [[0, 100], [0, WAITING_OCTETS], [0, IDLE_OCTETS], [0, 20], [0, 3], [1_000, 1_000], [
    IDLE_OCTETS + 1,
    30,
  ], [0, 1]].map(([octets, count]) => {
    const into = buffer.next(octets);
    assert.equal(buffer.read(count!).length, count);
    assert.equal(buffer.read(count!).buffer, into.buffer);
    return into.length;
  });
  assert.deepEqual(sizes, [
    ...[WAITING_OCTETS, WAITING_OCTETS, IDLE_OCTETS, IDLE_OCTETS, WAITING_OCTETS],
    ...[IDLE_OCTETS, BUSY_OCTETS, WAITING_OCTETS],
  ]);
});

Deno.test("what a session borrowed goes back once, when it reads little again or ends", () => {
  for (const [octets, pool] of [[1_000, idleBuffers], [100_000, busyBuffers]] as const) {
    const buffer = new SessionBuffer();
    const lent = buffer.next(octets);
    assert.equal(buffer.next(octets), lent, "the same while it lasts");
    buffer.release();
    buffer.release();
    assert.equal(pool.take(), lent);
    assert.notEqual(pool.take(), lent, "given back twice");
    assert.equal(buffer.next().length, WAITING_OCTETS);
  }
});
