/** Old data opens in a new binary: from every older schema, whole or not at all, and on a copy first. */
import assert from "node:assert/strict";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { FactsBuilder } from "../../message/facts.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openWriterConnection } from "../../storage/database.ts";
import type { Connection } from "../../storage/libsql.ts";
import { migrate } from "../../storage/migrate.ts";
import { bundle } from "../../storage/migrations/bundle.ts";
import { MIGRATIONS } from "../../storage/migrations/mod.ts";
import * as schema from "../../storage/schema.ts";
import { verify } from "../../storage/verify.ts";
import { TestStore } from "../lib/test_store.ts";

/** An account with a message, as the first schema had it: one row of each kind that later ones change. */
const ROWS = [
  "INSERT INTO domains VALUES ('example.test', 'local', '', '', '+')",
  "INSERT INTO accounts VALUES (1, 'alice@example.test', 'example.test', 'Alice', NULL, 1, '', 5)",
  "INSERT INTO mailboxes VALUES (7, 1, 'INBOX', 11, 43, 9, 1, 1, 0, 120, 0, NULL, 1)",
  "INSERT INTO queue_messages VALUES (3, 2, 'alice@example.test', 1, '', '', 0, 0, 5, 6)",
];

async function inFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "veredus-migrations-" });
  try {
    await work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A database of an older binary, which knew so many migrations. */
function older(path: string, known: number): Connection {
  const connection = openWriterConnection(path);
  for (const [at, { statements }] of MIGRATIONS.slice(0, known).entries()) {
    for (const statement of statements) connection.exec(statement);
    if (at === 0) { for (const row of ROWS) connection.exec(row); }
  }
  connection.exec(`PRAGMA user_version = ${known}`);
  return connection;
}

function all(connection: Connection, sql: string): unknown[][] {
  return connection.prepare(sql).raw().all() as unknown[][];
}

function structure(connection: Connection): unknown[][] {
  return all(connection, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name");
}

function version(connection: Connection): number {
  return Number(all(connection, "PRAGMA user_version")[0]![0]);
}

Deno.test("the bundled migrations are those of the files", () => {
  assert.equal(Deno.readTextFileSync(new URL("../../storage/migrations/mod.ts", import.meta.url)), bundle());
});

Deno.test("the migrations make the tables of the schema", () =>
  inFolder((folder) => {
    const connection = older(`${folder}/a.db`, 0);
    migrate(connection);
    const tables = Object.values(schema).filter((one) => one instanceof SQLiteTable).map((one) =>
      getTableConfig(one)
    );
    assert.deepEqual(
      all(
        connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
      ),
      tables.map(({ name }) => [name]).sort(),
    );
    for (const { name, columns } of tables) {
      const made = all(connection, `SELECT name, lower(type), "notnull" FROM pragma_table_info('${name}')`);
      const wanted = columns.map((
        column,
      ) => [column.name, column.getSQLType(), column.notNull || column.primary ? 1 : 0]);
      const sorted = (rows: unknown[][]) => rows.map((row) => row.join(" ")).sort();
      assert.deepEqual(sorted(made), sorted(wanted), name);
    }
    connection.close();
  }));

Deno.test("from every older schema: the same structure as a new one, and the rows are there", () =>
  inFolder((folder) => {
    const fresh = older(`${folder}/fresh.db`, 0);
    migrate(fresh);
    for (let known = 1; known < MIGRATIONS.length; known++) {
      const connection = older(`${folder}/${known}.db`, known);
      assert.deepEqual(migrate(connection), MIGRATIONS.slice(known).map(({ name }) => name));
      assert.deepEqual(structure(connection), structure(fresh), `from ${known}`);
      assert.equal(version(connection), MIGRATIONS.length);
      assert.deepEqual(
        all(connection, "SELECT address, display_name, used_octets, used_messages FROM accounts"),
        [["alice@example.test", "Alice", 120, 1]],
        "counters that came later are right at once",
      );
      assert.deepEqual(all(connection, "SELECT id, tls, priority FROM queue_messages"), [[3, "", 0]]);
      assert.deepEqual(migrate(connection), [], "once");
      connection.close();
    }
    fresh.close();
  }));

Deno.test("a migration that fails changes nothing, however many came before it", () =>
  inFolder((folder) => {
    const connection = older(`${folder}/a.db`, 1);
    connection.exec("CREATE TABLE policy_state (a INTEGER) STRICT"); // the fourth makes it
    const before = structure(connection);
    assert.throws(() => migrate(connection), /policy_state/);
    assert.deepEqual(structure(connection), before);
    assert.equal(version(connection), 1);
    connection.exec("DROP TABLE policy_state");
    assert.equal(migrate(connection).length, MIGRATIONS.length - 1);
    connection.close();
  }));

Deno.test("a server opens old data: accounts and UIDs go on", () =>
  inFolder(async (folder) => {
    older(`${folder}/veredus.db`, 1).close();
    const test = await TestStore.open({ path: folder });
    assert.deepEqual(await test.deliver("Subject: x\r\n\r\nx\r\n", [test.mailboxId("alice", "INBOX")]), [43]);
    await test.close({ keep: true });
  }));

Deno.test("an upgrade can be rehearsed: on a copy, by verify --fix, and the original stays as it was", () =>
  inFolder(async (folder) => {
    const old = older(`${folder}/veredus.db`, 1);
    const before = structure(old);
    const copy = `${folder}-copy`;
    new DataFolder(copy).create();
    old.exec(`VACUUM INTO '${copy}/veredus.db'`);
    try {
      const options = { fix: true, newFacts: () => new FactsBuilder(), progress: () => {} };
      await verify({ folder: new DataFolder(copy), ...options });
      const connection = openWriterConnection(`${copy}/veredus.db`);
      assert.equal(version(connection), MIGRATIONS.length);
      connection.close();
      assert.deepEqual(structure(old), before);
    } finally {
      old.close();
      Deno.removeSync(copy, { recursive: true });
    }
  }));
