/** The view against a plain model: an array of UIDs as the client sees them, under random histories. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { LARGEST } from "../../../protocols/imap/sequence_set.ts";
import { MailboxView, type UidIndex } from "../../../protocols/imap/view.ts";

class Index implements UidIndex {
  uids: number[] = [];
  modSeqs = new Map<number, number>();
  uidNext = 1;
  modSeq = 1;
  get count(): number {
    return this.uids.length;
  }
  uidAt(position: number): number {
    return this.uids[position]!;
  }
  modSeqAt(position: number): number {
    return this.modSeqs.get(this.uids[position]!)!;
  }
  positionOf(uid: number): number {
    return this.uids.indexOf(uid);
  }
  lowerBound(uid: number): number {
    const at = this.uids.findIndex((other) => other >= uid);
    return at < 0 ? this.uids.length : at;
  }
  add(count: number, gap = 0): void {
    this.modSeq++;
    this.uidNext += gap;
    for (let i = 0; i < count; i++) {
      this.modSeqs.set(this.uidNext, this.modSeq);
      this.uids.push(this.uidNext++);
    }
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant("add" as const),
    count: fc.integer({ min: 1, max: 5 }),
    gap: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({
    kind: fc.constant("expunge" as const),
    picks: fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({
    kind: fc.constant("flags" as const),
    picks: fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({ kind: fc.constant("tell-exists" as const) }),
  fc.record({ kind: fc.constant("tell-all" as const) }),
  fc.record({ kind: fc.constant("tell-flags" as const), limit: fc.integer({ min: 1, max: 4 }) }),
);

Deno.test("a random history leaves the same numbers as the model", () => {
  fc.assert(
    fc.property(fc.nat(10), fc.array(step, { maxLength: 25 }), (initial, steps) => {
      const index = new Index();
      if (initial > 0) index.add(initial, 2);
      const view = new MailboxView(index, 4);
      /** What the client believes. */
      const client = [...index.uids];
      const goneAt = new Map<number, number>();
      let flagged = new Set<number>();
      for (const action of steps) {
        switch (action.kind) {
          case "add":
            index.add(action.count, action.gap);
            break;
          case "expunge": {
            const gone = [...new Set(action.picks.map((pick) => index.uids[pick]))]
              .filter((uid) => uid !== undefined).sort((a, b) => a - b);
            index.uids = index.uids.filter((uid) => !gone.includes(uid));
            index.modSeq++;
            for (const uid of gone) goneAt.set(uid, index.modSeq);
            view.noteExpunged(gone, index.modSeq);
            break;
          }
          case "flags": {
            index.modSeq++;
            const changed = [...new Set(action.picks.map((pick) => index.uids[pick]))].filter((uid) =>
              uid !== undefined
            );
            for (const uid of changed) index.modSeqs.set(uid, index.modSeq);
            view.noteFlags(changed, index.modSeq);
            for (const uid of changed) if (client.includes(uid)) flagged.add(uid);
            break;
          }
          case "tell-all":
            for (const number of view.takeExpunged()) {
              assert.ok(number >= 1 && number <= client.length);
              client.splice(number - 1, 1);
            }
            assert.deepEqual(client, client.filter((uid) => index.uids.includes(uid)));
            tellExists();
            assert.deepEqual(client, index.uids);
            break;
          case "tell-exists":
            tellExists();
            break;
          case "tell-flags": {
            const told = view.takeFlags(action.limit);
            for (const uid of told) assert.ok(flagged.delete(uid));
            flagged = new Set([...flagged].filter((uid) => index.uids.includes(uid)));
            if (told.length < action.limit && !view.behind) assert.equal(flagged.size, 0);
            break;
          }
          default:
            action satisfies never;
        }
        compare();
      }

      function tellExists(): void {
        const exists = view.takeExists();
        if (exists === null) return;
        const last = client.at(-1) ?? 0;
        client.push(...index.uids.filter((uid) => uid > last));
        assert.equal(client.length, exists);
      }

      function compare(): void {
        assert.equal(view.exists, client.length);
        const untold = client.filter((uid) => !index.uids.includes(uid)).map((uid) => goneAt.get(uid)!);
        assert.equal(view.goneModSeq, Math.min(Infinity, ...untold));
        assert.deepEqual(client.map((_, i) => view.uidOf(i + 1)), client);
        assert.deepEqual(client.map((uid) => view.sequenceOf(uid)), client.map((_, i) => i + 1));
        assert.equal(view.sequenceOf(9_999), 0);
        assert.equal(view.largestUid, client.at(-1) ?? 0);
        assert.equal(view.recent, client.filter((uid) => uid >= 4).length);
        const walked: [number, number][] = [];
        view.walk(1, client.length, (sequence, uid, position) => {
          assert.equal(position, index.uids.indexOf(uid));
          walked.push([sequence, uid]);
        });
        assert.deepEqual(walked, client.map((uid, i) => [i + 1, uid]));
        for (const [from, to] of [[1, 3], [2, LARGEST], [5, 9], [LARGEST, LARGEST], [9, 4]] as const) {
          const x = from === LARGEST ? client.at(-1) ?? 0 : from,
            y = to === LARGEST ? client.at(-1) ?? 0 : to;
          const expected = client.flatMap((uid, i) =>
            uid >= Math.min(x, y) && uid <= Math.max(x, y) ? [i + 1] : []
          );
          const found = view.resolveUids([[from, to]]).flatMap(([a, b]) =>
            Array.from({ length: b - a + 1 }, (_, i) => a + i)
          );
          assert.deepEqual(found, expected);
        }
      }
    }),
    { numRuns: 500, seed: 7 },
  );
});

Deno.test("sequence numbers out of range are refused", () => {
  const index = new Index();
  const view = new MailboxView(index, 1);
  assert.equal(view.resolveSequence([[LARGEST, LARGEST]]), null);
  assert.deepEqual(view.resolveUids([[1, LARGEST]]), []);
  index.add(3);
  assert.equal(view.resolveSequence([[1, 1]]), null, "a message not yet told has no number");
  assert.equal(view.takeExists(), 3);
  assert.deepEqual(view.resolveSequence([[LARGEST, 2]]), [[2, 3]]);
  assert.equal(view.resolveSequence([[2, 4]]), null);
});

Deno.test("too many changed flags are found again by modseq", () => {
  const index = new Index();
  index.add(20_000);
  const view = new MailboxView(index, 1);
  index.modSeq++;
  for (const uid of index.uids) index.modSeqs.set(uid, index.modSeq);
  view.noteFlags(index.uids.slice(0, 15_000), index.modSeq);
  assert.ok(view.behind);
  assert.equal(view.takeFlags(100_000).length, 20_000);
  assert.ok(!view.behind);
});

Deno.test("changes of the session's own STORE are not told twice", () => {
  const index = new Index();
  index.add(3);
  const view = new MailboxView(index, 1);
  view.noteFlags([2], 5);
  view.beginStore();
  view.noteFlags([1, 2], 7);
  view.noteFlags([3], 8);
  view.endStore(7);
  assert.deepEqual(view.takeFlags(10), [2, 3]);
});

Deno.test("a session that falls far behind is told all changes, the oldest too, when they are more than it remembers", () => {
  const index = new Index();
  index.add(12_000);
  const view = new MailboxView(index, 1);
  const changed = [1, ...Array.from({ length: 10_500 }, (_, at) => at + 1_000)];
  for (const uid of changed) {
    index.modSeqs.set(uid, ++index.modSeq);
    view.noteFlags([uid], index.modSeq);
  }
  const told: number[] = [];
  while (view.behind) told.push(...view.takeFlags(1_000));
  assert.deepEqual(told, changed);
});
