/**
 * What the rest of the server asks DNS: one name, one type, one answer.
 *
 * "No such name" and "no such record" are answers; only an answer that could not be had is an error, a
 * {@linkcode ResolveError} with `temporary`. Names are A-labels already, any case, with or without the final dot.
 * `dns/stub_resolver.ts` implements it over recursive servers, tests by a map (`test/lib/mock_resolver.ts`).
 */
import type { DataOf, RecordType } from "./rdata.ts";

/**
 * - `found`: at least one record
 * - `no-data`: the name exists, not with this type (RFC 2308 2.2)
 * - `no-such-domain`: NXDOMAIN (RFC 2308 2.1)
 */
export type AnswerStatus = "found" | "no-data" | "no-such-domain";

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
  /** Too many questions wait already. */
  | "overload"
  /** Not a domain name: an empty or too long label, more than 255 octets. */
  | "bad-name";

export class ResolveError extends Error {
  override readonly name = "ResolveError";
  readonly fault: ResolveFault;

  constructor(fault: ResolveFault, detail: string) {
    super(detail);
    this.fault = fault;
  }

  /** Only a name that can never be asked for is permanent; everything else may be mended. */
  get temporary(): boolean {
    return this.fault !== "bad-name";
  }
}

export interface Resolver {
  /** Rejects with {@linkcode ResolveError} only. */
  resolve<T extends RecordType>(name: string, type: T): Promise<Answer<T>>;
}
