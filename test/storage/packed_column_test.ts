/** A packed column gives back each value, and none where there was none, in as few octets as it can. */
import assert from "node:assert/strict";
import { PackedColumn } from "../../storage/packed_column.ts";

function column(values: readonly (number | null)[]): PackedColumn {
  return new PackedColumn(Float64Array.from(values, (value) => value ?? NaN));
}

const COLUMNS: readonly (readonly [string, readonly (number | null)[], number])[] = [
  ["nothing", [], 0],
  ["none", [null, null], 2],
  ["one value", [null, 7, 7], 3],
  ["zero", [0, null, 0], 3],
  ["seconds of dates", [1_700_000_000_000, 1_700_000_060_000, null, 1_700_000_001_000], 4],
  ["254 steps", [1, 2, 255, null], 4],
  ["255 steps", [1, 2, 256, null], 8],
  ["two octets", [-5, -4, 65_529, null], 8],
  ["four octets", [0, 1, 65_535], 12],
  ["most of four octets", [0, 1, 2 ** 32 - 2], 12],
  ["eight octets", [0, 1, 2 ** 32 - 1, null], 32],
  ["the largest integers", [-1, 0, 1, Number.MAX_SAFE_INTEGER - 1], 32],
  ["steps of a day", [0, 86_400_000, 254 * 86_400_000], 3],
  ["before 1970", [-1000, -86_400_000, null, 1_000], 16],
];

for (const [name, values, octets] of COLUMNS) {
  Deno.test(`a packed column of ${name} is what it was`, () => {
    const packed = column(values);
    for (const [at, value] of values.entries()) assert.equal(packed.at(at), value ?? NaN);
    assert.equal(packed.octets, octets);
  });
}

Deno.test("packed columns of any numbers are what they were", () => {
  let seed = 12_345;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 500; round++) {
    const base = Math.floor(random() * 2 ** 45), step = [1, 2, 60, 1_000][round % 4]!;
    const spread = 2 ** (random() * 40);
    const values = Array.from(
      { length: 100 },
      () => random() < 0.1 ? null : base + step * Math.floor(random() * spread),
    );
    const packed = column(values);
    for (const [at, value] of values.entries()) assert.equal(packed.at(at), value ?? NaN);
  }
});
