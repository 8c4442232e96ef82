/** Where a message is judged: small mail in place while nobody has taught anything, all else by the thread of its own. */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import type { AssessRequest } from "../../filter/spam/assessor.ts";
import { FilterThread } from "../../server/filter_thread.ts";
import { SpamFilter } from "../../server/spam_filter.ts";
import type { ChangeListener } from "../../storage/changes.ts";
import type { Store } from "../../storage/store.ts";
import { until } from "../lib/program.ts";
import { TestStore } from "../lib/test_store.ts";

const WITHIN_MS = 60_000;

function requestOf(lines: number): AssessRequest {
  const octets = encode(
    `From: a@b.test\r\nTo: c@d.test\r\nSubject: MAKE MONEY FAST!!!\r\n\r\n${
      "act now, dear friend\r\n".repeat(lines)
    }`,
  );
  return { octets, total: octets.length, around: null, recipients: [], weights: {} };
}

Deno.test("a small message is judged in place until somebody teaches, then as before by the filter's thread", async () => {
  const test = await TestStore.open();
  let tell: ChangeListener = () => {};
  const { spam, blobs, write } = test.store;
  const onChange = (listener: ChangeListener) => {
    tell = listener;
    return () => {};
  };
  const store = { spam, blobs, write, onChange } as unknown as Store;
  const thread = new FilterThread({ data: test.folder.path, deadlineMs: WITHIN_MS });
  const filter = new SpamFilter({ store, thread, deadlineMs: WITHIN_MS });
  try {
    const small = requestOf(10);
    const first = await filter.assess(small, WITHIN_MS); // its code is loaded
    assert.ok(first !== null && first.scores[0]!.score.points > 0);
    const again = filter.assess(small, WITHIN_MS);
    assert.ok(!(again instanceof Promise));
    assert.deepEqual(again, first);
    const large = filter.assess(requestOf(2_000), WITHIN_MS);
    assert.ok(large instanceof Promise);
    assert.ok(await large !== null);
    assert.equal(await filter.assess(small, 0), null, "no time is left");
    tell({ kind: "lessons" });
    const elsewhere = filter.assess(small, WITHIN_MS);
    assert.ok(elsewhere instanceof Promise);
    assert.deepEqual(await elsewhere, first);
  } finally {
    thread.close();
    await filter.close();
    await test.close();
  }
});

Deno.test("lessons that could not be learnt are tried again by themselves", async () => {
  let looks = 0;
  const spam = {
    wishes: () => {
      if (++looks <= 2) throw new Error("the disk is not there");
      return [];
    },
    unfolded: () => [],
  };
  const store = { spam, blobs: {}, onChange: () => () => {} } as unknown as Store;
  const filter = new SpamFilter({
    ...{ store, thread: null, deadlineMs: WITHIN_MS, againMs: 1 },
  });
  filter.taught();
  await until("the third look", () => looks >= 3 || null);
  await filter.close();
});
