/** A set of UIDs holds those that were added, however far apart. */
import assert from "node:assert/strict";
import { UidBits } from "../../search/uid_bits.ts";

const EDGES = [1, 31, 32, 33, 8_191, 8_192, 8_193, 1_000_000, 2 ** 31, 2 ** 32 - 1];

Deno.test("a set of UIDs has what was added, and no other", () => {
  const bits = new UidBits();
  for (const uid of EDGES) assert.equal(bits.has(uid), false);
  for (const uid of EDGES) bits.add(uid);
  bits.add(32); // again
  for (const uid of EDGES) {
    assert.equal(bits.has(uid), true, `${uid}`);
    for (const near of [uid - 2, uid + 2]) assert.equal(bits.has(near), EDGES.includes(near), `${near}`);
  }
  assert.equal(bits.has(16_384), false);
});
