/** Whole numbers as decimal digits. Hot: answers of SEARCH, SORT and THREAD are little else. */

const ZERO = 0x30;
/** The longest there is. */
export const DECIMAL_OCTETS = 10;

/** Writes a number of up to 32 bits at `at` and returns where it ends; {@linkcode DECIMAL_OCTETS} have to be there. */
export function putDecimal(buffer: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  const end = at + digits;
  for (let place = end - 1; place >= at; place--) {
    const tenth = Math.floor(value / 10);
    buffer[place] = ZERO + value - tenth * 10;
    value = tenth;
  }
  return end;
}
