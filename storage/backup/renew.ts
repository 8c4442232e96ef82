/**
 * What must not be given twice, after data was put back from a copy: the server that was lost has gone on after it was made.
 *
 * - UIDVALIDITY: all mailboxes get one value above all that were used (uid_validity.ts), so UIDs given since denote nothing. With
 *   it clients forget MODSEQs as well (RFC 7162 3.1.2.1), and MAILBOXIDs are others (RFC 8474 4), also those of new mailboxes.
 * - Ids of POP3 messages stay for those that are in the copy: their UIDs were given before it. New ones have the new UIDVALIDITY.
 * - EMAILIDs and ids of the trace have time and chance in them, THREADIDs are of the message: nothing to do.
 * - Numbers of the queue and the quarantine, which stand in tickets and in links of digests, go on at the clock in milliseconds:
 *   above what was given as long as that were fewer than a thousand a second.
 * - The queue is held: what waits in the copy may have been sent since.
 *
 * One transaction; again is harmless.
 */
import type { Connection } from "../libsql.ts";
import { validityAfterRestore } from "../uid_validity.ts";
import { BackupError } from "./fault.ts";

export interface RenewOptions {
  /** Milliseconds. */
  readonly now: number;
  /** When the copy was made, in milliseconds; null: not known, then of the newest that is in it. */
  readonly copiedAt: number | null;
  /** UIDVALIDITYs up to this are known to have been used. */
  readonly above: number;
}

export interface Renewed {
  readonly uidValidity: number;
  readonly mailboxes: number;
  /** Recipients in the queue that are held now and were not before. */
  readonly held: number;
}

const LARGEST = "SELECT max(v) FROM (SELECT max(uid_validity) AS v FROM mailboxes UNION ALL " +
  "SELECT max(uid_validity) FROM retired_names UNION ALL SELECT value FROM counters WHERE name IN ('uid_validity', 'restored_as'))";
const NEWEST = "SELECT max(at) FROM (SELECT max(saved_at) AS at FROM messages UNION ALL " +
  "SELECT max(created_at) FROM accounts UNION ALL SELECT value FROM counters WHERE name = 'restored_at')";
/** Tables whose numbers are known outside of the database. */
const NUMBERED = [
  "queue_messages",
  "queue_recipients",
  "queue_events",
  "quarantine_messages",
  "quarantine_recipients",
];

/** The UIDVALIDITY that {@linkcode renew} is to give. Throws {@linkcode BackupError}. */
export function chooseUidValidity(connection: Connection, { now, copiedAt, above }: RenewOptions): number {
  const number = (sql: string) => Number(connection.prepare(sql).raw().get()?.[0] ?? 0);
  const asOf = copiedAt ?? number(NEWEST);
  if (asOf > now) {
    throw new BackupError(
      `the clock says ${iso(now)}, the copy is of ${iso(asOf)}: set the clock, new UIDVALIDITYs come from it`,
    );
  }
  const known = { largest: number(LARGEST), asOf: seconds(asOf), now: seconds(now), above };
  const value = validityAfterRestore(known);
  if (value !== null) return value;
  throw new BackupError(`no UIDVALIDITY above ${Math.max(known.largest, above)} is left`);
}

/** On a database of the newest schema, with {@linkcode chooseUidValidity}'s value. */
export function renew(
  connection: Connection,
  { now, copiedAt, uidValidity }: {
    readonly now: number;
    readonly copiedAt: number | null;
    readonly uidValidity: number;
  },
): Renewed {
  return connection.transaction(() => {
    // As they are made for POP3 (protocols/pop3/maildrop.ts).
    connection.exec(
      "INSERT OR IGNORE INTO kept_uidls (mailbox_id, uid, uidl) SELECT b.id, m.uid, b.uid_validity || '.' || m.uid " +
        "FROM mailboxes AS b JOIN messages AS m ON m.mailbox_id = b.id WHERE b.name = 'INBOX'",
    );
    const mailboxes = connection.prepare("UPDATE mailboxes SET uid_validity = ?").run(uidValidity).changes;
    const count = connection.prepare(
      "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    count.run("uid_validity", uidValidity);
    count.run("restored_as", uidValidity);
    count.run("restored_at", now);
    for (const table of NUMBERED) {
      const moved = connection.prepare(
        "UPDATE sqlite_sequence SET seq = max(seq + 1, CAST(? AS INTEGER)) WHERE name = ?",
      ).run(now, table).changes;
      if (moved > 0) continue;
      connection.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, CAST(? AS INTEGER))").run(
        table,
        now,
      );
    }
    const when = copiedAt === null ? "" : ` of ${iso(copiedAt)}`;
    const held = connection.prepare("UPDATE queue_recipients SET held = 1, last_reply = ? WHERE held = 0")
      .run(`held: from a copy${when}, it may have been sent since`).changes;
    return { uidValidity, mailboxes, held };
  });
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
