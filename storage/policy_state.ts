/** Reads of what the checks of incoming mail remember. Each is one look-up by key, or one page. */
import type { PolicyKind, PolicyRow } from "./ops.ts";
import type { Statements } from "./statements.ts";

const COLUMNS = "kind, key, first_at, last_at, count, expires_at, note";

export interface PolicyState {
  /** Null where there is none, or it has ended. */
  get(kind: PolicyKind, key: string, now: number): PolicyRow | null;
  /** By key, after `after`. */
  list(
    kind: PolicyKind,
    page: { readonly after: string; readonly limit: number; readonly now: number },
  ): PolicyRow[];
}

export class SqlPolicyState implements PolicyState {
  #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  get(kind: PolicyKind, key: string, now: number): PolicyRow | null {
    const row = this.#statements.rows(
      `SELECT ${COLUMNS} FROM policy_state WHERE kind = ? AND key = ? AND expires_at > ?`,
    ).get(kind, key, now);
    return row === undefined ? null : toRow(row);
  }

  list(
    kind: PolicyKind,
    { after, limit, now }: { readonly after: string; readonly limit: number; readonly now: number },
  ): PolicyRow[] {
    return this.#statements.rows(
      `SELECT ${COLUMNS} FROM policy_state WHERE kind = ? AND key > ? AND expires_at > ? ORDER BY key LIMIT ?`,
    ).all(kind, after, now, limit).map(toRow);
  }
}

function toRow([kind, key, firstAt, lastAt, count, expiresAt, note]: unknown[]): PolicyRow {
  return {
    kind: kind as PolicyKind,
    key: key as string,
    firstAt: firstAt as number,
    lastAt: lastAt as number,
    count: count as number,
    expiresAt: expiresAt as number,
    note: note as string,
  };
}
