/**
 * Names that are never asked for: RFC 6761 6.3 (`localhost` is the loopback), 6.4 (`invalid` does not exist),
 * RFC 7686 2 (`onion` is not in DNS). /etc/hosts is not read: mail follows DNS.
 */
import { isWithin } from "./name.ts";
import { type RecordData, TYPE_CODES } from "./rdata.ts";
import type { AnswerStatus } from "./resolver.ts";

/** What the name has, or null when DNS must be asked. */
export function specialAnswer(
  name: string,
  type: number,
): { readonly status: AnswerStatus; readonly records: readonly RecordData[] } | null {
  if (isWithin(name, "localhost")) {
    if (type === TYPE_CODES.A) return { status: "found", records: [{ type: "A", address: "127.0.0.1" }] };
    if (type === TYPE_CODES.AAAA) return { status: "found", records: [{ type: "AAAA", address: "::1" }] };
    return { status: "no-data", records: [] };
  }
  if (isWithin(name, "invalid") || isWithin(name, "onion")) return { status: "no-such-domain", records: [] };
  return null;
}
