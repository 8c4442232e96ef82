/** Paging: every list takes `cursor` and `limit`, and answers `items` and `nextCursor` (null at the end). */
import { z } from "@hono/zod-openapi";
import { Buffer } from "node:buffer";
import { invalid } from "./problem.ts";

const DEFAULT_PAGE = 100;
/** One row more is read to see whether there is a next page, and storage reads 1,000 at most. */
export const MAX_PAGE = 500;
const MAX_CURSOR = 1_024;

export const pageQuery = z.object({
  cursor: z.string().max(MAX_CURSOR).optional().openapi({
    description: "`nextCursor` of the page before; left out for the first page",
  }),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE).openapi({
    description: `Rows of a page, 1 to ${MAX_PAGE}`,
  }),
});

export function pageOf<T extends z.ZodType>(item: T, name: string) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() }).openapi(name);
}

/** The key that the cursor stands for; "" from the start. */
export function afterOf(cursor: string | undefined): string {
  if (cursor === undefined || cursor === "") return "";
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (!text.startsWith("k") || cursorOf(text.slice(1)) !== cursor) {
    throw invalid("cursor", "is not one of ours; take `nextCursor` of the page before as it is");
  }
  return text.slice(1);
}

/** The same where keys are numbers; 0 from the start. */
export function afterNumberOf(cursor: string | undefined): number {
  const after = Number(afterOf(cursor) || 0);
  if (!Number.isSafeInteger(after)) throw invalid("cursor", "is not one of this list");
  return after;
}

/** A page of rows that were read with one row more than `limit`, to see whether there is a next page. */
export function toPage<R, T>(
  rows: readonly R[],
  options: { limit: number; keyOf: (row: R) => string; toItem: (row: R) => T },
): { items: T[]; nextCursor: string | null } {
  const shown = rows.slice(0, options.limit);
  const last = shown.at(-1);
  const more = rows.length > options.limit && last !== undefined;
  return { items: shown.map(options.toItem), nextCursor: more ? cursorOf(options.keyOf(last)) : null };
}

function cursorOf(key: string): string {
  return Buffer.from(`k${key}`, "utf8").toString("base64url");
}
