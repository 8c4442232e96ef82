import assert from "node:assert/strict";
import { IdSource } from "../../server/ids.ts";

Deno.test("ids differ, have one length and sort by time", () => {
  let now = 1_790_000_000_000;
  const source = new IdSource(() => now);
  const ids = Array.from({ length: 2_000 }, (_, at) => {
    if (at % 100 === 99) now += at;
    return source.next();
  });
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[0-9a-hjkmnp-tv-z]{16}$/);
  const times = ids.map((id) => id.slice(0, 9));
  assert.deepEqual([...times].sort(), times);
});
