/**
 * DNS messages: header, question, records, EDNS.
 *
 * RFC 1035 4.1, RFC 6891 (OPT, extended RCODE), RFC 4035 3.2 (AD, CD). A message whose counts promise more than its
 * octets can hold is refused before anything is read. One with the TC bit set may stop anywhere behind the
 * question: what was whole is kept (RFC 2181 9 has it thrown away by whoever asked). Pure. Hot:
 * bench/micro/dns_bench.ts.
 */
import { readData, type RecordData, typeCode, writeData } from "./rdata.ts";
import { WireReader, WireWriter } from "./wire.ts";

export const CLASS_IN = 1;
const TYPE_OPT = 41;

/** RCODE values; RFC 1035 4.1.1, RFC 6891 9. */
export const RCODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

export interface Question {
  /** In the case it came in: the asker compares it (dns/query.ts). */
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord {
  readonly name: string;
  readonly class: number;
  /** 0 when the wire said 2^31 or more (RFC 2181 8). */
  readonly ttlSeconds: number;
  readonly data: RecordData;
}

export interface EdnsOption {
  readonly code: number;
  readonly octets: Uint8Array;
}

/** The OPT record (RFC 6891 6.1); its part of the RCODE is in the message's. */
export interface Edns {
  /** The largest datagram that its sender takes. */
  readonly udpOctets: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  readonly options: readonly EdnsOption[];
}

export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** 12 bits with EDNS, 4 without. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | null;
}

const HEADER_OCTETS = 12;
/** Root, type, class; and with TTL and length. */
const MIN_QUESTION_OCTETS = 5, MIN_RECORD_OCTETS = 11;

/** Null when the octets are no message. Octets behind the last record are let pass. */
export function decodeMessage(bytes: Uint8Array): Message | null {
  const reader = new WireReader(bytes);
  const id = reader.u16(), flags = reader.u16();
  const questionCount = reader.u16();
  const counts = [reader.u16(), reader.u16(), reader.u16()];
  const truncated = (flags & 0x0200) !== 0;
  const recordCount = counts[0]! + counts[1]! + counts[2]!;
  if (!reader.ok || questionCount * MIN_QUESTION_OCTETS > reader.left) return null;
  if (!truncated && questionCount * MIN_QUESTION_OCTETS + recordCount * MIN_RECORD_OCTETS > reader.left) {
    return null;
  }

  const questions: Question[] = [];
  for (let at = 0; at < questionCount; at++) {
    questions.push({ name: reader.name(true), type: reader.u16(), class: reader.u16() });
    if (!reader.ok) return null;
  }
  const sections: ResourceRecord[][] = [[], [], []];
  let edns: (Edns & { rcodeHigh: number }) | null = null;
  for (const [at, section] of sections.entries()) {
    for (let count = counts[at]!; count > 0; count--) {
      const record = readRecord(reader);
      if (record === null) {
        if (!truncated) return null;
        break;
      }
      if (!("rcodeHigh" in record)) section.push(record);
      // RFC 6891 6.1.1: one OPT, in the additional section.
      else if (at !== 2 || edns !== null) return null;
      else edns = record;
    }
  }
  return {
    id,
    response: (flags & 0x8000) !== 0,
    opcode: flags >> 11 & 0xf,
    authoritative: (flags & 0x0400) !== 0,
    truncated,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: (edns?.rcodeHigh ?? 0) << 4 | flags & 0xf,
    questions,
    answers: sections[0]!,
    authorities: sections[1]!,
    additionals: sections[2]!,
    edns: edns && {
      udpOctets: edns.udpOctets,
      version: edns.version,
      dnssecOk: edns.dnssecOk,
      options: edns.options,
    },
  };
}

function readRecord(reader: WireReader): ResourceRecord | (Edns & { rcodeHigh: number }) | null {
  const name = reader.name();
  const code = reader.u16(), recordClass = reader.u16(), ttl = reader.u32(), length = reader.u16();
  if (!reader.ok || length > reader.left) return null;
  const messageEnd = reader.end;
  reader.end = reader.at + length;
  if (code === TYPE_OPT) {
    const options = readOptions(reader);
    reader.end = messageEnd;
    // RFC 6891 6.1.2: the owner of OPT is the root.
    if (options === null || name !== ".") return null;
    return {
      udpOctets: recordClass,
      rcodeHigh: ttl >>> 24,
      version: ttl >>> 16 & 0xff,
      dnssecOk: (ttl & 0x8000) !== 0,
      options,
    };
  }
  const data = readData(reader, { code, internet: recordClass === CLASS_IN });
  reader.end = messageEnd;
  if (data === null) return null;
  return { name, class: recordClass, ttlSeconds: ttl > 0x7fffffff ? 0 : ttl, data };
}

function readOptions(reader: WireReader): EdnsOption[] | null {
  const options: EdnsOption[] = [];
  while (reader.ok && reader.left > 0) {
    options.push({ code: reader.u16(), octets: reader.octets(reader.u16()) });
  }
  return reader.ok ? options : null;
}

/** Throws RangeError when a name, an address or the whole is none: what is written is ours. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  const { edns } = message;
  writer.u16(message.id);
  writer.u16(
    (message.response ? 0x8000 : 0) | message.opcode << 11 | (message.authoritative ? 0x0400 : 0) |
      (message.truncated ? 0x0200 : 0) | (message.recursionDesired ? 0x0100 : 0) |
      (message.recursionAvailable ? 0x0080 : 0) | (message.authenticData ? 0x0020 : 0) |
      (message.checkingDisabled ? 0x0010 : 0) | message.rcode & 0xf,
  );
  writer.u16(message.questions.length);
  writer.u16(message.answers.length);
  writer.u16(message.authorities.length);
  writer.u16(message.additionals.length + (edns === null ? 0 : 1));
  for (const question of message.questions) {
    writer.name(question.name, true);
    writer.u16(question.type);
    writer.u16(question.class);
  }
  for (const section of [message.answers, message.authorities, message.additionals]) {
    for (const record of section) writeRecord(writer, record);
  }
  if (edns !== null) {
    writer.u8(0);
    writer.u16(TYPE_OPT);
    writer.u16(edns.udpOctets);
    writer.u8(message.rcode >> 4);
    writer.u8(edns.version);
    writer.u16(edns.dnssecOk ? 0x8000 : 0);
    const at = writer.length;
    writer.u16(0);
    for (const option of edns.options) {
      writer.u16(option.code);
      writer.u16(option.octets.length);
      writer.octets(option.octets);
    }
    writer.patchLength(at);
  }
  return writer.take();
}

function writeRecord(writer: WireWriter, record: ResourceRecord): void {
  writer.name(record.name, true);
  writer.u16(typeCode(record.data));
  writer.u16(record.class);
  writer.u32(record.ttlSeconds);
  const at = writer.length;
  writer.u16(0);
  writeData(writer, record.data);
  writer.patchLength(at);
}

/** The id of a message without reading it: what does not carry the right one is not worth more. */
export function messageId(bytes: Uint8Array): number {
  return bytes.length < HEADER_OCTETS ? -1 : bytes[0]! << 8 | bytes[1]!;
}
