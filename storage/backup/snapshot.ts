/**
 * The database of a copy, and which octets of which segments its rows name.
 *
 * `VACUUM INTO` writes the state of one moment into a file of its own, compact and without a log, by a connection that can
 * write to nothing else. It holds a read transaction meanwhile: writes go on, the log is not begun anew before it ends.
 */
import { Connection, type RawStatement } from "../libsql.ts";
import {
  FILE_HEADER_OCTETS,
  readAt,
  readRecordHeader,
  RECORD_HEADER_OCTETS,
  recordOctets,
} from "../segment.ts";

const PAGE_ROWS = 1_000;

/** A segment, and the offset of the last payload in it that a row names. */
export interface NamedSegment {
  readonly segment: number;
  readonly lastOffset: number;
  readonly lastLength: number;
}

/** Blocks this thread until it is written into a new file. Not durable yet. */
export function copyDatabase(from: string, to: string): void {
  Deno.openSync(to, { write: true, createNew: true, mode: 0o600 }).close(); // SQLite would let others read it
  const connection = Connection.readOnly(from);
  try {
    connection.exec("PRAGMA busy_timeout = 5000");
    connection.prepare("VACUUM INTO ?").run(to);
  } finally {
    connection.close();
  }
}

/** A database that nobody writes to. */
export class Snapshot {
  readonly schema: number;
  /** Segments that rows name. */
  readonly segments: number;
  readonly #connection: Connection;
  readonly #page: RawStatement;

  constructor(path: string) {
    const connection = this.#connection = Connection.readOnly(path);
    this.schema = Number(connection.prepare("PRAGMA user_version").raw().get()?.[0]);
    // In a temporary file: there is one row for each large message.
    connection.exec(
      "CREATE TEMP TABLE named AS SELECT segment, max(offset) AS last, length FROM contents GROUP BY segment ORDER BY segment",
    );
    this.segments = Number(connection.prepare("SELECT count(*) FROM named").raw().get()?.[0]);
    this.#page = connection.prepare(
      "SELECT rowid, segment, last, length FROM named WHERE rowid > ? ORDER BY rowid LIMIT ?",
    ).raw();
  }

  *named(): Generator<NamedSegment> {
    for (let after = 0;;) {
      const rows = this.#page.all(after, PAGE_ROWS) as [number, number, number, number][];
      for (const [, segment, lastOffset, lastLength] of rows) yield { segment, lastOffset, lastLength };
      if (rows.length < PAGE_ROWS) return;
      after = rows.at(-1)![0];
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/** Where the last named record of a segment file ends. */
export function namedEnd(file: Deno.FsFile, { lastOffset, lastLength }: NamedSegment): number {
  const start = Math.max(FILE_HEADER_OCTETS, lastOffset - RECORD_HEADER_OCTETS);
  const head = new Uint8Array(RECORD_HEADER_OCTETS);
  readAt(file, start, head);
  const header = readRecordHeader(head);
  // Behind a damaged header the payload is kept as it is: `verify` names it.
  const octets = header === null
    ? RECORD_HEADER_OCTETS + lastLength
    : recordOctets(header.payloadLength, header.salvageLength);
  return Math.min(start + octets, file.statSync().size);
}
