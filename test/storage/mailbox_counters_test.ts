/** Counters of mailboxes are written once a group, and are right whatever else is in it. */
import assert from "node:assert/strict";
import { FactsBuilder } from "../../message/facts.ts";
import { FLAG_DELETED, FLAG_SEEN } from "../../storage/changes.ts";
import type { AppendedUid, WriteOp, WriteResult } from "../../storage/ops.ts";
import { verify } from "../../storage/verify.ts";
import { TestStore } from "../lib/test_store.ts";

const TEXT = "Subject: x\r\n\r\nbody\r\n";

Deno.test("a group of deliveries, other changes and refusals leaves UIDs, MODSEQs and counters right", async () => {
  const t = await TestStore.open();
  try {
    const [inbox, bob] = [t.mailboxId("alice", "INBOX"), t.mailboxId("bob", "INBOX")];
    const content = await t.content(TEXT);
    const deliver = (mailboxIds: number[], flags = 0): WriteOp => ({
      ...{ kind: "deliver", content, queue: null },
      targets: mailboxIds.map((mailboxId) => ({
        ...{ mailboxId, flags, keywords: "", internalDate: 1, prefix: new Uint8Array(0) },
      })),
    });
    const seen: WriteOp = {
      ...{
        kind: "store-flags",
        mailboxId: inbox,
        uids: [[1, 1]],
        mode: "add",
        flags: FLAG_SEEN,
        keywords: [],
      },
      unchangedSince: null,
    };
    const refused = deliver([inbox, 999]);
    const ops: WriteOp[] = [
      ...[
        deliver([inbox]),
        deliver([inbox, bob]),
        seen,
        deliver([inbox]),
        refused,
        deliver([inbox], FLAG_DELETED),
      ],
      ...[
        { kind: "expunge", mailboxId: inbox, uids: [[2, 2]], onlyDeleted: false } as const,
        deliver([inbox]),
      ],
    ];
    for (const withRefusal of [true, false]) {
      const before = t.store.mailboxes.byId(inbox)!;
      const group: readonly WriteOp[] = withRefusal
        ? ops
        : [deliver([bob]), deliver([inbox]), seen, deliver([inbox, bob])];
      const results: WriteResult[] = await Promise.all(group.map((op) => t.writer.submit(op)));
      const filed: readonly AppendedUid[] = results.flatMap(uidsOf).filter(({ mailboxId }) =>
        mailboxId === inbox
      );
      const first = before.uidNext;
      assert.deepEqual(filed.map(({ uid }) => uid), filed.map((_, at) => first + at), "no UID is left out");
      const modSeqs = filed.map(({ modSeq }) => modSeq);
      assert.deepEqual(modSeqs, [...new Set(modSeqs)].sort((a, b) => a - b));
      const after = t.store.mailboxes.byId(inbox)!;
      assert.equal(after.uidNext, first + filed.length);
      assert.ok(after.highestModSeq >= modSeqs.at(-1)!);
      assert.equal(results.filter(({ ok }) => !ok).length, withRefusal ? 1 : 0);
    }
    const { messages, unseen, deleted } = t.store.mailboxes.byId(inbox)!;
    assert.deepEqual({ messages, unseen, deleted }, { messages: 6, unseen: 5, deleted: 1 });
    const report = await verify({
      ...{ folder: t.folder, fix: false, newFacts: () => new FactsBuilder(), progress: () => {} },
    });
    assert.deepEqual(report.problems.filter(({ kind }) => !kind.startsWith("facts")), []);
  } finally {
    await t.close();
  }
});

function uidsOf(result: WriteResult): readonly AppendedUid[] {
  return result.ok && result.kind === "delivered" ? result.uids : [];
}
