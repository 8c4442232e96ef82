/** What each thread holds of the learnt in its memory stays what the store has: folds of others, and forgetting. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { networkOf } from "../../../filter/address_block.ts";
import { Assessor } from "../../../filter/spam/assessor.ts";
import { Mail } from "../../../filter/spam/mail.ts";
import { originOf, originToken, originTokens } from "../../../filter/spam/origin.ts";
import type { LessonKind, WriteOp } from "../../../storage/ops.ts";
import { TestStore } from "../../lib/test_store.ts";

const message = (n: number, words: string) =>
  encode(`From: <a@b.test>\r\nMessage-ID: <${n}@b.test>\r\nSubject: letter\r\n\r\n${words}\r\n`);
const NEWS = "tulips and daffodils for your garden this spring";
const MINUTES = "minutes of the orchard meeting with all who came";

class Bed {
  readonly test: TestStore;
  readonly id: number;
  /** Of two threads. */
  readonly threads: readonly [Assessor, Assessor];
  #taught = 0;

  private constructor(test: TestStore) {
    this.test = test;
    this.id = test.accountId("alice");
    this.threads = [new Assessor(test.store.spam), new Assessor(test.store.spam)];
  }

  static async with(use: (bed: Bed) => Promise<void>): Promise<void> {
    const bed = new Bed(await TestStore.open());
    try {
      await use(bed);
    } finally {
      await bed.test.close();
    }
  }

  async teach(as: LessonKind, words: string, times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      const octets = message(++this.#taught, words);
      const lesson = this.threads[0].lesson(octets, octets.length);
      await this.test.ok({ kind: "teach", accountId: this.id, as, ...lesson, wish: 0 });
    }
  }

  folds(thread: Assessor): WriteOp[] {
    return [this.id, 0].flatMap((accountId) => {
      const folded = thread.fold(accountId);
      return folded === null ? [] : [{ kind: "put-knowledge", accountId, ...folded } as const];
    });
  }

  /** Points of the learner for a message; 0 where it knows nothing. */
  points(thread: Assessor, words: string): number {
    const octets = message(0, words);
    const recipients = [{ accountId: this.id, known: false, firstContact: null }];
    const { scores } = thread.assess({ octets, total: octets.length, around: null, recipients, weights: {} });
    return scores[0]!.score.hits.find(({ name }) => name === "learner")?.points ?? 0;
  }
}

Deno.test("what another thread folded, its rows gone from the journal, is known here too", () =>
  Bed.with(async (bed) => {
    const [one, other] = bed.threads;
    await bed.teach("ham", MINUTES, 5);
    await bed.teach("spam", "something else", 1);
    bed.points(other, NEWS); // holds what there is
    await bed.teach("spam", NEWS, 10);
    for (const op of bed.folds(one)) await bed.test.ok(op);
    assert.deepEqual(bed.test.store.spam.journal(bed.id, { after: 0, limit: 100 }), []);
    assert.ok(bed.points(one, NEWS) > 0);
    assert.equal(bed.points(other, NEWS), bed.points(one, NEWS));
    await bed.teach("spam", NEWS, 3);
    assert.equal(bed.points(other, NEWS), bed.points(one, NEWS));
  }));

Deno.test("what users did with mail of an address, its network, domain and signer speaks for or against the next", () =>
  Bed.with(async ({ test, id, threads: [one] }) => {
    const from = (address: string, domain: string, n: number) =>
      encode(
        `Received: from x (x [${address}]) by mx.test; Mon, 23 Nov 2026 20:00:00 +0000\r\n` +
          `Authentication-Results: mx.test; dkim=pass header.d=${domain}\r\n` +
          `From: <a@${domain}>\r\nMessage-ID: <${n}@${domain}>\r\nSubject: number ${n}\r\n\r\n${n}\r\n`,
      );
    const hits = (address: string, domain: string) => {
      const octets = from(address, domain, 99);
      const around = {
        ...{ client: { address, heloName: "x" }, sender: `a@${domain}`, reverseName: null },
        ...{ spf: "pass", dmarc: "pass", signers: [domain], brokenSignature: false, aligned: true, tags: [] },
      };
      const recipients = [{ accountId: id, known: false, firstContact: false }];
      const { scores } = one.assess({ octets, total: octets.length, around, recipients, weights: {} });
      return Object.fromEntries(
        scores[0]!.score.hits.filter(({ name }) => name.startsWith("reputation-"))
          .map(({ name, points }) => [name.slice(11), Math.sign(points)]),
      );
    };
    assert.deepEqual(hits("203.0.113.7", "offers.test"), {});
    for (let n = 0; n < 6; n++) {
      for (
        const [as, address, domain] of [["spam", "203.0.113.7", "offers.test"], [
          "ham",
          "198.51.100.7",
          "friends.test",
        ]] as const
      ) {
        const octets = from(address, domain, n);
        await test.ok({ kind: "teach", accountId: id, as, ...one.lesson(octets, octets.length), wish: 0 });
      }
    }
    assert.deepEqual(hits("203.0.113.7", "offers.test"), { address: 1, network: 1, domain: 1, signer: 1 });
    assert.deepEqual(hits("203.0.113.99", "other.test"), { network: 1 });
    assert.deepEqual(hits("192.0.2.1", "offers.test"), { address: 1, domain: 1, signer: 1 });
    assert.deepEqual(hits("198.51.100.7", "friends.test"), {
      ...{ address: -1, network: -1, domain: -1, signer: -1 },
    });
  }));

Deno.test("what came through a relay of ours is remembered by whom the relay had it from", () => {
  const through = (results: string) => {
    const octets = encode(
      `Authentication-Results: mx.test; ${results}\r\n` +
        "Received: from relay.test (relay.test [192.0.2.250]) by mx.test; Mon, 23 Nov 2026 20:00:00 +0000\r\n" +
        "Received: from x (x [203.0.113.7]) by relay.test; Mon, 23 Nov 2026 20:00:00 +0000\r\n" +
        "From: <a@b.test>\r\nSubject: x\r\n\r\nx\r\n",
    );
    return [...originTokens(originOf(new Mail(octets), null))];
  };
  const network = (address: string) => originToken("network", networkOf(address));
  const relayed = through("iprev=pass (x) policy.iprev=203.0.113.7; spf=pass smtp.mailfrom=a@b.test");
  assert.ok(relayed.includes(network("203.0.113.7")) && !relayed.includes(network("192.0.2.250")));
  assert.ok(through("spf=pass").includes(network("192.0.2.250")), "nothing else is known");
  assert.ok(through('iprev=fail policy.iprev="2001:db8::7"').includes(network("2001:db8::7")));
});

for (const folded of [false, true]) {
  Deno.test(`what an account is made to forget is forgotten in memory too (${folded ? "" : "not "}folded)`, () =>
    Bed.with(async (bed) => {
      await bed.teach("ham", MINUTES, 5);
      await bed.teach("spam", NEWS, 5);
      if (folded) { for (const op of bed.folds(bed.threads[0])) await bed.test.ok(op); }
      for (const thread of bed.threads) assert.ok(bed.points(thread, NEWS) > 0);
      const late = bed.threads.flatMap((thread) => bed.folds(thread));
      await bed.test.ok({ kind: "forget-lessons", accountId: bed.id });
      for (const thread of bed.threads) assert.equal(bed.points(thread, NEWS), 0);
      for (const op of late) await bed.test.ok(op); // worked out before, written after
      assert.equal(bed.test.store.spam.knowledge(bed.id), null);
      await bed.teach("spam", MINUTES, 2);
      await bed.teach("ham", NEWS, 2);
      for (const thread of bed.threads) assert.ok(bed.points(thread, NEWS) < 0, "it learns anew");
    }));
}
