/**
 * What the servers of a zone say themselves, each of them, past all caches: whether a new record has reached them all.
 *
 * The servers are those of the closest NS records at or above the name, by all their addresses; of a server with several, the
 * first that answers speaks. A silent server says nothing. An alias is followed to the servers of its target. Limits:
 * {@linkcode MAX_SERVERS}, {@linkcode MAX_ADDRESSES} of each, {@linkcode MAX_ALIASES}.
 */
import { exchange, type ExchangeParts, newTraits } from "./exchange.ts";
import { canonicalAddress } from "./ip_address.ts";
import { type Message, RCODES } from "./message.ts";
import { canonicalName, parentName } from "./name.ts";
import { TYPE_CODES } from "./rdata.ts";
import { ResolveError, type Resolver } from "./resolver.ts";

export interface AuthoritativeOptions extends ExchangeParts {
  /** Finds the servers. */
  readonly resolver: Resolver;
  /** For one address. */
  readonly timeoutMs: number;
  /** Of the servers; 53, but in tests. */
  readonly port?: number;
}

/** The texts that one server has; none: it says that there are none. */
export interface ServerTexts {
  readonly server: string;
  readonly texts: readonly string[];
  /** How long caches may keep them; 0 of none. */
  readonly ttlSeconds: number;
}

const MAX_SERVERS = 16, MAX_ADDRESSES = 8, MAX_ALIASES = 4;

/** TXT records at each server that answers. Rejects with {@linkcode ResolveError} where the servers cannot be found. */
export async function textsAtServers(options: AuthoritativeOptions, name: string): Promise<ServerTexts[]> {
  return await textsOf(options, canonicalName(name) ?? name, MAX_ALIASES);
}

async function textsOf(options: AuthoritativeOptions, name: string, aliases: number): Promise<ServerTexts[]> {
  const servers = await serversOf(options.resolver, name);
  const answers = await Promise.all(servers.map(async (server) => ({
    server,
    message: await ask(options, server, name),
  })));
  const found: ServerTexts[] = [];
  for (const { server, message } of answers) {
    if (message === null) continue;
    const target = message.answers.flatMap(({ name: of, data }) =>
      data.type === "CNAME" && of === name ? [data.target] : []
    )[0];
    if (target !== undefined && aliases > 0) {
      found.push(...await textsOf(options, target, aliases - 1));
    } else found.push({ server, ...textsIn(message, name) });
  }
  return found;
}

/** Names of the servers of the zone that a name lies in. */
async function serversOf(resolver: Resolver, name: string): Promise<string[]> {
  for (let zone: string | null = name; zone !== null && zone !== "."; zone = parentName(zone)) {
    const { records, canonicalName: end } = await resolver.resolve(zone, "NS");
    // Behind an alias they are those of another zone.
    if (records.length > 0 && end === zone) return records.slice(0, MAX_SERVERS).map(({ host }) => host);
  }
  return [];
}

/** Null where no address of it answers. */
async function ask(options: AuthoritativeOptions, server: string, name: string): Promise<Message | null> {
  const { port = 53, timeoutMs } = options;
  for (const address of (await addressesOf(options.resolver, server)).slice(0, MAX_ADDRESSES)) {
    const outcome = await exchange(options, {
      ...{ server: { address, port }, traits: newTraits(), name, type: TYPE_CODES.TXT },
      ...{ recursion: false, timeoutMs, signal: new AbortController().signal },
    });
    if (outcome.kind === "failed") continue;
    const { message } = outcome;
    if (message.rcode === RCODES.NOERROR || message.rcode === RCODES.NXDOMAIN) return message;
  }
  return null;
}

async function addressesOf(resolver: Resolver, host: string): Promise<string[]> {
  const found: string[] = [];
  for (const type of ["A", "AAAA"] as const) {
    try {
      const { records } = await resolver.resolve(host, type);
      found.push(...records.map(({ address }) => canonicalAddress(address) ?? address));
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error; // the others may answer
    }
  }
  return found;
}

function textsIn(message: Message, name: string): Pick<ServerTexts, "texts" | "ttlSeconds"> {
  const texts: string[] = [];
  let ttlSeconds = 0;
  for (const { name: of, ttlSeconds: ttl, data } of message.answers) {
    if (data.type !== "TXT" || of !== name) continue;
    texts.push(data.strings.map((octets) => String.fromCharCode(...octets)).join(""));
    ttlSeconds = Math.max(ttlSeconds, ttl);
  }
  return { texts, ttlSeconds };
}
