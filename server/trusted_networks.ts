/**
 * The `trusted_networks` of the configuration as a question about an address.
 *
 * Blocks are `address/bits` or a single address, of either family. IPv4 addresses mapped into IPv6 are asked as what
 * they are (`plainAddress` has unmapped them).
 */
import { BlockList, isIPv6 } from "node:net";

/** Answers kept, because asking the list costs as much as a round trip of a command. */
const MAX_KNOWN = 1_000;

export class TrustedNetworks {
  #blocks: BlockList | null;
  #known = new Map<string, boolean>();

  /** Throws on a block that is none; the configuration has checked them. */
  constructor(blocks: readonly string[]) {
    this.#blocks = blocks.length === 0 ? null : new BlockList();
    for (const block of blocks) {
      const [address = "", bits] = block.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      this.#blocks?.addSubnet(address, Number(bits ?? (family === "ipv6" ? 128 : 32)), family);
    }
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
