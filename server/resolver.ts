/**
 * The resolver of a thread, made from the configuration.
 *
 * Iterative: from the root servers down, validating. Forwarding: the servers of `resolver.servers`, else the `nameserver`
 * lines of /etc/resolv.conf, else the one on this machine, as resolv.conf(5) has it. Search lists and /etc/hosts are not
 * read: mail follows DNS. What was seen of the root's keys (RFC 5011) is kept in `dns-anchors.json` of the data folder by one
 * thread, and all of them begin with it; a file that cannot be read or written costs a warning, not the resolver.
 */
import { getLogger } from "@logtape/logtape";
import { type ServerTexts, textsAtServers } from "../dns/authoritative.ts";
import { CachingResolver } from "../dns/caching_resolver.ts";
import { parseDs, ROOT_ANCHORS, TrustAnchors } from "../dns/dnssec/anchors.ts";
import { Validator } from "../dns/dnssec/validator.ts";
import { ForwardSource } from "../dns/forward.ts";
import { canonicalAddress } from "../dns/ip_address.ts";
import { IterativeSource } from "../dns/iterative.ts";
import type { ServerAddress } from "../dns/network.ts";
import { parseResolvConf } from "../dns/resolv_conf.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import { ROOT_HINTS } from "../dns/root_hints.ts";
import { SharedTable } from "../dns/shared_table.ts";
import { StreamPool } from "../dns/stream_pool.ts";
import { Work } from "../dns/work.ts";
import type { ResolverConfig } from "./config/config.ts";
import { webDnssecCrypto } from "./dns_crypto.ts";
import { steadyNow } from "./steady_clock.ts";
import { cryptoRandomBelow, DENO_TIMING, denoNetwork } from "./dns_network.ts";

const log = getLogger(["veredus", "dns"]);

const RESOLV_CONF = "/etc/resolv.conf";
const ANCHOR_FILE = "dns-anchors.json";
const DNS_PORT = 53;
/** A thread's own cache, where what it does not hold may be had from all of them. */
const OWN_ENTRIES = 10_000, OWN_OCTETS = 4 * 1024 * 1024;
/** RFC 5011 2.3: at least so often, whatever the TTL of the root's keys allows. */
const ANCHOR_REFRESH_MS = 12 * 3_600_000;

export interface ResolverOptions {
  readonly resolvConf?: string;
  /** The data folder, which has the state of trust anchors; null: the built-in ones alone. */
  readonly folder?: string | null;
  /** Keeps that state up to date; one resolver does. */
  readonly keepsAnchors?: boolean;
  /** What all threads remember together; left out: nothing is shared. */
  readonly answers?: SharedArrayBuffer | null;
  /** For tests. */
  readonly wallClock?: () => number;
}

/** What {@linkcode createResolver} makes: `close` drops open streams and timers. */
export class ThreadResolver extends CachingResolver {
  readonly #streams: StreamPool;
  readonly #refresh: ReturnType<typeof setInterval> | null;

  constructor(
    options: ConstructorParameters<typeof CachingResolver>[0],
    own: { streams: StreamPool; refresh: ReturnType<typeof setInterval> | null },
  ) {
    super(options);
    this.#streams = own.streams;
    this.#refresh = own.refresh;
  }

  close(): void {
    this.#streams.close();
    if (this.#refresh !== null) clearInterval(this.#refresh);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

export function createResolver(config: ResolverConfig, options: ResolverOptions = {}): ThreadResolver {
  const random = cryptoRandomBelow();
  const streams = new StreamPool(DENO_TIMING);
  const { timeoutMs } = config;
  const shared = options.answers == null || config.cacheEntries === 0 ? null : {
    table: new SharedTable(options.answers),
    now: steadyNow,
  };
  const cacheEntries = shared === null ? config.cacheEntries : Math.min(config.cacheEntries, OWN_ENTRIES);
  const cacheOctets = shared === null ? config.cacheOctets : Math.min(config.cacheOctets, OWN_OCTETS);
  const iterative = config.mode === "iterative" || (config.mode === "auto" && config.servers.length === 0);
  const dnssec = config.dnssec === "on" || (config.dnssec === "auto" && iterative);
  const parts = { network: denoNetwork(random), timing: DENO_TIMING, random, timeoutMs, streams, dnssec };
  const roots = rootServers(config);
  const source = iterative
    ? new IterativeSource({ ...parts, roots, port: roots[0]!.port })
    : new ForwardSource({
      ...parts,
      servers: config.servers.length > 0
        ? config.servers.map(serverAddress)
        : systemServers(options.resolvConf ?? RESOLV_CONF),
    });
  const folder = options.folder ?? null;
  let validator: Validator | null = null;
  let refresh: ReturnType<typeof setInterval> | null = null;
  if (dnssec) {
    const file = options.keepsAnchors === true ? anchorFile(config, folder) : null;
    const anchors = trustAnchors(config, folder);
    const wallClock = options.wallClock ?? Date.now;
    const checker = validator = new Validator({
      source,
      crypto: webDnssecCrypto(),
      anchors,
      anchorsChanged: () => file !== null && keep(file, anchors.serialize()),
      now: DENO_TIMING.now,
      wallClock,
    });
    if (file !== null) {
      refresh = setInterval(() => {
        const work = new Work({ end: DENO_TIMING.now() + 4 * timeoutMs });
        checker.refreshAnchors(work).catch((error) => {
          if (!(error instanceof ResolveError)) throw error;
          log.warn("the keys of the DNS root could not be refreshed: {detail}", { detail: error.message });
        });
      }, ANCHOR_REFRESH_MS);
      Deno.unrefTimer(refresh as unknown as number);
    }
  }
  return new ThreadResolver(
    { source, validator, timing: DENO_TIMING, timeoutMs, cacheEntries, cacheOctets, shared },
    {
      streams,
      refresh,
    },
  );
}

/** TXT records as each server of their zone has them, past caches. */
export function askServers(
  resolver: Resolver,
  { timeoutMs }: Pick<ResolverConfig, "timeoutMs">,
  name: string,
): Promise<ServerTexts[]> {
  const random = cryptoRandomBelow();
  const parts = { network: denoNetwork(random), timing: DENO_TIMING, random };
  return textsAtServers({ ...parts, resolver, timeoutMs }, name);
}

/** The built-in ones and what was seen since; or the operator's own. */
export function trustAnchors(config: ResolverConfig, folder: string | null): TrustAnchors {
  const own = config.trustAnchors.length > 0, file = anchorFile(config, folder);
  const built = (own ? config.trustAnchors : ROOT_ANCHORS).map((text) => parseDs(text)!);
  return new TrustAnchors(built, file === null ? null : readOrNull(file));
}

/** Anchors of one's own are what they are: the state of the Internet's root is not theirs. */
function anchorFile({ trustAnchors }: ResolverConfig, folder: string | null): string | null {
  return trustAnchors.length > 0 || folder === null ? null : `${folder}/${ANCHOR_FILE}`;
}

function rootServers(config: ResolverConfig): ServerAddress[] {
  if (config.rootServers.length > 0) return config.rootServers.map(serverAddress);
  const family = (four: boolean) =>
    ROOT_HINTS.flatMap(({ addresses }) => addresses.filter((address) => address.includes(".") === four));
  // IPv4 first: where there is no IPv6, it is known at once from the second server on.
  return [...family(true), ...family(false)].map((address) => ({ address, port: DNS_PORT }));
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
  const addresses = parseResolvConf(readOrNull(path) ?? "");
  return (addresses.length > 0 ? addresses : ["127.0.0.1"]).map((address) => ({ address, port: DNS_PORT }));
}

function readOrNull(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whole or not at all: a torn file would forget a revocation. */
function keep(file: string, text: string): void {
  try {
    const temporary = `${file}.new`;
    Deno.writeTextFileSync(temporary, text);
    using handle = Deno.openSync(temporary, { write: true });
    handle.syncSync();
    Deno.renameSync(temporary, file);
  } catch (error) {
    log.warn("the state of the DNS trust anchors cannot be kept: {error}", { error });
  }
}
