/**
 * Records as zone files write them, for people: RFC 1035 5.1, RFC 4034 (DNSSEC), RFC 3597 5 (unknown types). Pure.
 */
import { latin1 } from "../bytes/decode.ts";
import { encodeBase64 } from "../bytes/base64.ts";
import { encodeBase32Hex } from "./dnssec/nsec3.ts";
import { type RecordData, typeName } from "./rdata.ts";
import { bitmapTypes } from "./type_bitmap.ts";

/** One line: no octet of a stranger that is not printable ASCII comes through. */
export function presentData(data: RecordData): string {
  switch (data.type) {
    case "A":
    case "AAAA":
      return data.address;
    case "NS":
      return dotted(data.host);
    case "CNAME":
    case "PTR":
    case "DNAME":
      return dotted(data.target);
    case "SOA":
      return [
        dotted(data.primary),
        dotted(data.mailbox),
        data.serial,
        data.refreshSeconds,
        data.retrySeconds,
        data.expireSeconds,
        data.minimumSeconds,
      ].join(" ");
    case "MX":
      return `${data.preference} ${dotted(data.exchange)}`;
    case "TXT":
      return data.strings.map(quoted).join(" ");
    case "SRV":
      return `${data.priority} ${data.weight} ${data.port} ${dotted(data.target)}`;
    case "TLSA":
      return `${data.usage} ${data.selector} ${data.matching} ${hex(data.association)}`;
    case "CAA":
      return `${data.flags} ${quoted(latin1Octets(data.tag)).slice(1, -1)} ${quoted(data.value)}`;
    case "SVCB":
    case "HTTPS": {
      const parameters = data.parameters.map(({ key, octets }) => `key${key}=${quoted(octets)}`);
      return [data.priority, dotted(data.target), ...parameters].join(" ");
    }
    case "DS":
      return `${data.keyTag} ${data.algorithm} ${data.digestType} ${hex(data.digest)}`;
    case "DNSKEY":
      return `${data.flags} ${data.protocol} ${data.algorithm} ${encodeBase64(data.key)}`;
    case "RRSIG":
      return [
        typeName(data.covered),
        data.algorithm,
        data.labels,
        data.originalTtlSeconds,
        moment(data.expiration),
        moment(data.inception),
        data.keyTag,
        dotted(data.signer),
        encodeBase64(data.signature),
      ].join(" ");
    case "NSEC":
      return [dotted(data.next), ...bitmapTypes(data.types).map(typeName)].join(" ");
    case "NSEC3":
      return [parameters(data), encodeBase32Hex(data.nextHash), ...bitmapTypes(data.types).map(typeName)]
        .join(" ");
    case "NSEC3PARAM":
      return parameters(data);
    case "unknown":
      return `\\# ${data.octets.length} ${hex(data.octets)}`.trimEnd();
    default:
      return data satisfies never;
  }
}

function dotted(name: string): string {
  return name === "." ? name : `${name}.`;
}

function quoted(octets: Uint8Array): string {
  const text = latin1(octets).replace(/["\\]/g, "\\$&").replace(
    /[^\x20-\x7e]/g,
    (character) => `\\${String(character.charCodeAt(0)).padStart(3, "0")}`,
  );
  return `"${text}"`;
}

function latin1Octets(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function hex(octets: Uint8Array): string {
  return octets.toHex().toUpperCase();
}

function parameters(
  data: { hashAlgorithm: number; flags: number; iterations: number; salt: Uint8Array },
): string {
  const salt = data.salt.length === 0 ? "-" : hex(data.salt);
  return `${data.hashAlgorithm} ${data.flags} ${data.iterations} ${salt}`;
}

/** RFC 4034 3.2: YYYYMMDDHHmmSS. */
function moment(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\D/g, "").slice(0, 14);
}
