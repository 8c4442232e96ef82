/** Steps that wait only where they must. */
import assert from "node:assert/strict";
import { run, type Steps, when } from "../../bytes/steps.ts";

function* sum(...values: (number | Promise<number>)[]): Steps<number> {
  let all = 0;
  for (const value of values) all += yield* when(value);
  return all;
}

Deno.test("what is there is not waited for", () => {
  assert.equal(run(sum(1, 2, 3)), 6);
});

Deno.test("what is not there is waited for, and so is what comes after it", async () => {
  const pending = run(sum(1, Promise.resolve(2), 3, Promise.resolve(4)));
  assert.ok(pending instanceof Promise);
  assert.equal(await pending, 10);
});

Deno.test("what is thrown is thrown, or rejects once something was waited for; steps may take it", async () => {
  function* broken(value: number | Promise<number>): Steps<number> {
    yield* when(value);
    throw new Error("broken");
  }
  assert.throws(() => run(broken(1)), /broken/);
  await assert.rejects(async () => await run(broken(Promise.resolve(1))), /broken/);
  await assert.rejects(async () => await run(sum(Promise.reject(new Error("lost")))), /lost/);
  function* careful(): Steps<string> {
    try {
      yield* sum(1, Promise.reject(new Error("lost")));
      return "all";
    } catch {
      return `some, ${yield* when(Promise.resolve("and on"))}`;
    }
  }
  assert.equal(await run(careful()), "some, and on");
});
