/**
 * Logins of every protocol: address and password to an account, within limits that strangers cannot bend.
 *
 * Order of checks: the client's address may still try (failures.ts), the password was verified a moment ago
 * (login_cache.ts), or a hash decides (hash_work.ts). A login that does not exist, has no password or is disabled
 * costs the same hash, against a password nobody knows, and gives the same answer. A failure is answered after a delay
 * that grows with the failures of its address, counted from the attempt: what the check took does not show. Past the
 * limit nothing of that address is tried at all. Trouble on our side is "unavailable", never a wrong password: clients
 * ask their user again on that.
 *
 * What is repeated counts once: a phone with an old password must not shut its office out. SCRAM does not tell one wrong
 * password from another; its failures count once for a login and address, and in a bucket of these two, which is
 * limited like that of an address.
 *
 * Imported hashes are not replaced at login: that write could undo a password change that commits beside it.
 * Hot: bench/micro/login_bench.ts (a cached login). No clock, no timer: both are given.
 */
import { getLogger } from "@logtape/logtape";
import { createHash, randomBytes } from "node:crypto";
import { normalizeAddress } from "../storage/address_form.ts";
import type { Account } from "../storage/directory_view.ts";
import type { Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";
import { type FailureCounter, failureKey, type RepeatMemory } from "./failures.ts";
import { HashWork } from "./hash_work.ts";
import { DEFAULT_CACHE_TTL_MS, LoginCache } from "./login_cache.ts";
import { accountOfLogin } from "./login_name.ts";
import { makeScram } from "./scram.ts";

export type LoginProtocol = "smtp" | "imap" | "pop3" | "managesieve" | "admin";

export interface LoginAttempt {
  readonly login: string;
  readonly password: string;
  /** The client's IP address; "" for a local socket, which is not counted. */
  readonly address: string;
  readonly protocol: LoginProtocol;
  /** SASL authorization identity: empty or absent, or the login's own address. */
  readonly authzid?: string;
}

export type LoginResult =
  | { readonly ok: true; readonly account: Account }
  /** 535 5.7.8, `[AUTHENTICATIONFAILED]`, `[AUTH]`. */
  | { readonly ok: false; readonly reason: "wrong-password" }
  /** 454 4.7.0, `[UNAVAILABLE]`, `[SYS/TEMP]`. `detail` is for the log, not for the peer. */
  | { readonly ok: false; readonly reason: "unavailable"; readonly detail: string }
  /** 421 4.7.0 and the end of the connection; the address may try again after `delayMs`. */
  | { readonly ok: false; readonly reason: "throttled"; readonly delayMs: number };

export interface AuthLimits {
  /** Failures of one address (leaking, see failures.ts) at which it is throttled. */
  readonly maxFailures: number;
  /** Wait before the answer to the first failure; each further one doubles it. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Logins of one address that may wait for a hash at the same time. */
  readonly maxPendingPerAddress: number;
  /** How long a verified password is believed; 0 turns the cache off. */
  readonly cacheTtlMs: number;
  /** How long a repeated wrong password costs no hash and is not counted again. */
  readonly repeatedFailureMs: number;
}

const DEFAULT_AUTH_LIMITS: AuthLimits = {
  maxFailures: 10,
  firstDelayMs: 250,
  maxDelayMs: 8_000,
  maxPendingPerAddress: 16,
  cacheTtlMs: DEFAULT_CACHE_TTL_MS,
  repeatedFailureMs: 300_000,
};

/** A login that was shown by other means than a password. */
export interface ProvenAttempt extends Omit<LoginAttempt, "password"> {
  /** What was shown is right; asked only of addresses that may still try. Rejects when it cannot be found out. */
  readonly account: () => Promise<Account | null> | Account | null;
  /** The token or fingerprint; null for SCRAM, which shows another thing each time. */
  readonly shown: string | null;
}

export interface AuthenticatorOptions {
  readonly store: Store;
  readonly clock: () => number;
  readonly failures: FailureCounter;
  /** Of all threads, with one `cacheKey` for all of them; left out: this thread's own. */
  readonly repeats?: RepeatMemory;
  /** Hears of each failure that counts against an address. */
  readonly onFailure?: (address: string) => void;
  readonly limits?: Partial<AuthLimits>;
  /** Shared with whoever else hashes passwords on this thread. */
  readonly work?: HashWork;
  /** Waits before a failure is answered; a timer by default. */
  readonly sleep?: (ms: number) => Promise<void>;
  /** Makes the SCRAM verifier of a password that was right, where there is none. */
  readonly learnScram?: boolean;
  /** Key of the cache; random by default. */
  readonly cacheKey?: Uint8Array;
}

/** What log lines say of any attempt. */
type Attempted = Omit<LoginAttempt, "password">;

const log = getLogger(["veredus", "auth"]);
const logins = counter("veredus_logins_total", "Logins by protocol and result", ["protocol", "result"]);
const WRONG: LoginResult = { ok: false, reason: "wrong-password" };

export class Authenticator {
  #store: Store;
  #clock: () => number;
  #failures: FailureCounter;
  #repeats: RepeatMemory;
  #onFailure: (address: string) => void;
  #limits: AuthLimits;
  #work: HashWork;
  #sleep: (ms: number) => Promise<void>;
  #cache: LoginCache;
  /** Hashes under way, so that connections that open together cost one. */
  #pending = new Map<string, Promise<boolean>>();
  #pendingOf = new Map<string, number>();
  /** What logins without a usable password are compared with. */
  #decoy: string;
  #stop: () => void;
  #learnScram: boolean;
  /** Accounts whose verifier is being made. */
  #learning = new Set<number>();

  constructor(options: AuthenticatorOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#failures = options.failures;
    this.#repeats = options.repeats ?? { first: () => true };
    this.#onFailure = options.onFailure ?? (() => {});
    this.#limits = { ...DEFAULT_AUTH_LIMITS, ...options.limits };
    this.#work = options.work ?? new HashWork();
    this.#sleep = options.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#cache = new LoginCache({
      key: options.cacheKey ?? randomBytes(32),
      ttlMs: this.#limits.cacheTtlMs,
    });
    this.#learnScram = options.learnScram ?? false;
    this.#decoy = decoyOf(this.#work);
    // Changes of domains, aliases and tokens (null) touch no password; and an entry holds the stored hash, and state
    // and existence are read at each login, so nothing hangs on this alone.
    this.#stop = options.store.onChange((change) => {
      if (change.kind === "directory" && change.accountId !== null) this.#cache.drop(change.accountId);
    });
  }

  /** Never rejects. A wrong password is answered after its delay. */
  async login(attempt: LoginAttempt): Promise<LoginResult> {
    const now = this.#clock();
    const key = attempt.address === "" ? "" : failureKey(attempt.address);
    const failures = key === "" ? 0 : this.#failures.count(key, now);
    if (Math.ceil(failures) >= this.#limits.maxFailures) return this.#throttled(attempt, failures);

    let account: Account | null;
    try {
      account = accountOfLogin(this.#store.directory, attempt.login);
    } catch (error) {
      return this.#unavailable(attempt, error);
    }
    const usable = account !== null && account.enabled && account.passwordHash !== null;
    const stored = usable ? account!.passwordHash! : this.#decoy;
    const entry = this.#cache.entry(account?.id ?? attempt.login, stored, attempt.password);
    const permitted = usable && this.#mayActAs(account!, attempt.authzid);
    if (permitted && this.#cache.isVerified(account!.id, entry, now)) {
      logins.inc({ protocol: attempt.protocol, result: "cached" });
      log.debug("{protocol} login of {login} from {address}: cached", () => facts(attempt));
      return { ok: true, account: account! };
    }
    if (this.#cache.isWrong(entry, now)) return await this.#wrong(attempt, { key, now, entry: null });

    let matches: boolean;
    try {
      matches = await this.#verify(key, { entry, stored, password: attempt.password });
    } catch (error) {
      return this.#unavailable(attempt, error);
    }
    // A right password with somebody else's authzid must not be remembered as a wrong one.
    if (!matches || !permitted) {
      return await this.#wrong(attempt, { key, now, entry: matches ? null : entry });
    }
    this.#cache.addVerified(account!.id, entry, this.#clock());
    logins.inc({ protocol: attempt.protocol, result: "ok" });
    log.info("{protocol} login of {login} from {address}", () => facts(attempt));
    if (this.#learnScram && account!.scram === null) this.#learn(account!, attempt.password);
    return { ok: true, account: account! };
  }

  /** The same for SCRAM, tokens and certificates. Never rejects. */
  async prove(attempt: ProvenAttempt): Promise<LoginResult> {
    const now = this.#clock();
    const key = attempt.address === "" ? "" : failureKey(attempt.address);
    // Without ":", so that it is nobody's address.
    const both = key === "" || attempt.shown !== null ? "" : digest(`${key} ${attempt.login}`);
    const failures = key === "" ? 0 : Math.max(
      this.#failures.count(key, now),
      both === "" ? 0 : this.#failures.count(both, now),
    );
    if (Math.ceil(failures) >= this.#limits.maxFailures) return this.#throttled(attempt, failures);
    let account: Account | null;
    try {
      account = await attempt.account();
    } catch (error) {
      return this.#unavailable(attempt, error);
    }
    if (account === null || account.shared || !account.enabled || !this.#mayActAs(account, attempt.authzid)) {
      const atLeast = both === "" ? 1 : this.#failures.add(both, now);
      const entry = this.#cache.entry(attempt.login, "", attempt.shown ?? both);
      return await this.#wrong(attempt, { key, now, entry, atLeast });
    }
    logins.inc({ protocol: attempt.protocol, result: "ok" });
    log.info(
      "{protocol} login of {login} from {address}",
      () => facts({ ...attempt, login: account.address }),
    );
    return { ok: true, account };
  }

  /** Nobody waits for it, and the next login tries again when it fails. */
  #learn(account: Account, password: string): void {
    if (this.#learning.has(account.id)) return;
    this.#learning.add(account.id);
    makeScram(password).then((scram) =>
      this.#store.write({ kind: "put-scram", accountId: account.id, ifHash: account.passwordHash!, scram })
    ).catch((error) =>
      log.warn("the SCRAM verifier of {account} was not stored: {error}", {
        account: account.address,
        error: String(error),
      })
    ).finally(() => this.#learning.delete(account.id));
  }

  /** Stops listening to changes and ends the thread for imported hashes. */
  close(): void {
    this.#stop();
    this.#work.close();
  }

  /** RFC 4616 2: we let a login act for nobody but itself. */
  #mayActAs(account: Account, authzid: string | undefined): boolean {
    return authzid === undefined || authzid === "" || normalizeAddress(authzid) === account.address;
  }

  async #verify(
    key: string,
    check: { entry: string; stored: string; password: string },
  ): Promise<boolean> {
    const known = this.#pending.get(check.entry);
    if (known !== undefined) return await known;
    const pending = this.#pendingOf.get(key) ?? 0;
    if (key !== "" && pending >= this.#limits.maxPendingPerAddress) {
      throw new Error(`${pending} password checks of this address wait already`);
    }
    this.#pendingOf.set(key, pending + 1);
    const result = this.#work.verify(check.stored, check.password);
    this.#pending.set(check.entry, result);
    try {
      return await result;
    } finally {
      this.#pending.delete(check.entry);
      const left = this.#pendingOf.get(key)! - 1;
      if (left === 0) this.#pendingOf.delete(key);
      else this.#pendingOf.set(key, left);
    }
  }

  /** `entry` is null when this failure does not count; `now` is when the attempt came. */
  async #wrong(
    attempt: Attempted,
    { key, now: began, entry, atLeast = 1 }: {
      key: string;
      now: number;
      entry: string | null;
      atLeast?: number;
    },
  ): Promise<LoginResult> {
    const now = this.#clock();
    let count = atLeast;
    // Connections that waited for the same hash count once, like one that repeats it later.
    if (entry !== null && !this.#cache.isWrong(entry, now)) {
      this.#cache.addWrong(entry, now + this.#limits.repeatedFailureMs);
      // Twice as long as here, so that one that goes on and on does not count anew.
      if (key !== "" && this.#repeats.first(entry, now, 2 * this.#limits.repeatedFailureMs)) {
        count = Math.max(count, this.#failures.add(key, now));
        this.#onFailure(attempt.address);
      } else if (key !== "") count = Math.max(count, this.#failures.count(key, now));
    } else if (key !== "") {
      count = Math.max(count, this.#failures.count(key, now));
    }
    return await this.#refused(attempt, { count, tookMs: now - began });
  }

  /** The answer, after its delay, in which the check's own time is hidden. */
  async #refused(
    attempt: Attempted,
    { count, tookMs }: { count: number; tookMs: number },
  ): Promise<LoginResult> {
    logins.inc({ protocol: attempt.protocol, result: "wrong-password" });
    log.warn(
      "{protocol} login of {login} from {address} refused: wrong password (failures {failures})",
      () => ({
        ...facts(attempt),
        failures: Math.round(count),
      }),
    );
    const { firstDelayMs, maxDelayMs } = this.#limits;
    const delay = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.max(0, Math.ceil(count) - 1));
    const delayMs = Math.min(delay, delay - tookMs); // no longer when the clock was put back
    if (delayMs > 0) await this.#sleep(delayMs);
    return WRONG;
  }

  #throttled(attempt: Attempted, failures: number): LoginResult {
    logins.inc({ protocol: attempt.protocol, result: "throttled" });
    log.warn(
      "{protocol} login of {login} from {address} refused: {failures} failures (limit {limit})",
      () => ({
        ...facts(attempt),
        failures: Math.round(failures),
        limit: this.#limits.maxFailures,
      }),
    );
    const above = failures - (this.#limits.maxFailures - 1);
    return { ok: false, reason: "throttled", delayMs: Math.ceil(above * this.#failures.leakMs) };
  }

  #unavailable(attempt: Attempted, error: unknown): LoginResult {
    const detail = error instanceof Error ? error.message : String(error);
    logins.inc({ protocol: attempt.protocol, result: "unavailable" });
    log.error("{protocol} login of {login} from {address} could not be checked: {detail}", () => ({
      ...facts(attempt),
      detail,
    }));
    return { ok: false, reason: "unavailable", detail };
  }
}

/** A hash of the cost of ours that no password is known for. */
function decoyOf(work: HashWork): string {
  const { ln, r, p } = work.parameters;
  const text = (octets: number) => randomBytes(octets).toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${ln},r=${r},p=${p}$${text(16)}$${text(32)}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** For log lines: what the client typed as login may be anything, so it is cut. */
function facts(attempt: Attempted): Record<string, unknown> {
  return {
    protocol: attempt.protocol,
    login: attempt.login.length > 256 ? `${attempt.login.slice(0, 256)}...` : attempt.login,
    address: attempt.address || "local socket",
  };
}
