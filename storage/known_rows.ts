/**
 * Rows of messages that were read lately, and headers that were asked for in part, in memory: most of what clients fetch was fetched before, by the same client
 * or by another of its owner. Hot: a row from here costs a fortieth of one from the database.
 *
 * What is kept never changes while its message exists, but for its address, and compaction leaves the octets at an old
 * address for two hours (the grace of compaction.ts), longer than a row is kept ({@linkcode TURN_MS}). UIDs and mailbox ids are never used twice. Two
 * generations: when the younger is full or old it becomes the elder, and the elder goes. Limits: {@linkcode MAX_ROWS}, and 2 MB of headers for
 * each generation.
 */
import type { MessageRow } from "./messages.ts";

export const MAX_ROWS = 16_384;
/** Longer headers are read again each time. */
const MAX_HEADER_OCTETS = 16 * 1024;
/** A generation is the younger for twice this at most, then the elder for once: no row is older than 45 minutes. */
export const TURN_MS = 15 * 60_000;

/** Headers of one generation. What comes later is read each time: turning for them would cost the rows. */
const GENERATION_HEADER_OCTETS = 2 * 1024 * 1024;

/** A row in memory. */
export interface KnownRow extends MessageRow {
  /** The whole header, prefix included, once somebody read it. */
  header: Uint8Array | null;
}

type Generation = Map<number, Map<number, KnownRow>>;

export class KnownRows {
  #now: () => number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #count = 0;
  #headerOctets = 0;
  #since: number;

  /** `now`: milliseconds, steady. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** To be called before a batch of `get`. */
  age(): void {
    const now = this.#now();
    const age = now - this.#since;
    if (age < TURN_MS) return;
    if (age >= 2 * TURN_MS) this.#young = new Map();
    this.#turn(now);
  }

  get(mailboxId: number, uid: number): KnownRow | null {
    return this.#young.get(mailboxId)?.get(uid) ?? this.#old.get(mailboxId)?.get(uid) ?? null;
  }

  put(mailboxId: number, row: MessageRow): KnownRow {
    const known: KnownRow = { ...row, header: null };
    if (this.#count >= MAX_ROWS / 2) this.#turn(this.#now());
    this.#count++;
    const rows = this.#young.get(mailboxId);
    if (rows === undefined) this.#young.set(mailboxId, new Map([[row.uid, known]]));
    else rows.set(row.uid, known);
    return known;
  }

  /** Keeps a header with its row, for as long as that stays; not every one finds room. */
  keepHeader(row: KnownRow, header: Uint8Array): void {
    const octets = this.#headerOctets + header.length;
    if (header.length > MAX_HEADER_OCTETS || octets > GENERATION_HEADER_OCTETS) return;
    this.#headerOctets = octets;
    row.header = header;
  }

  #turn(now: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#count = 0;
    this.#headerOctets = 0;
    this.#since = now;
  }
}
