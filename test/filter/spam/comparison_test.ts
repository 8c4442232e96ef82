/** What the comparison with other filters (bench/filter/) rests on: the messages, their halves, and the one threshold. */
import assert from "node:assert/strict";
import { catchOf, type Scored } from "../../../bench/filter/contest.ts";
import { samples, splitOf, SPLITS } from "../../../bench/filter/corpus.ts";
import { latin1 } from "../../../bytes/decode.ts";

const ALL = samples();

Deno.test("what the collector added is taken away, for spam and other mail alike", () => {
  assert.deepEqual([ALL.length, ALL.filter(({ spam }) => spam).length], [3_000, 500]);
  for (const { id, octets } of ALL) {
    const text = latin1(octets);
    assert.ok(!text.startsWith("From "), id);
    const end = text.indexOf("\n\n");
    const fields = text.slice(0, end < 0 ? text.length : end).split(/\n(?![ \t])/).map((field) =>
      field.replace(/\s+/g, " ")
    );
    for (const field of fields) {
      // His programs filed it and fetched it, in whatever spelling his name stands.
      assert.doesNotMatch(
        field,
        /^delivered-to:.*(?:yyyy|zzzz|\bjm)[^@ ]*@(?:localhost|.*taint|.*netnote)/i,
        id,
      );
      assert.doesNotMatch(
        field,
        /^received:.*(?:fetchmail|single-drop|for <(?:yyyy|zzzz|jm)@localhost>)/i,
        id,
      );
    }
  }
});

Deno.test("ten splits in halves, by hash, each in the order in which its messages came", () => {
  const inOrder = (at: readonly { readonly at: number }[]) =>
    at.every((one, i) => i === 0 || at[i - 1]!.at <= one.at);
  assert.ok(inOrder(ALL) && ALL.every(({ at }) => at > Date.UTC(2000, 0, 1)));
  const halves = new Set<string>();
  for (let number = 0; number < SPLITS; number++) {
    const { train, test } = splitOf(ALL, number);
    assert.deepEqual(new Set([...train, ...test]), new Set(ALL));
    assert.equal(train.length + test.length, ALL.length);
    assert.ok(Math.abs(train.length - test.length) < 300, `${train.length} and ${test.length}`);
    assert.ok(inOrder(train) && inOrder(test));
    halves.add(train.map(({ id }) => id).join());
    assert.deepEqual(splitOf(ALL, number).test, test, "the same in each run");
  }
  assert.deepEqual([SPLITS, halves.size], [10, 10]);
});

Deno.test("one threshold leaves one wanted message in a thousand above it", () => {
  const ham = Array.from({ length: 5_000 }, (_, i): Scored => ({ spam: false, score: i / 1_000 }));
  const spam = [1, 4.9935, 4.9945, 4.9955, 9].map((score): Scored => ({ spam: true, score }));
  const { threshold, caught, shippedCaught, shippedFalse } = catchOf([...ham, ...spam], 4.5);
  assert.equal(ham.filter(({ score }) => score > threshold).length, 5);
  assert.equal(caught, 3 / 5);
  assert.deepEqual([shippedCaught, shippedFalse], [4 / 5, 500 / 5_000]);
});
