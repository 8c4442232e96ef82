import assert from "node:assert/strict";
import { MaildropLocks } from "../../server/maildrop_locks.ts";

const NEVER = new AbortController().signal;

function threads(count: number): { buffer: SharedArrayBuffer; locks: MaildropLocks[] } {
  const buffer = MaildropLocks.buffer();
  return {
    buffer,
    locks: Array.from({ length: count }, (_, column) => new MaildropLocks(buffer, { column })),
  };
}

Deno.test("an account is locked once, whichever thread asks", () => {
  const { locks: [first, second] } = threads(2);
  const unlock = first!.tryLock(7);
  assert.ok(unlock);
  assert.equal(first!.tryLock(7), null);
  assert.equal(second!.tryLock(7), null);
  assert.ok(second!.tryLock(8));
  assert.equal(first!.count(), 2);
  unlock();
  const again = second!.tryLock(7);
  assert.ok(again);
  // Unlocking twice must not free what somebody else has locked since.
  unlock();
  assert.equal(first!.tryLock(7), null);
});

Deno.test("a thread that died holds nothing any more, the others do", () => {
  const { locks: [first, second, main] } = threads(3);
  for (let account = 1; account <= 100; account++) {
    assert.ok((account % 2 ? first! : second!).tryLock(account));
  }
  main!.clearColumn(0);
  assert.equal(main!.count(), 50);
  assert.ok(second!.tryLock(1));
  assert.equal(first!.tryLock(2), null);
});

Deno.test("waiting ends with the lock, the time, or the signal", async () => {
  let slept = 0;
  const buffer = MaildropLocks.buffer();
  const holder = new MaildropLocks(buffer, { column: 0 });
  const options = { random: () => 0, column: 1 };
  const unlock = holder.tryLock(5)!;
  const timed = new MaildropLocks(buffer, { ...options, sleep: (ms) => Promise.resolve(void (slept += ms)) });
  assert.equal(await timed.lock(5, { waitMs: 1_000, signal: NEVER }), null);
  assert.equal(slept, 1_000);
  const lucky = new MaildropLocks(buffer, { ...options, sleep: () => Promise.resolve(unlock()) });
  const freed = await lucky.lock(5, { waitMs: 1_000, signal: NEVER });
  assert.ok(freed);
  const stop = new AbortController();
  const stopped = new MaildropLocks(buffer, { ...options, sleep: () => Promise.resolve(stop.abort()) });
  assert.equal(await stopped.lock(5, { waitMs: 1e9, signal: stop.signal }), null);
  freed();
  assert.equal(holder.count(), 0);
});

Deno.test("many accounts: every lock that is held is counted, and none is given twice", () => {
  const { locks: [first, second] } = threads(2);
  const unlocks: (() => void)[] = [];
  let full = 0;
  for (let account = 1; account <= 8_000; account++) {
    const unlock = first!.tryLock(account);
    if (unlock === null) full++;
    else {
      unlocks.push(unlock);
      assert.equal(second!.tryLock(account), null);
    }
  }
  assert.ok(full < 8, `${full} accounts of 8,000 found their bucket full`);
  assert.equal(first!.count(), unlocks.length);
  for (const unlock of unlocks) unlock();
  assert.equal(first!.count(), 0);
});

Deno.test("threads that race for one account never both have it", async () => {
  const buffer = MaildropLocks.buffer();
  const held = new SharedArrayBuffer(8);
  const source = `
    import { MaildropLocks } from ${JSON.stringify(import.meta.resolve("../../server/maildrop_locks.ts"))};
    self.onmessage = ({ data: { buffer, held, column } }) => {
      const locks = new MaildropLocks(buffer, { column });
      const cells = new Int32Array(held);
      let won = 0;
      for (let i = 0; i < 200000; i++) {
        const unlock = locks.tryLock(1 + i % 3);
        if (unlock === null) continue;
        if (i % 3 === 0) {
          if (Atomics.add(cells, 0, 1) !== 0) Atomics.store(cells, 1, 1);
          Atomics.sub(cells, 0, 1);
        }
        won++;
        unlock();
      }
      self.postMessage(won);
    };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/typescript" }));
  const workers = [0, 1].map((column) => {
    const worker = new Worker(url, { type: "module" });
    const done = new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data as number);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage({ buffer, held, column });
    return { worker, done };
  });
  const won = await Promise.all(workers.map(({ done }) => done));
  for (const { worker } of workers) worker.terminate();
  URL.revokeObjectURL(url);
  assert.ok(won.every((count) => count > 1_000), won.join(" "));
  assert.equal(new Int32Array(held)[1], 0, "two threads held the same account");
  assert.equal(new MaildropLocks(buffer, { column: 0 }).count(), 0);
});
