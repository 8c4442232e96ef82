/**
 * What the rest of the server asks DNS: one name, one type, one answer.
 *
 * "No such name" and "no such record" are answers; only an answer that could not be had is an error, a
 * {@linkcode ResolveError} with `temporary`. Names are A-labels already, any case, with or without the final dot.
 * `dns/caching_resolver.ts` implements it over recursive or authoritative servers, tests by a map
 * (`test/lib/mock_resolver.ts`).
 *
 * Each answer says how far DNSSEC vouches for it (RFC 4033 5). What is bogus is no answer but an error, temporary like
 * the others: look-ups for routing wait, checks of incoming mail have a temporary error.
 */
import type { DataOf, RecordType } from "./rdata.ts";

/**
 * - `found`: at least one record
 * - `no-data`: the name exists, not with this type (RFC 2308 2.2)
 * - `no-such-domain`: NXDOMAIN (RFC 2308 2.1)
 */
export type AnswerStatus = "found" | "no-data" | "no-such-domain";

/**
 * - `secure`: signed, along a chain from a trust anchor; the denial of a record as well
 * - `insecure`: the chain ends, provably, above the name; or DNSSEC there is of a kind that is not supported
 * - `bogus`: it should be signed and is not, or not rightly; only as the fault of an error
 * - `indeterminate`: nobody looked: validation is off, or there is no anchor
 */
export type Security = "secure" | "insecure" | "bogus" | "indeterminate";

/** Why something is as it is: an extended DNS error (RFC 8914) with words of ours. */
export interface ExtendedError {
  /** INFO-CODE, see {@linkcode EXTENDED_ERRORS}. */
  readonly code: number;
  readonly text: string;
}

/** INFO-CODE values; RFC 8914 4 and the registry. */
export const EXTENDED_ERRORS = {
  OTHER: 0,
  UNSUPPORTED_ALGORITHM: 1,
  UNSUPPORTED_DIGEST: 2,
  STALE_ANSWER: 3,
  INDETERMINATE: 5,
  BOGUS: 6,
  SIGNATURE_EXPIRED: 7,
  SIGNATURE_NOT_YET_VALID: 8,
  DNSKEY_MISSING: 9,
  RRSIGS_MISSING: 10,
  NO_ZONE_KEY: 11,
  NSEC_MISSING: 12,
  STALE_NXDOMAIN: 19,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  UNSUPPORTED_NSEC3_ITERATIONS: 27,
  SYNTHESIZED: 29,
} as const;

export interface Answer<T extends RecordType = RecordType> {
  /** The name asked for, lower case, without final dot. */
  readonly name: string;
  readonly type: T;
  readonly status: AnswerStatus;
  /** Where the CNAME chain of `name` ended; `name` itself without one. */
  readonly canonicalName: string;
  /** In the order of the server, without duplicates; empty unless `found`. Shared by all who ask: do not change. */
  readonly records: readonly DataOf<T>[];
  /** What is left of the time to live. */
  readonly ttlSeconds: number;
  /** Of the whole way: aliases, records, or the proof that there are none. Never `bogus`. */
  readonly security: Security;
  /** Why it is not `secure`, or that it is stale or was deduced; null when there is nothing to tell. */
  readonly reason: ExtendedError | null;
}

export type ResolveFault =
  /** No server answered in time. */
  | "timeout"
  /** All servers answered SERVFAIL, REFUSED or another error. */
  | "server-failure"
  /** Answers that cannot be read or do not belong to the question. */
  | "malformed"
  /** A CNAME loop, or a chain longer than the limit. */
  | "cname-chain"
  /** DNSSEC says that the answer is not what the zone's owner published. */
  | "bogus"
  /** The question cost more than one question may: somebody's zone is a trap. */
  | "work-limit"
  /** Too many questions wait already. */
  | "overload"
  /** Not a domain name: an empty or too long label, more than 255 octets. */
  | "bad-name";

/** In words that strangers may read: they name no server of ours and nothing of the way. */
const PLAIN: Readonly<Record<ResolveFault, string>> = {
  "timeout": "DNS did not answer in time",
  "server-failure": "DNS could not answer",
  "malformed": "DNS gave no answer that can be read",
  "cname-chain": "aliases in DNS that do not end",
  "bogus": "DNSSEC says that the answer is forged",
  "work-limit": "DNS asked for too much work",
  "overload": "too many questions to DNS wait",
  "bad-name": "not a domain name",
};

/** What RFC 8914 has for a fault that says no more. */
const FAULT_CODES: Readonly<Record<ResolveFault, number>> = {
  "timeout": EXTENDED_ERRORS.NO_REACHABLE_AUTHORITY,
  "server-failure": EXTENDED_ERRORS.NO_REACHABLE_AUTHORITY,
  "malformed": EXTENDED_ERRORS.NETWORK_ERROR,
  "cname-chain": EXTENDED_ERRORS.OTHER,
  "bogus": EXTENDED_ERRORS.BOGUS,
  "work-limit": EXTENDED_ERRORS.OTHER,
  "overload": EXTENDED_ERRORS.OTHER,
  "bad-name": EXTENDED_ERRORS.OTHER,
};

export class ResolveError extends Error {
  override readonly name = "ResolveError";
  readonly fault: ResolveFault;
  readonly reason: ExtendedError;

  constructor(fault: ResolveFault, detail: string, reason: ExtendedError | null = null) {
    super(detail);
    this.fault = fault;
    this.reason = reason ?? { code: FAULT_CODES[fault], text: detail };
  }

  /** For headers and replies; the message, which may name servers, is for the operator. */
  get plain(): string {
    return PLAIN[this.fault];
  }

  /** Only a name that can never be asked for is permanent; everything else may be mended. */
  get temporary(): boolean {
    return this.fault !== "bad-name";
  }
}

export interface Resolver {
  /** Rejects with {@linkcode ResolveError} only. */
  resolve<T extends RecordType>(name: string, type: T): Promise<Answer<T>>;
  /** What `resolve` would give without asking anybody, failures that are remembered as well; null where somebody has to be asked. */
  known?<T extends RecordType>(name: string, type: T): Answer<T> | ResolveError | null;
}
