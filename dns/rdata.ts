/**
 * Record data: what stands in RDATA, by type.
 *
 * RFC 1035 3.3 and 3.4.1 (A NS CNAME SOA PTR MX TXT), RFC 3596 (AAAA), RFC 2782 (SRV), RFC 6672 2.1 (DNAME), RFC 6698
 * 2.1 (TLSA), RFC 8659 4.1 (CAA), RFC 9460 2.2 (SVCB, HTTPS); DNSSEC's own in `dns/rdata_dnssec.ts`. Every other type
 * stays raw octets (RFC 3597); those of the first years that have names inside are decompressed and in lower case, as
 * signatures want them (RFC 4034 6.2). Names inside are in the form of `dns/name.ts`, in lower case. Pure.
 */
import { encodeLatin1, latin1 } from "../bytes/decode.ts";
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./ip_address.ts";
import {
  DNSSEC_TYPE_CODES,
  type DnssecData,
  type DnssecType,
  readDnssec,
  writeDnssec,
} from "./rdata_dnssec.ts";
import { type WireReader, WireWriter } from "./wire.ts";

/** TYPE codes of what is taken apart; RFC 1035 3.2.2 and the registry. */
export const TYPE_CODES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  CAA: 257,
  ...DNSSEC_TYPE_CODES,
} as const;

/**
 * Types without a form of their own here that have names inside (RFC 4034 6.2, RFC 3597 4): `n` a name, `s` a
 * character-string, digits octets, `*` the rest.
 */
const NAMED_FORMATS: ReadonlyMap<number, string> = new Map([
  [3, "n"], // MD
  [4, "n"], // MF
  [7, "n"], // MB
  [8, "n"], // MG
  [9, "n"], // MR
  [14, "nn"], // MINFO
  [17, "nn"], // RP
  [18, "2n"], // AFSDB
  [21, "2n"], // RT
  [26, "2nn"], // PX
  [35, "4sssn"], // NAPTR
  [36, "2n"], // KX
]);

export type RecordType = keyof typeof TYPE_CODES;

export interface SoaData {
  readonly type: "SOA";
  readonly primary: string;
  readonly mailbox: string;
  readonly serial: number;
  readonly refreshSeconds: number;
  readonly retrySeconds: number;
  readonly expireSeconds: number;
  /** TTL of negative answers since RFC 2308 4. */
  readonly minimumSeconds: number;
}

export type RecordData =
  /** Dotted decimal. */
  | { readonly type: "A"; readonly address: string }
  /** As RFC 5952 writes it. */
  | { readonly type: "AAAA"; readonly address: string }
  | { readonly type: "NS"; readonly host: string }
  | { readonly type: "CNAME"; readonly target: string }
  | SoaData
  | { readonly type: "PTR"; readonly target: string }
  | { readonly type: "MX"; readonly preference: number; readonly exchange: string }
  /** The character-strings of one record; joining them is up to the reader (RFC 7208 3.3 does). */
  | { readonly type: "TXT"; readonly strings: readonly Uint8Array[] }
  | {
    readonly type: "SRV";
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  }
  | {
    readonly type: "TLSA";
    readonly usage: number;
    readonly selector: number;
    readonly matching: number;
    readonly association: Uint8Array;
  }
  | { readonly type: "DNAME"; readonly target: string }
  | { readonly type: "CAA"; readonly flags: number; readonly tag: string; readonly value: Uint8Array }
  | {
    readonly type: "SVCB" | "HTTPS";
    readonly priority: number;
    /** In the case it came in: its canonical form keeps it. */
    readonly target: string;
    readonly parameters: readonly { readonly key: number; readonly octets: Uint8Array }[];
  }
  | DnssecData
  | { readonly type: "unknown"; readonly code: number; readonly octets: Uint8Array };

/** The data of one type: `DataOf<"MX">` has `preference` and `exchange`. */
export type DataOf<T extends RecordType> = T extends "SVCB" | "HTTPS"
  ? Extract<RecordData, { readonly type: "SVCB" | "HTTPS" }>
  : Extract<RecordData, { readonly type: T }>;

const TYPE_OF_CODE = new Map<number, RecordType>(
  Object.entries(TYPE_CODES).map(([type, code]) => [code, type as RecordType]),
);

export function typeCode(data: RecordData): number {
  return data.type === "unknown" ? data.code : TYPE_CODES[data.type];
}

/**
 * RDATA that fills `reader` to its `end` exactly; null when it does not or is malformed. A class other than IN has
 * formats of its own and stays raw.
 */
export function readData(
  reader: WireReader,
  options: { code: number; internet: boolean },
): RecordData | null {
  const type = options.internet ? TYPE_OF_CODE.get(options.code) : undefined;
  const data = type === undefined
    ? { type: "unknown" as const, code: options.code, octets: readRaw(reader, options) }
    : readKnown(reader, type);
  return reader.ok && reader.left === 0 ? data : null;
}

function readRaw(reader: WireReader, options: { code: number; internet: boolean }): Uint8Array {
  const format = options.internet ? NAMED_FORMATS.get(options.code) : undefined;
  if (format === undefined) return reader.octets(reader.left);
  const writer = new WireWriter();
  for (const part of format) {
    if (part === "n") writer.name(reader.name(), false);
    else if (part === "s") {
      const length = reader.u8();
      writer.u8(length);
      writer.octets(reader.octets(length));
    } else writer.octets(reader.octets(Number(part)));
  }
  return writer.take();
}

function readKnown(reader: WireReader, type: RecordType): RecordData | null {
  switch (type) {
    case "A":
      return { type, address: formatIpv4(reader.octets(4)) };
    case "AAAA": {
      const octets = reader.octets(16);
      return reader.ok ? { type, address: formatIpv6(octets) } : null;
    }
    case "NS":
      return { type, host: reader.name() };
    case "CNAME":
    case "PTR":
    case "DNAME":
      return { type, target: reader.name() };
    case "SOA":
      return {
        type,
        primary: reader.name(),
        mailbox: reader.name(),
        serial: reader.u32(),
        refreshSeconds: reader.u32(),
        retrySeconds: reader.u32(),
        expireSeconds: reader.u32(),
        minimumSeconds: reader.u32(),
      };
    case "MX":
      return { type, preference: reader.u16(), exchange: reader.name() };
    case "TXT":
      return readStrings(reader);
    case "SRV":
      return {
        type,
        priority: reader.u16(),
        weight: reader.u16(),
        port: reader.u16(),
        target: reader.name(),
      };
    case "TLSA":
      return {
        type,
        usage: reader.u8(),
        selector: reader.u8(),
        matching: reader.u8(),
        association: reader.octets(reader.left),
      };
    case "CAA": {
      const flags = reader.u8();
      const tag = latin1(reader.octets(reader.u8()));
      // RFC 8659 4.1: at least one character.
      return tag === "" ? null : { type, flags, tag, value: reader.octets(reader.left) };
    }
    case "SVCB":
    case "HTTPS":
      return readService(reader, type);
    case "DS":
    case "DNSKEY":
    case "RRSIG":
    case "NSEC":
    case "NSEC3":
    case "NSEC3PARAM":
      return readDnssec(reader, type satisfies DnssecType);
    default:
      return type satisfies never;
  }
}

/** RFC 1035 3.3.14: one or more character-strings. */
function readStrings(reader: WireReader): RecordData | null {
  const strings: Uint8Array[] = [];
  do strings.push(reader.octets(reader.u8())); while (reader.ok && reader.left > 0);
  return { type: "TXT", strings };
}

/** RFC 9460 2.2: keys in ascending order, each once. */
function readService(reader: WireReader, type: "SVCB" | "HTTPS"): RecordData | null {
  const priority = reader.u16(), target = reader.name(true);
  const parameters: { key: number; octets: Uint8Array }[] = [];
  for (let last = -1; reader.ok && reader.left > 0;) {
    const key = reader.u16();
    if (key <= last) return null;
    last = key;
    parameters.push({ key, octets: reader.octets(reader.u16()) });
  }
  return { type, priority, target, parameters };
}

/** Writes RDATA without its length. */
export function writeData(writer: WireWriter, data: RecordData): void {
  switch (data.type) {
    case "A":
      return writer.octets(addressOctets(parseIpv4(data.address), data.address));
    case "AAAA":
      return writer.octets(addressOctets(parseIpv6(data.address), data.address));
    case "NS":
      return writer.name(data.host, true);
    case "CNAME":
    case "PTR":
      return writer.name(data.target, true);
    case "DNAME":
      return writer.name(data.target, false); // RFC 6672 2.5: not compressed
    case "SOA":
      writer.name(data.primary, true);
      writer.name(data.mailbox, true);
      writer.u32(data.serial);
      writer.u32(data.refreshSeconds);
      writer.u32(data.retrySeconds);
      writer.u32(data.expireSeconds);
      return writer.u32(data.minimumSeconds);
    case "MX":
      writer.u16(data.preference);
      return writer.name(data.exchange, true);
    case "TXT":
      for (const string of data.strings) {
        writer.u8(string.length);
        writer.octets(string);
      }
      return;
    case "SRV":
      writer.u16(data.priority);
      writer.u16(data.weight);
      writer.u16(data.port);
      return writer.name(data.target, false); // RFC 2782: not compressed
    case "TLSA":
      writer.u8(data.usage);
      writer.u8(data.selector);
      writer.u8(data.matching);
      return writer.octets(data.association);
    case "CAA":
      writer.u8(data.flags);
      writer.u8(data.tag.length);
      writer.octets(encodeLatin1(data.tag));
      return writer.octets(data.value);
    case "SVCB":
    case "HTTPS":
      writer.u16(data.priority);
      writer.name(data.target, false);
      for (const { key, octets } of data.parameters) {
        writer.u16(key);
        writer.u16(octets.length);
        writer.octets(octets);
      }
      return;
    case "DS":
    case "DNSKEY":
    case "RRSIG":
    case "NSEC":
    case "NSEC3":
    case "NSEC3PARAM":
      return writeDnssec(writer, data);
    case "unknown":
      return writer.octets(data.octets);
    default:
      return data satisfies never;
  }
}

function addressOctets(octets: Uint8Array | null, text: string): Uint8Array {
  if (octets === null) throw new RangeError(`not an address of this family: ${text}`);
  return octets;
}

/** RDATA in canonical form (RFC 4034 6.2): no compression, names in lower case where that is asked for. */
export function canonicalData(data: RecordData): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter({ compression: false });
  writeData(writer, data);
  return writer.take();
}

/** The same string for the same data: RFC 2181 5 has no record twice in a set. */
export function dataKey(data: RecordData): string {
  return latin1(canonicalData(data));
}

/** The mnemonic of a type, `TYPE65280` for one without (RFC 3597 5). */
export function typeName(code: number): string {
  return TYPE_OF_CODE.get(code) ?? `TYPE${code}`;
}

/** The code of a mnemonic or of `TYPE65280`; null when it is neither. */
export function parseType(text: string): number | null {
  const upper = text.toUpperCase();
  if (Object.hasOwn(TYPE_CODES, upper)) return TYPE_CODES[upper as RecordType];
  const [, digits] = /^TYPE(\d{1,5})$/.exec(upper) ?? [];
  const code = Number(digits);
  return code > 0 && code <= 0xffff ? code : null;
}
