/**
 * The resolver of a thread, made from the configuration.
 *
 * Servers are those of `resolver.servers`, else the `nameserver` lines of /etc/resolv.conf, else the one on this
 * machine, as resolv.conf(5) has it. Search lists and /etc/hosts are not read: mail follows DNS.
 */
import { canonicalAddress } from "../dns/ip_address.ts";
import type { ServerAddress } from "../dns/network.ts";
import { parseResolvConf } from "../dns/resolv_conf.ts";
import type { Resolver } from "../dns/resolver.ts";
import { ForwardSource } from "../dns/forward.ts";
import { CachingResolver } from "../dns/caching_resolver.ts";
import type { ResolverConfig } from "./config/config.ts";
import { cryptoRandomBelow, DENO_TIMING, denoNetwork } from "./dns_network.ts";

const RESOLV_CONF = "/etc/resolv.conf";
const DNS_PORT = 53;

export function createResolver(config: ResolverConfig, resolvConf = RESOLV_CONF): Resolver {
  const random = cryptoRandomBelow();
  const parts = {
    servers: config.servers.length > 0 ? config.servers.map(serverAddress) : systemServers(resolvConf),
    network: denoNetwork(random),
    timing: DENO_TIMING,
    random,
    timeoutMs: config.timeoutMs,
    cacheEntries: config.cacheEntries,
  };
  return new CachingResolver({ source: new ForwardSource({ ...parts, dnssec: false }), ...parts });
}

/** The configuration has been checked: it is an address, or one with a port. */
function serverAddress(text: string): ServerAddress {
  const bare = canonicalAddress(text);
  if (bare !== null) return { address: bare, port: DNS_PORT };
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const address = canonicalAddress(six ?? four ?? "");
  if (address === null) throw new RangeError(`not a DNS server: ${text}`);
  return { address, port: Number(port) };
}

function systemServers(path: string): ServerAddress[] {
  const addresses = parseResolvConf(readOrEmpty(path));
  return (addresses.length > 0 ? addresses : ["127.0.0.1"]).map((address) => ({ address, port: DNS_PORT }));
}

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
