/**
 * Answers from the servers of the zones themselves, from the root down.
 *
 * RFC 1034 5.3.3. Each zone on the way is asked for one label more than it has (RFC 9156), at first; where a server
 * answers that with an error or denies a name that has names below it, it gets the whole name, and is remembered. Servers
 * are asked in the order of their speed, the next one beside a slow one, silent ones last (dns/upstream.ts); one that
 * does not serve a zone it is named for is left out for {@linkcode LAME_MS}. Addresses that come with a delegation count
 * for names in the zone that delegates, and for this delegation only (RFC 2181 5.4.1, RFC 5452 6).
 *
 * Limits: {@linkcode MAX_REFERRALS} on the way to one name, {@linkcode MAX_DEPTH} names of servers that need each other,
 * {@linkcode MAX_SERVERS} servers of a zone, {@linkcode MAX_NAMES_AT_ONCE} names of servers looked up for one step; and
 * the purse of the question (dns/work.ts), which everything here takes from.
 */
import { TtlCache } from "./cache.ts";
import { canonicalAddress } from "./ip_address.ts";
import { type Message, RCODES, type ResourceRecord } from "./message.ts";
import { isWithin, labelCount, lastLabels, parentName } from "./name.ts";
import type { ServerAddress } from "./network.ts";
import { type RecordData, TYPE_CODES } from "./rdata.ts";
import { describe, replyOf, summary } from "./reply.ts";
import { ResolveError } from "./resolver.ts";
import { rrsetsOf } from "./rrset.ts";
import type { Reply, Source, SourceQuestion } from "./source.ts";
import {
  type Answered,
  type Failure,
  inOrder,
  newServer,
  race,
  type RaceOptions,
  rcodeName,
  type Server,
} from "./upstream.ts";
import type { Work } from "./work.ts";

const LAME_MS = 900_000;
const MAX_REFERRALS = 30;
const MAX_DEPTH = 5;
export const MAX_SERVERS = 13;
const MAX_NAMES_AT_ONCE = 3;
/** RFC 9156 2.3: so many names are shortened for one question, and the first so many by a single label. */
const MAX_MINIMISED = 10, ONE_LABEL_STEPS = 4;
/** When no server of the root has answered. */
const PRIME_AGAIN_SECONDS = 60;
const MIN_TTL_SECONDS = 30, MAX_TTL_SECONDS = 86_400;
const MAX_ZONES_KEPT = 20_000, ZONE_OCTETS = 1_000;
const MAX_SERVERS_KEPT = 20_000, SERVER_OCTETS = 300, SERVER_TTL_SECONDS = 86_400;

export interface IterativeOptions extends RaceOptions {
  /** Servers of the root to begin with. */
  readonly roots: readonly ServerAddress[];
  /** Of all other servers; 53 outside of tests. */
  readonly port: number;
  readonly dnssec: boolean;
}

/** A zone's servers, as its parent (or the root itself) names them. */
interface Delegation {
  readonly zone: string;
  readonly hosts: readonly string[];
  /** By host. */
  readonly glue: ReadonlyMap<string, readonly string[]>;
}

/** What is known about a server, for as long as it is of use. */
interface KnownServer {
  readonly server: Server;
  /** Zone to the clock milliseconds until which it is not asked for it. */
  readonly lame: Map<string, number>;
  /** Clock milliseconds until which it gets whole names. */
  noMinimiseUntil: number;
}

/** One look-up on its way, and those that wait for it. */
interface Way {
  readonly work: Work;
  readonly avoid: ReadonlySet<string>;
  /** Names of servers being looked up: one that needs itself is no help. */
  readonly pending: readonly string[];
}

export class IterativeSource implements Source {
  readonly followsAliases = false;
  readonly #options: IterativeOptions;
  readonly #zones: TtlCache<Delegation>;
  /** Of names of servers, for their use only. */
  readonly #addresses: TtlCache<readonly string[]>;
  readonly #servers: TtlCache<KnownServer>;
  /** DS, or the proof that there is none, as it came with a delegation. */
  readonly #ds: TtlCache<Reply>;
  #priming: Promise<void> | null;
  /** A public zone must not lead us to ourselves; a root on loopback is a test network. */
  readonly #loopback: boolean;

  constructor(options: IterativeOptions) {
    this.#options = options;
    const { now } = options.timing;
    const kept = { maxEntries: MAX_ZONES_KEPT, maxOctets: MAX_ZONES_KEPT * ZONE_OCTETS, now };
    this.#zones = new TtlCache(kept);
    this.#addresses = new TtlCache(kept);
    this.#ds = new TtlCache(kept);
    this.#servers = new TtlCache({
      maxEntries: MAX_SERVERS_KEPT,
      maxOctets: MAX_SERVERS_KEPT * SERVER_OCTETS,
      now,
    });
    this.#priming = null;
    this.#loopback = options.roots.some(({ address }) => isOwn(address));
  }

  async ask(question: SourceQuestion, work: Work): Promise<Reply> {
    const { name, type, avoid = new Set() } = question;
    if (this.#zones.get(".") === null) {
      await (this.#priming ??= this.#prime(work).finally(() => this.#priming = null));
    }
    const known = type === TYPE_CODES.DS && avoid.size === 0 ? this.#ds.get(name) : null;
    if (known !== null) {
      work.trace(() => `${describe(question)} came with the delegation`);
      return known.value;
    }
    return await this.#descend({ name, type }, { work, avoid, pending: [] });
  }

  /** RFC 8109: the servers of the root by their own word; the ones built in do when they do not answer. */
  async #prime(work: Work): Promise<void> {
    const question = { name: ".", type: TYPE_CODES.NS };
    const { roots } = this.#options;
    const builtIn = { zone: ".", hosts: ["."], glue: new Map([[".", roots.map(({ address }) => address)]]) };
    const servers = roots.map((address) => this.#known(address));
    const way = { work, avoid: new Set<string>(), pending: [] };
    try {
      const { message } = await this.#race(question, { zone: ".", servers, way });
      const { hosts, glue, ttlSeconds } = delegationIn(message.answers, message.additionals, {
        cut: ".",
        zone: ".",
      });
      this.#keepZone(glue.size > 0 ? { zone: ".", hosts, glue } : builtIn, ttlSeconds);
    } catch (error) {
      if (!(error instanceof ResolveError) || error.fault === "work-limit") throw error;
      this.#keepZone(builtIn, PRIME_AGAIN_SECONDS);
    }
  }

  async #descend(question: SourceQuestion, way: Way): Promise<Reply> {
    const { name, type } = question;
    // RFC 4035 3.1.4.1: DS is asked of the zone above.
    const from = type === TYPE_CODES.DS ? parentName(name) ?? "." : name;
    let zone = this.#deepest(from);
    let shown = labelCount(zone);
    let whole = false, minimised = 0;
    for (let step = 0; step < MAX_REFERRALS + MAX_MINIMISED; step++) {
      const total = labelCount(name);
      const next = whole || minimised >= MAX_MINIMISED ? total : nextLength(shown, total, minimised);
      const asked = next >= total ? { name, type } : { name: lastLabels(name, next), type: TYPE_CODES.A };
      const partial = asked.name !== name;
      const servers = await this.#serversOf(zone, way);
      let answered: Answered;
      try {
        // A server that is known not to understand short names gets none, so nobody of the zone does.
        const short = partial && servers.every(({ noMinimiseUntil }) => noMinimiseUntil <= this.#now());
        answered = await this.#race(short ? asked : { name, type }, { zone, servers, way });
        if (partial && !short) whole = true;
      } catch (error) {
        if (!partial || !(error instanceof ResolveError) || error.fault === "work-limit") throw error;
        way.work.trace(() => `${zone}: no answer for ${asked.name}; the whole name is asked for`);
        whole = true;
        for (const known of servers) known.noMinimiseUntil = this.#now() + LAME_MS;
        continue;
      }
      const { message, server } = answered;
      const cut = referralIn(message, { zone, name: whole ? name : asked.name });
      if (cut !== null && !(type === TYPE_CODES.DS && cut === name)) {
        this.#keepDelegation(message, { cut, zone, from: server.address });
        way.work.trace(() => `${server.address} refers ${zone} to ${cut}`);
        zone = cut;
        shown = labelCount(cut);
        whole = false;
        continue;
      }
      if (!partial || whole) return replyOf(message, { name, from: server.address, zone });
      if (message.rcode === RCODES.NXDOMAIN) {
        // RFC 8020 says that nothing is below; some servers say it of names that are not there themselves.
        way.work.trace(() => `${server.address} denies ${asked.name}; the whole name is asked for`);
        whole = true;
        const rest = await this.#race({ name, type }, { zone, servers, way });
        if (rest.message.rcode !== RCODES.NXDOMAIN) {
          this.#known(rest.server).noMinimiseUntil = this.#now() + LAME_MS;
        }
        const deeper = referralIn(rest.message, { zone, name });
        if (deeper === null || (type === TYPE_CODES.DS && deeper === name)) {
          return replyOf(rest.message, { name, from: rest.server.address, zone });
        }
        this.#keepDelegation(rest.message, { cut: deeper, zone, from: rest.server.address });
        zone = deeper;
        shown = labelCount(deeper);
        whole = false;
        continue;
      }
      shown = next;
      minimised++;
    }
    throw new ResolveError("work-limit", `${name}: more than ${MAX_REFERRALS} referrals`);
  }

  async #race(
    question: SourceQuestion,
    about: { zone: string; servers: readonly KnownServer[]; way: Way },
  ): Promise<Answered> {
    const { zone, way } = about;
    const { name, type } = question;
    const now = this.#now();
    const able = about.servers.filter(({ server, lame }) =>
      !way.avoid.has(server.address) && (lame.get(zone) ?? -Infinity) <= now
    );
    if (able.length === 0) {
      throw new ResolveError("server-failure", `${name}: no server of ${zone} is of use`);
    }
    const order = inOrder(able.map(({ server }) => server), now);
    way.work.trace(() =>
      `ask ${order[0]!.address} (${zone}, ${order.length} servers) for ${describe(question)}`
    );
    const answered = await race(this.#options, order, {
      name,
      type,
      leftMs: way.work.end - now,
      recursion: false,
      dnssec: this.#options.dnssec,
      cookies: true,
      spend: () => way.work.take("queries") ? null : way.work.exhausted("queries", name),
      judge: (message, server) => {
        const fault = authorityFault(message, { name, zone });
        const known = this.#known(server);
        if (fault === null) known.lame.delete(zone);
        else if (fault.lame) known.lame.set(zone, this.#now() + LAME_MS);
        if (fault !== null) way.work.trace(() => `${server.address}: ${fault.detail}`);
        return fault;
      },
    });
    way.work.trace(() =>
      `${answered.server.address}: ${summary(replyOf(answered.message, { name, from: "" }))}`
    );
    return answered;
  }

  /** The deepest zone at or above a name whose servers are known. */
  #deepest(name: string): string {
    for (let at: string | null = name; at !== null; at = parentName(at)) {
      if (this.#zones.get(at) !== null) return at;
    }
    return ".";
  }

  async #serversOf(zone: string, way: Way): Promise<KnownServer[]> {
    const delegation = this.#zones.get(zone)?.value;
    if (delegation === undefined) {
      if (zone === ".") return this.#options.roots.map((address) => this.#known(address));
      throw new ResolveError("server-failure", `${zone}: its servers are not known any more`);
    }
    const addresses = new Set<string>(), unknown: string[] = [];
    for (const host of delegation.hosts) {
      const known = delegation.glue.get(host) ?? this.#addresses.get(host)?.value;
      if (known === undefined) unknown.push(host);
      else known.forEach((address) => addresses.add(address));
    }
    const now = this.#now();
    const usable = () =>
      this.#serversAt(addresses).filter(({ server, lame }) =>
        !way.avoid.has(server.address) && (lame.get(zone) ?? -Infinity) <= now && server.restsUntil <= now
      );
    if (usable().length === 0) {
      for (const address of await this.#lookUpHosts(unknown, zone, way)) addresses.add(address);
    }
    return this.#serversAt(addresses);
  }

  #serversAt(addresses: ReadonlySet<string>): KnownServer[] {
    const { port } = this.#options;
    return [...addresses].slice(0, 2 * MAX_SERVERS).filter((address) => this.#loopback || !isOwn(address))
      .map((address) => this.#known({ address, port }));
  }

  /** Addresses of servers that came without; as few as do. */
  async #lookUpHosts(hosts: readonly string[], zone: string, way: Way): Promise<string[]> {
    if (way.pending.length >= MAX_DEPTH) return [];
    // A name below the zone itself can only be had from the zone.
    const open = hosts.filter((host) => !way.pending.includes(host) && !isWithin(host, zone));
    for (let at = 0; at < open.length; at += MAX_NAMES_AT_ONCE) {
      const found = await Promise.all(
        open.slice(at, at + MAX_NAMES_AT_ONCE).map((host) => this.#addressesOf(host, way)),
      );
      const addresses = found.flat();
      if (addresses.length > 0) return addresses;
    }
    return [];
  }

  async #addressesOf(host: string, way: Way): Promise<string[]> {
    way.work.spend("serverNames", host);
    const inner = { ...way, avoid: new Set<string>(), pending: [...way.pending, host] };
    const addresses: string[] = [];
    let ttlSeconds = MAX_TTL_SECONDS;
    for (const type of [TYPE_CODES.A, TYPE_CODES.AAAA]) {
      try {
        const reply = await this.#descend({ name: host, type }, inner);
        // RFC 2181 10.3: the name of a server is no alias.
        for (const set of reply.answers.filter((one) => one.name === host && one.type === type)) {
          ttlSeconds = Math.min(ttlSeconds, set.ttlSeconds);
          addresses.push(...set.records.flatMap(addressIn));
        }
      } catch (error) {
        if (!(error instanceof ResolveError) || error.fault === "work-limit") throw error;
      }
    }
    this.#addresses.put(host, addresses, { ttlSeconds: clamp(ttlSeconds), octets: ZONE_OCTETS });
    return addresses;
  }

  #keepDelegation(message: Message, about: { cut: string; zone: string; from: string }): void {
    const { cut, zone, from } = about;
    const { hosts, glue, ttlSeconds } = delegationIn(message.authorities, message.additionals, { cut, zone });
    this.#keepZone({ zone: cut, hosts, glue }, ttlSeconds);
    const sets = rrsetsOf(message.authorities.filter(({ name }) => isWithin(name, zone)));
    const ds = sets.filter(({ name, type, signatures }) =>
      name === cut && type === TYPE_CODES.DS && signatures.length > 0
    );
    const proofs = sets.filter(({ type, signatures }) =>
      (type === TYPE_CODES.NSEC || type === TYPE_CODES.NSEC3) && signatures.length > 0
    );
    if (ds.length === 0 && proofs.length === 0) return;
    const ttl = Math.min(...[...ds, ...proofs].map((set) => set.ttlSeconds));
    this.#ds.put(cut, { rcode: RCODES.NOERROR, answers: ds, authorities: proofs, from }, {
      ttlSeconds: Math.min(ttl, 3_600),
      octets: ZONE_OCTETS,
    });
  }

  #keepZone(delegation: Delegation, ttlSeconds: number): void {
    this.#zones.put(delegation.zone, delegation, { ttlSeconds: clamp(ttlSeconds), octets: ZONE_OCTETS });
  }

  #known(address: ServerAddress): KnownServer {
    const key = `${address.address} ${address.port}`;
    const hit = this.#servers.get(key);
    if (hit !== null) return hit.value;
    const known: KnownServer = { server: newServer(address), lame: new Map(), noMinimiseUntil: -Infinity };
    this.#servers.put(key, known, { ttlSeconds: SERVER_TTL_SECONDS, octets: SERVER_OCTETS });
    return known;
  }

  #now(): number {
    return this.#options.timing.now();
  }
}

/** RFC 9156 2.3: the first steps add one label each, the later ones share what is left. */
function nextLength(shown: number, total: number, steps: number): number {
  const left = total - shown;
  if (left <= 1) return total;
  if (steps < ONE_LABEL_STEPS) return shown + 1;
  return shown + Math.max(1, Math.ceil(left / (MAX_MINIMISED - steps)));
}

/** The zone below `zone` that a message refers to; null when it is no referral. */
function referralIn(message: Message, about: { zone: string; name: string }): string | null {
  const { zone, name } = about;
  if (message.rcode !== RCODES.NOERROR || message.answers.length > 0) return null;
  if (message.authorities.some(({ data }) => data.type === "SOA")) return null;
  return message.authorities.find(({ name: owner, data }) =>
    data.type === "NS" && owner !== zone && isWithin(owner, zone) && isWithin(name, owner)
  )?.name ?? null;
}

/** Why a message is no word of a server of `zone`; null when it is one. */
function authorityFault(
  message: Message,
  about: { name: string; zone: string },
): (Failure & { lame: boolean }) | null {
  const { name, zone } = about;
  const fault = (detail: string, lame: boolean) => ({ fault: "server-failure" as const, detail, lame });
  if (message.rcode !== RCODES.NOERROR && message.rcode !== RCODES.NXDOMAIN) {
    return fault(`answered ${rcodeName(message.rcode)}`, false);
  }
  if (referralIn(message, about) !== null || message.authoritative) return null;
  if (message.answers.some((record) => record.name === name) && !message.recursionAvailable) return null;
  return fault(`does not serve ${zone}`, true);
}

/** Names and addresses of the servers of `cut`, as a server of `zone` has them. */
function delegationIn(
  servers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[],
  about: { cut: string; zone: string },
): { hosts: string[]; glue: Map<string, string[]>; ttlSeconds: number } {
  const { cut, zone } = about;
  const hosts: string[] = [], glue = new Map<string, string[]>();
  let ttlSeconds = MAX_TTL_SECONDS;
  for (const { name, data, ttlSeconds: ttl } of servers) {
    if (name !== cut || data.type !== "NS" || hosts.length >= MAX_SERVERS || hosts.includes(data.host)) {
      continue;
    }
    hosts.push(data.host);
    ttlSeconds = Math.min(ttlSeconds, ttl);
  }
  for (const { name, data } of additionals) {
    // Outside of the zone that delegates, its server has no say.
    if (!hosts.includes(name) || !isWithin(name, zone)) continue;
    const addresses = addressIn(data);
    if (addresses.length > 0) glue.set(name, [...glue.get(name) ?? [], ...addresses]);
  }
  return { hosts, glue, ttlSeconds };
}

function addressIn(data: RecordData): string[] {
  return data.type === "A" || data.type === "AAAA" ? [data.address] : [];
}

/** Loopback and unspecified addresses: ourselves. */
function isOwn(address: string): boolean {
  const plain = address.startsWith("::ffff:") ? canonicalAddress(address.slice(7)) ?? address : address;
  return plain.startsWith("127.") || plain.startsWith("0.") || plain === "::1" || plain === "::";
}

function clamp(ttlSeconds: number): number {
  return Math.min(Math.max(ttlSeconds, MIN_TTL_SECONDS), MAX_TTL_SECONDS);
}
