/** The traps of the native binding: each is an ordinary error before the binding sees it, through Drizzle as well. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { openReaderConnection, openWriterConnection } from "../../storage/database.ts";
import { type Connection, isSqliteError, type SqlValue } from "../../storage/libsql.ts";
import { migrate } from "../../storage/migrate.ts";
import { compiled, statements } from "../../storage/operations/compiled.ts";
import { OperationContext } from "../../storage/operations/context.ts";
import { counters } from "../../storage/schema.ts";

function withDatabase(body: (connection: Connection, path: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "veredus-libsql-" });
  const connection = openWriterConnection(`${folder}/test.db`);
  try {
    migrate(connection);
    body(connection, `${folder}/test.db`);
  } finally {
    connection.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

const UNBINDABLE: [string, unknown][] = [
  ["a boolean", true],
  ["undefined", undefined],
  ["a bigint", 1n],
  ["an object", {}],
  ["an array", [1]],
  ["a date", new Date(0)],
  ["an ArrayBuffer", new ArrayBuffer(4)],
  ["an integer above 2^53", 2 ** 53],
  ["an integer below -2^53", -(2 ** 53)],
  ["infinity", Infinity],
  ["not a number", NaN],
  ["a lone surrogate, which is no UTF-8", "a\ud800b"],
];

for (const [what, value] of UNBINDABLE) {
  Deno.test(`${what} cannot be bound`, () => {
    withDatabase((connection) => {
      const statement = connection.prepare("SELECT ?");
      assert.throws(() => statement.run(value as SqlValue), TypeError);
      assert.throws(() => statement.get(value as SqlValue), TypeError);
      assert.throws(() => statement.all(value as SqlValue), TypeError);
      assert.throws(() => connection.prepare("SELECT ?").raw().get(value as SqlValue), TypeError);
      assert.throws(() => connection.prepare("SELECT ?").raw().all(value as SqlValue), TypeError);
    });
  });
}

Deno.test("a lone octet array is a parameter, not the list of them", () => {
  withDatabase((connection) => {
    const octets = new Uint8Array([0, 255, 128]);
    assert.deepEqual(connection.prepare("SELECT ? AS a").get(octets), { a: Buffer.from(octets) });
    assert.deepEqual(connection.prepare("SELECT length(?)").raw().all(octets), [[3]]);
    connection.exec("CREATE TABLE octets (a BLOB) STRICT");
    connection.prepare("INSERT INTO octets VALUES (?)").run(octets);
    assert.deepEqual(connection.prepare("SELECT hex(a) FROM octets").raw().get(), ["00FF80"]);
  });
});

Deno.test("missing and superfluous parameters are errors, not NULL", () => {
  withDatabase((connection) => {
    const statement = connection.prepare('SELECT ?, \'?\', "name?", ? FROM (SELECT 1 AS "name?")');
    assert.throws(() => statement.get(1), TypeError);
    assert.throws(() => statement.all(), TypeError);
    assert.throws(() => statement.run(1, 2, 3), TypeError);
    assert.deepEqual(statement.raw().get(1, 2), [1, "?", 1, 2]);
  });
});

Deno.test("integers up to 2^53 and text of any script come back as they went in", () => {
  withDatabase((connection) => {
    connection.exec("CREATE TABLE kept (n INTEGER, t TEXT) STRICT");
    const insert = connection.prepare("INSERT INTO kept VALUES (?, ?)");
    const rows: [number, string][] = [
      [Number.MAX_SAFE_INTEGER, "é 漢字 🐎"],
      [Number.MIN_SAFE_INTEGER, ""],
      [-1, "\r\n\t\u007f\ufffd\uffff"],
    ];
    for (const row of rows) insert.run(...row);
    assert.deepEqual(connection.prepare("SELECT n, t FROM kept").raw().all(), rows);
    insert.run(0, "text behind \0 is not lost");
    assert.deepEqual(connection.prepare("SELECT t FROM kept WHERE n = 0").raw().get(), [
      "text behind \ufffd is not lost",
    ]);
  });
});

Deno.test("Drizzle's statements go through the wrapper", () => {
  withDatabase((connection) => {
    const context = new OperationContext(connection, () => 0);
    const [name, value] = [sql.placeholder("name"), sql.placeholder("value")];
    const write = compiled(context, statements.insert(counters).values({ name, value }));
    const first = write.run({ value: 3, name: "a" });
    assert.equal(write.run({ value: 4, name: "d" }), first + 1, "the rowid");
    assert.deepEqual(context.rows("SELECT value FROM counters WHERE name = 'a'").get(), [3]);
    for (const wrong of [true, 2 ** 60, undefined]) {
      assert.throws(() => write.run({ name: "b", value: wrong as number }), TypeError, String(wrong));
    }
    assert.throws(() => write.run({ name: "\udc00", value: 1 }), TypeError);
    assert.throws(() => write.run({ name: "c" }), TypeError, "a value left out");
  });
});

Deno.test("a reader cannot write", () => {
  withDatabase((_, path) => {
    const reader = openReaderConnection(path);
    assert.throws(() => reader.exec("DELETE FROM counters"), (error) => isSqliteError(error));
    reader.close();
  });
});

Deno.test("a connection closed with statements alive holds no lock, and they refuse to run", () => {
  withDatabase((connection, path) => {
    connection.exec("INSERT INTO counters VALUES ('a', 1), ('b', 2)");
    const reader = openReaderConnection(path);
    const statement = reader.prepare("SELECT value FROM counters").raw();
    assert.deepEqual(statement.get(), [1]); // the second row is not fetched
    connection.exec("INSERT INTO counters VALUES ('c', 3)");
    reader.close();
    assert.throws(() => statement.get(), /closed/);
    assert.throws(() => statement.all(), /closed/);
    const [busy] = connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().get() as [number];
    assert.equal(busy, 0);
    assert.equal(Deno.statSync(`${path}-wal`).size, 0);
  });
});

Deno.test("the writer's pragmas are in force, and one that SQLite does not take is refused", () => {
  withDatabase((connection) => {
    const now = (name: string) => connection.prepare(`PRAGMA ${name}`).raw().get()?.[0] ?? 0;
    assert.deepEqual(
      ["journal_mode", "synchronous", "mmap_size", "wal_autocheckpoint"].map(now),
      ["wal", 2, 0, 0],
    );
  });
  // A database in memory has no write-ahead log, whatever the pragma says.
  assert.throws(() => openWriterConnection(":memory:"), /journal_mode is memory, it must be wal/);
});

Deno.test("a database of a newer version is refused and left alone", () => {
  withDatabase((connection) => {
    connection.exec("PRAGMA user_version = 999");
    assert.throws(() => migrate(connection), /schema 999/);
  });
});
