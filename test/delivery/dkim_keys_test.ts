/** DKIM keys from their making to an empty p=, and the records of a domain. */
import assert from "node:assert/strict";
import { advanceKeys, keyName, keyRecord, newKeyPair } from "../../delivery/dkim_keys.ts";
import { keysNotice } from "../../delivery/keys_notice.ts";
import type { ServerTexts } from "../../dns/authoritative.ts";
import { checkRecord, type RecordKind, wantedRecords } from "../../delivery/domain_records.ts";
import { parseKey } from "../../mailauth/dkim_key.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { TestStore } from "../lib/test_store.ts";

const DAY_MS = 86_400_000;

Deno.test("a new key signs once DNS shows its record; the old one retires, and is revoked when its mail is gone", async () => {
  const test = await TestStore.open();
  try {
    const { store } = test;
    const states = () =>
      store.directory.dkimKeys("example.test").map(({ selector, state }) => `${selector} ${state}`).sort();
    const add = async () => {
      const known = store.directory.dkimKeys("example.test");
      const made = await newKeyPair("example.test", { known, now: Date.UTC(2026, 10, 24), state: "waiting" });
      for (const key of made) await test.ok({ kind: "put-dkim-key", key });
      return made;
    };
    const resolver = new MockResolver();
    const publish = (keys: readonly Parameters<typeof keyRecord>[0][]) => {
      for (const key of keys as Awaited<ReturnType<typeof add>>) {
        resolver.entries.set(`${keyName(key)} TXT`, [txt(keyRecord(key))]);
      }
    };
    const shown: ServerTexts[] = [];
    const made: string[] = [];
    const advance = (now = Date.now(), rotateAfterMs = 0) =>
      advanceKeys({
        ...{ store, resolver, now, queueLifetimeMs: 5 * DAY_MS, rotateAfterMs },
        atServers: () => Promise.resolve(shown),
        made: (domain, keys) => made.push(`${domain} ${keys.map(({ selector }) => selector).join(" ")}`),
      });
    const first = await add();
    await advance();
    assert.deepEqual(states(), ["20261124-ed25519 waiting", "20261124-rsa waiting"]);
    publish(first);
    await advance();
    assert.deepEqual(states(), ["20261124-ed25519 signing", "20261124-rsa signing"]);
    const second = await add();
    publish([second[0]!]); // one of the two
    await advance();
    assert.deepEqual(states(), [
      ...[
        "20261124-2-ed25519 waiting",
        "20261124-2-rsa signing",
        "20261124-ed25519 signing",
        "20261124-rsa retired",
      ],
    ]);
    const retired = store.directory.dkimKeys("example.test").find(({ state }) => state === "retired")!;
    // The queue's lifetime, the record's time to live, two days.
    const isRetiredAfter = async (ms: number) => {
      await advance(retired.changedAt + ms);
      return states().includes("20261124-rsa retired");
    };
    assert.ok(await isRetiredAfter(8 * DAY_MS - 1), "a day where no server can be asked");
    shown.push({ server: "ns1.test", texts: ["v=DKIM1"], ttlSeconds: 300 });
    shown.push({ server: "ns2.test", texts: ["v=DKIM1"], ttlSeconds: 2 * 86_400 });
    assert.ok(await isRetiredAfter(9 * DAY_MS - 1), "what the servers tell, the longest of them");
    shown[1] = { server: "ns2.test", texts: ["v=DKIM1"], ttlSeconds: 99 * 86_400 };
    assert.ok(await isRetiredAfter(14 * DAY_MS - 1), "no more than caches keep");
    shown.length = 0;
    assert.ok(!await isRetiredAfter(8 * DAY_MS));
    const revoked = store.directory.dkimKeys("example.test").find(({ state }) => state === "revoked")!;
    assert.equal(keyRecord(revoked), "v=DKIM1; k=rsa; p=");
    assert.equal(revoked.privateKey, "");
    // A name that shows something else, or does not answer, makes nothing sign.
    resolver.entries.set(`${keyName(second[1]!)} TXT`, [txt(keyRecord(first[1]!))]);
    await advance();
    resolver.entries.set(`${keyName(second[1]!)} TXT`, "timeout");
    await advance();
    assert.ok(states().includes("20261124-2-ed25519 waiting"));
    // The resolver sees it, a server of the zone does not yet.
    publish([second[1]!]);
    shown.push({ server: "ns1.test", texts: [keyRecord(second[1]!)], ttlSeconds: 60 }, {
      server: "ns2.test",
      texts: [],
      ttlSeconds: 0,
    });
    await advance();
    assert.ok(states().includes("20261124-2-ed25519 waiting"));
    shown[1] = { server: "ns2.test", texts: [keyRecord(second[1]!)], ttlSeconds: 60 };
    await advance();
    assert.ok(states().includes("20261124-2-ed25519 signing"));
    // By schedule: once both have signed for long, one pair at a time.
    const since = Math.max(...store.directory.dkimKeys("example.test").map(({ changedAt }) => changedAt));
    await advance(since + 99 * DAY_MS, 100 * DAY_MS);
    assert.deepEqual(made, []);
    await advance(since + 100 * DAY_MS, 100 * DAY_MS);
    await advance(since + 101 * DAY_MS, 100 * DAY_MS);
    assert.equal(made.length, 1);
    assert.match(made[0]!, /^example\.test \d{8}(-\d)?-rsa \d{8}(-\d)?-ed25519$/);
    assert.equal(states().filter((one) => one.endsWith(" waiting")).length, 2);
    assert.equal(states().filter((one) => one.endsWith(" signing")).length, 2);
  } finally {
    await test.close();
  }
});

Deno.test("the administrator is told which records to publish", async () => {
  const keys = await newKeyPair("a.test", { known: [], now: 0, state: "waiting" });
  const mail = keysNotice({ hostname: "mx.test", administrator: "" }, { domain: "a.test", keys, now: 0 });
  assert.deepEqual(mail.recipients, ["postmaster@mx.test"]);
  const text = new TextDecoder().decode(mail.octets).replaceAll(/=\r\n/g, "").replaceAll("=3D", "=");
  for (const key of keys) {
    assert.ok(text.includes(keyName({ ...key })) && text.includes(key.publicKey.slice(0, 40)));
  }
});

Deno.test("records that a verifier can use, and what a check says of those found", async () => {
  const keys = await newKeyPair("a.test", { known: [], now: 0, state: "signing" });
  for (const key of keys) assert.ok("key" in parseKey(keyRecord(key)), key.kind);
  const rows = keys.map((key) => ({ ...key, createdAt: 0, changedAt: 0 }));
  const own = {
    hostname: "mx.test",
    keys: [{ sha256: "ab".repeat(32), when: "now" }],
    stsPolicyId: "1",
  } as const;
  const wanted = wantedRecords("a.test", { keys: rows, own });
  const record = (kind: RecordKind) => wanted.find((one) => one.kind === kind)!;
  assert.deepEqual(wanted.map(({ kind, type, value }) => `${kind} ${type} ${value.slice(0, 12)}`), [
    "mx MX 10 mx.test.",
    "spf TXT v=spf1 mx -a",
    "dkim TXT v=DKIM1; k=r",
    "dkim TXT v=DKIM1; k=e",
    "dmarc TXT v=DMARC1; p=",
    "tls-rpt TXT v=TLSRPTv1; ",
    "tlsa TLSA 3 1 1 ababab",
    "mta-sts TXT v=STSv1; id=",
    "mta-sts-host CNAME mx.test.",
  ]);
  assert.deepEqual(
    wantedRecords("a.test", { keys: [], own: null }).map(({ kind }) => kind),
    ["spf", "dmarc", "tls-rpt"],
  );
  const [spf, rsa, dmarc] = [record("spf"), record("dkim"), record("dmarc")];
  const state = (one: typeof spf, found: string[] | null) => checkRecord(one, found).state;
  assert.equal(state(spf, ["v=spf1 ip4:192.0.2.1 -all", "something else"]), "ok");
  assert.equal(state(spf, ["v=spf1 mx -all", "v=spf1 -all"]), "different");
  assert.equal(state(spf, ["v=spf1 ip4:nonsense"]), "different");
  assert.equal(state(spf, []), "missing");
  assert.equal(state(spf, null), "unknown");
  assert.equal(state(rsa, [rsa.value.replace("; p=", ";p=")]), "ok");
  assert.equal(state(rsa, ["v=DKIM1; p=AAAA"]), "different");
  assert.equal(state(dmarc, ["v=DMARC1; p=reject"]), "ok");
  assert.equal(state(dmarc, ["v=DMARC1; p=maybe"]), "different");
  const cases: [RecordKind, string[], string][] = [
    ["mx", ["10 MX.test."], "ok"],
    ["mx", ["10 provider.test.", "20 mx.test."], "ok"],
    ["mx", ["10 provider.test."], "different"],
    ["mx", [], "missing"],
    ["tlsa", [`3 1 1 ${"AB".repeat(32)}`, `3 1 1 ${"cd".repeat(32)}`], "ok"],
    ["tlsa", [`3 1 1 ${"cd".repeat(32)}`], "different"],
    ["tlsa", [], "missing"],
    ["mta-sts", ["v=STSv1; id=1;"], "ok"],
    ["mta-sts", ["v=STSv1; id=2"], "different"],
    ["mta-sts", ["v=STSv1"], "different"],
    ["mta-sts", [], "missing"],
    ["mta-sts-host", ["192.0.2.1"], "ok"],
    ["mta-sts-host", [], "missing"],
    ["tls-rpt", ["v=TLSRPTv1; rua=mailto:a@b.test"], "ok"],
    ["tls-rpt", ["v=TLSRPTv1; rua=ftp:x"], "different"],
    ["tls-rpt", [], "missing"],
  ];
  for (const [kind, found, expected] of cases) {
    assert.equal(state(record(kind), found), expected, `${kind} ${found.join()}`);
  }
});
