/** The memory in which all threads keep answers of DNS: `resolver.cache_octets`, taken from the machine as it is filled. */
import { SharedTable } from "../dns/shared_table.ts";
import type { ResolverConfig } from "./config/config.ts";

export function answersBuffer({ cacheOctets, cacheEntries }: ResolverConfig): SharedArrayBuffer {
  const [seed = 0] = crypto.getRandomValues(new Int32Array(1));
  return SharedTable.buffer(cacheEntries === 0 ? 0 : cacheOctets, seed);
}
