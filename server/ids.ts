/**
 * Ids of sessions and messages: 16 characters, sorted by time, safe in header fields, log lines and file names.
 *
 * Ten characters of milliseconds would do for a thousand years; nine do until 3084. Seven random ones make ids of
 * several threads and restarts differ (2^35 for each millisecond).
 */

/** Crockford's base 32 in lower case: no letter that looks like a digit. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_DIGITS = 9;
const RANDOM_DIGITS = 7;
const POOL_OCTETS = RANDOM_DIGITS * 512;

export class IdSource {
  readonly #now: () => number;
  #pool: Uint8Array<ArrayBuffer>;
  #used: number;
  #ms: number;
  #prefix: string;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#pool = new Uint8Array(POOL_OCTETS);
    this.#used = POOL_OCTETS;
    this.#ms = -1;
    this.#prefix = "";
  }

  next(): string {
    const now = this.#now();
    if (now !== this.#ms) {
      this.#ms = now;
      this.#prefix = "";
      for (let at = 0, rest = now; at < TIME_DIGITS; at++, rest = Math.floor(rest / 32)) {
        this.#prefix = DIGITS[rest % 32]! + this.#prefix;
      }
    }
    if (this.#used + RANDOM_DIGITS > POOL_OCTETS) {
      crypto.getRandomValues(this.#pool);
      this.#used = 0;
    }
    let id = this.#prefix;
    for (let at = 0; at < RANDOM_DIGITS; at++) id += DIGITS[this.#pool[this.#used++]! & 31];
    return id;
  }
}
