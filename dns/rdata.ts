/**
 * Record data: what stands in RDATA, by type.
 *
 * RFC 1035 3.3 and 3.4.1 (A NS CNAME SOA PTR MX TXT), RFC 3596 (AAAA), RFC 2782 (SRV), RFC 6698 2.1 (TLSA). Every
 * other type stays raw octets (RFC 3597). Names inside are in the form of `dns/name.ts`, in lower case. Pure.
 */
import { latin1 } from "../bytes/decode.ts";
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./ip_address.ts";
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
  TLSA: 52,
} as const;

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
  | { readonly type: "unknown"; readonly code: number; readonly octets: Uint8Array };

/** The data of one type: `DataOf<"MX">` has `preference` and `exchange`. */
export type DataOf<T extends RecordType> = Extract<RecordData, { readonly type: T }>;

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
    ? { type: "unknown" as const, code: options.code, octets: reader.octets(reader.left) }
    : readKnown(reader, type);
  return reader.ok && reader.left === 0 ? data : null;
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

/** The same string for the same data: RFC 2181 5 has no record twice in a set. */
export function dataKey(data: RecordData): string {
  const writer = new WireWriter();
  writeData(writer, data);
  return latin1(writer.take());
}
