/** What becomes of mail in the quarantine: let go, with a lesson for the learner where it is wanted, or removed. */
import { getLogger } from "@logtape/logtape";
import type { WriteResult } from "../../storage/ops.ts";
import type { QuarantineRow } from "../../storage/quarantine.ts";
import type { Store } from "../../storage/store.ts";
import { events } from "./metrics.ts";

const log = getLogger(["veredus", "delivery"]);

/** What is let go stays in the queue so long if its next hop does not take it. */
const QUEUE_MS = 5 * 86_400_000;

export interface QuarantineControl {
  readonly store: Store;
  readonly clock: () => number;
}

/**
 * Into the mailboxes of these recipients, or on to where they are; once, however many let it go. `train`: the filter of
 * recipients that are accounts learns that it was wanted, in the same transaction.
 */
export async function release(
  { store, clock }: QuarantineControl,
  rows: readonly QuarantineRow[],
  { train, by }: { readonly train: boolean; readonly by: string },
): Promise<WriteResult> {
  const at = clock();
  const lessons = train
    ? rows.flatMap(({ recipientId, recipient }) => {
      const account = store.directory.account(recipient);
      return account === null ? [] : [{ recipientId, accountId: account.id }];
    })
    : [];
  const result = await store.write({
    kind: "quarantine-control",
    ...{ action: "release", recipientIds: rows.map(({ recipientId }) => recipientId), at, lessons },
    expiresAt: at + QUEUE_MS,
  });
  if (!result.ok) return result;
  events.inc({ event: "released" }, rows.length);
  for (const { traceId, recipient, reason } of rows) {
    log.info("let go from the quarantine by {by}: {reason}", { trace: traceId, recipient, by, reason });
  }
  return result;
}

/** Forgotten without a word to anybody. */
export async function remove(
  { store, clock }: QuarantineControl,
  rows: readonly QuarantineRow[],
): Promise<WriteResult> {
  const at = clock();
  const recipientIds = rows.map(({ recipientId }) => recipientId);
  const result = await store.write({
    ...{ kind: "quarantine-control", action: "remove", recipientIds, at, expiresAt: at },
  });
  if (result.ok) events.inc({ event: "removed" }, rows.length);
  return result;
}
