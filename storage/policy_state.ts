/** Reads of what the checks of incoming mail remember. Each is one look-up by key, or one page. */
import type { PolicyKind, PolicyRow } from "./ops.ts";
import type { Statements } from "./statements.ts";

const COLUMNS = "kind, key, first_at, last_at, count, expires_at, note";
/** What whoever asks for a key does not know: each value costs the binding as much as the look-up. */
const FACTS = ["first_at", "last_at", "count", "expires_at", "note"];
const ONE = `SELECT ${FACTS.join(", ")} FROM policy_state WHERE kind = ? AND key = ? AND expires_at > ?`;
const BOTH = `SELECT ${["a", "b"].flatMap((name) => FACTS.map((fact) => `${name}.${fact}`)).join(", ")} ` +
  `FROM (SELECT 1) ${joined("a")} ${joined("b")}`;

export interface PolicyState {
  /** Null where there is none, or it has ended. */
  get(kind: PolicyKind, key: string, now: number): PolicyRow | null;
  /** Two of one kind in one look-up. */
  both(kind: PolicyKind, keys: readonly [string, string], now: number): [PolicyRow | null, PolicyRow | null];
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
    const row = this.#statements.rows(ONE).get(kind, key, now);
    return row === undefined ? null : toRow(kind, key, row);
  }

  both(kind: PolicyKind, keys: readonly [string, string], now: number): [PolicyRow | null, PolicyRow | null] {
    // One row of both: two rows cost the binding more than two look-ups.
    const row = this.#statements.rows(BOTH).get(kind, keys[0], now, kind, keys[1], now)!;
    const of = (key: string, facts: unknown[]) => facts[0] === null ? null : toRow(kind, key, facts);
    return [of(keys[0], row), of(keys[1], row.slice(FACTS.length))];
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

function joined(name: string): string {
  return `LEFT JOIN policy_state AS ${name} ON ${name}.kind = ? AND ${name}.key = ? AND ${name}.expires_at > ?`;
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
