/** Orders in memory: the same as sorting by comparison, also when messages come and go; bounded in octets. */
import assert from "node:assert/strict";
import { KeptByUse } from "../../server/imap/kept_by_use.ts";
import {
  countingOrder,
  extended,
  type RankedOrder,
  ranksOf,
  type SortValue,
} from "../../server/imap/sort_ranks.ts";

function done<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function randomly(seed: number): () => number {
  return () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

Deno.test("ranks sort as the values do, by several keys, both ways, after messages came and went", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomly(seed);
    const texts: string[] = [], numbers: number[] = [];
    let byText: RankedOrder | null = null, byNumber: RankedOrder | null = null;
    const uids: number[] = [];
    for (let step = 0; step < 4; step++) {
      const count = Math.floor(random() * 12);
      const added = Array.from({ length: count }, () => {
        texts.push("abcd"[Math.floor(random() * 4)]!.repeat(Math.floor(random() * 3)));
        numbers.push(Math.floor(random() * 5) - 2);
        const uid = (uids.at(-1) ?? 0) + 1 + Math.floor(random() * 3);
        uids.push(uid);
        return uid;
      });
      byText = done(extended(byText, { uids: added, values: count === 0 ? [] : texts.slice(-count) }));
      byNumber = done(extended(byNumber, { uids: added, values: count === 0 ? [] : numbers.slice(-count) }));
    }
    const places = uids.map((_, at) => at).filter(() => random() < 0.7);
    const hits = Uint32Array.from(places, (at) => uids[at]!);
    const reverse = random() < 0.5;
    const order = done(countingOrder(hits.length, [
      { ranks: ranksOf(byText!, hits), distinct: byText!.values.length, reverse },
      { ranks: ranksOf(byNumber!, hits), distinct: byNumber!.values.length, reverse: !reverse },
    ]));
    const compare = (a: SortValue, b: SortValue, back: boolean) => a === b ? 0 : (a < b) !== back ? -1 : 1;
    const expected = places.map((_, at) => at).sort((a, b) =>
      compare(texts[places[a]!]!, texts[places[b]!]!, reverse) ||
      compare(numbers[places[a]!]!, numbers[places[b]!]!, !reverse) || a - b
    );
    assert.deepEqual([...order], expected, `seed ${seed}`);
  }
});

Deno.test("what was not used for longest goes, and nothing is kept that is larger than all may be", () => {
  const kept = new KeptByUse<{ readonly octets: number }>(100);
  const order = (octets: number) => ({ octets });
  kept.put("a", order(48));
  kept.put("b", order(48));
  assert.notEqual(kept.get("a"), null);
  kept.put("c", order(48));
  assert.equal(kept.get("b"), null);
  assert.notEqual(kept.get("a"), null);
  kept.put("d", order(400));
  assert.equal(kept.get("d"), null);
  kept.put("a", order(24));
  assert.equal(kept.get("a")?.octets, 24);
  kept.put("b", order(76));
  assert.notEqual(kept.get("a"), null);
});
