/**
 * The PROXY protocol, versions 1 and 2 (HAProxy's "The PROXY protocol" 2.1 and 2.2): who is behind a proxy's connection.
 *
 * The reader says how many octets it wants next and takes exactly these, so that nothing behind the header is touched:
 * what follows may be a TLS handshake. TLVs are skipped. LOCAL, UNKNOWN, UNSPEC and Unix sockets leave the connection's
 * own addresses. Anything else that is not exactly a header is malformed. Pure. Limits: 107 octets of version 1,
 * {@linkcode MAX_V2_OCTETS} behind the first 16 of version 2.
 */
import { isIPv4, isIPv6 } from "node:net";
import { latin1 } from "../../bytes/decode.ts";

export interface ProxiedAddresses {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

export type ProxyResult =
  | { readonly kind: "proxied"; readonly addresses: ProxiedAddresses }
  | { readonly kind: "local" }
  | { readonly kind: "malformed" };

export const MAX_V2_OCTETS = 2_048;
const MAX_V1_OCTETS = 107;
const SIGNATURE = new Uint8Array([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_HEAD = 16;
const LF = 0x0a;
const LOCAL: ProxyResult = { kind: "local" };
const MALFORMED: ProxyResult = { kind: "malformed" };

export class ProxyHeaderReader {
  /** Octets to read next, at least one. */
  wanted = SIGNATURE.length;
  #octets = new Uint8Array(MAX_V1_OCTETS);
  #length = 0;

  /** Takes up to `wanted` octets; null: more are wanted. */
  push(bytes: Uint8Array): ProxyResult | null {
    if (bytes.length > this.wanted) throw new Error("more octets than the reader wanted");
    this.#octets.set(bytes, this.#length);
    this.#length += bytes.length;
    this.wanted -= bytes.length;
    return this.wanted > 0 ? null : this.#complete();
  }

  /** What was wanted is here. */
  #complete(): ProxyResult | null {
    const octets = this.#octets;
    const length = this.#length;
    if (octets[0] === SIGNATURE[0]) {
      if (length === SIGNATURE.length) {
        return SIGNATURE.every((octet, at) => octets[at] === octet)
          ? this.#want(V2_HEAD - length)
          : MALFORMED;
      }
      if (length > V2_HEAD) return version2(octets.subarray(0, length));
      const more = octets[14]! << 8 | octets[15]!;
      if (more > MAX_V2_OCTETS) return MALFORMED;
      if (more === 0) return version2(octets.subarray(0, length));
      const whole = new Uint8Array(V2_HEAD + more);
      whole.set(octets.subarray(0, length));
      this.#octets = whole;
      return this.#want(more);
    }
    if (length === SIGNATURE.length && latin1(octets, 0, 6) !== "PROXY ") return MALFORMED;
    if (octets[length - 1] === LF) return version1(latin1(octets, 0, length));
    return length === MAX_V1_OCTETS ? MALFORMED : this.#want(1);
  }

  #want(octets: number): null {
    this.wanted = octets;
    return null;
  }
}

function version1(line: string): ProxyResult {
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n$/.test(line)) return LOCAL;
  const match = /^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/
    .exec(line);
  if (match === null) return MALFORMED;
  const [, family, source, destination, from, to] = match as unknown as string[];
  const ofFamily = family === "4" ? isIPv4 : isIPv6;
  const ports = [Number(from), Number(to)] as const;
  if (!ofFamily(source!) || !ofFamily(destination!) || ports.some((port) => port > 65_535)) return MALFORMED;
  return {
    kind: "proxied",
    addresses: {
      source: source!.toLowerCase(),
      sourcePort: ports[0],
      destination: destination!.toLowerCase(),
      destinationPort: ports[1],
    },
  };
}

function version2(octets: Uint8Array): ProxyResult {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const command = octets[12]!;
  const family = octets[13]!;
  if (command === 0x20) return LOCAL;
  if (command !== 0x21) return MALFORMED;
  if (family === 0x00 || family === 0x31 || family === 0x32) return LOCAL;
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  if (size === 0 || octets.length < V2_HEAD + 2 * size + 4) return MALFORMED;
  const address = (at: number) => size === 4 ? octets.subarray(at, at + 4).join(".") : ipv6(view, at);
  return {
    kind: "proxied",
    addresses: {
      source: address(V2_HEAD),
      sourcePort: view.getUint16(V2_HEAD + 2 * size),
      destination: address(V2_HEAD + size),
      destinationPort: view.getUint16(V2_HEAD + 2 * size + 2),
    },
  };
}

/** RFC 5952 4.2, so that equal addresses are equal text. */
function ipv6(view: DataView, at: number): string {
  const groups = Array.from({ length: 8 }, (_none, group) => view.getUint16(at + 2 * group));
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return `::ffff:${[12, 13, 14, 15].map((octet) => view.getUint8(at + octet)).join(".")}`;
  return new URL(`http://[${groups.map((group) => group.toString(16)).join(":")}]/`).hostname.slice(1, -1);
}
