/** Columns of numbers that grow. */

/** The same numbers with room for at least `size`, a quarter more than there was; the new room holds `value`. */
export function grown(
  column: Int32Array<ArrayBuffer>,
  size: number,
  value = 0,
): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(size, Math.ceil(column.length * 1.25) + 64));
  larger.set(column);
  if (value !== 0) larger.fill(value, column.length);
  return larger;
}
