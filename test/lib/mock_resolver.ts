/**
 * DNS as a map, for tests of what asks it. `"mx.example.test A"` maps to data, to a status, or to a fault.
 *
 * A name that has records of other types answers `no-data`, any other name `no-such-domain`. CNAMEs are followed.
 * `queries` remembers what was asked, in order.
 */
import type { DataOf, RecordData, RecordType } from "../../dns/rdata.ts";
import {
  type Answer,
  type AnswerStatus,
  ResolveError,
  type ResolveFault,
  type Resolver,
  type Security,
} from "../../dns/resolver.ts";

export type MockEntry = readonly RecordData[] | Exclude<AnswerStatus, "found"> | ResolveFault;

export class MockResolver implements Resolver {
  readonly entries: Map<string, MockEntry>;
  readonly queries: string[];
  ttlSeconds: number;
  /** Of all answers but those of {@linkcode securityOf}. */
  security: Security;
  /** By name, lower case. */
  readonly securityOf: Map<string, Security>;

  constructor(entries: Readonly<Record<string, MockEntry>> = {}) {
    this.entries = new Map(Object.entries(entries));
    this.queries = [];
    this.ttlSeconds = 300;
    this.security = "insecure";
    this.securityOf = new Map();
  }

  async resolve<T extends RecordType>(name: string, type: T): Promise<Answer<T>> {
    const asked = name.toLowerCase().replace(/\.$/, "");
    this.queries.push(`${asked} ${type}`);
    let canonicalName = asked;
    for (let links = 0; links < 8; links++) {
      const entry = this.entries.get(`${canonicalName} ${type}`);
      const { ttlSeconds } = this;
      const security = this.securityOf.get(canonicalName) ?? this.security;
      const found = { name: asked, type, canonicalName, ttlSeconds, security, reason: null };
      if (entry === "no-data" || entry === "no-such-domain") return { ...found, status: entry, records: [] };
      if (typeof entry === "string") throw new ResolveError(entry, `${asked} ${type}: ${entry}`);
      if (entry !== undefined) return { ...found, status: "found", records: entry as readonly DataOf<T>[] };
      const alias = this.entries.get(`${canonicalName} CNAME`);
      if (typeof alias === "object" && alias[0]?.type === "CNAME") {
        canonicalName = alias[0].target;
        continue;
      }
      const prefix = `${canonicalName} `;
      const exists = [...this.entries.keys()].some((key) => key.startsWith(prefix));
      return { ...found, status: exists ? "no-data" : "no-such-domain", records: [] };
    }
    throw new ResolveError("cname-chain", `${asked} ${type}: chain of aliases`);
  }
}

export function a(address: string): DataOf<"A"> {
  return { type: "A", address };
}

export function aaaa(address: string): DataOf<"AAAA"> {
  return { type: "AAAA", address };
}

export function mx(preference: number, exchange: string): DataOf<"MX"> {
  return { type: "MX", preference, exchange };
}

export function txt(...strings: string[]): DataOf<"TXT"> {
  return { type: "TXT", strings: strings.map((text) => new TextEncoder().encode(text)) };
}
