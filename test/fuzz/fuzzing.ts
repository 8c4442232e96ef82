/**
 * What the fuzz targets share: a generator of random numbers, mutation, and findings that carry their input.
 *
 * A target is a function `fuzz<Name>(seed, runs)` of a module `*_fuzz.ts`: it makes inputs and checks them, the same
 * ones for the same seed, and throws when something is wrong; a {@linkcode Finding} has its input kept in the corpus.
 * `check<Name>(input)` beside it checks one input, from the corpus too.
 */

/** A small linear congruential generator. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 2_654_435_761) >>> 0 || 1;
    for (let i = 0; i < 3; i++) this.below(2); // neighbouring seeds part
  }

  /** From 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** An input that breaks something, for the corpus. */
export class Finding extends Error {
  override readonly name = "Finding";
  readonly input: Uint8Array;

  constructor(message: string, options: { input: Uint8Array; cause: unknown }) {
    super(message, { cause: options.cause });
    this.input = options.input;
  }
}

export interface MutationOptions {
  /** What is put into the text: pieces that mean something to the grammar. */
  readonly tokens: readonly string[];
  readonly maxChanges: number;
}

/** Changes a text of characters below U+0100: tokens put in, octets cut, replaced and said twice. */
export function mutate(random: Random, text: string, options: MutationOptions): string {
  const changes = random.below(options.maxChanges + 1);
  for (let i = 0; i < changes; i++) {
    const at = random.below(text.length + 1);
    switch (random.below(12)) {
      case 0:
        text = text.slice(0, at); // the end is missing
        break;
      case 1:
      case 2:
      case 3:
        text = text.slice(0, at) + random.pick(options.tokens) + text.slice(at);
        break;
      case 4:
      case 5:
      case 6:
        text = text.slice(0, at) + text.slice(at + 1 + random.below(8));
        break;
      case 7:
      case 8:
        text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
        break;
      default:
        text = text.slice(0, at) + text.slice(Math.max(0, at - random.below(60)), at) + text.slice(at);
    }
  }
  return text;
}

/** Makes `runs` inputs and checks each. Throws the first {@linkcode Finding}. */
export function fuzz(
  parts: { readonly make: (random: Random) => Uint8Array; readonly check: (input: Uint8Array) => void },
  seed: number,
  runs: number,
): void {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = parts.make(random);
    try {
      parts.check(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

/** Places to cut an input at, the same for the same input: so that a finding fails again. */
export function cutsOf(input: Uint8Array, count: number): number[] {
  let hash = 0x811c9dc5;
  for (const octet of input) hash = Math.imul(hash ^ octet, 0x01000193);
  const random = new Random(hash >>> 0);
  return Array.from({ length: count }, () => random.below(input.length + 1)).sort((a, b) => a - b);
}

/** The input in pieces. */
export function pieces(input: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  return [0, ...cuts].map((at, i) => input.subarray(at, cuts[i] ?? input.length));
}
