/** A set of UIDs, many of one mailbox: a bit for each, in pages of which only those that have one are there. */

/** UIDs of a page, 1 kB. */
const PAGE_UIDS = 8_192;

export class UidBits {
  #pages = new Map<number, Uint32Array>();
  /** The page looked at last: the next UID is mostly of it too. */
  #number = -1;
  #page: Uint32Array | null = null;

  add(uid: number): void {
    let page = this.#pageOf(uid);
    if (page === null) {
      page = this.#page = new Uint32Array(PAGE_UIDS / 32);
      this.#pages.set(this.#number, page);
    }
    const place = uid % PAGE_UIDS;
    page[place >>> 5]! |= 1 << (place & 31);
  }

  has(uid: number): boolean {
    const page = this.#pageOf(uid), place = uid % PAGE_UIDS;
    return page !== null && (page[place >>> 5]! & 1 << (place & 31)) !== 0;
  }

  #pageOf(uid: number): Uint32Array | null {
    const number = Math.floor(uid / PAGE_UIDS);
    if (number !== this.#number) {
      this.#number = number;
      this.#page = this.#pages.get(number) ?? null;
    }
    return this.#page;
  }
}
