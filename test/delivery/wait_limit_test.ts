import assert from "node:assert/strict";
import { TimedOut, WaitLimit } from "../../delivery/wait_limit.ts";

/** A clock that the test moves, and what it has set. */
function bed() {
  let now = 0, set = 0;
  let timers: { at: number; run: () => void }[] = [];
  const after = (ms: number, run: () => void) => {
    const timer = { at: now + ms, run };
    set++;
    timers.push(timer);
    return () => void (timers = timers.filter((one) => one !== timer));
  };
  let late = 0;
  const limit = new WaitLimit({ after }, () => late++);
  return {
    limit,
    late: () => late,
    set: () => set,
    running: () => timers.length,
    pass(ms: number) {
      for (const end = now + ms;;) {
        const next = timers.sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) return void (now = end);
        now = next.at;
        timers.shift();
        next.run();
      }
    },
  };
}

Deno.test("who waits too long is ended, after the time and before twice the time", async () => {
  const b = bed();
  await b.limit.within(100, Promise.resolve(1));
  b.pass(60);
  const { promise, reject } = Promise.withResolvers<void>();
  const waiting = b.limit.within(100, promise);
  b.pass(99);
  assert.equal(b.late(), 0, "its own time is not over, though the timer's is");
  b.pass(100);
  assert.equal(b.late(), 1);
  reject(new Error("closed"));
  await assert.rejects(waiting, TimedOut);
});

Deno.test("a shorter wait behind a longer one gets its own time", async () => {
  const b = bed();
  await b.limit.within(10_000, Promise.resolve());
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = b.limit.within(50, promise);
  b.pass(50);
  assert.equal(b.late(), 1);
  resolve();
  await assert.rejects(waiting, TimedOut, "what comes too late does not count");
});

Deno.test("many waits set few timers, none is left when it stops, and idle time counts for nothing", async () => {
  const b = bed();
  for (let n = 0; n < 1_000; n++) {
    await b.limit.within(300, Promise.resolve());
    await b.limit.within(1_000, Promise.resolve());
    b.pass(1);
  }
  assert.ok(b.set() <= 5, `${b.set()} timers`);
  b.pass(100_000);
  assert.equal(b.late(), 0);
  assert.equal(await b.limit.within(300, Promise.resolve("on")), "on");
  await assert.rejects(b.limit.within(300, Promise.reject(new Error("broken"))), /broken/);
  b.limit.stop();
  assert.equal(b.running(), 0);
});
