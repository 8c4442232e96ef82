/**
 * Brings a database to the newest schema: every missing migration, in one transaction.
 *
 * `user_version` counts the migrations applied. A database from a newer Veredus is refused, because an older binary
 * cannot know what its rows mean.
 */
import type { Connection } from "./libsql.ts";
import { MIGRATIONS } from "./migrations/mod.ts";

/** Returns the names of the migrations that were applied. */
export function migrate(connection: Connection): string[] {
  const version = Number(connection.prepare("PRAGMA user_version").raw().get()?.[0]);
  if (version > MIGRATIONS.length) {
    throw new Error(
      `the database has schema ${version}, this Veredus knows ${MIGRATIONS.length}: start the newer version that wrote it`,
    );
  }
  const missing = MIGRATIONS.slice(version);
  if (missing.length === 0) return [];
  connection.transaction(() => {
    for (const migration of missing) for (const statement of migration.statements) connection.exec(statement);
    connection.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  });
  return missing.map((migration) => migration.name);
}
