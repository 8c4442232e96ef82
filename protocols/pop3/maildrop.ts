/**
 * The maildrop as one session sees it: message numbers from the login on, and what DELE has marked.
 *
 * RFC 1939 5: numbers never change within a session, whatever other sessions do to the mailbox. A unique id is
 * `uidValidity.uid` (RFC 1939 7, UIDL): it outlives restarts and changes of flags. Messages that were brought from another
 * server can keep the id they had there. 13 octets a message.
 */

export class Maildrop {
  readonly uidValidity: number;
  /** Messages at login; numbers are 1 to this. */
  count = 0;
  /** Messages that are not marked, and their octets. */
  remaining = 0;
  octets = 0;
  #uids = new Uint32Array(0);
  #sizes = new Float64Array(0);
  #deleted = new Uint8Array(0);

  #kept: ReadonlyMap<number, string>;

  /** `kept` are ids by UID. */
  constructor(uidValidity: number, kept: ReadonlyMap<number, string> = new Map()) {
    this.uidValidity = uidValidity;
    this.#kept = kept;
  }

  /** Appends the next message; UIDs ascend. */
  add(uid: number, sizeOctets: number): void {
    if (this.count === this.#uids.length) this.#grow();
    this.#uids[this.count] = uid;
    this.#sizes[this.count] = sizeOctets;
    this.count++;
    this.remaining++;
    this.octets += sizeOctets;
  }

  /** True for a number of this session whose message is not marked as deleted. */
  has(number: number): boolean {
    return number >= 1 && number <= this.count && this.#deleted[number - 1] === 0;
  }

  isDeleted(number: number): boolean {
    return this.#deleted[number - 1] === 1;
  }

  uid(number: number): number {
    return this.#uids[number - 1] ?? 0;
  }

  sizeOctets(number: number): number {
    return this.#sizes[number - 1] ?? 0;
  }

  uniqueId(number: number): string {
    const uid = this.uid(number);
    return this.#kept.get(uid) ?? uniqueIdOf(uid, this.uidValidity);
  }

  /** Number of a UID; 0 when this session has none such. */
  numberOf(uid: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#uids[middle]! < uid) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.#uids[low] === uid ? low + 1 : 0;
  }

  /** Marks a message that {@linkcode has} knows. */
  delete(number: number): void {
    this.#deleted[number - 1] = 1;
    this.remaining--;
    this.octets -= this.sizeOctets(number);
  }

  /** Takes back all marks (RSET). */
  reset(): void {
    this.#deleted.fill(0);
    this.remaining = this.count;
    this.octets = 0;
    for (let number = 1; number <= this.count; number++) this.octets += this.sizeOctets(number);
  }

  /** UIDs of the marked messages as inclusive ranges; a range spans only UIDs of this session's messages. */
  deletedRanges(): [number, number][] {
    const ranges: [number, number][] = [];
    for (let number = 1; number <= this.count; number++) {
      if (!this.isDeleted(number)) continue;
      const uid = this.uid(number);
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === uid - 1) last[1] = uid;
      else ranges.push([uid, uid]);
    }
    return ranges;
  }

  #grow(): void {
    const capacity = Math.max(16, this.#uids.length * 2);
    const uids = new Uint32Array(capacity);
    const sizes = new Float64Array(capacity);
    const deleted = new Uint8Array(capacity);
    uids.set(this.#uids);
    sizes.set(this.#sizes);
    deleted.set(this.#deleted);
    this.#uids = uids;
    this.#sizes = sizes;
    this.#deleted = deleted;
  }
}

/** The id of a message that was brought with none (RFC 1939 7). */
export function uniqueIdOf(uid: number, uidValidity: number): string {
  return `${uidValidity}.${uid}`;
}
