/**
 * Opens the database file for its one writer or for a reader, with the pragmas that durability rests on.
 *
 * Writer: WAL, synchronous=FULL, mmap off, no automatic checkpoint (the writer checkpoints by itself), asserted after
 * they were set, because SQLite ignores what it cannot do.
 */
import { Connection } from "./libsql.ts";

/** How long the writer waits for a lock that another program holds. */
export const BUSY_TIMEOUT_MS = 5_000;

const WRITER_PRAGMAS: Record<string, string | number> = {
  journal_mode: "wal",
  synchronous: 2,
  mmap_size: 0,
  wal_autocheckpoint: 0,
  busy_timeout: BUSY_TIMEOUT_MS,
  foreign_keys: 0,
};

export function openWriterConnection(path: string): Connection {
  const connection = new Connection(path);
  for (const [name, value] of Object.entries(WRITER_PRAGMAS)) {
    connection.exec(`PRAGMA ${name} = ${value}`);
    const now = connection.prepare(`PRAGMA ${name}`).raw().get()?.[0] ?? 0;
    if (String(now) !== String(value)) {
      throw new Error(`PRAGMA ${name} is ${now}, it must be ${value}: ${path}`);
    }
  }
  connection.exec("PRAGMA cache_size = -16000");
  return connection;
}

export function openReaderConnection(path: string): Connection {
  const connection = Connection.readOnly(path);
  connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  connection.exec("PRAGMA cache_size = -8000");
  connection.exec("PRAGMA query_only = 1");
  return connection;
}
