/** Reads of filter scripts. What deliveries ask for is cached until the directory or a script changes. */
import type { ScriptScope } from "./ops.ts";
import type { Statements } from "./statements.ts";

/** Scripts of one owner, and octets of all of them together. */
export const MAX_SCRIPTS = 100;
export const MAX_SCRIPTS_OCTETS = 1024 * 1024;

export interface ScriptRow {
  readonly scope: ScriptScope;
  /** The account's id in decimal, the domain's name, or "". */
  readonly owner: string;
  readonly name: string;
  readonly content: string;
  readonly active: boolean;
  readonly updatedAt: number;
}

/** A script in a list. */
export interface ScriptEntry {
  readonly name: string;
  readonly octets: number;
  readonly active: boolean;
  readonly updatedAt: number;
}

export interface Scripts {
  /** By name. */
  list(scope: ScriptScope, owner: string): ScriptEntry[];
  script(scope: ScriptScope, owner: string, name: string): ScriptRow | null;
  /** The active scripts that mail to this account runs through, in their order. Cached: the same array until one changes. */
  chain(account: { readonly id: number; readonly address: string }): readonly ScriptRow[];
}

const MAX_CACHED = 10_000;
const NONE: readonly ScriptRow[] = [];
const ROW = "scope, owner, name, content, active, updated_at";

export class SqlScripts implements Scripts {
  #statements: Statements;
  #chains = new Map<number, readonly ScriptRow[]>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Forgets everything cached; on every "directory" change. */
  invalidate(): void {
    this.#chains.clear();
  }

  list(scope: ScriptScope, owner: string): ScriptEntry[] {
    return this.#statements.rows(
      "SELECT name, octets, active, updated_at FROM sieve_scripts WHERE scope = ? AND owner = ? " +
        "ORDER BY name LIMIT ?",
    ).all(scope, owner, MAX_SCRIPTS).map(([name, octets, active, updatedAt]) => ({
      name: name as string,
      octets: octets as number,
      active: active === 1,
      updatedAt: updatedAt as number,
    }));
  }

  script(scope: ScriptScope, owner: string, name: string): ScriptRow | null {
    const row = this.#statements.rows(
      `SELECT ${ROW} FROM sieve_scripts WHERE scope = ? AND owner = ? AND name = ?`,
    ).get(scope, owner, name);
    return row === undefined ? null : toRow(row);
  }

  chain({ id, address }: { readonly id: number; readonly address: string }): readonly ScriptRow[] {
    const known = this.#chains.get(id);
    if (known !== undefined) return known;
    const domain = address.slice(address.lastIndexOf("@") + 1);
    const rows = [
      this.#active("server", ""),
      this.#active("domain", domain),
      this.#active("user", String(id)),
      this.#active("after", ""),
    ].filter((row) => row !== null);
    if (this.#chains.size >= MAX_CACHED) this.#chains.clear();
    const chain = rows.length === 0 ? NONE : rows;
    this.#chains.set(id, chain);
    return chain;
  }

  #active(scope: ScriptScope, owner: string): ScriptRow | null {
    const row = this.#statements.rows(
      `SELECT ${ROW} FROM sieve_scripts WHERE scope = ? AND owner = ? AND active = 1`,
    ).get(scope, owner);
    return row === undefined ? null : toRow(row);
  }
}

function toRow([scope, owner, name, content, active, updatedAt]: unknown[]): ScriptRow {
  return {
    scope: scope as ScriptScope,
    owner: owner as string,
    name: name as string,
    content: content as string,
    active: active === 1,
    updatedAt: updatedAt as number,
  };
}
