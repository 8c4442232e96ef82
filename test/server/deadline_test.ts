import assert from "node:assert/strict";
import { Deadlines } from "../../server/deadline.ts";

/** Deadlines on a clock the test moves. */
function fixture(): {
  deadlines: Deadlines;
  to(ms: number): void;
  fired: string[];
  fire(name: string): () => void;
} {
  let now = 0;
  let tick = () => {};
  const fired: string[] = [];
  const deadlines = new Deadlines({
    now: () => now,
    tickMs: 100,
    every: (_ms, callback) => {
      tick = callback;
      return () => tick = () => {};
    },
  });
  return {
    deadlines,
    fired,
    fire: (name) => () => fired.push(`${name}@${now}`),
    to(ms) {
      for (; now < ms; now += 100) tick();
      now = ms;
      tick();
    },
  };
}

Deno.test("a deadline fires once, never early and within a tick", () => {
  const { deadlines, to, fired, fire } = fixture();
  deadlines.add(250, fire("a"));
  to(200);
  assert.deepEqual(fired, []);
  to(300);
  assert.deepEqual(fired, ["a@300"]);
  to(2_000);
  assert.deepEqual(fired, ["a@300"]);
});

Deno.test("extending later and earlier, cancelling, starting again", () => {
  const { deadlines, to, fired, fire } = fixture();
  const a = deadlines.add(300, fire("a"));
  const b = deadlines.add(5_000, fire("b"));
  const c = deadlines.add(300, fire("c"));
  to(200);
  a.extend(1_000);
  b.extend(100);
  c.cancel();
  to(1_100);
  assert.deepEqual(fired, ["b@300"]);
  to(1_200);
  assert.deepEqual(fired, ["b@300", "a@1200"]);
  c.extend(100);
  a.extend(200);
  to(6_000);
  assert.deepEqual(fired, ["b@300", "a@1200", "c@1300", "a@1400"]);
});

Deno.test("a callback may extend its own deadline", () => {
  const { deadlines, to, fired } = fixture();
  let times = 0;
  const deadline = deadlines.add(100, () => {
    fired.push("x");
    if (++times < 3) deadline.extend(100);
  });
  to(2_000);
  assert.equal(fired.length, 3);
});

Deno.test("a clock that jumps fires everything that came due", () => {
  const { deadlines, to, fired, fire } = fixture();
  for (const ms of [100, 900, 60_000]) deadlines.add(ms, fire(String(ms)));
  to(100_000);
  assert.deepEqual(fired.map((entry) => entry.split("@")[0]), ["100", "900", "60000"]);
});

Deno.test("after close nothing fires", () => {
  const { deadlines, to, fired, fire } = fixture();
  deadlines.add(100, fire("a"));
  deadlines.close();
  to(1_000);
  assert.deepEqual(fired, []);
});

Deno.test("random operations match a plain model", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const { deadlines, to, fired, fire } = fixture();
  const model: number[] = [], entries = [];
  for (let at = 0; at < 40; at++) {
    model.push(Infinity);
    const entry = deadlines.add(1e9, fire(String(at)));
    entry.cancel();
    entries.push(entry);
  }
  for (let now = 0; now < 20_000; now += 100) {
    to(now);
    const expected = model.map((at, index) => at <= now ? String(index) : "").filter((name) => name !== "");
    assert.deepEqual(fired.map((entry) => entry.split("@")[0]!).sort(), expected.sort(), `at ${now}`);
    fired.length = 0;
    model.forEach((at, index) => {
      if (at <= now) model[index] = Infinity;
    });
    for (let change = 0; change < 5; change++) {
      const index = random(40);
      if (random(4) === 0) {
        entries[index]!.cancel();
        model[index] = Infinity;
      } else {
        const ms = 1 + random(3_000);
        entries[index]!.extend(ms);
        model[index] = now + ms;
      }
    }
  }
});

Deno.test("what is cancelled is let go at once, the others of its tick are not", () => {
  const { deadlines, to, fired, fire } = fixture();
  const all = ["a", "b", "c", "d"].map((name) => deadlines.add(300_000, fire(name)));
  all[1]!.cancel();
  all[1]!.cancel();
  all[3]!.cancel();
  assert.equal(deadlines.waiting, 2);
  to(300_000);
  assert.equal(deadlines.waiting, 0);
  assert.deepEqual(fired, ["a@300000", "c@300000"]);
});

Deno.test("a callback may cancel, move and start others of its own tick", () => {
  const { deadlines, to, fired, fire } = fixture();
  const others: { extend(ms: number): void; cancel(): void }[] = [];
  deadlines.add(100, () => {
    fired.push("first");
    others[0]?.cancel();
    others[1]?.extend(500);
    deadlines.add(0, fire("new"));
  });
  others.push(deadlines.add(100, fire("cancelled")), deadlines.add(100, fire("moved")));
  to(2_000);
  assert.deepEqual(fired, ["first", "new@200", "moved@600"]);
});
