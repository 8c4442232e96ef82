/**
 * Logins that were verified a moment ago, so that a mail client's many connections cost one hash a minute.
 *
 * An entry is an HMAC, under a key made at start and kept nowhere else, over account, stored hash and password: the
 * password cannot be read from memory or a core dump by it, and a changed password or scheme is another entry. The
 * same HMAC remembers wrong passwords, so that a client that repeats one costs no hash and is counted once.
 * Limits: {@linkcode MAX_ACCOUNTS}, {@linkcode MAX_PASSWORDS} each, {@linkcode MAX_WRONG}; the oldest go first.
 * Hot: bench/micro/login_bench.ts.
 */
import { createHmac } from "node:crypto";

export const DEFAULT_CACHE_TTL_MS = 60_000;
const MAX_ACCOUNTS = 20_000;
const MAX_PASSWORDS = 4;
const MAX_WRONG = 10_000;

export interface LoginCacheOptions {
  /** At least 32 random octets. */
  readonly key: Uint8Array;
  /** How long a verified password is believed. 0 turns the cache off. */
  readonly ttlMs?: number;
  readonly maxAccounts?: number;
  readonly maxWrong?: number;
}

export class LoginCache {
  #key: Uint8Array;
  #ttlMs: number;
  #maxAccounts: number;
  #maxWrong: number;
  /** Per account: entry to the time it ends. */
  #verified = new Map<number, Map<string, number>>();
  #wrong = new Map<string, number>();

  constructor(options: LoginCacheOptions) {
    this.#key = options.key;
    this.#ttlMs = options.ttlMs ?? DEFAULT_CACHE_TTL_MS;
    this.#maxAccounts = options.maxAccounts ?? MAX_ACCOUNTS;
    this.#maxWrong = options.maxWrong ?? MAX_WRONG;
  }

  /** The entry of this password. `subject` is the account's id, or the login when there is no such account. */
  entry(subject: number | string, stored: string, password: string): string {
    // A login never holds NUL, and a stored hash neither: the parts cannot run into each other.
    return createHmac("sha256", this.#key).update(`${typeof subject}\0${subject}\0${stored}\0${password}`)
      .digest("base64");
  }

  isVerified(accountId: number, entry: string, now: number): boolean {
    const endsAt = this.#verified.get(accountId)?.get(entry);
    return endsAt !== undefined && endsAt > now;
  }

  isWrong(entry: string, now: number): boolean {
    const endsAt = this.#wrong.get(entry);
    return endsAt !== undefined && endsAt > now;
  }

  addVerified(accountId: number, entry: string, now: number): void {
    if (this.#ttlMs === 0) return;
    let entries = this.#verified.get(accountId);
    if (entries === undefined) {
      dropOldest(this.#verified, this.#maxAccounts);
      this.#verified.set(accountId, entries = new Map());
    }
    entries.delete(entry);
    dropOldest(entries, MAX_PASSWORDS);
    entries.set(entry, now + this.#ttlMs);
  }

  addWrong(entry: string, endsAt: number): void {
    this.#wrong.delete(entry);
    dropOldest(this.#wrong, this.#maxWrong);
    this.#wrong.set(entry, endsAt);
  }

  /** The account's password, state or existence changed. */
  drop(accountId: number): void {
    this.#verified.delete(accountId);
  }
}

function dropOldest<K, V>(map: Map<K, V>, max: number): void {
  if (map.size < max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
