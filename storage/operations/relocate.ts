/** Compaction's only write: contents whose records were copied get the new address. */
import type { WriteOp, WriteResult } from "../ops.ts";
import type { OperationContext } from "./context.ts";

export function relocate(
  context: OperationContext,
  op: Extract<WriteOp, { kind: "relocate" }>,
): WriteResult {
  let moved = 0;
  for (const { contentId, from, to } of op.moves) {
    const { changes } = context.sql(
      "UPDATE contents SET segment = ?, offset = ? WHERE id = ? AND segment = ? AND offset = ? AND length = ?",
    ).run(to.segment, to.offset, contentId, from.segment, from.offset, from.length);
    if (changes === 1) moved++;
    countDead(context, (changes === 1 ? from : to).segment, from.length);
  }
  return { ok: true, kind: "relocated", moved };
}

/** Adds to the octets of a segment that nothing points at any more. */
export function countDead(context: OperationContext, segment: number, octets: number): void {
  context.sql(
    "INSERT INTO segment_dead (segment, octets) VALUES (?, ?) " +
      "ON CONFLICT (segment) DO UPDATE SET octets = octets + excluded.octets",
  ).run(segment, octets);
}
