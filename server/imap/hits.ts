/**
 * Messages a search found or has still to judge, in order, as numbers in columns: 8 octets each, where objects take 60.
 */

/** Relevancy (RFC 6203) of what was found without its text. */
export const UNREAD = 1;

const NO_NUMBERS = new Uint32Array(0);
const NO_RELEVANCIES = new Uint8Array(0);

export class Hits {
  count = 0;
  #sequences: Uint32Array<ArrayBuffer> = NO_NUMBERS;
  #uids: Uint32Array<ArrayBuffer> = NO_NUMBERS;
  /** 1 to 100; empty while all are {@linkcode UNREAD}. */
  #relevancies: Uint8Array<ArrayBuffer> = NO_RELEVANCIES;

  constructor(capacity = 0) {
    if (capacity > 0) this.#grow(capacity);
  }

  get sequences(): Uint32Array {
    return this.#sequences.subarray(0, this.count);
  }

  get uids(): Uint32Array {
    return this.#uids.subarray(0, this.count);
  }

  /** What the client knows them by. */
  numbers(uid: boolean): Uint32Array {
    return uid ? this.uids : this.sequences;
  }

  relevancyAt(place: number): number {
    return this.#relevancies[place] ?? UNREAD;
  }

  /** Makes room for so many in all, at once. */
  reserve(count: number): void {
    if (count > this.#uids.length) this.#grow(count);
  }

  push(sequence: number, uid: number, relevancy = UNREAD): void {
    const place = this.count++;
    if (place === this.#uids.length) this.#grow(2 * place + 16);
    this.#sequences[place] = sequence;
    this.#uids[place] = uid;
    if (this.#relevancies.length > 0) this.#relevancies[place] = relevancy;
    else if (relevancy !== UNREAD) {
      this.#relevancies = new Uint8Array(this.#uids.length).fill(UNREAD);
      this.#relevancies[place] = relevancy;
    }
  }

  /** Those of some places, in the order of these. */
  at(places: Uint32Array): Hits {
    const some = new Hits(places.length);
    some.count = places.length;
    copyAt(this.#sequences, places, some.#sequences);
    copyAt(this.#uids, places, some.#uids);
    if (this.#relevancies.length > 0) {
      some.#relevancies = new Uint8Array(places.length);
      copyAt(this.#relevancies, places, some.#relevancies);
    }
    return some;
  }

  slice(start: number, end: number): Hits {
    const some = new Hits();
    some.count = Math.max(0, Math.min(end, this.count) - start);
    some.#sequences = this.#sequences.subarray(start, start + some.count);
    some.#uids = this.#uids.subarray(start, start + some.count);
    some.#relevancies = this.#relevancies.subarray(start, start + some.count);
    return some;
  }

  /** In the order of the mailbox. */
  ascending(): Hits {
    const sequences = this.#sequences;
    let at = 1;
    while (at < this.count && sequences[at - 1]! < sequences[at]!) at++;
    if (at >= this.count) return this;
    const places = Uint32Array.from(this.sequences.keys());
    return this.at(places.sort((a, b) => sequences[a]! - sequences[b]!));
  }

  #grow(capacity: number): void {
    const both = new Uint32Array(2 * capacity); // one piece of memory for two columns
    const sequences = both.subarray(0, capacity), uids = both.subarray(capacity);
    sequences.set(this.#sequences);
    uids.set(this.#uids);
    this.#sequences = sequences;
    this.#uids = uids;
    if (this.#relevancies.length === 0) return;
    const relevancies = new Uint8Array(capacity).fill(UNREAD);
    relevancies.set(this.#relevancies);
    this.#relevancies = relevancies;
  }
}

function copyAt<T extends Uint32Array | Uint8Array>(from: T, places: Uint32Array, to: T): void {
  for (let i = 0; i < places.length; i++) to[i] = from[places[i]!]!;
}
