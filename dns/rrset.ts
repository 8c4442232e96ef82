/**
 * RRsets: all records of one name and type, with the signatures over them.
 *
 * RFC 2181 5: one TTL, the smallest; no record twice. Signatures belong to the set they cover (RFC 4035 2.2). Records of
 * another class than IN are left out. Pure.
 */
import { CLASS_IN, type ResourceRecord } from "./message.ts";
import { canonicalData, dataKey, type RecordData, TYPE_CODES, typeCode } from "./rdata.ts";
import type { RrsigData } from "./rdata_dnssec.ts";

export interface RrSet {
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  readonly ttlSeconds: number;
  /** At least one. */
  readonly records: readonly RecordData[];
  readonly signatures: readonly RrsigData[];
}

/** Signatures of one set that are looked at; the rest of a crowd is no help. */
const MAX_SIGNATURES = 8;

interface Growing {
  readonly name: string;
  readonly type: number;
  ttlSeconds: number;
  readonly records: Map<string, RecordData>;
  readonly signatures: RrsigData[];
}

/** In the order in which the sets appear. Signatures without a set are dropped. */
export function rrsetsOf(records: readonly ResourceRecord[]): RrSet[] {
  const sets = new Map<string, Growing>();
  const signatures: ResourceRecord[] = [];
  for (const record of records) {
    if (record.class !== CLASS_IN) continue;
    if (record.data.type === "RRSIG") {
      signatures.push(record);
      continue;
    }
    const type = typeCode(record.data), key = `${record.name} ${type}`;
    const set = sets.get(key);
    if (set === undefined) {
      sets.set(key, {
        name: record.name,
        type,
        ttlSeconds: record.ttlSeconds,
        records: new Map([[dataKey(record.data), record.data]]),
        signatures: [],
      });
    } else {
      set.ttlSeconds = Math.min(set.ttlSeconds, record.ttlSeconds);
      set.records.set(dataKey(record.data), record.data);
    }
  }
  for (const { name, data, ttlSeconds } of signatures) {
    if (data.type !== "RRSIG") continue;
    const set = sets.get(`${name} ${data.covered}`);
    if (set === undefined || set.signatures.length >= MAX_SIGNATURES) continue;
    set.signatures.push(data);
    set.ttlSeconds = Math.min(set.ttlSeconds, ttlSeconds);
  }
  return [...sets.values()].map((set) => ({ ...set, records: [...set.records.values()] }));
}

/** A set of RRSIG records themselves, for who asks for that type; they are not signed. */
export function signatureSet(records: readonly ResourceRecord[], name: string): RrSet | null {
  const own = records.filter((record) =>
    record.class === CLASS_IN && record.name === name && record.data.type === "RRSIG"
  );
  if (own.length === 0) return null;
  return {
    name,
    type: TYPE_CODES.RRSIG,
    ttlSeconds: Math.min(...own.map(({ ttlSeconds }) => ttlSeconds)),
    records: own.map(({ data }) => data),
    signatures: [],
  };
}

/** RDATA in canonical form and order (RFC 4034 6.3): as octets, the shorter one first. */
export function canonicalOrder(records: readonly RecordData[]): Uint8Array<ArrayBuffer>[] {
  return records.map(canonicalData).sort(compareOctets);
}

export function compareOctets(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length && at < b.length; at++) {
    if (a[at] !== b[at]) return a[at]! - b[at]!;
  }
  return a.length - b.length;
}
