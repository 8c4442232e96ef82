/**
 * The only importer of the `libsql` package: a wrapper that closes the traps of its native binding.
 *
 * The binding aborts the whole process when a boolean is bound or when a lone octet array is taken for the argument
 * list, turns missing parameters into NULL, and rounds integers above 2^53. Here all of that is an ordinary
 * TypeError before the binding sees it (test/storage/libsql_test.ts). TEXT comes back only up to a NUL, so a NUL is
 * bound as U+FFFD. A closed connection keeps its file until its statements are collected, but holds no lock on it; its
 * statements refuse to run. Drizzle's statements run through it too
 * (operations/compiled.ts). TEXT in our tables is only ever bound from well-formed strings, because reading TEXT
 * that is not UTF-8 aborts too: octets of peers are stored as BLOB.
 */
import LibsqlDatabase from "libsql";

export type SqlValue = null | number | string | Uint8Array;
export type SqlRow = Record<string, SqlValue>;

/** An error of SQLite itself; `code` as in `SQLITE_CONSTRAINT_UNIQUE`. */
export interface SqliteError extends Error {
  readonly code: string;
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && error.name === "SqliteError" &&
    typeof (error as SqliteError).code === "string";
}

interface NativeStatement {
  raw(on: boolean): NativeStatement;
  run(parameters: SqlValue[]): { changes: number; lastInsertRowid: number };
  get(parameters: SqlValue[]): unknown;
  all(parameters: SqlValue[]): unknown[];
}

interface NativeDatabase {
  prepare(sql: string): NativeStatement;
  exec(sql: string): void;
  close(): void;
}

/** Whether the connection of a statement is open. */
interface Life {
  open: boolean;
}

export class Statement {
  readonly sql: string;
  #life: Life;
  #native: NativeStatement;
  #arity: number;
  #raw: RawStatement | null = null;

  constructor(native: NativeStatement, sql: string, life: Life) {
    this.#native = native;
    this.#life = life;
    this.sql = sql;
    this.#arity = countPlaceholders(sql);
  }

  run(...parameters: SqlValue[]): { changes: number; lastInsertRowid: number } {
    return this.#native.run(this.#checked(parameters));
  }

  get(...parameters: SqlValue[]): SqlRow | undefined {
    const row = this.#native.get(this.#checked(parameters)) as SqlRow | undefined;
    if (row !== undefined) delete row._metadata; // times of the binding's own
    return row;
  }

  all(...parameters: SqlValue[]): SqlRow[] {
    return this.#native.all(this.#checked(parameters)) as SqlRow[];
  }

  /** From now on rows are arrays in column order (the mode belongs to the statement, as in better-sqlite3). */
  raw(): RawStatement {
    return this.#raw ??= new RawStatement(this.#native.raw(true), (parameters) => this.#checked(parameters));
  }

  #checked(parameters: SqlValue[]): SqlValue[] {
    if (!this.#life.open) throw new Error("the connection is closed");
    if (parameters.length !== this.#arity) {
      throw new TypeError(
        `the statement takes ${this.#arity} parameters, ${parameters.length} given: ${this.sql}`,
      );
    }
    for (let i = 0; i < parameters.length; i++) {
      const value = parameters[i];
      checkValue(value, i, this.sql);
      if (typeof value === "string" && value.includes("\0")) parameters[i] = value.replaceAll("\0", "\ufffd");
    }
    return parameters;
  }
}

/** Rows as arrays: a third faster than objects. */
export class RawStatement {
  #native: NativeStatement;
  #checked: (parameters: SqlValue[]) => SqlValue[];

  constructor(native: NativeStatement, checked: (parameters: SqlValue[]) => SqlValue[]) {
    this.#native = native;
    this.#checked = checked;
  }

  get(...parameters: SqlValue[]): SqlValue[] | undefined {
    return this.#native.get(this.#checked(parameters)) as SqlValue[] | undefined;
  }

  all(...parameters: SqlValue[]): SqlValue[][] {
    return this.#native.all(this.#checked(parameters)) as SqlValue[][];
  }
}

export class Connection {
  #native: NativeDatabase;
  #life: Life = { open: true };

  constructor(path: string) {
    this.#native = new LibsqlDatabase(path) as unknown as NativeDatabase;
  }

  /** By a URL: the binding ignores a `readonly` option. */
  static readOnly(path: string): Connection {
    return new Connection(`file:${path.split("/").map(encodeURIComponent).join("/")}?mode=ro`);
  }

  prepare(sql: string): Statement {
    return new Statement(this.#native.prepare(sql), sql, this.#life);
  }

  exec(sql: string): void {
    this.#native.exec(sql);
  }

  /** Runs `body` in BEGIN IMMEDIATE ... COMMIT. */
  transaction<R>(body: () => R): R {
    this.exec("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      this.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#life.open = false;
    this.#native.close();
  }
}

function checkValue(value: unknown, index: number, sql: string): void {
  if (value === null) return;
  if (typeof value === "number") {
    if (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)) return;
  } else if (typeof value === "string") {
    if (value.isWellFormed()) return;
  } else if (value instanceof Uint8Array) return;
  const shown = typeof value === "object"
    ? Object.prototype.toString.call(value)
    : `${typeof value} ${String(value)}`;
  throw new TypeError(`parameter ${index + 1} cannot be bound: ${shown} in ${sql}`);
}

/** Number of `?` outside of string literals and quoted names. */
function countPlaceholders(sql: string): number {
  return sql.replace(/'(?:[^']|'')*'|"[^"]*"|`[^`]*`/g, "").split("?").length - 1;
}
