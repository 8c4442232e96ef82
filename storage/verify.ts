/**
 * Checks the database against itself and against the blob segments, and mends what can be derived again.
 *
 * Without `fix` it reads through a connection of its own and may run beside a server, in the process that asked for
 * it: each check is one statement, hence one snapshot, and a fault in octets is looked at twice, because compaction
 * moves records and clients remove messages meanwhile. With `fix` it is the only one on the data: the caller holds the
 * lock and has cut torn tails (recoverSegments).
 *
 * Mended: reference counts, counters of mailboxes, accounts and domains, sizes, alias targets, the UIDVALIDITY counter, and what was computed from
 * a message's octets at delivery. Never mended: octets, and rows whose other half is missing. Records that nothing
 * points at are no problem (an unacknowledged message before a crash, or one that was removed): they are counted.
 */
import type { DataFolder } from "./data_folder.ts";
import { openReaderConnection, openWriterConnection } from "./database.ts";
import { migrate } from "./migrate.ts";
import { Findings, type VerifyProblem, type VerifyProgress } from "./verify/findings.ts";
import { checkDatabase, checkUsage } from "./verify/database.ts";
import { checkMailboxes } from "./verify/mailboxes.ts";
import { type FactsBuilder, OctetCheck } from "./verify/octets.ts";
import { checkSegments } from "./verify/segments.ts";

export type { VerifyProblem, VerifyProgress } from "./verify/findings.ts";

export interface VerifyReport {
  /** What was looked at, and how many. */
  readonly checked: Readonly<Record<string, number>>;
  readonly problems: readonly VerifyProblem[];
  /** More than the limit of a list were found; the rest is not listed. */
  readonly cut: boolean;
}

export interface VerifyOptions {
  readonly folder: DataFolder;
  readonly fix: boolean;
  /** Computes a message's facts again (message/facts.ts). */
  readonly newFacts: () => FactsBuilder;
  readonly progress: (progress: VerifyProgress) => void;
}

/** Rejects when the data cannot be read at all. */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { folder, fix } = options;
  const connection = fix ? openWriterConnection(folder.database) : openReaderConnection(folder.database);
  const findings = new Findings();
  try {
    if (fix) migrate(connection);
    checkDatabase({ connection, fix, findings });
    await checkMailboxes({ connection, fix, findings });
    checkUsage({ connection, fix, findings });
    const octets = new OctetCheck({ connection, fix, findings, folder: folder.segments }, options);
    await octets.run();
    await checkSegments(folder, { findings, referenced: octets.referenced });
    if (fix) connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
  } finally {
    connection.close();
  }
  return { checked: findings.checked, problems: findings.problems, cut: findings.cut };
}
