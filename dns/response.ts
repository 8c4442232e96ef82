/**
 * What a message says about one name and type: the end of its CNAME chain, the records there, and for how long.
 *
 * Only records owned by the names of the chain count, whatever else a server puts in (RFC 5452 6). RFC 1034 3.6.2
 * (CNAME), RFC 2308 2 and 5 (negative answers and their TTL), RFC 2181 5 (no duplicates). Pure.
 */
import { CLASS_IN, type Message, RCODES, type ResourceRecord } from "./message.ts";
import { isWithin } from "./name.ts";
import { dataKey, type DataOf, type RecordType } from "./rdata.ts";
import type { AnswerStatus } from "./resolver.ts";

export type Extraction<T extends RecordType> =
  | {
    readonly kind: "final";
    readonly status: AnswerStatus;
    readonly canonicalName: string;
    readonly records: readonly DataOf<T>[];
    /** Null: a negative answer without SOA, which is not to be kept (RFC 2308 5). */
    readonly ttlSeconds: number | null;
    readonly links: number;
  }
  /** The chain leads out of the message: `target` must be asked for. */
  | { readonly kind: "alias"; readonly target: string; readonly ttlSeconds: number; readonly links: number }
  /** More than `maxLinks`, a loop included. */
  | { readonly kind: "endless" };

export function extractAnswer<T extends RecordType>(
  message: Message,
  question: { readonly name: string; readonly type: T; readonly maxLinks: number },
): Extraction<T> {
  const aliases = new Map<string, ResourceRecord & { data: DataOf<"CNAME"> }>();
  for (const record of message.answers) {
    // RFC 1034 3.6.2: a name has one CNAME; the first one counts.
    if (record.class === CLASS_IN && isAlias(record) && !aliases.has(record.name)) {
      aliases.set(record.name, record);
    }
  }
  let name = question.name, links = 0, ttlSeconds = Infinity;
  for (let alias; question.type !== "CNAME" && (alias = aliases.get(name)) !== undefined;) {
    if (++links > question.maxLinks) return { kind: "endless" };
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
    name = alias.data.target;
  }

  const records = new Map<string, DataOf<T>>();
  for (const record of message.answers) {
    if (record.class !== CLASS_IN || record.name !== name || !hasType(record.data, question.type)) continue;
    ttlSeconds = Math.min(ttlSeconds, record.ttlSeconds);
    records.set(dataKey(record.data), record.data);
  }
  if (records.size > 0) {
    return {
      kind: "final",
      status: "found",
      canonicalName: name,
      records: [...records.values()],
      ttlSeconds,
      links,
    };
  }

  const soa = message.authorities.find((record) =>
    record.class === CLASS_IN && record.data.type === "SOA" && isWithin(name, record.name)
  );
  const nxdomain = message.rcode === RCODES.NXDOMAIN;
  // A server without authority over the target ends its answer with the alias (RFC 1034 4.3.2).
  if (links > 0 && soa === undefined && !nxdomain) return { kind: "alias", target: name, ttlSeconds, links };
  return {
    kind: "final",
    // RFC 6604 3: with a chain, the RCODE is about its last name.
    status: nxdomain ? "no-such-domain" : "no-data",
    canonicalName: name,
    records: [],
    ttlSeconds: soa?.data.type === "SOA"
      ? Math.min(ttlSeconds, soa.ttlSeconds, soa.data.minimumSeconds)
      : null,
    links,
  };
}

function isAlias(record: ResourceRecord): record is ResourceRecord & { data: DataOf<"CNAME"> } {
  return record.data.type === "CNAME";
}

function hasType<T extends RecordType>(data: { type: string }, type: T): data is DataOf<T> {
  return data.type === type;
}
