/**
 * Users that do not exist take as long as those that do: measured in turns, by the lower quartile of each.
 *
 * What is compared are hashes of milliseconds and challenges of microseconds, so that what load adds now and then must not count.
 */
import assert from "node:assert/strict";
import { MemoryFailures } from "../../auth/failures.ts";
import { HashWork } from "../../auth/hash_work.ts";
import { Authenticator } from "../../auth/login.ts";
import { makeScram, scramOf } from "../../auth/scram.ts";
import { TestStore } from "../lib/test_store.ts";

const ROUNDS = 40;

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 2]!;
}

/** What each takes, in milliseconds; one after the other in every round, in turning order. */
async function times<K extends string>(
  work: Readonly<Record<K, (round: number) => unknown>>,
  rounds: number,
): Promise<Record<K, number>> {
  const names = Object.keys(work) as K[];
  const took = new Map(names.map((name) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < names.length; at++) {
      const name = names[(at + round) % names.length]!;
      const began = performance.now();
      await work[name](round);
      took.get(name)!.push(performance.now() - began);
    }
  }
  return Object.fromEntries(names.map((name) => [name, lowerQuartile(took.get(name)!)])) as Record<K, number>;
}

/** What other tests take of the processor can fall on one of those compared: what is so shows in one of some tries. */
async function inOneTry(measured: () => Promise<void>): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await measured();
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || tries === 5) throw error;
    }
  }
}

Deno.test("a login of nobody costs the time of a wrong password, and so do all that cannot log in", async () => {
  const test = await TestStore.open();
  const work = new HashWork({ parameters: { ln: 12, r: 8, p: 1 } });
  const passwordHash = await work.hash("secret");
  for (
    const account of [
      { address: "alice@example.test", passwordHash },
      { address: "off@example.test", passwordHash, enabled: false },
      { address: "machine@example.test" },
    ]
  ) await test.ok({ kind: "put-account", account });
  const auth = new Authenticator({
    store: test.store,
    clock: () => 1_000,
    failures: new MemoryFailures(),
    limits: { firstDelayMs: 0, maxDelayMs: 0, maxFailures: 1_000_000 },
    work,
  });
  const wrong = (login: string) => async (round: number) => {
    const attempt = { login, password: `guess ${round}`, address: "192.0.2.1", protocol: "imap" } as const;
    assert.deepEqual(await auth.login(attempt), { ok: false, reason: "wrong-password" });
  };
  const attempts = {
    known: wrong("alice@example.test"),
    nobody: wrong("nobody@example.test"),
    elsewhere: wrong("x@far.example"),
    disabled: wrong("off@example.test"),
    "without a password": wrong("machine@example.test"),
    "no address": wrong("alice"),
    // The measure itself: a repeated password costs no hash.
    repeated: () => wrong("alice@example.test")(0),
  };
  try {
    await inOneTry(async () => {
      const { known, repeated, ...others } = await times(attempts, ROUNDS);
      for (const [what, took] of Object.entries(others)) {
        const share = took / known;
        assert.ok(share > 0.8 && share < 1.25, `${what}: ${took} ms, a wrong password ${known} ms`);
      }
      assert.ok(repeated < known / 2, `the measure sees a missing hash: ${repeated} of ${known} ms`);
    });
  } finally {
    auth.close();
    await test.close();
  }
});

Deno.test("SCRAM: the challenge of nobody is made in the time of a known user's", async () => {
  const test = await TestStore.open();
  const scram = await makeScram("secret");
  await test.ok({ kind: "put-account", account: { address: "alice@example.test", scram } });
  const { directory } = test.store;
  const secret = new Uint8Array(32).fill(7);
  const many = (login: string) => () => {
    for (let at = 0; at < 50; at++) scramOf(directory, login, secret);
  };
  try {
    assert.notDeepEqual(
      scramOf(directory, "alice@example.test", secret).salt,
      scramOf(directory, "nobody@example.test", secret).salt,
    );
    await inOneTry(async () => {
      const { known, nobody } = await times({
        known: many("alice@example.test"),
        nobody: many("nobody@example.test"),
      }, 60);
      const share = nobody / known;
      assert.ok(share > 0.7 && share < 1.4, `nobody ${nobody} ms, known ${known} ms`);
    });
  } finally {
    await test.close();
  }
});
