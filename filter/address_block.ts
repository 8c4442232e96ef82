/** Networks of addresses: what one client gets, and lists of blocks. */
import { BlockList, isIPv6 } from "node:net";
import { ipv4Number, parseIpv6 } from "../dns/ip_address.ts";

/** `192.0.2.0/24` of an IPv4 address, the /64 of an IPv6 one; the text itself where it is no address. */
export function networkOf(address: string): string {
  if (ipv4Number(address) >= 0) return `${address.slice(0, address.lastIndexOf("."))}.0/24`;
  const six = parseIpv6(address);
  if (six === null) return address;
  const groups = [0, 2, 4, 6].map((at) => (six[at]! << 8 | six[at + 1]!).toString(16));
  return `${groups.join(":")}::/64`;
}

/** Answers kept: a lookup costs as much as the round trip of a command, and each message asks. */
const MAX_KNOWN = 1_000;

/** Blocks as `address/bits` or single addresses, checked by the configuration. IPv4 mapped into IPv6 is asked as IPv4. */
export class Blocks {
  #blocks: BlockList | null;
  #known = new Map<string, boolean>();

  constructor(blocks: readonly string[]) {
    this.#blocks = blocks.length === 0 ? null : new BlockList();
    for (const block of blocks) {
      const [address = "", bits] = block.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      this.#blocks?.addSubnet(address, Number(bits ?? (family === "ipv6" ? 128 : 32)), family);
    }
  }

  get empty(): boolean {
    return this.#blocks === null;
  }

  includes(address: string): boolean {
    if (this.#blocks === null) return false;
    let answer = this.#known.get(address);
    if (answer === undefined) {
      answer = this.#blocks.check(address, isIPv6(address) ? "ipv6" : "ipv4");
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(address, answer);
    }
    return answer;
  }
}

/** Octets of the address in the order of a reversed name (RFC 5782 2.1, 2.4); null where it is no address. */
export function reversedLabels(address: string): string | null {
  const four = ipv4Number(address);
  if (four >= 0) return `${four & 0xff}.${four >>> 8 & 0xff}.${four >>> 16 & 0xff}.${four >>> 24}`;
  const six = parseIpv6(address);
  if (six === null) return null;
  const digits = [...six].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  return [...digits].reverse().join(".");
}
