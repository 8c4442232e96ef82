/** Columns of numbers that grow. */

type Column = Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** The same numbers with room for at least `size`, a quarter more than there was; the new room holds `value`. */
export function grown<T extends Column>(column: T, size: number, value = 0): T {
  const room = Math.max(size, Math.ceil(column.length * 1.25) + 64);
  const larger = new (column.constructor as new (length: number) => T)(room);
  larger.set(column);
  if (value !== 0) larger.fill(value, column.length);
  return larger;
}
