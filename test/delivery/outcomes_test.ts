/** When what became of recipients is written down: at once, and in groups where many come. */
import assert from "node:assert/strict";
import { OutcomeWriter, type Settled } from "../../delivery/outcomes.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";

interface Wait {
  readonly at: number;
  readonly run: () => void;
}

/** A writer over a store that takes everything, and a clock that the test moves. */
function bed() {
  const clock = { now: 1_000_000 };
  let waits: Wait[] = [];
  const groups: { readonly at: number; readonly ids: number[] }[] = [];
  let release: (() => void) | null = null;
  const state = { slow: false };
  const store = {
    write: async (op: WriteOp) => {
      if (op.kind !== "queue-outcomes") throw new Error(op.kind);
      groups.push({ at: clock.now, ids: op.outcomes.map(({ recipientId }) => recipientId) });
      if (state.slow) await new Promise<void>((resolve) => release = resolve);
      return { ok: true };
    },
  } as unknown as Store;
  const writer = new OutcomeWriter({
    store,
    notice: () => Promise.resolve(null),
    timers: {
      now: () => clock.now,
      after: (ms, run) => {
        const wait = { at: clock.now + ms, run };
        waits.push(wait);
        return () => waits = waits.filter((one) => one !== wait);
      },
    },
    written: () => {},
  });
  /** Lets what is under way go as far as it can. */
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  return {
    ...{ clock, groups, state, writer, settle },
    release: () => release!(),
    /** To the next timer. */
    async pass() {
      const next = waits.shift()!;
      clock.now = next.at;
      next.run();
      await settle();
    },
    waiting: () => waits.length,
  };
}

function sent(recipientId: number): Settled {
  return {
    message: { queueId: 1 },
    recipient: "r@far.test",
    outcome: { recipientId, outcome: "delivered" },
    notice: null,
  } as unknown as Settled;
}

Deno.test("an outcome is committed at once, with what else the same turn gave", async () => {
  const b = bed();
  b.writer.add([sent(1)]);
  b.writer.add([sent(2)]);
  await b.settle();
  assert.deepEqual(b.groups.map(({ ids }) => ids), [[1, 2]]);
  assert.equal(b.waiting(), 0);
});

Deno.test("where many come one commit follows the other at a distance, and what came since is one group", async () => {
  const b = bed();
  b.writer.add([sent(1)]);
  await b.settle();
  b.clock.now += 1;
  b.writer.add([sent(2)]);
  await b.settle();
  b.writer.add([sent(3)]);
  await b.settle();
  assert.equal(b.groups.length, 1);
  await b.pass();
  assert.deepEqual(b.groups.map(({ ids }) => ids), [[1], [2, 3]]);
  assert.equal(b.groups[1]!.at - b.groups[0]!.at, 5);
  // A commit that takes longer than that is followed at once.
  b.state.slow = true;
  b.clock.now += 100;
  b.writer.add([sent(4)]);
  await b.settle();
  b.writer.add([sent(5)]);
  b.clock.now += 50;
  b.release();
  await b.settle();
  assert.deepEqual(b.groups.slice(2).map(({ ids }) => ids), [[4], [5]]);
});

Deno.test("a clock that was set back holds nothing up, nor does a full group wait", async () => {
  const b = bed();
  b.writer.add([sent(1)]);
  await b.settle();
  b.clock.now -= 3_600_000;
  b.writer.add([sent(2)]);
  await b.settle();
  await b.pass();
  assert.equal(b.clock.now, 1_000_000 - 3_600_000 + 5);
  b.writer.add(Array.from({ length: 100 }, (_, at) => sent(10 + at)));
  await b.settle();
  assert.equal(b.groups.length, 3);
  assert.equal(b.waiting(), 0);
});
