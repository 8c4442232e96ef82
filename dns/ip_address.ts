/**
 * IP addresses between text and octets. IPv6 is written as RFC 5952 says, mapped IPv4 with a dotted tail.
 *
 * Pure. What is not an address parses to null.
 */
import { DOT, isDigit } from "../bytes/ascii.ts";

const ZERO = 0x30;

export function formatIpv4(octets: Uint8Array): string {
  return `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}`;
}

export function formatIpv6(octets: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, at) => octets[2 * at]! << 8 | octets[2 * at + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatIpv4(octets.subarray(12))}`; // RFC 5952 5
  }
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":"); // RFC 5952 4.2.2: one group alone is not shortened
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

/** The first of the longest runs (RFC 5952 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length;) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    start = end + 1;
  }
  return best;
}

export function parseIpv4(text: string): Uint8Array | null {
  const value = ipv4Number(text);
  return value < 0 ? null : Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** The address as one number, -1 where it is none. Has one text only. Hot: checks of a message ask it some twenty times. */
export function ipv4Number(text: string): number {
  if (text.length < 7 || text.length > 15) return -1;
  let whole = 0, part = 0, digits = 0, value = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : DOT;
    if (code !== DOT) {
      if (!isDigit(code) || (digits > 0 && value === 0)) return -1; // no leading zero
      value = value * 10 + code - ZERO;
      if (++digits > 3 || value > 255) return -1;
      continue;
    }
    if (digits === 0 || part === 4) return -1;
    whole = whole * 256 + value;
    part++;
    digits = value = 0;
  }
  return part === 4 ? whole : -1;
}

export function parseIpv6(text: string): Uint8Array | null {
  if (text.length > 45 || !text.includes(":")) return null; // names are asked too, and have none
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const octets = new Uint8Array(16);
  [...head, ...new Array<number>(missing).fill(0), ...tail].forEach((group, at) => {
    octets[2 * at] = group >> 8;
    octets[2 * at + 1] = group & 0xff;
  });
  return octets;
}

function groupsOf(text: string, dottedTail: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
      continue;
    }
    const four = dottedTail && at === parts.length - 1 ? parseIpv4(part) : null;
    if (four === null) return null;
    groups.push(four[0]! << 8 | four[1]!, four[2]! << 8 | four[3]!);
  }
  return groups;
}

/** The one text form of an address of either family; null when it is none. */
export function canonicalAddress(text: string): string | null {
  if (ipv4Number(text) >= 0) return text;
  const six = parseIpv6(text);
  return six === null ? null : formatIpv6(six);
}

/** Networks that are not of the public Internet (RFC 6890 and the registries it began): prefix and its bits. */
const SPECIAL_NETWORKS: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** 2000::/3 without what of it is for documents, tunnels and tests; everything else of IPv6 is special. */
const SPECIAL_IN_GLOBAL: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

/** True for unicast addresses of the public Internet. */
export function isPublicAddress(text: string): boolean {
  const four = parseIpv4(text);
  if (four !== null) {
    return !SPECIAL_NETWORKS.some(([prefix, bits]) => isWithin(four, parseIpv4(prefix)!, bits));
  }
  const six = parseIpv6(text);
  if (six === null || (six[0]! & 0xe0) !== 0x20) return false;
  return !SPECIAL_IN_GLOBAL.some(([prefix, bits]) => isWithin(six, parseIpv6(prefix)!, bits));
}

function isWithin(address: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== prefix[at]) return false;
  const rest = bits & 7;
  return rest === 0 || (address[whole]! ^ prefix[whole]!) >> (8 - rest) === 0;
}
