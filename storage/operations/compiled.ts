/**
 * Statements that Drizzle writes, once, from the one schema, and that run below it: what Drizzle does at each call costs
 * more than the statements of a delivery themselves.
 *
 * `sql.placeholder(name)` stands for a value given by name; a name without a value is a TypeError of the connection.
 */
import { Param, Placeholder } from "drizzle-orm";
import { BaseSQLiteDatabase, SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import type { SqlValue } from "../libsql.ts";
import type { OperationContext } from "./context.ts";

/** Writes statements; it has no connection and runs none. */
export const statements: BaseSQLiteDatabase<"sync", unknown> = new BaseSQLiteDatabase(
  "sync",
  new SQLiteSyncDialect(),
  null as never,
  undefined,
);

type Values = Readonly<Record<string, SqlValue>>;

export interface Compiled {
  /** The rowid of the row that was inserted. */
  run(values: Values): number;
}

export function compiled(
  context: OperationContext,
  query: { toSQL(): { sql: string; params: unknown[] } },
): Compiled {
  const { sql, params } = query.toSQL();
  const statement = context.sql(sql);
  const names = params.map(nameOf);
  const bind = (values: Values) =>
    names.map((name, at) => name === null ? params[at] as SqlValue : values[name]!);
  return { run: (values) => statement.run(...bind(values)).lastInsertRowid };
}

/** Null for a value that Drizzle knows already. Columns wrap their placeholders; none of ours converts values. */
function nameOf(parameter: unknown): string | null {
  const inner = parameter instanceof Param ? parameter.value : parameter;
  return inner instanceof Placeholder ? inner.name : null;
}
