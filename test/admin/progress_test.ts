/** What the bar of long work says of the time that is left. */
import assert from "node:assert/strict";
import { timeLeft } from "../../admin/cli/progress.ts";

Deno.test("the time that is left is in the two largest units, and unknown while nothing is known", () => {
  for (
    const [seconds, words] of [
      [0, "0s"],
      [9, "9s"],
      [59, "59s"],
      [62, "1m 0s"],
      [64, "1m 5s"],
      [3_599, "1h 0m"],
      [7_260, "2h 1m"],
      ["INF", "?"],
      ["NULL", "?"],
      ["0", "?"],
    ] as const
  ) assert.equal(timeLeft(seconds), words);
});
