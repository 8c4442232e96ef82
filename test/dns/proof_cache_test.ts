/**
 * What follows from proofs of other questions (RFC 8198), against the zone itself: whatever part of its proofs is known, no
 * answer is ever another one than the zone's, and with all of them there is always one.
 */
import assert from "node:assert/strict";
import type { Nsec } from "../../dns/dnssec/nsec.ts";
import { encodeBase32Hex, type Nsec3 } from "../../dns/dnssec/nsec3.ts";
import { compareNames, isWithin, nameOctets, parentName } from "../../dns/name.ts";
import { ProofCache, type Wildcard } from "../../dns/proof_cache.ts";
import { type RecordData, TYPE_CODES } from "../../dns/rdata.ts";
import { compareOctets } from "../../dns/rrset.ts";
import { typeBitmap } from "../../dns/type_bitmap.ts";
import { Work } from "../../dns/work.ts";
import { webDnssecCrypto } from "../../server/dns_crypto.ts";
import { seededBelow } from "./fake_network.ts";

const { A, AAAA, NS, SOA, CNAME, DNAME, DS, MX, TXT, RRSIG, NSEC } = TYPE_CODES;
const APEX = "zone.test";
/** Names with records, and their types. */
const ZONE: Readonly<Record<string, readonly number[]>> = {
  [APEX]: [NS, SOA, MX],
  [`mx.${APEX}`]: [A, TXT],
  [`a.b.c.${APEX}`]: [A],
  [`*.wild.${APEX}`]: [A, MX],
  [`x.wild.${APEX}`]: [TXT],
  [`*.links.${APEX}`]: [CNAME],
  [`alias.${APEX}`]: [CNAME],
  [`moved.${APEX}`]: [DNAME],
  [`signed.${APEX}`]: [NS, DS],
  [`open.${APEX}`]: [NS],
  [`open2.b.${APEX}`]: [NS],
};
const LABELS = [
  "mx",
  "a",
  "b",
  "c",
  "wild",
  "*",
  "x",
  "y",
  "links",
  "alias",
  "moved",
  "signed",
  "open",
  "open2",
  "zz",
  "0",
];
const TYPES = [A, AAAA, MX, TXT, DS, NS, CNAME];
const SALT = Uint8Array.of(1, 2);
const crypto = webDnssecCrypto();

/** `null`: nothing may be said about it. */
type Truth = "no-such-domain" | "no-data" | "found" | null;

function existing(): Set<string> {
  const names = new Set<string>();
  for (const owner of Object.keys(ZONE)) {
    for (let at: string | null = owner; at !== null && isWithin(at, APEX); at = parentName(at)) names.add(at);
  }
  return names;
}
const NAMES = existing();

function truth(name: string, type: number): Truth {
  for (let at = parentName(name); at !== null && isWithin(at, APEX); at = parentName(at)) {
    const types = ZONE[at] ?? [];
    if (types.includes(DNAME) || (types.includes(NS) && at !== APEX)) return null;
  }
  const own = ZONE[name];
  if (own !== undefined) {
    const cut = own.includes(NS) && name !== APEX;
    if (own.includes(type) || own.includes(CNAME) || (cut && type !== DS) || (name === APEX && type === DS)) {
      return null;
    }
    return "no-data";
  }
  if (NAMES.has(name)) return "no-data";
  let above = parentName(name)!;
  while (!NAMES.has(above)) above = parentName(above)!;
  const star = ZONE[`*.${above}`];
  if (star === undefined) return "no-such-domain";
  if (star.includes(CNAME)) return null;
  return star.includes(type) ? "found" : "no-data";
}

const WILDCARDS: readonly Wildcard[] = [{
  owner: `*.wild.${APEX}`,
  type: A,
  records: [{ type: "A", address: "192.0.2.1" } as RecordData],
}, {
  owner: `*.wild.${APEX}`,
  type: MX,
  records: [{ type: "MX", preference: 5, exchange: `mx.${APEX}` } as RecordData],
}];

function gaps(): Nsec[] {
  const owners = Object.keys(ZONE).sort(compareNames);
  return owners.map((owner, at) => ({
    owner,
    next: owners[(at + 1) % owners.length]!,
    types: typeBitmap([...ZONE[owner]!, RRSIG, NSEC]),
  }));
}

function hashOf(name: string, iterations: number): Uint8Array {
  let hash: Uint8Array = nameOctets(name)!;
  for (let round = 0; round <= iterations; round++) hash = crypto.sha1(Uint8Array.of(...hash, ...SALT));
  return hash;
}

/** With opt-out, unsigned delegations are in no record (RFC 5155 6), nor what stands above them alone. */
function chain({ iterations, optOut }: { iterations: number; optOut: boolean }): Nsec3[] {
  const names = [...NAMES].filter((name) => !optOut || !name.startsWith("open"));
  const hashed = names.map((name) => ({ name, hash: hashOf(name, iterations) }))
    .sort((a, b) => compareOctets(a.hash, b.hash));
  return hashed.map(({ name, hash }, at) => ({
    owner: `${encodeBase32Hex(hash)}.${APEX}`,
    data: {
      ...{ type: "NSEC3", hashAlgorithm: 1, flags: optOut ? 1 : 0, iterations, salt: SALT },
      nextHash: hashed[(at + 1) % hashed.length]!.hash,
      types: typeBitmap([...ZONE[name] ?? [], ...ZONE[name] === undefined ? [] : [RRSIG]]),
    },
  }));
}

function newCache(clock = { now: 0 }, maxOctets = 1e6): ProofCache {
  return new ProofCache({ now: () => clock.now, maxOctets, crypto });
}

function ask(cache: ProofCache, name: string, type: number) {
  return cache.answer(name, type, new Work({ end: Infinity }));
}

function* questions(below: (limit: number) => number, count: number): Generator<[string, number]> {
  for (const name of NAMES) for (const type of TYPES) yield [name, type];
  for (let n = 0; n < count; n++) {
    const labels = Array.from({ length: 1 + below(4) }, () => LABELS[below(LABELS.length)]!);
    yield [`${labels.join(".")}.${APEX}`, TYPES[below(TYPES.length)]!];
  }
}

const KINDS: Readonly<Record<string, { nsec: readonly Nsec[]; nsec3: readonly Nsec3[]; optOut?: boolean }>> =
  {
    "NSEC": { nsec: gaps(), nsec3: [] },
    "NSEC3": { nsec: [], nsec3: chain({ iterations: 2, optOut: false }) },
    "NSEC3 with opt-out": { nsec: [], nsec3: chain({ iterations: 0, optOut: true }), optOut: true },
  };

for (const [kind, { nsec, nsec3, optOut = false }] of Object.entries(KINDS)) {
  Deno.test(`${kind}: whatever is known, what follows is what the zone says`, () => {
    const below = seededBelow(11);
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const cache = newCache();
      const some = <T>(all: readonly T[]) => all.filter(() => below(4) > 0);
      cache.put({ zone: APEX, nsec: some(nsec), nsec3: some(nsec3) }, 60);
      for (const wildcard of some(WILDCARDS)) cache.put({ zone: APEX, nsec: [], nsec3: [] }, 60, wildcard);
      for (const [name, type] of questions(below, 100)) {
        const deduced = ask(cache, name, type);
        if (deduced === null) continue;
        found++;
        assert.equal(deduced.status, truth(name, type), `${name} ${type}`);
        if (deduced.status === "found") {
          assert.deepEqual(deduced.records, WILDCARDS.find((one) => one.type === type)!.records);
        }
      }
    }
    assert.ok(found > 500, `${found} answers`);
  });

  Deno.test(`${kind}: with all proofs nothing has to be asked${optOut ? " but what opt-out leaves open" : ""}`, () => {
    const cache = newCache();
    cache.put({ zone: APEX, nsec, nsec3 }, 60);
    for (const wildcard of WILDCARDS) cache.put({ zone: APEX, nsec: [], nsec3: [] }, 60, wildcard);
    let denied = 0;
    for (const [name, type] of questions(seededBelow(12), 2_000)) {
      const wanted = truth(name, type), deduced = ask(cache, name, type)?.status ?? null;
      if (deduced === "no-such-domain") denied++;
      if (!optOut) assert.equal(deduced, wanted, `${name} ${type}`);
      else if (wanted === "no-data" && ZONE[name] !== undefined && !name.startsWith("open")) {
        assert.equal(deduced, wanted, `${name} ${type}`);
      }
    }
    if (optOut) assert.equal(denied, 0, "a name in such a span may be an unsigned delegation");
    else assert.ok(denied > 500);
  });
}

Deno.test("what follows lasts as long as the first of its proofs, and says how long", () => {
  const clock = { now: 0 }, cache = newCache(clock);
  const all = chain({ iterations: 0, optOut: false });
  cache.put({ zone: APEX, nsec: [], nsec3: all.slice(1) }, 60);
  cache.put({ zone: APEX, nsec: [], nsec3: all.slice(0, 1) }, 30);
  const names = Array.from({ length: 50 }, (_, at) => `n${at}.${APEX}`);
  assert.deepEqual(new Set(names.map((name) => ask(cache, name, A)?.ttlSeconds)), new Set([30, 60]));
  clock.now = 30_000;
  const later = names.map((name) => ask(cache, name, A)?.ttlSeconds ?? null);
  assert.deepEqual(new Set(later), new Set([null, 30]));
  clock.now = 60_000;
  assert.ok(names.every((name) => ask(cache, name, A) === null));
});

Deno.test("a chain of other parameters takes the place of the one before; one with many rounds is not looked into", () => {
  const cache = newCache();
  cache.put({ zone: APEX, nsec: [], nsec3: chain({ iterations: 1, optOut: false }) }, 60);
  assert.equal(ask(cache, `n.${APEX}`, A)?.status, "no-such-domain");
  cache.put({ zone: APEX, nsec: [], nsec3: chain({ iterations: 2, optOut: false }).slice(0, 1) }, 60);
  assert.equal(ask(cache, `n.${APEX}`, A), null);
  cache.put({ zone: APEX, nsec: [], nsec3: chain({ iterations: 150, optOut: false }) }, 60);
  assert.equal(ask(cache, `n.${APEX}`, A), null);
});

Deno.test("types that no bitmap tells of are asked for", () => {
  const cache = newCache();
  cache.put({ zone: APEX, nsec: gaps(), nsec3: [] }, 60);
  assert.equal(ask(cache, `mx.${APEX}`, AAAA)?.status, "no-data");
  for (const type of [251, 252, 255]) assert.equal(ask(cache, `mx.${APEX}`, type), null);
});

Deno.test("it stays within its octets: the zone learned from longest ago goes, and one that is full begins anew", () => {
  const cache = newCache({ now: 0 }, 100_000);
  for (let zone = 0; zone < 100; zone++) {
    const nsec = Array.from({ length: 50 }, (_, at) => ({
      owner: `n${at}.z${zone}.test`,
      next: `n${at}x.z${zone}.test`,
      types: typeBitmap([A]),
    }));
    for (const gap of nsec) cache.put({ zone: `z${zone}.test`, nsec: [gap], nsec3: [] }, 60);
    assert.ok(cache.octets <= 100_000, `${cache.octets}`);
  }
  assert.ok(cache.octets > 80_000, "it is used");
  assert.equal(ask(cache, "n5.z99.test", AAAA)?.status, "no-data");
  assert.equal(ask(cache, "n5.z0.test", AAAA), null);
  for (let at = 0; at < 1_000; at++) {
    const gap = { owner: `n${at}.big.test`, next: `n${at}x.big.test`, types: typeBitmap([A]) };
    cache.put({ zone: "big.test", nsec: [gap], nsec3: [] }, 60);
  }
  assert.equal(ask(cache, "n999.big.test", AAAA)?.status, "no-data");
  assert.equal(ask(cache, "n0.big.test", AAAA), null);
  assert.equal(ask(cache, "n5.z99.test", AAAA)?.status, "no-data", "one zone does not take the room of all");
});
