/**
 * Chosen header fields of many messages in memory, as clients list mailboxes with them: what BODY[HEADER.FIELDS (...)] was
 * answered with is kept packed, for the same client's next time and for others. Hot (bench/large.ts, fetch-header).
 *
 * A message's octets never change and UIDs are never used twice. Limit: {@linkcode MAX_OCTETS} a thread; the page that was
 * not used for longest goes first, but not within {@linkcode REST_MS} of its last use: who goes through more than fits again
 * and again would find nothing.
 */
import { grown } from "../../bytes/grown.ts";
import { headerFields } from "../../message/header_section.ts";
import type { Section } from "../../protocols/imap/fetch_plan.ts";
import type { KnownRow } from "../../storage/known_rows.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { Store } from "../../storage/store.ts";
import { readHeaders } from "./header_batch.ts";

export const MAX_OCTETS = 24 * 1024 * 1024;
export const REST_MS = 60_000;
/** UIDs of a page. */
const PAGE_UIDS = 512;
const PAGE_OCTETS = 8 * PAGE_UIDS;
const LONGEST = 4 * 1024;

type Row = MessageRow | KnownRow;

/** The fields of each row; null for those whose header is too long or cannot be read, which are left for reads of their own. */
export function fieldBlocks(
  { blobs }: Store,
  kept: FieldBlocks,
  { mailboxId, rows, section }: {
    readonly mailboxId: number;
    readonly rows: readonly (Row | null)[];
    readonly section: Section;
  },
): (Uint8Array | null)[] {
  const blocks: (Uint8Array | null)[] = [];
  const missing: (Row | null)[] = [];
  // A name may hold spaces.
  const key = `${mailboxId} ${section.text} ${JSON.stringify([...section.fields])} `;
  let misses = 0;
  for (const row of rows) {
    const block = row === null ? null : kept.get(key, row.uid);
    blocks.push(block);
    missing.push(block === null ? row : null);
    if (block === null && row !== null) misses++;
  }
  if (misses === 0) return blocks;
  const not = section.text === "HEADER.FIELDS.NOT";
  for (const [at, header] of readHeaders(blobs, missing).entries()) {
    if (header === null) continue;
    const block = blocks[at] = headerFields(header, section.fields, { not });
    kept.put(key, missing[at]!.uid, block);
  }
  return blocks;
}

export class FieldBlocks {
  readonly #maxOctets: number;
  readonly #now: () => number;
  /** In order of last use. */
  #pages = new Map<string, Page>();
  #octets = 0;
  /** The page used last: the next message is mostly of it too. */
  #key = "";
  #first = -1;
  #page: Page | null = null;

  /** `now`: milliseconds, steady. */
  constructor(options: { readonly now: () => number; readonly maxOctets?: number }) {
    this.#now = options.now;
    this.#maxOctets = options.maxOctets ?? MAX_OCTETS;
  }

  /** Valid while nothing else is put. */
  get(key: string, uid: number): Uint8Array | null {
    this.#turnTo(key, uid);
    return this.#page?.get(uid - this.#first) ?? null;
  }

  put(key: string, uid: number, block: Uint8Array): void {
    if (block.length > LONGEST) return;
    this.#turnTo(key, uid);
    if (!this.#makeRoom(block.length + (this.#page === null ? PAGE_OCTETS : 0))) return;
    if (this.#page === null) {
      this.#page = new Page();
      this.#pages.set(`${key}${this.#first}`, this.#page);
      this.#octets += PAGE_OCTETS;
    }
    this.#page.usedAt = this.#now();
    this.#octets += this.#page.put(uid - this.#first, block);
  }

  #turnTo(key: string, uid: number): void {
    const first = uid - uid % PAGE_UIDS;
    if (first === this.#first && key === this.#key) return;
    this.#key = key;
    this.#first = first;
    const name = `${key}${first}`;
    this.#page = this.#pages.get(name) ?? null;
    if (this.#page === null) return;
    this.#page.usedAt = this.#now();
    this.#pages.delete(name);
    this.#pages.set(name, this.#page);
  }

  #makeRoom(octets: number): boolean {
    if (this.#octets + octets <= this.#maxOctets) return true;
    const before = this.#now() - REST_MS;
    for (const [name, page] of this.#pages) {
      if (page.usedAt > before || page === this.#page) return false;
      this.#pages.delete(name);
      this.#octets -= page.octets;
      if (this.#octets + octets <= this.#maxOctets) return true;
    }
    return false;
  }
}

class Page {
  usedAt = 0;
  /** Where the block of each UID begins and ends; no block is empty. */
  #starts = new Uint32Array(PAGE_UIDS);
  #ends = new Uint32Array(PAGE_UIDS);
  #blocks = new Uint8Array(0);
  #length = 0;

  get octets(): number {
    return PAGE_OCTETS + this.#blocks.length;
  }

  get(slot: number): Uint8Array | null {
    const end = this.#ends[slot]!;
    return end === 0 ? null : this.#blocks.subarray(this.#starts[slot]!, end);
  }

  /** Octets of memory more than before. */
  put(slot: number, block: Uint8Array): number {
    const before = this.#blocks.length;
    const end = this.#length + block.length;
    if (end > before) this.#blocks = grown(this.#blocks, end);
    this.#blocks.set(block, this.#length);
    this.#starts[slot] = this.#length;
    this.#ends[slot] = this.#length = end;
    return this.#blocks.length - before;
  }
}

/** Kept for each thread. */
const byStore = new WeakMap<Store, FieldBlocks>();

export function fieldBlocksOf(store: Store): FieldBlocks {
  let kept = byStore.get(store);
  if (kept === undefined) byStore.set(store, kept = new FieldBlocks({ now: () => performance.now() }));
  return kept;
}
