/** Numbers that may only grow: each mailbox's UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ, read from the database itself. */
import { DataFolder } from "../../storage/data_folder.ts";
import { openReaderConnection } from "../../storage/database.ts";

const NAMES = ["UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"];

export class GrowingCounters {
  #path: string;
  #known = new Map<number, number[]>();

  constructor(dataDir: string) {
    this.#path = new DataFolder(dataDir).database;
  }

  /** Reads them now, beside the server or without one; returns what went back since the last time. */
  sample(): string[] {
    const findings: string[] = [];
    const connection = openReaderConnection(this.#path);
    try {
      const rows = connection.prepare("SELECT id, uid_validity, uid_next, highest_modseq FROM mailboxes")
        .raw().all();
      for (const [id, ...values] of rows as number[][]) {
        const known = this.#known.get(id!);
        for (const [i, name] of NAMES.entries()) {
          if (known !== undefined && values[i]! < known[i]!) {
            findings.push(`mailbox ${id}: ${name} went from ${known[i]} to ${values[i]}`);
          }
        }
        this.#known.set(id!, values);
      }
    } finally {
      connection.close();
    }
    return findings;
  }
}
