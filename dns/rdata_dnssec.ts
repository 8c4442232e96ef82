/**
 * Record data of DNSSEC: DS, DNSKEY, RRSIG, NSEC (RFC 4034), NSEC3 and NSEC3PARAM (RFC 5155).
 *
 * The next name of NSEC keeps its case (RFC 6840 5.1): signatures cover it as it stands. The signer of RRSIG is in
 * lower case, as its canonical form. Pure.
 */
import { isTypeBitmap } from "./type_bitmap.ts";
import type { WireReader, WireWriter } from "./wire.ts";

export const DNSSEC_TYPE_CODES = {
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
} as const;

export type DnssecType = keyof typeof DNSSEC_TYPE_CODES;

export interface DsData {
  readonly type: "DS";
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

export interface DnskeyData {
  readonly type: "DNSKEY";
  readonly flags: number;
  readonly protocol: number;
  readonly algorithm: number;
  readonly key: Uint8Array;
}

export interface RrsigData {
  readonly type: "RRSIG";
  /** TYPE code of what is signed. */
  readonly covered: number;
  readonly algorithm: number;
  /** Of the owner, without the root and a leading `*`. */
  readonly labels: number;
  readonly originalTtlSeconds: number;
  /** Seconds since 1970, modulo 2^32. */
  readonly expiration: number;
  readonly inception: number;
  readonly keyTag: number;
  readonly signer: string;
  readonly signature: Uint8Array;
}

export interface NsecData {
  readonly type: "NSEC";
  /** In the case it came in. */
  readonly next: string;
  /** See dns/type_bitmap.ts. */
  readonly types: Uint8Array;
}

interface Nsec3Parameters {
  readonly hashAlgorithm: number;
  readonly flags: number;
  readonly iterations: number;
  readonly salt: Uint8Array;
}

export interface Nsec3Data extends Nsec3Parameters {
  readonly type: "NSEC3";
  readonly nextHash: Uint8Array;
  readonly types: Uint8Array;
}

export interface Nsec3paramData extends Nsec3Parameters {
  readonly type: "NSEC3PARAM";
}

export type DnssecData = DsData | DnskeyData | RrsigData | NsecData | Nsec3Data | Nsec3paramData;

export function readDnssec(reader: WireReader, type: DnssecType): DnssecData | null {
  switch (type) {
    case "DS":
      return {
        type,
        keyTag: reader.u16(),
        algorithm: reader.u8(),
        digestType: reader.u8(),
        digest: reader.octets(reader.left),
      };
    case "DNSKEY":
      return {
        type,
        flags: reader.u16(),
        protocol: reader.u8(),
        algorithm: reader.u8(),
        key: reader.octets(reader.left),
      };
    case "RRSIG":
      return {
        type,
        covered: reader.u16(),
        algorithm: reader.u8(),
        labels: reader.u8(),
        originalTtlSeconds: reader.u32(),
        expiration: reader.u32(),
        inception: reader.u32(),
        keyTag: reader.u16(),
        signer: reader.name(),
        signature: reader.octets(reader.left),
      };
    case "NSEC": {
      const next = reader.name(true);
      const types = reader.octets(reader.left);
      return isTypeBitmap(types) ? { type, next, types } : null;
    }
    case "NSEC3": {
      const parameters = readParameters(reader);
      const nextHash = reader.octets(reader.u8());
      const types = reader.octets(reader.left);
      return isTypeBitmap(types) ? { type, ...parameters, nextHash, types } : null;
    }
    case "NSEC3PARAM":
      return { type, ...readParameters(reader) };
    default:
      return type satisfies never;
  }
}

function readParameters(reader: WireReader): Nsec3Parameters {
  return {
    hashAlgorithm: reader.u8(),
    flags: reader.u8(),
    iterations: reader.u16(),
    salt: reader.octets(reader.u8()),
  };
}

export function writeDnssec(writer: WireWriter, data: DnssecData): void {
  switch (data.type) {
    case "DS":
      writer.u16(data.keyTag);
      writer.u8(data.algorithm);
      writer.u8(data.digestType);
      return writer.octets(data.digest);
    case "DNSKEY":
      writer.u16(data.flags);
      writer.u8(data.protocol);
      writer.u8(data.algorithm);
      return writer.octets(data.key);
    case "RRSIG":
      writeSignatureHead(writer, data);
      return writer.octets(data.signature);
    case "NSEC":
      writer.name(data.next, false); // RFC 4034 4.1.1: not compressed
      return writer.octets(data.types);
    case "NSEC3":
      writeParameters(writer, data);
      writer.u8(data.nextHash.length);
      writer.octets(data.nextHash);
      return writer.octets(data.types);
    case "NSEC3PARAM":
      return writeParameters(writer, data);
    default:
      return data satisfies never;
  }
}

/** RRSIG without the signature: what is signed begins with it (RFC 4034 3.1.8.1). */
export function writeSignatureHead(writer: WireWriter, data: RrsigData): void {
  writer.u16(data.covered);
  writer.u8(data.algorithm);
  writer.u8(data.labels);
  writer.u32(data.originalTtlSeconds);
  writer.u32(data.expiration);
  writer.u32(data.inception);
  writer.u16(data.keyTag);
  writer.name(data.signer, false); // RFC 4034 3.1.7: not compressed
}

function writeParameters(writer: WireWriter, data: Nsec3Parameters): void {
  writer.u8(data.hashAlgorithm);
  writer.u8(data.flags);
  writer.u16(data.iterations);
  writer.u8(data.salt.length);
  writer.octets(data.salt);
}
