/**
 * Bans: addresses that try passwords, guess users or break the protocol are shut out of every port for a while.
 *
 * Offences fill a bucket for each address (IPv6: each /64) that leaks with time; when it is full the address is banned,
 * twice as long as the last time. Buckets and bans lie in one SharedArrayBuffer for all threads, so that a look costs no
 * query; bans are written to the store too, and read at start. An address is kept exactly (64 bits), not hashed: nobody
 * is banned for somebody else. Where a neighbourhood of the table is full the entry that matters least makes room.
 * A success clears the bucket, not a ban. Writers take a short lock; readers none.
 */
import { getLogger } from "@logtape/logtape";
import { failureKey } from "../auth/failures.ts";
import { parseIpv4, parseIpv6 } from "../dns/ip_address.ts";
import type { PolicyRow } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";
import type { BansConfig } from "./config/config.ts";
import { Blocks } from "../filter/address_block.ts";

const log = getLogger(["veredus", "server"]);
const bans = counter("veredus_bans_total", "Addresses banned, by what they did", ["offence"]);

/** A power of two. */
const SLOTS = 8_192;
const PROBES = 8;
/** 32-bit cells of a slot: two of the address, when the ban and the bucket end, how often it was banned. */
const HIGH = 0, LOW = 1, UNTIL = 2, EMPTY_AT = 3, TIMES = 4, CELLS = 5;
const LOCK = SLOTS * CELLS;
/** Unit of times, from the epoch of the server. */
const TICK_MS = 100;
const SPINS = 100_000;
/** The next ban after so many lengths of the last is short again. */
const FORGET_FACTOR = 10;
const PAGE = 1_000;

/** What weighs how much; the limit is in these units. */
const WEIGHTS = { login: 1, "unknown-user": 0.5, protocol: 2 } as const;
export type Offence = keyof typeof WEIGHTS;

export interface Ban {
  /** An address, or the /64 of one. */
  readonly address: string;
  readonly since: number;
  readonly until: number;
  /** How often it was banned. */
  readonly times: number;
  readonly reason: string;
}

export class Bans {
  readonly #cells: Int32Array;
  readonly #steady: () => number;
  readonly #epoch: number;
  readonly #store: Store;
  readonly #clock: () => number;
  #config: BansConfig;
  #allowed: Blocks;

  /** `epoch` is common to all threads. */
  constructor(
    buffer: SharedArrayBuffer,
    parts: {
      readonly epoch: number;
      readonly store: Store;
      readonly config: BansConfig;
      readonly clock: () => number;
      /** The same, but never put back; left out: `clock`. */
      readonly steady?: () => number;
    },
  ) {
    this.#cells = new Int32Array(buffer, 0, SLOTS * CELLS + 1);
    this.#epoch = parts.epoch;
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#steady = parts.steady ?? parts.clock;
    this.#config = parts.config;
    this.#allowed = new Blocks(parts.config.allow);
  }

  static buffer(): SharedArrayBuffer {
    return new SharedArrayBuffer((SLOTS * CELLS + 1) * 4);
  }

  configure(config: BansConfig): void {
    this.#config = config;
    this.#allowed = new Blocks(config.allow);
  }

  /** Takes the bans of the last run over. */
  load(): void {
    const now = this.#clock();
    for (let after = "";;) {
      const rows = this.#store.policy.list("ban", { after, limit: PAGE, now });
      for (const row of rows) this.#set(row);
      if (rows.length < PAGE) return;
      after = rows.at(-1)!.key;
    }
  }

  banned(address: string): boolean {
    if (!this.#config.enabled) return false;
    const key = keyOf(address);
    if (key === null) return false;
    const slot = this.#find(key);
    if (slot < 0 || this.#cells[slot + UNTIL]! <= this.#ticks()) return false;
    return !this.#allowed.includes(address);
  }

  /** Counts; true when it brought a ban. */
  offence(address: string, offence: Offence): boolean {
    const { enabled, offences, windowMs } = this.#config;
    const key = enabled ? keyOf(address) : null;
    if (key === null || this.#allowed.includes(address.replace(/\/64$/, ""))) return false;
    const now = this.#clock();
    const ticks = this.#ticks();
    const row = this.#locked((): PolicyRow | null => {
      const slot = this.#claim(key, ticks);
      const cost = Math.max(1, Math.round(windowMs / offences * WEIGHTS[offence] / TICK_MS));
      const emptyAt = Math.max(ticks, this.#cells[slot + EMPTY_AT]!) + cost;
      if (emptyAt - ticks < windowMs / TICK_MS - cost / 2) {
        this.#cells[slot + EMPTY_AT] = emptyAt;
        return null;
      }
      this.#cells[slot + EMPTY_AT] = ticks;
      if (this.#cells[slot + UNTIL]! > ticks) return null; // banned meanwhile
      return this.#ban(slot, { address, now, reason: offence });
    });
    if (row === null) return false;
    bans.inc({ offence });
    log.warn("{address} is banned for {seconds} s: {offence} (time {times})", {
      address: row.key,
      seconds: Math.round((row.expiresAt - now) / 1_000),
      offence,
      times: row.count,
    });
    this.#write({ kind: "put-state", rows: [row], add: false });
    return true;
  }

  /** A login that worked: what stood against its address is forgotten. */
  succeeded(address: string): void {
    const key = keyOf(address);
    const slot = key === null ? -1 : this.#find(key);
    if (slot >= 0) this.#cells[slot + EMPTY_AT] = 0;
  }

  /** False when there was none. */
  async lift(address: string): Promise<boolean> {
    const name = failureKey(address);
    const key = keyOf(address);
    const known = this.#store.policy.get("ban", name, this.#clock()) !== null;
    const slot = key === null ? -1 : this.#find(key);
    const active = slot >= 0 && this.#cells[slot + UNTIL]! > this.#ticks();
    if (slot >= 0) this.#cells.fill(0, slot + UNTIL, slot + CELLS);
    await this.#store.write({ kind: "remove-state", of: "ban", keys: [name] });
    return known || active;
  }

  /** By the operator. Null when it is no address, or is allowed. */
  async add(address: string, forMs: number): Promise<Ban | null> {
    const key = keyOf(address);
    if (key === null || this.#allowed.includes(address)) return null;
    const now = this.#clock();
    const row: PolicyRow = {
      ...{ kind: "ban", key: failureKey(address), firstAt: now, lastAt: now, count: 1 },
      ...{ expiresAt: now + forMs, note: "operator" },
    };
    this.#set(row);
    await this.#store.write({ kind: "put-state", rows: [row], add: false });
    return banOf(row);
  }

  list(page: { readonly after: string; readonly limit: number }): Ban[] {
    return this.#store.policy.list("ban", { ...page, now: this.#clock() }).map(banOf);
  }

  #ban(slot: number, facts: { address: string; now: number; reason: string }): PolicyRow {
    const { firstMs, longestMs } = this.#config;
    const { now } = facts;
    const ticks = this.#ticks();
    const before = this.#cells[slot + TIMES]!;
    const last = Math.min(longestMs, firstMs * 2 ** Math.max(0, before - 1));
    const forgotten = ticks - this.#cells[slot + UNTIL]! > last * FORGET_FACTOR / TICK_MS;
    const times = forgotten ? 1 : Math.min(before + 1, 30);
    const forMs = Math.min(longestMs, firstMs * 2 ** (times - 1));
    this.#cells[slot + UNTIL] = this.#ticks() + Math.floor(forMs / TICK_MS);
    this.#cells[slot + TIMES] = times;
    return {
      ...{ kind: "ban", key: failureKey(facts.address), firstAt: now, lastAt: now, count: times },
      ...{ expiresAt: now + forMs, note: facts.reason },
    };
  }

  #set({ key: name, expiresAt, count }: PolicyRow): void {
    const key = keyOf(name);
    if (key === null) return;
    this.#locked(() => {
      const slot = this.#claim(key, this.#ticks());
      this.#cells[slot + UNTIL] = Math.min(
        0x7fffffff,
        this.#ticks() + Math.floor((expiresAt - this.#clock()) / TICK_MS),
      );
      this.#cells[slot + TIMES] = count;
    });
  }

  #find([high, low]: Key): number {
    for (let probe = 0, at = startOf(high, low); probe < PROBES; probe++, at = (at + 1) & (SLOTS - 1)) {
      const slot = at * CELLS;
      if (this.#cells[slot + HIGH] === high && this.#cells[slot + LOW] === low) return slot;
    }
    return -1;
  }

  /** The slot of the address, made where there is none. Under the lock. */
  #claim(key: Key, ticks: number): number {
    const known = this.#find(key);
    if (known >= 0) return known;
    const [high, low] = key;
    let best = -1, worth = Infinity;
    for (let probe = 0, at = startOf(high, low); probe < PROBES; probe++, at = (at + 1) & (SLOTS - 1)) {
      const slot = at * CELLS;
      const until = this.#cells[slot + UNTIL]!;
      // Bans are kept before buckets, those that end late before those that end soon.
      const value = until > ticks ? 2 ** 31 + until : Math.max(until, this.#cells[slot + EMPTY_AT]!);
      if (value < worth) [best, worth] = [slot, value];
    }
    this.#cells.fill(0, best, best + CELLS);
    this.#cells[best + HIGH] = high;
    this.#cells[best + LOW] = low;
    return best;
  }

  #locked<T>(work: () => T): T {
    // A thread that died inside leaves the lock: after a bounded wait it is taken over.
    for (let spin = 0; spin < SPINS && Atomics.compareExchange(this.#cells, LOCK, 0, 1) !== 0; spin++);
    try {
      return work();
    } finally {
      Atomics.store(this.#cells, LOCK, 0);
    }
  }

  /** Now, from 1 on. */
  #ticks(): number {
    return Math.max(0, Math.floor((this.#steady() - this.#epoch) / TICK_MS)) + 1;
  }

  #write(op: Parameters<Store["write"]>[0]): void {
    this.#store.write(op).catch((error) => log.warn("a ban was not stored: {error}", { error }));
  }
}

type Key = readonly [number, number];

/** Keys of clients seen lately: every connection asks. */
const keys = new Map<string, Key | null>();
const MAX_KEYS = 1_000;

function keyOf(address: string): Key | null {
  let key = keys.get(address);
  if (key === undefined) {
    key = parseKey(address);
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(address, key);
  }
  return key;
}

/** IPv4 in the half of the table that no IPv6 client has (multicast); null where it is no address. */
function parseKey(address: string): Key | null {
  const name = failureKey(address).replace(/\/64$/, "");
  const four = parseIpv4(name);
  if (four !== null) return [-1, four[0]! << 24 | four[1]! << 16 | four[2]! << 8 | four[3]!];
  const six = parseIpv6(name);
  if (six === null) return null;
  const word = (at: number) => six[at]! << 24 | six[at + 1]! << 16 | six[at + 2]! << 8 | six[at + 3]!;
  const key: Key = [word(0), word(4)];
  return key[0] === 0 && key[1] === 0 ? null : key; // ::1 and its like
}

function startOf(high: number, low: number): number {
  const mixed = Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ mixed >>> 15) & (SLOTS - 1);
}

function banOf({ key, lastAt, expiresAt, count, note }: PolicyRow): Ban {
  return { address: key, since: lastAt, until: expiresAt, times: count, reason: note };
}
