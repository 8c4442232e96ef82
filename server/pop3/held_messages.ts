/**
 * The messages of one POP3 session as they were at login: where to read each, also after it was expunged.
 *
 * RETR reads by the address of the login, without a query. Another session's EXPUNGE deletes a message's row, and
 * compaction may then remove its octets; a POP3 client was promised the message until QUIT (RFC 1939 8), so its segment
 * is pinned in the blob reader the moment the expunge is heard: an open file stays readable after it was unlinked.
 * Typed arrays and one run of prefixes: 36 octets a message and its prefix.
 */
import { setImmediate } from "node:timers";
import type { Maildrop } from "../../protocols/pop3/maildrop.ts";
import type { MaildropColumns, MessageRow } from "../../storage/messages.ts";
import type { BlobReader, Store } from "../../storage/store.ts";

/** Messages read at a stretch: about two milliseconds. */
const BATCH = 2_000;
const COLUMNS = 4;

/** What RETR and TOP read: a part of {@linkcode MessageRow}. */
export type Readable = Pick<MessageRow, "sizeOctets" | "blob" | "headerOctets" | "prefix">;

export class HeldMessages {
  #blobs: BlobReader;
  /** segment, offset, length, headerOctets of each message. */
  #facts = new Float64Array(0);
  #prefixes = new Uint8Array(0);
  /** Where the prefix of each message begins; one more than messages. */
  #prefixAt = new Uint32Array(1);
  #count = 0;
  /** Segments of expunged messages and how to let go of them. */
  #pins = new Map<number, () => void>();

  constructor(blobs: BlobReader) {
    this.#blobs = blobs;
  }

  /** Reads the mailbox into `maildrop` and this, `limit` messages at most, giving way after each batch. */
  async load(
    store: Store,
    maildrop: Maildrop,
    options: { readonly mailboxId: number; readonly limit: number },
  ): Promise<void> {
    for (let after = 0; maildrop.count < options.limit;) {
      const limit = Math.min(BATCH, options.limit - maildrop.count);
      const page = store.messages.maildrop(options.mailboxId, { after, limit });
      page.uids.forEach((uid, i) => maildrop.add(uid, page.sizeOctets[i]!));
      this.#add(page);
      const last = page.uids.at(-1);
      if (last === undefined || page.uids.length < limit) break;
      after = last;
      await new Promise((resolve) => setImmediate(resolve)); // a timer would wait for a millisecond
    }
  }

  /** The message of a number as it was at login. */
  message(number: number, sizeOctets: number): Readable {
    const at = (number - 1) * COLUMNS;
    const [segment, offset, length, headerOctets] = this.#facts.subarray(at, at + COLUMNS);
    return {
      sizeOctets,
      blob: { segment: segment!, offset: offset!, length: length! },
      headerOctets: headerOctets!,
      prefix: this.#prefixes.subarray(this.#prefixAt[number - 1], this.#prefixAt[number]),
    };
  }

  /** The message of this number was expunged: its octets must not go before the session does. */
  pin(number: number): void {
    const segment = this.#facts[(number - 1) * COLUMNS]!;
    if (!this.#pins.has(segment)) this.#pins.set(segment, this.#blobs.pin(segment));
  }

  /** Lets go of everything; the end of the session. */
  release(): void {
    for (const unpin of this.#pins.values()) unpin();
    this.#pins.clear();
  }

  #add(page: MaildropColumns): void {
    const messages = page.uids.length;
    this.#reserve(this.#count + messages, page.prefixes.length);
    let end = this.#prefixAt[this.#count]!;
    this.#prefixes.set(page.prefixes, end);
    for (let i = 0; i < messages; i++) {
      const at = this.#count * COLUMNS;
      this.#facts[at] = page.segments[i]!;
      this.#facts[at + 1] = page.offsets[i]!;
      this.#facts[at + 2] = page.lengths[i]!;
      this.#facts[at + 3] = page.headerOctets[i]!;
      end += page.sizeOctets[i]! - page.lengths[i]!;
      this.#count++;
      this.#prefixAt[this.#count] = end;
    }
  }

  #reserve(messages: number, prefixOctets: number): void {
    const prefixes = this.#prefixAt[this.#count]! + prefixOctets;
    if (prefixes > this.#prefixes.length) {
      const grown = new Uint8Array(Math.max(prefixes, this.#prefixes.length * 2));
      grown.set(this.#prefixes);
      this.#prefixes = grown;
    }
    if (messages * COLUMNS <= this.#facts.length) return;
    const capacity = Math.max(messages, this.#count * 2);
    const facts = new Float64Array(capacity * COLUMNS);
    const prefixAt = new Uint32Array(capacity + 1);
    facts.set(this.#facts);
    prefixAt.set(this.#prefixAt);
    this.#facts = facts;
    this.#prefixAt = prefixAt;
  }
}
