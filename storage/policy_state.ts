/**
 * Reads of what the checks of incoming mail remember. Each is one look-up by key, or one page.
 *
 * Rows of greylisting are asked for by every message, and stay in memory until the writer says that they have changed: a
 * look-up costs 7 us, and many times that right behind a commit, when the connection reads its pages anew.
 */
import type { Change } from "./changes.ts";
import type { PolicyKind, PolicyRow } from "./ops.ts";
import type { Statements } from "./statements.ts";

const COLUMNS = "kind, key, first_at, last_at, count, expires_at, note";
/** What whoever asks for a key does not know: each value costs the binding as much as the look-up. */
const ONE =
  "SELECT first_at, last_at, count, expires_at, note FROM policy_state WHERE kind = ? AND key = ? AND " +
  "expires_at > ?";
/** Of greylisting, in memory. */
const MAX_KEPT = 5_000;

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
  /** Null: there is none. */
  #greylist = new Map<string, PolicyRow | null>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  apply(change: Change): void {
    if (change.kind !== "greylist") return;
    for (const key of change.keys) this.#greylist.delete(key);
  }

  get(kind: PolicyKind, key: string, now: number): PolicyRow | null {
    if (kind !== "greylist") return this.#read(kind, key, now);
    let row = this.#greylist.get(key);
    if (row === undefined) {
      row = this.#read(kind, key, now);
      if (this.#greylist.size >= MAX_KEPT) this.#greylist.clear();
      this.#greylist.set(key, row);
    }
    return row !== null && row.expiresAt > now ? row : null;
  }

  #read(kind: PolicyKind, key: string, now: number): PolicyRow | null {
    const row = this.#statements.rows(ONE).get(kind, key, now);
    return row === undefined ? null : toRow(kind, key, row);
  }

  list(
    kind: PolicyKind,
    { after, limit, now }: { readonly after: string; readonly limit: number; readonly now: number },
  ): PolicyRow[] {
    return this.#statements.rows(
      `SELECT ${COLUMNS} FROM policy_state WHERE kind = ? AND key > ? AND expires_at > ? ORDER BY key LIMIT ?`,
    ).all(kind, after, now, limit).map(([_kind, key, ...facts]) => toRow(kind, key as string, facts));
  }
}

function toRow(kind: PolicyKind, key: string, facts: unknown[]): PolicyRow {
  const [firstAt, lastAt, count, expiresAt, note] = facts;
  return {
    ...{ kind, key },
    firstAt: firstAt as number,
    lastAt: lastAt as number,
    count: count as number,
    expiresAt: expiresAt as number,
    note: note as string,
  };
}
