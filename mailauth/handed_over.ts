/**
 * Whom a relay of ours had a message from: the newest Received field that names an address which is no relay itself.
 *
 * Only the fields in front that relays wrote are looked at: reading stops at the first one whose address cannot be read.
 * `from NAME (name [ADDRESS])` (RFC 5321 4.4), as all common servers write it.
 */
import { canonicalAddress } from "../dns/ip_address.ts";
import { type FieldSpan, fieldValue } from "../message/header.ts";

const MAX_HOPS = 10;
const FROM = /^from[ \t]+([^\s()[\]]{1,255}|\[[^\]]{1,60}\])[^;]*?\[(?:IPv6:)?([0-9A-Fa-f.:]{2,45})\]/i;

export function handedOverBy(
  header: Uint8Array,
  spans: readonly FieldSpan[],
  isRelay: (address: string) => boolean,
): { readonly address: string; readonly heloName: string } | null {
  for (const span of spans.filter(({ name }) => name === "received").slice(0, MAX_HOPS)) {
    const match = FROM.exec(fieldValue(header, span));
    const address = match === null ? null : canonicalAddress(match[2]!);
    if (match === null || address === null) return null;
    if (!isRelay(address)) return { address, heloName: match[1]! };
  }
  return null;
}
