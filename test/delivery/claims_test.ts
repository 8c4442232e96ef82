/** What of the queue is in memory: some of every destination, never much of one, nothing forgotten. */
import assert from "node:assert/strict";
import { CLAIM_PER_DESTINATION, Claims } from "../../delivery/queue/claims.ts";
import type { DueRow } from "../../storage/queue.ts";
import { QueueHarness } from "./queue_harness.ts";

/** Looks until nothing more comes; time goes on by itself. */
function takeAll(claims: Claims, clock: { now: number }): DueRow[] {
  const taken: DueRow[] = [];
  for (let idle = 0; idle < 3;) {
    const { rows } = claims.look();
    for (const row of rows) claims.add(row);
    claims.looked(clock.now, rows.length);
    taken.push(...rows);
    idle = rows.length === 0 ? idle + 1 : 0;
    clock.now += 300;
  }
  return taken;
}

Deno.test("one destination with more than fits leaves the others their room, and is read on as it empties", async () => {
  await using queue = await QueueHarness.open({});
  const many = Array.from({ length: 1_300 }, (_, at) => `x${at}@much.test`);
  await queue.submit({ to: many });
  await queue.submit({ to: ["a@few.test", "b@few.test"] });
  const clock = { now: Date.now() + 1_000 };
  const claims = new Claims(queue.t.store.queue, () => clock.now);
  const first = takeAll(claims, clock);
  assert.equal(first.filter(({ destination }) => destination === "few.test").length, 2);
  const much = first.filter(({ destination }) => destination === "much.test");
  assert.ok(
    much.length >= CLAIM_PER_DESTINATION && much.length <= 2 * CLAIM_PER_DESTINATION,
    `${much.length}`,
  );
  assert.ok(claims.more);
  const seen = new Set(first.map(({ recipientId }) => recipientId));
  for (let rounds = 0; seen.size < 1_302; rounds++) {
    assert.ok(rounds < 10, `${seen.size} of 1302`);
    const done = [...seen];
    await queue.t.ok({ kind: "queue-control", action: "remove", recipientIds: done, at: clock.now });
    claims.remove(done);
    for (const { recipientId } of takeAll(claims, clock)) {
      assert.ok(!seen.has(recipientId), "taken once");
      seen.add(recipientId);
    }
  }
});

Deno.test("a destination that rests is not read, and is when its time is over", async () => {
  await using queue = await QueueHarness.open({});
  await queue.submit({ to: Array.from({ length: 1_200 }, (_, at) => `x${at}@dead.test`) });
  const clock = { now: Date.now() + 1_000 };
  const claims = new Claims(queue.t.store.queue, () => clock.now);
  const first = takeAll(claims, clock);
  claims.remove(first.map(({ recipientId }) => recipientId));
  await queue.t.ok({
    kind: "queue-control",
    action: "remove",
    recipientIds: first.map(({ recipientId }) => recipientId),
    at: clock.now,
  });
  claims.rest("dead.test", clock.now + 10_000);
  assert.deepEqual(takeAll(claims, clock), []);
  clock.now += 10_000;
  assert.ok(takeAll(claims, clock).length > 0);
});

Deno.test("a message that came before the last look and was committed behind it is found at the next", async () => {
  await using queue = await QueueHarness.open({});
  const clock = { now: Date.now() + 100 };
  const claims = new Claims(queue.t.store.queue, () => clock.now);
  for (let looks = 0; looks < 3; looks++) {
    assert.deepEqual(claims.look().rows, []);
    claims.looked(clock.now, 0);
    clock.now += 5;
  }
  await queue.submit({ to: ["a@far.test"] });
  assert.deepEqual(claims.look().rows.map(({ destination }) => destination), ["far.test"]);
});

Deno.test("a look that cost much for little is not soon followed by another, one that found much is", async () => {
  await using queue = await QueueHarness.open({});
  const clock = { now: Date.now() + 1_000 };
  const claims = new Claims(queue.t.store.queue, () => clock.now);
  for (const { rows, pauseMs } of [{ rows: 500, pauseMs: 20 }, { rows: 3, pauseMs: 200 }]) {
    const beganAt = clock.now;
    clock.now += 20;
    claims.looked(beganAt, rows);
    assert.equal(claims.lookAt - clock.now, pauseMs);
    clock.now += 1_000;
  }
});
