/**
 * The `nameserver` lines of resolv.conf(5). Search lists and options are not for mail and not read; addresses with a
 * zone (`fe80::1%eth0`) are left out. Pure.
 */
import { canonicalAddress } from "./ip_address.ts";

/** As many as the C library takes. */
const MAX_SERVERS = 3;

export function parseResolvConf(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [, given] = /^nameserver[ \t]+(\S+)/.exec(line) ?? [];
    const address = given === undefined ? null : canonicalAddress(given);
    if (address !== null && !servers.includes(address)) servers.push(address);
  }
  return servers.slice(0, MAX_SERVERS);
}
