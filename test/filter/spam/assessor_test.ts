/** What each thread holds of the learnt in its memory stays what the store has: folds of others, and forgetting. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { Assessor } from "../../../filter/spam/assessor.ts";
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
