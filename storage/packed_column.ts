/**
 * A column of numbers, each in as few octets as the differences between them need: one, two, four or eight.
 *
 * A value is a base and so many steps; the step is what all differences are multiples of, as a second of dates without
 * fractions. Integers come out as they went in, where they are less than 2^53 apart.
 */
export class PackedColumn {
  /** A step below the least value: no value has 0 steps, which stands for none. */
  readonly #base: number;
  readonly #step: number;
  readonly #steps: Uint8Array | Uint16Array | Uint32Array | Float64Array;

  /** Integers, NaN for none. */
  constructor(values: Float64Array) {
    let least = Infinity, most = -Infinity;
    for (let at = 0; at < values.length; at++) {
      const value = values[at]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    let step = 0;
    for (let at = 0; at < values.length && step !== 1; at++) {
      const value = values[at]!;
      if (value > least) step = commonDivisor(value - least, step);
    }
    if (step === 0) step = 1;
    this.#base = least - step;
    this.#step = step;
    const steps = this.#steps = new (arrayFor((most - least) / step + 1))(values.length);
    for (let at = 0; at < values.length; at++) {
      const value = values[at]!;
      if (value >= least) steps[at] = (value - least) / step + 1;
    }
  }

  get octets(): number {
    return this.#steps.byteLength;
  }

  /** NaN for none. */
  at(place: number): number {
    const steps = this.#steps[place]!;
    return steps === 0 ? NaN : this.#base + steps * this.#step;
  }
}

function arrayFor(most: number) {
  if (most <= 0xff) return Uint8Array;
  if (most <= 0xffff) return Uint16Array;
  return most <= 0xffff_ffff ? Uint32Array : Float64Array;
}

/** Of two numbers, the second of which may be 0. */
function commonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
