/**
 * Reading and writing the octets of a DNS message: numbers, octets, compressed names.
 *
 * RFC 1035 4.1.4. The reader remembers its first fault in `ok` and then yields zeros; nothing throws on what a peer
 * sent. A compression pointer must point before the place where its own run of labels began, so that a chain of
 * pointers ends; a name keeps its limit of 255 octets however it is put together. Pure. Hot: bench/micro/dns_bench.ts.
 */
import { lower } from "../bytes/ascii.ts";
import { MAX_NAME_OCTETS, nameLabels, octetText } from "./name.ts";

/** RFC 1035 2.3.4 and 4.2.2: what a message can be at most, by its length field over TCP. */
export const MAX_MESSAGE_OCTETS = 65_535;
const POINTER = 0xc0;
const MAX_POINTER = 0x3fff;
const EMPTY = new Uint8Array(0);

export class WireReader {
  readonly bytes: Uint8Array;
  at: number;
  /** Nothing in place is read from here on; pointers of names may still lead anywhere before it. */
  end: number;
  ok: boolean;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
    this.ok = true;
  }

  /** Octets left. */
  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    return this.#take(1) ? this.bytes[this.at - 1]! : 0;
  }

  u16(): number {
    if (!this.#take(2)) return 0;
    return this.bytes[this.at - 2]! << 8 | this.bytes[this.at - 1]!;
  }

  u32(): number {
    const high = this.u16();
    return high * 0x10000 + this.u16();
  }

  /** A copy: a record outlives the buffer it came in. */
  octets(count: number): Uint8Array {
    return this.#take(count) ? this.bytes.slice(this.at - count, this.at) : EMPTY;
  }

  /** A name, in lower case unless `keepCase`. */
  name(keepCase = false): string {
    const { bytes } = this;
    let text = "";
    let size = 1;
    let at = this.at;
    let runStart = at;
    let jumped = false;
    let limit = this.end;
    for (;;) {
      if (at >= limit) return this.#fail();
      const length = bytes[at]!;
      if (length === 0) {
        if (!jumped) this.at = at + 1;
        return text === "" ? "." : text;
      }
      if ((length & POINTER) === POINTER) {
        if (at + 2 > limit) return this.#fail();
        const target = (length & 0x3f) << 8 | bytes[at + 1]!;
        if (!jumped) this.at = at + 2;
        if (target >= runStart) return this.#fail();
        jumped = true;
        limit = runStart;
        runStart = at = target;
        continue;
      }
      // 01 and 10 in the two high bits are not in use (RFC 6891 5).
      if ((length & POINTER) !== 0) return this.#fail();
      size += length + 1;
      const end = at + 1 + length;
      if (end > limit || size > MAX_NAME_OCTETS) return this.#fail();
      if (text !== "") text += ".";
      for (at++; at < end; at++) text += octetText(keepCase ? bytes[at]! : lower(bytes[at]!));
    }
  }

  #take(count: number): boolean {
    if (!this.ok || count > this.end - this.at) {
      this.#fail();
      return false;
    }
    this.at += count;
    return true;
  }

  #fail(): string {
    this.ok = false;
    this.at = this.end;
    return ".";
  }
}

/** Throws RangeError on names and sizes that are none: they are ours. */
export class WireWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length: number;
  /** Where names and their endings stand that a pointer can reach. */
  #names: Map<string, number>;
  readonly #compression: boolean;

  constructor(options: { readonly compression: boolean } = { compression: true }) {
    this.#compression = options.compression;
    this.#bytes = new Uint8Array(512);
    this.#length = 0;
    this.#names = new Map();
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = value >> 8;
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  octets(octets: Uint8Array): void {
    this.#reserve(octets.length);
    this.#bytes.set(octets, this.#length);
    this.#length += octets.length;
  }

  /** Puts the length of what follows `at + 2` into the two octets at `at`. */
  patchLength(at: number): void {
    const length = this.#length - at - 2;
    this.#bytes[at] = length >> 8;
    this.#bytes[at + 1] = length;
  }

  /** `compress` only where RFC 3597 4 allows it: owner names and the types of RFC 1035. */
  name(name: string, compress: boolean): void {
    const labels = nameLabels(name);
    if (labels === null) throw new RangeError(`not a domain name: ${name}`);
    for (const [at, label] of labels.entries()) {
      if (!this.#compression) {
        this.u8(label.length);
        for (const octet of label) this.u8(octet);
        continue;
      }
      // The case is kept: a pointer to the same letters in another case would change the name.
      const rest = labels.slice(at).map((octets) => String.fromCharCode(octets.length, ...octets)).join("");
      const known = this.#names.get(rest);
      if (compress && known !== undefined) return this.u16(POINTER << 8 | known);
      if (this.#length <= MAX_POINTER && known === undefined) this.#names.set(rest, this.#length);
      this.u8(label.length);
      for (const octet of label) this.u8(octet);
    }
    this.u8(0);
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > MAX_MESSAGE_OCTETS) {
      throw new RangeError(`a message of more than ${MAX_MESSAGE_OCTETS} octets`);
    }
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
