/** Logins: right, wrong, cached, delayed, throttled, and faults of ours. */
import assert from "node:assert/strict";
import { MemoryFailures } from "../../auth/failures.ts";
import { HashWork } from "../../auth/hash_work.ts";
import { Authenticator, type AuthLimits, type LoginAttempt } from "../../auth/login.ts";
import type { Store } from "../../storage/store.ts";
import { TestStore } from "../lib/test_store.ts";

/** Counts the hashes it computes. */
class CountedWork extends HashWork {
  verified = 0;
  constructor() {
    super({ parameters: { ln: 4, r: 8, p: 1 } });
  }
  override verify(stored: string, password: string): Promise<boolean> {
    this.verified++;
    return super.verify(stored, password);
  }
}

interface Bench {
  store: TestStore;
  /** Addresses whose failure counted. */
  counted: string[];
  work: CountedWork;
  auth: Authenticator;
  now: number;
  slept: number[];
  login(attempt: Partial<LoginAttempt>): Promise<string>;
}

function test(name: string, limits: Partial<AuthLimits>, body: (bench: Bench) => Promise<void>) {
  Deno.test(name, async () => {
    const store = await TestStore.open();
    const work = new CountedWork();
    const slept: number[] = [], counted: string[] = [];
    await store.ok({
      kind: "put-account",
      account: { address: "alice@example.test", passwordHash: await work.hash("secret") },
    });
    const bench: Bench = {
      store,
      work,
      slept,
      counted,
      now: 1_000_000,
      auth: new Authenticator({
        store: store.store,
        clock: () => bench.now,
        failures: new MemoryFailures(),
        onFailure: (address) => counted.push(address),
        limits,
        work,
        sleep: (ms) => {
          slept.push(ms);
          return Promise.resolve();
        },
      }),
      async login(attempt) {
        const result = await bench.auth.login({
          login: "alice@example.test",
          password: "secret",
          address: "192.0.2.1",
          protocol: "imap",
          ...attempt,
        });
        return result.ok ? result.account.address : result.reason;
      },
    };
    try {
      await body(bench);
    } finally {
      bench.auth.close();
      await store.close();
    }
  });
}

test("a login takes the primary address in any spelling", {}, async ({ login }) => {
  assert.equal(await login({}), "alice@example.test");
  assert.equal(await login({ login: "Alice@EXAMPLE.test" }), "alice@example.test");
  assert.equal(await login({ authzid: "alice@example.test" }), "alice@example.test");
});

test("everything that is not a login is a wrong password, at the cost of a hash", {}, async (bench) => {
  await bench.store.ok({
    kind: "put-account",
    account: { address: "off@example.test", passwordHash: await bench.work.hash("secret"), enabled: false },
  });
  const table: Partial<LoginAttempt>[] = [
    { password: "wrong" },
    { password: "" },
    { login: "nobody@example.test" },
    { login: "bob@example.test" }, // has no password
    { login: "off@example.test" },
    { login: "alice" },
    { login: "\u0000" },
    { login: "" },
  ];
  for (const [i, attempt] of table.entries()) {
    assert.equal(await bench.login({ address: `192.0.2.${i}`, ...attempt }), "wrong-password", `${i}`);
    assert.equal(bench.work.verified, i + 1);
  }
});

test("acting for somebody else is refused, and the right password stays right", {}, async ({ login }) => {
  assert.equal(await login({ authzid: "bob@example.test" }), "wrong-password");
  assert.equal(await login({}), "alice@example.test");
  assert.equal(await login({ authzid: "bob@example.test" }), "wrong-password");
});

test("a verified password costs one hash a minute, also for connections that open at once", {}, async (b) => {
  const results = await Promise.all(Array.from({ length: 8 }, () => b.login({})));
  assert.deepEqual(new Set(results), new Set(["alice@example.test"]));
  assert.equal(b.work.verified, 1);
  b.now += 59_000;
  await b.login({});
  assert.equal(b.work.verified, 1);
  b.now += 2_000;
  await b.login({});
  assert.equal(b.work.verified, 2);
});

test("a changed password, a disabled and a removed account end the cache", {}, async (b) => {
  assert.equal(await b.login({}), "alice@example.test");
  const address = "alice@example.test";
  await b.store.ok({ kind: "put-account", account: { address, passwordHash: await b.work.hash("new") } });
  assert.equal(await b.login({}), "wrong-password");
  assert.equal(await b.login({ password: "new" }), address);
  await b.store.ok({ kind: "put-account", account: { address, enabled: false } });
  assert.equal(await b.login({ password: "new" }), "wrong-password");
  await b.store.ok({ kind: "put-account", account: { address, enabled: true } });
  assert.equal(await b.login({ password: "new" }), address);
  await b.store.ok({ kind: "remove-account", address });
  assert.equal(await b.login({ password: "new" }), "wrong-password");
});

test("the delay grows with each failure, then nothing is tried", { maxFailures: 6 }, async (b) => {
  for (let i = 0; i < 6; i++) assert.equal(await b.login({ password: `wrong${i}` }), "wrong-password");
  assert.deepEqual(b.slept, [250, 500, 1_000, 2_000, 4_000, 8_000]);
  assert.equal(await b.login({}), "throttled", "not even the right password");
  assert.equal(b.work.verified, 6);
  assert.equal(await b.login({ address: "192.0.2.2" }), "alice@example.test");
  b.now += 59_999;
  assert.equal(await b.login({}), "throttled");
  b.now += 1;
  assert.equal(await b.login({}), "alice@example.test");
});

test("a client that repeats one wrong password costs one hash and one failure", {}, async (b) => {
  for (let i = 0; i < 30; i++) assert.equal(await b.login({ password: "old" }), "wrong-password");
  await Promise.all(Array.from({ length: 5 }, () => b.login({ password: "older" })));
  assert.equal(b.work.verified, 2);
  assert.equal(await b.login({}), "alice@example.test");
  assert.equal(b.slept.length, 35, "each of them waited");
  assert.equal(b.counted.length, 2);
});

test("what the check took does not show: a failure is answered so long after the attempt", {}, async (b) => {
  for (const [at, tookMs] of [0, 80, 249, 400, -10_000].entries()) {
    b.work.verify = () => {
      b.now += tookMs;
      return Promise.resolve(false);
    };
    assert.equal(await b.login({ address: `198.51.100.${at}`, password: `wrong${at}` }), "wrong-password");
  }
  // None where it took longer than the delay, and never more than the delay.
  assert.deepEqual(b.slept, [250, 170, 1, 250]);
});

/** A proof of a mechanism without a password; `right` is what it shows of alice. */
async function prove(
  b: Bench,
  attempt: { shown: string | null; address?: string; login?: string; right?: boolean },
) {
  const { shown, address = "192.0.2.1", login = "alice@example.test", right = false } = attempt;
  const account = () => right ? b.store.store.directory.account("alice@example.test") : null;
  const result = await b.auth.prove({ login, address, protocol: "smtp", shown, account });
  return result.ok ? "ok" : result.reason;
}

test("a token that is refused again and again counts once, others count", { maxFailures: 4 }, async (b) => {
  for (let at = 0; at < 20; at++) assert.equal(await prove(b, { shown: "old token" }), "wrong-password");
  assert.deepEqual(b.counted, ["192.0.2.1"]);
  for (let at = 0; at < 3; at++) await prove(b, { shown: `token ${at}` });
  assert.equal(b.counted.length, 4);
  assert.equal(await prove(b, { shown: "right", right: true }), "throttled");
});

test(
  "SCRAM: a phone with an old password shuts itself out, not its office",
  { maxFailures: 4, repeatedFailureMs: 1_000 },
  async (b) => {
    for (let at = 0; at < 4; at++) assert.equal(await prove(b, { shown: null }), "wrong-password");
    assert.deepEqual(b.slept, [250, 500, 1_000, 2_000], "it waits longer each time");
    assert.equal(await prove(b, { shown: null, right: true }), "throttled");
    assert.deepEqual(b.counted, ["192.0.2.1"]);
    assert.equal(await prove(b, { shown: null, login: "bob@example.test", right: true }), "ok");
    assert.equal(await prove(b, { shown: null, address: "192.0.2.2", right: true }), "ok");
    // Who tries many logins is counted for each of them.
    for (const login of ["a", "b", "c"]) await prove(b, { shown: null, login });
    assert.equal(b.counted.length, 4);
    assert.equal(await prove(b, { shown: null, login: "bob@example.test", right: true }), "throttled");
  },
);

test("IPv6: the bucket of a login is nobody's address", { maxFailures: 2 }, async (b) => {
  const address = "2001:db8::1";
  for (let at = 0; at < 2; at++) await prove(b, { shown: null, address });
  assert.equal(await prove(b, { shown: null, address, right: true }), "throttled");
  assert.equal(await prove(b, { shown: "right", address, right: true }), "ok");
});

test("a local socket is not counted", { maxFailures: 2 }, async (b) => {
  for (let i = 0; i < 5; i++) await b.login({ address: "", password: `wrong${i}` });
  assert.equal(await b.login({ address: "" }), "alice@example.test");
});

test("faults of ours are never a wrong password", {}, async (b) => {
  const address = "alice@example.test";
  await b.store.ok({ kind: "put-account", account: { address, passwordHash: "$1$broken" } });
  assert.equal(await b.login({}), "unavailable");
  const directory = {
    account: () => {
      throw new Error("disk I/O error");
    },
  };
  const broken = { ...b.store.store, directory, onChange: () => () => {} } as unknown as Store;
  const auth = new Authenticator({ store: broken, clock: () => 0, failures: new MemoryFailures() });
  const attempt = { login: address, password: "x", address: "192.0.2.1", protocol: "smtp" } as const;
  assert.deepEqual(await auth.login(attempt), {
    ok: false,
    reason: "unavailable",
    detail: "disk I/O error",
  });
  auth.close();
});

test("one address cannot fill the queue of hashes", { maxPendingPerAddress: 3 }, async (b) => {
  const results = await Promise.all([1, 2, 3, 4, 5].map((n) => b.login({ password: `wrong${n}` })));
  assert.equal(results.filter((result) => result === "unavailable").length, 2);
  assert.equal(await b.login({}), "alice@example.test");
});
