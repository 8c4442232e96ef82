/** Chains of trust over a fake recursive server: states, traps, proofs used again, and RFC 5011. */
import assert from "node:assert/strict";
import { CachingResolver } from "../../../dns/caching_resolver.ts";
import { ADD_HOLD_SECONDS, parseDs, ROOT_ANCHORS, TrustAnchors } from "../../../dns/dnssec/anchors.ts";
import { Validator } from "../../../dns/dnssec/validator.ts";
import { ForwardSource } from "../../../dns/forward.ts";
import { type Message, RCODES } from "../../../dns/message.ts";
import { type RecordData, TYPE_CODES } from "../../../dns/rdata.ts";
import { ResolveError } from "../../../dns/resolver.ts";
import { typeBitmap } from "../../../dns/type_bitmap.ts";
import { webDnssecCrypto } from "../../../server/dns_crypto.ts";
import { FakeNetwork, record, seededBelow, serverOf } from "../fake_network.ts";
import { answering, dsOf, NOW_SECONDS, signed, zoneKey } from "./signing.ts";

const A1: RecordData = { type: "A", address: "192.0.2.1" };
const { A, DNSKEY, DS, NS, SOA, NSEC, RRSIG } = TYPE_CODES;

/** Real time for WebCrypto, which no fake clock waits for. */
const TIMING = { now: () => performance.now(), after: () => () => {} };

async function world(
  replies: Record<string, Partial<Message>>,
  anchors: TrustAnchors,
  lies: Record<string, Partial<Message>> | null = null,
) {
  const network = new FakeNetwork({ after: () => () => {} } as never, {
    ...(lies !== null && { "192.0.2.66": serverOf(answering({ ...replies, ...lies })) }),
    "192.0.2.53": serverOf(answering(replies)),
  });
  let checks = 0;
  const real = webDnssecCrypto();
  const crypto = {
    ...real,
    verify: (...given: Parameters<typeof real.verify>) => (checks++, real.verify(...given)),
  };
  const parts = { network, timing: TIMING, random: seededBelow(5), timeoutMs: 1_000, dnssec: true };
  const source = new ForwardSource({
    ...parts,
    servers: [...network.servers.keys()].map((address) => ({ address, port: 53 })),
  });
  const validator = new Validator({
    source,
    crypto,
    anchors,
    now: TIMING.now,
    wallClock: () => NOW_SECONDS * 1000,
  });
  const resolver = new CachingResolver({
    source,
    validator,
    timing: TIMING,
    timeoutMs: 1_000,
    cacheEntries: 100,
  });
  return { network, resolver, validator, checks: () => checks };
}

/** A root and `test`, both signed. */
async function tree() {
  const root = await zoneKey("."), test = await zoneKey("test");
  const replies: Record<string, Partial<Message>> = {
    [`. ${DNSKEY}`]: { answers: await signed(root, ".", [root.data]) },
    [`test ${DS}`]: { answers: await signed(root, "test", [await dsOf(test)]) },
    [`test ${DNSKEY}`]: { answers: await signed(test, "test", [test.data]) },
    [`a.test ${A}`]: { answers: await signed(test, "a.test", [A1]) },
  };
  return { root, test, replies, anchors: new TrustAnchors([await dsOf(root)], null) };
}

async function outcome(resolver: CachingResolver, name: string): Promise<string> {
  try {
    const found = await resolver.query(name, A);
    return `${found.status} ${found.security} ${found.reason?.code ?? "-"}`;
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    return `${error.fault} ${error.reason?.code ?? "-"}`;
  }
}

Deno.test("secure along the chain; bogus with a wrong anchor; indeterminate without any", async () => {
  const { replies, anchors, test } = await tree();
  assert.equal(await outcome((await world(replies, anchors)).resolver, "a.test"), "found secure -");
  const wrong = new TrustAnchors([await dsOf(test)], null);
  assert.equal(await outcome((await world(replies, wrong)).resolver, "a.test"), "bogus 9");
  const none = new TrustAnchors([], null);
  assert.equal(await outcome((await world(replies, none)).resolver, "a.test"), "found indeterminate 5");
});

Deno.test("built-in anchors are those of the root's keys, and begin with no state at all", async () => {
  const anchors = new TrustAnchors(ROOT_ANCHORS.map((text) => parseDs(text)!), null);
  assert.ok(anchors.any);
  assert.deepEqual(ROOT_ANCHORS.map((text) => parseDs(text)!.keyTag), [20_326, 38_696]);
  const { resolver, network } = await world({}, anchors);
  network.servers.set("192.0.2.53", serverOf(() => ({ rcode: RCODES.SERVFAIL })));
  await assert.rejects(resolver.query("a.test", A), ResolveError);
});

Deno.test("unsupported algorithms and digests make a zone insecure", async () => {
  for (
    const [change, code] of [[{ algorithm: 5 }, 1], [{ algorithm: 7 }, 1], [{ digestType: 1 }, 2], [{
      digestType: 3,
    }, 2]] as const
  ) {
    const { root, test, replies, anchors } = await tree();
    replies[`test ${DS}`] = { answers: await signed(root, "test", [{ ...await dsOf(test), ...change }]) };
    replies[`a.test ${A}`] = { answers: [record("a.test", A1)] };
    assert.equal(await outcome((await world(replies, anchors)).resolver, "a.test"), `found insecure ${code}`);
  }
});

Deno.test("many keys with one tag and many signatures cost a bounded number of checks", async () => {
  const { test, replies, anchors } = await tree();
  // The tag is a sum of pairs of octets: a key turned round by pairs has the same one.
  const turned = (pairs: number) =>
    Uint8Array.of(...test.data.key.subarray(2 * pairs), ...test.data.key.subarray(0, 2 * pairs));
  const keys: RecordData[] = Array.from({ length: 15 }, (_, at) => ({ ...test.data, key: turned(at + 1) }));
  const forged = (await signed(test, "a.test", [A1])).flatMap((one) =>
    one.data.type === "RRSIG"
      ? Array.from(
        { length: 60 },
        (_, at) => record("a.test", { ...one.data, signature: new Uint8Array(64).fill(at) } as RecordData),
      )
      : [one]
  );
  replies[`test ${DNSKEY}`] = { answers: await signed(test, "test", [test.data, ...keys]) };
  replies[`a.test ${A}`] = { answers: forged };
  const w = await world(replies, anchors);
  assert.match(await outcome(w.resolver, "a.test"), /^(bogus|work-limit)/);
  assert.ok(w.checks() > 4 && w.checks() <= 24, `${w.checks()} checks`);
});

Deno.test("a signature of another zone, and a record from nowhere, are bogus", async () => {
  const { root, replies, anchors, test } = await tree();
  const other = await zoneKey("other");
  replies[`a.test ${A}`] = { answers: await signed(other, "a.test", [A1]) };
  assert.equal(await outcome((await world(replies, anchors)).resolver, "a.test"), "bogus 6");
  replies[`a.test ${A}`] = { answers: await signed({ ...root, zone: "test" }, "a.test", [A1]) };
  assert.equal(await outcome((await world(replies, anchors)).resolver, "a.test"), "bogus 9");
  replies[`a.test ${A}`] = { answers: [record("a.test", A1)] };
  replies[`a.test ${DS}`] = {
    authorities: await signed(test, "a.test", [{
      type: "NSEC",
      next: "z.test",
      types: typeBitmap([A, RRSIG, NSEC]),
    }]),
  };
  assert.equal(await outcome((await world(replies, anchors)).resolver, "a.test"), "bogus 10");
});

Deno.test("a wildcard needs the proof that there is no closer name", async () => {
  const { test, replies, anchors } = await tree();
  const star = await signed(test, "*.test", [A1]);
  const asX = star.map((one) => ({ ...one, name: "x.test" }));
  replies[`x.test ${A}`] = { answers: asX };
  assert.equal(await outcome((await world(replies, anchors)).resolver, "x.test"), "bogus 12");
  const gap = await signed(test, "a.test", [{
    type: "NSEC",
    next: "test",
    types: typeBitmap([A, RRSIG, NSEC]),
  }]);
  replies[`x.test ${A}`] = { answers: asX, authorities: gap };
  assert.equal(await outcome((await world(replies, anchors)).resolver, "x.test"), "found secure -");
});

Deno.test("a proven gap answers for other names in it (RFC 8198)", async () => {
  const { test, replies, anchors } = await tree();
  const soa: RecordData = {
    type: "SOA",
    primary: "ns.test",
    mailbox: ".",
    serial: 1,
    refreshSeconds: 1,
    retrySeconds: 1,
    expireSeconds: 1,
    minimumSeconds: 60,
  };
  const types = typeBitmap([NS, SOA, RRSIG, NSEC, DNSKEY]);
  replies[`m.test ${A}`] = {
    rcode: RCODES.NXDOMAIN,
    authorities: [
      ...await signed(test, "test", [soa]),
      ...await signed(test, "test", [{ type: "NSEC", next: "a.test", types }]),
      ...await signed(test, "a.test", [{
        type: "NSEC",
        next: "z.test",
        types: typeBitmap([A, RRSIG, NSEC]),
      }]),
    ],
  };
  const { resolver, network } = await world(replies, anchors);
  assert.equal(await outcome(resolver, "m.test"), "no-such-domain secure -");
  network.queries.length = 0;
  assert.equal(await outcome(resolver, "n.test"), "no-such-domain secure 29", "and says so (RFC 8914)");
  assert.equal(network.queries.length, 0);
  await outcome(resolver, "zz.test");
  assert.ok(network.queries.length > 0, "behind the gap nothing is known");
});

Deno.test("RFC 5011: a new key is trusted after its hold time, a revoked one never again", async () => {
  const crypto = webDnssecCrypto();
  const old = await zoneKey("."), next = await zoneKey("."), zsk = await zoneKey(".", 256);
  const builtIn = [await dsOf(old)];
  let anchors = new TrustAnchors(builtIn, null);
  const keys = [old.data, next.data, zsk.data];
  const observe = async (set: typeof keys, signedItself: typeof keys, nowSeconds: number) => {
    const changed = await anchors.observe({ keys: set, signedItself }, { crypto, nowSeconds });
    anchors = new TrustAnchors(builtIn, anchors.serialize()); // as after a start
    return changed;
  };
  const points = async (set = keys) => (await anchors.entryPoints(set, crypto)).length;
  assert.equal(await observe(keys, [], NOW_SECONDS), true);
  assert.equal(await points(), 1);
  assert.equal(await observe(keys, [], NOW_SECONDS + ADD_HOLD_SECONDS - 1), false);
  assert.equal(await points(), 1);
  await observe(keys, [], NOW_SECONDS + ADD_HOLD_SECONDS);
  assert.equal(await points(), 2);
  const revoked = { ...old.data, flags: old.data.flags | 0x80 };
  await observe([revoked, next.data], [], NOW_SECONDS);
  assert.equal(await points(), 2, "who has not signed itself is not revoked");
  await observe([revoked, next.data], [revoked], NOW_SECONDS);
  assert.equal(await points(), 1);
  assert.equal(await points([old.data]), 0, "not even where it is built in");
  assert.equal(await points([next.data]), 1);
  assert.equal(
    await new TrustAnchors(builtIn, "{torn").entryPoints([old.data], crypto).then((list) => list.length),
    1,
  );
});

Deno.test("a key that goes away while it waits begins anew", async () => {
  const crypto = webDnssecCrypto();
  const old = await zoneKey("."), next = await zoneKey(".");
  const anchors = new TrustAnchors([await dsOf(old)], null);
  const both = { keys: [old.data, next.data], signedItself: [] };
  await anchors.observe(both, { crypto, nowSeconds: 0 });
  await anchors.observe({ keys: [old.data], signedItself: [] }, { crypto, nowSeconds: 86_400 });
  await anchors.observe(both, { crypto, nowSeconds: ADD_HOLD_SECONDS });
  assert.equal((await anchors.entryPoints([next.data], crypto)).length, 0);
});

Deno.test("the resolver finds a revocation in the key set itself", async () => {
  const { root, replies } = await tree();
  const next = await zoneKey(".");
  const revoked = { ...root, data: { ...root.data, flags: 257 | 0x80 } };
  const set = [revoked.data, next.data];
  const both = [...await signed(next, ".", set), ...(await signed(revoked, ".", set)).slice(2)];
  replies[`. ${DNSKEY}`] = { answers: both };
  const anchors = new TrustAnchors([await dsOf(root), await dsOf(next)], null);
  await outcome((await world(replies, anchors)).resolver, "a.test");
  assert.match(anchors.serialize(), /"state":"revoked"/);
  assert.equal((await anchors.entryPoints([root.data], webDnssecCrypto())).length, 0);
});

Deno.test("one server that lies does not keep the truth of another one away", async () => {
  const { replies, anchors, test, root } = await tree();
  const other = await zoneKey("test");
  const lies: Record<string, Partial<Message>>[] = [
    { [`a.test ${A}`]: { answers: await signed(other, "a.test", [{ type: "A", address: "192.0.2.66" }]) } },
    { [`a.test ${A}`]: { rcode: RCODES.NXDOMAIN } },
    {
      [`test ${DS}`]: { answers: await signed(root, "test", [await dsOf(test)], { seconds: 1_000_000_000 }) },
    },
    { [`test ${DNSKEY}`]: { answers: await signed(other, "test", [other.data]) } },
    { [`. ${DNSKEY}`]: { rcode: RCODES.NXDOMAIN } },
  ];
  for (const lie of lies) {
    const { resolver, network } = await world(replies, anchors, lie);
    assert.equal(await outcome(resolver, "a.test"), "found secure -");
    assert.ok(network.log.includes("udp 192.0.2.66"), "it was asked");
  }
});
