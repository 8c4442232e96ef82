/** One look-up told to the administrator: its answer or fault, and each step on the way. */
import type { CachingResolver } from "./caching_resolver.ts";
import { presentData } from "./presentation.ts";
import { typeName } from "./rdata.ts";
import {
  type AnswerStatus,
  type ExtendedError,
  ResolveError,
  type ResolveFault,
  type Security,
} from "./resolver.ts";

export interface DnsReport {
  readonly name: string;
  readonly type: string;
  readonly result: AnswerStatus | ResolveFault;
  readonly security: Security;
  /** Extended DNS error (RFC 8914), or null. */
  readonly reason: ExtendedError | null;
  /** Of a fault; empty otherwise. */
  readonly detail: string;
  readonly canonicalName: string;
  readonly ttlSeconds: number;
  /** In the form of zone files. */
  readonly records: readonly string[];
  readonly elapsedMs: number;
  /** Empty unless they were asked for. */
  readonly steps: readonly { readonly atMs: number; readonly text: string }[];
}

/** Steps of one report; a trap of a zone takes more. */
const MAX_STEPS = 500;

/** Rejects only for a fault of our own. */
export async function reportQuery(
  resolver: CachingResolver,
  question: { readonly name: string; readonly type: number; readonly trace: boolean },
  now: () => number,
): Promise<DnsReport> {
  const begin = now();
  const steps: { atMs: number; text: string }[] = [];
  const tell = (text: string) => {
    if (steps.length < MAX_STEPS) steps.push({ atMs: Math.round(now() - begin), text });
  };
  const head = { name: question.name, type: typeName(question.type), steps };
  try {
    const found = await resolver.query(question.name, question.type, question.trace ? tell : null);
    const { status, security, reason, canonicalName, ttlSeconds, records } = found;
    return {
      ...head,
      result: status,
      security,
      reason,
      detail: "",
      canonicalName,
      ttlSeconds,
      records: records.map(presentData),
      elapsedMs: Math.round(now() - begin),
    };
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    return {
      ...head,
      result: error.fault,
      security: error.fault === "bogus" ? "bogus" : "indeterminate",
      reason: error.reason,
      detail: error.message,
      canonicalName: question.name,
      ttlSeconds: 0,
      records: [],
      elapsedMs: Math.round(now() - begin),
    };
  }
}
