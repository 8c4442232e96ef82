/** Frames of numbers between two threads: whole, in order, each of them, whoever is faster. */
import assert from "node:assert/strict";
import { ringBuffer, RingReceiver, RINGS_WAKE, RingSender } from "../../storage/number_ring.ts";

const FRAMES = 10_000;

Deno.test({
  name: "frames come back from another thread as they were sent, around the ring many times",
  ignore: !RINGS_WAKE,
  fn: comeBack,
});

async function comeBack() {
  const worker = new Worker(new URL("number_ring_echo.ts", import.meta.url), { type: "module" });
  const there = ringBuffer(), back = ringBuffer();
  worker.postMessage([there, back]);
  const sender = new RingSender(there);
  let sum = 0, came = 0, sent = 0, full = 0;
  const all = Promise.withResolvers<void>();
  const receiver = new RingReceiver(back, (frame) => {
    assert.deepEqual(frame, frameOf(came));
    sum += frame.length;
    if (++came === FRAMES) all.resolve();
  });
  let expected = 0;
  while (sent < FRAMES) {
    // In rushes and alone, so that the other side is found asleep and awake.
    for (let left = 1 + sent % 97; left > 0 && sent < FRAMES;) {
      const frame = frameOf(sent);
      if (!sender.send(frame)) {
        full++;
        await turn();
        continue;
      }
      expected += frame.length;
      sent++;
      left--;
    }
    if (sent % 5 === 0) await turn();
  }
  await all.promise;
  assert.equal(sum, expected);
  assert.ok(full > 0, "the ring was full at times");
  receiver.close();
  worker.terminate();
}

Deno.test("what does not fit is refused, and sent when the receiver has taken the rest", async () => {
  const buffer = ringBuffer();
  const sender = new RingSender(buffer);
  assert.equal(sender.send(new Array<number>(5_000).fill(1)), false);
  const long = Array.from({ length: 3_000 }, (_, at) => at);
  assert.equal(sender.send(long), true);
  assert.equal(sender.send(long), false);
  assert.equal(sender.send([]), true);
  const frames: number[][] = [];
  const receiver = new RingReceiver(buffer, (frame) => frames.push(frame));
  await turn();
  assert.equal(sender.send(long), true);
  while (frames.length < 3) await turn();
  assert.deepEqual(frames, [long, [], long]);
  receiver.close();
  sender.send([1]);
  await turn();
  assert.equal(frames.length, 3);
});

/** Numbers beyond 32 bits and negative ones too. */
function frameOf(at: number): number[] {
  return [at, -1, ...Array.from({ length: at % 41 }, (_, by) => at * 2 ** 31 + by)];
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
