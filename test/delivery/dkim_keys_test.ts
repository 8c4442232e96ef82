/** DKIM keys from their making to an empty p=, and the records of a domain. */
import assert from "node:assert/strict";
import { advanceKeys, keyName, keyRecord, newKeyPair, retirementMs } from "../../delivery/dkim_keys.ts";
import { checkRecord, wantedRecords } from "../../delivery/domain_records.ts";
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
    const advance = (now = Date.now()) => advanceKeys({ store, resolver, now, queueLifetimeMs: 5 * DAY_MS });
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
    assert.equal(retirementMs(5 * DAY_MS), 8 * DAY_MS);
    await advance(retired.changedAt + 8 * DAY_MS - 1);
    assert.ok(states().includes("20261124-rsa retired"));
    await advance(retired.changedAt + 8 * DAY_MS);
    const revoked = store.directory.dkimKeys("example.test").find(({ state }) => state === "revoked")!;
    assert.equal(keyRecord(revoked), "v=DKIM1; k=rsa; p=");
    assert.equal(revoked.privateKey, "");
    // A name that shows something else, or does not answer, makes nothing sign.
    resolver.entries.set(`${keyName(second[1]!)} TXT`, [txt(keyRecord(first[1]!))]);
    await advance();
    resolver.entries.set(`${keyName(second[1]!)} TXT`, "timeout");
    await advance();
    assert.ok(states().includes("20261124-2-ed25519 waiting"));
  } finally {
    await test.close();
  }
});

Deno.test("records that a verifier can use, and what a check says of those found", async () => {
  const keys = await newKeyPair("a.test", { known: [], now: 0, state: "signing" });
  for (const key of keys) assert.ok("key" in parseKey(keyRecord(key)), key.kind);
  const rows = keys.map((key) => ({ ...key, createdAt: 0, changedAt: 0 }));
  const wanted = wantedRecords("a.test", rows);
  assert.deepEqual(wanted.map(({ name }) => name), [
    ...["a.test", "19700101-rsa._domainkey.a.test", "19700101-ed25519._domainkey.a.test", "_dmarc.a.test"],
  ]);
  const [spf, rsa, , dmarc] = wanted;
  const state = (one: typeof spf, found: string[] | null) => checkRecord(one!, found).state;
  assert.equal(state(spf, ["v=spf1 ip4:192.0.2.1 -all", "something else"]), "ok");
  assert.equal(state(spf, ["v=spf1 mx -all", "v=spf1 -all"]), "different");
  assert.equal(state(spf, ["v=spf1 ip4:nonsense"]), "different");
  assert.equal(state(spf, []), "missing");
  assert.equal(state(spf, null), "unknown");
  assert.equal(state(rsa, [rsa!.value.replace("; p=", ";p=")]), "ok");
  assert.equal(state(rsa, ["v=DKIM1; p=AAAA"]), "different");
  assert.equal(state(dmarc, ["v=DMARC1; p=reject"]), "ok");
  assert.equal(state(dmarc, ["v=DMARC1; p=maybe"]), "different");
});
