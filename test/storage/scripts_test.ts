/** Filter scripts and what is done once: limits, one active script of an owner, caches that follow. */
import assert from "node:assert/strict";
import type { PolicyRow, WriteOp } from "../../storage/ops.ts";
import { MAX_SCRIPTS } from "../../storage/scripts.ts";
import type { Store } from "../../storage/store.ts";
import { TestStore } from "../lib/test_store.ts";

async function withStore(
  use: (given: { readonly store: Store; readonly time: { now: number } }) => Promise<void>,
): Promise<void> {
  const time = { now: 1_000_000 };
  const test = await TestStore.open({ writer: { clock: () => time.now } });
  try {
    await use({ store: test.store, time });
  } finally {
    await test.close();
  }
}

const put = (
  name: string,
  content = "keep;",
  scope: "server" | "domain" | "user" | "after" = "user",
  owner = "1",
): WriteOp => ({
  ...{ kind: "put-script", scope, owner, name, content },
});

Deno.test("scripts are stored, listed, activated, renamed and removed; the active one is not", async () => {
  await withStore(async ({ store }) => {
    await store.write(put("b", "keep; # é"));
    await store.write(put("a"));
    assert.deepEqual(
      store.scripts.list("user", "1").map(({ name, octets, active }) => [name, octets, active]),
      [
        ["a", 5, false],
        ["b", 10, false],
      ],
    );
    await store.write({ kind: "activate-script", scope: "user", owner: "1", name: "a" });
    await store.write({ kind: "activate-script", scope: "user", owner: "1", name: "b" });
    await store.write(put("b", "discard;"));
    assert.deepEqual(store.scripts.list("user", "1").map(({ active }) => active), [false, true]);
    assert.equal(store.scripts.script("user", "1", "b")?.content, "discard;");
    const fault = async (op: WriteOp) => {
      const result = await store.write(op);
      return result.ok ? "ok" : result.fault;
    };
    assert.equal(
      await fault({ kind: "remove-script", scope: "user", owner: "1", name: "b" }),
      "not-permitted",
    );
    assert.equal(
      await fault({ kind: "rename-script", scope: "user", owner: "1", from: "a", to: "b" }),
      "already-exists",
    );
    assert.equal(await fault({ kind: "rename-script", scope: "user", owner: "1", from: "b", to: "c" }), "ok");
    assert.equal(await fault({ kind: "remove-script", scope: "user", owner: "1", name: "a" }), "ok");
    assert.equal(
      await fault({ kind: "remove-script", scope: "user", owner: "1", name: "a" }),
      "no-such-script",
    );
    assert.equal(
      await fault({ kind: "activate-script", scope: "user", owner: "1", name: "none" }),
      "no-such-script",
    );
    assert.deepEqual(store.scripts.list("user", "1").map(({ name, active }) => [name, active]), [[
      "c",
      true,
    ]]);
  });
});

Deno.test("an owner has so many scripts and octets, and not more", async () => {
  await withStore(async ({ store }) => {
    for (let i = 0; i < MAX_SCRIPTS; i++) await store.write(put(`s${i}`));
    const more = await store.write(put("one more"));
    assert.equal(more.ok || more.fault, "limit");
    assert.equal((await store.write(put("s0", "stop;"))).ok, true);
    const big = await store.write(put("s1", "#".repeat(1024 * 1024)));
    assert.equal(big.ok || big.fault, "over-quota");
    assert.equal(store.scripts.script("user", "1", "s1")?.content, "keep;");
  });
});

Deno.test("the chain is of server, domain, user, after; the same array until a script changes", async () => {
  await withStore(async ({ store }) => {
    const account = { id: 1, address: "a@example.org" };
    const chain = () => store.scripts.chain(account).map(({ scope, name }) => `${scope} ${name}`);
    assert.deepEqual(chain(), []);
    const owners = { after: "", user: "1", domain: "example.org", server: "" } as const;
    for (const scope of ["after", "user", "domain", "server"] as const) {
      await store.write(put(`of ${scope}`, "keep;", scope, owners[scope]));
      await store.write({ kind: "activate-script", scope, owner: owners[scope], name: `of ${scope}` });
    }
    assert.deepEqual(chain(), ["server of server", "domain of domain", "user of user", "after of after"]);
    assert.equal(store.scripts.chain(account), store.scripts.chain(account));
    assert.deepEqual(store.scripts.chain({ id: 2, address: "b@example.com" }).map(({ scope }) => scope), [
      "server",
      "after",
    ]);
    await store.write({ kind: "activate-script", scope: "user", owner: "1", name: null });
    assert.deepEqual(chain(), ["server of server", "domain of domain", "after of after"]);
  });
});

Deno.test("once is once, until its time is over, and all or nothing", async () => {
  await withStore(async ({ store, time }) => {
    const row = (key: string): PolicyRow => ({
      ...{
        kind: "vacation",
        key,
        firstAt: time.now,
        lastAt: time.now,
        count: 1,
        expiresAt: time.now + 1_000,
        note: "",
      },
    });
    const once = (key: string, name: string): WriteOp => ({ kind: "once", row: row(key), ops: [put(name)] });
    await Promise.all([store.write(once("k", "x")), store.write(once("k", "y"))]);
    assert.deepEqual(store.scripts.list("user", "1").map(({ name }) => name), ["x"]);
    time.now += 2_000;
    await store.write(once("k", "y"));
    assert.deepEqual(store.scripts.list("user", "1").map(({ name }) => name), ["x", "y"]);
    const failing = await store.write({
      kind: "once",
      row: row("other"),
      ops: [{ kind: "remove-script", scope: "user", owner: "1", name: "none" }],
    });
    assert.equal(failing.ok, false);
    assert.equal(store.policy.get("vacation", "other", time.now), null);
  });
});
