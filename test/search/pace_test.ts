import assert from "node:assert/strict";
import { Breather } from "../../search/pace.ts";

/** New mail at a rate far above what a rush is, until it is stopped. */
function rushInto(breather: Breather): { stop(): void } {
  const some = () => breather.arrived(1_000);
  some();
  const timer = setInterval(some, 20);
  return { stop: () => clearInterval(timer) };
}

Deno.test("the indexer waits while mail rushes in, and goes on when it is over", async () => {
  const breather = new Breather({ workMs: 60_000, restMs: 0, rushMs: 60_000 });
  const rush = rushInto(breather);
  let over = false, resumed = false;
  const breath = breather.breathe().then(() => {
    resumed = true;
    assert(over, "it went on inside the rush");
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert(!resumed);
  } finally {
    over = true;
    rush.stop();
  }
  await breath;
});

Deno.test("a rush that does not end is not waited for longer than the pace says", async () => {
  const breather = new Breather({ workMs: 60_000, restMs: 0, rushMs: 300 });
  const rush = rushInto(breather);
  try {
    await breather.breathe();
    await breather.breathe();
  } finally {
    rush.stop();
  }
});

Deno.test("a few messages are no rush", async () => {
  const breather = new Breather({ workMs: 60_000, restMs: 0, rushMs: 60_000 });
  breather.arrived(10);
  await breather.breathe();
});
