/** Keys of domains, reports about them, and what was seen of others. */
import assert from "node:assert/strict";
import type { DkimKeyInput, ReportInput } from "../../storage/ops.ts";
import { TestStore } from "../lib/test_store.ts";

const KEY: DkimKeyInput = {
  ...{ domain: "example.test", selector: "s1", kind: "ed25519", privateKey: "PEM", publicKey: "AAAA" },
  state: "waiting",
};

Deno.test("a key goes through its states, is cached until it changes, and loses its secret when revoked", async () => {
  const test = await TestStore.open();
  const { store } = test;
  const states = () =>
    store.directory.dkimKeys("example.test").map(({ state, privateKey }) => `${state} ${privateKey}`);
  assert.deepEqual(states(), []);
  await test.ok({ kind: "put-dkim-key", key: KEY });
  const twice = await store.write({ kind: "put-dkim-key", key: KEY });
  assert.equal(!twice.ok && twice.fault, "already-exists");
  const elsewhere = await store.write({ kind: "put-dkim-key", key: { ...KEY, domain: "other.test" } });
  assert.equal(!elsewhere.ok && elsewhere.fault, "no-such-domain");
  for (const state of ["signing", "retired", "revoked"] as const) {
    await test.ok({ kind: "set-dkim-key-state", domain: "example.test", selector: "s1", state });
    assert.deepEqual(states(), [state === "revoked" ? "revoked " : `${state} PEM`]);
  }
  const again = await store.write(
    {
      ...{ kind: "set-dkim-key-state", domain: "example.test", selector: "s1", state: "signing" },
    } as const,
  );
  assert.equal(!again.ok && again.fault, "no-such-key", "what was revoked stays revoked");
  await test.ok({ kind: "remove-dkim-key", domain: "example.test", selector: "s1" });
  assert.deepEqual(states(), []);
  await test.close();
});

Deno.test("reports are kept once, found by what they say, and go with their rows", async () => {
  const test = await TestStore.open();
  const report: ReportInput = {
    ...{ kind: "dmarc", domain: "example.test", organization: "Org", reportId: "1", sender: "org.test" },
    ...{ beginAt: 1, endAt: 2, receivedAt: 10, policy: "p=none" },
    rows: [
      { source: "192.0.2.1", count: 3, result: "pass", detail: "none" },
      { source: "192.0.2.2", count: 1, result: "fail", detail: "none" },
    ],
  };
  await test.ok({ kind: "put-report", report });
  const twice = await test.store.write({ kind: "put-report", report });
  assert.equal(!twice.ok && twice.fault, "already-exists");
  await test.ok({ kind: "put-report", report: { ...report, kind: "tls", reportId: "2", receivedAt: 20 } });
  const start = { before: { id: Number.MAX_SAFE_INTEGER, position: 0 }, limit: 10 };
  const found = (filter: Parameters<typeof test.store.reports.lines>[0]) =>
    test.store.reports.lines(filter, start).map(({ kind, source }) => `${kind} ${source}`);
  assert.deepEqual(found({}), ["tls 192.0.2.1", "tls 192.0.2.2", "dmarc 192.0.2.1", "dmarc 192.0.2.2"]);
  assert.deepEqual(found({ kind: "dmarc", result: "fail" }), ["dmarc 192.0.2.2"]);
  assert.deepEqual(found({ domain: "other.test" }), []);
  assert.deepEqual(found({ source: "192.0.2.1" }), ["tls 192.0.2.1", "dmarc 192.0.2.1"]);
  const [first] = test.store.reports.lines({}, { ...start, limit: 1 });
  assert.equal(test.store.reports.lines({}, { before: first!, limit: 1 })[0]!.source, "192.0.2.2");
  await test.ok({ kind: "remove-reports", receivedBefore: 15 });
  assert.deepEqual(found({}), ["tls 192.0.2.1", "tls 192.0.2.2"]);
  await test.close();
});

Deno.test("what was seen adds up by day and domain", async () => {
  const test = await TestStore.open();
  const row = { day: 0, policyDomain: "a.test", row: "{}", count: 2 };
  await test.ok({
    kind: "observe",
    of: "dmarc",
    rows: [row, row, { ...row, row: "{1}" }, { ...row, day: 86_400_000 }],
  });
  assert.deepEqual(test.store.reports.observedBefore("dmarc", 86_400_000, 10), [{
    day: 0,
    policyDomain: "a.test",
  }]);
  assert.deepEqual(
    test.store.reports.observed("dmarc", { day: 0, policyDomain: "a.test" }, 10).map(({ count }) => count),
    [4, 2],
  );
  await test.ok({ kind: "remove-observed", of: "dmarc", day: 0, policyDomain: "a.test" });
  assert.deepEqual(test.store.reports.observed("dmarc", { day: 0, policyDomain: "a.test" }, 10), []);
  await test.close();
});
