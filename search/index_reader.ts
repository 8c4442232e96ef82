/**
 * The indexes as a searching thread reads them: which messages of a mailbox a query cannot rule out.
 *
 * Everything here may fail or be missing and only costs speed: without an answer the caller looks at each message. The
 * statements run on the searching thread (a round trip to another costs more than most of them take), each over
 * {@linkcode DOCUMENTS_AT_ONCE} documents, with a pause between. A file that cannot be read is moved aside
 * (index_folder.ts); one that was replaced is noticed by its inode.
 */
import { getLogger } from "@logtape/logtape";
import { Connection } from "../storage/libsql.ts";
import { Statements } from "../storage/statements.ts";
import { counter } from "../telemetry/metrics.ts";
import { APPLICATION_ID, INDEX_VERSION, NO_DOCUMENT, unpackText } from "./index_file.ts";
import { type IndexFolder, isDamage } from "./index_folder.ts";
import type { IndexTable } from "./query.ts";
import { UidBits } from "./uid_bits.ts";

/** About two milliseconds where each of them is found. */
const DOCUMENTS_AT_ONCE = 10_000;
const MAX_OPEN = 32;
const IDLE_MS = 60_000;

const log = getLogger(["veredus", "search"]);
const lookups = counter("veredus_search_lookups_total", "Questions to full-text indexes by their outcome", [
  "outcome",
]);
const answered = lookups.labels({ outcome: "answered" });
const absent = lookups.labels({ outcome: "absent" });
const damaged = lookups.labels({ outcome: "damaged" });

/** An answer: of the messages up to `through` only `uids` can match. */
export interface Candidates {
  readonly through: number;
  readonly uids: UidBits;
}

export interface IndexQuestion {
  readonly tables: readonly IndexTable[];
  /** An FTS5 query (query.ts). */
  readonly match: string;
  /** Messages whose attached files wait to be read are not ruled out: the caller reads them. */
  readonly withWaiting: boolean;
}

export interface SearchedMailbox {
  readonly accountId: number;
  readonly mailboxId: number;
  readonly uidNext: number;
}

/** How far the index of an account is. */
export interface IndexState {
  readonly messages: number;
  /** Of those, messages whose attached files are still to be read. */
  readonly waiting: number;
  readonly octets: number;
}

interface OpenIndex {
  readonly connection: Connection;
  readonly statements: Statements;
  readonly identity: number;
  users: number;
  /** Used since the last sweep. */
  recent: boolean;
  /** To be closed by its last user. */
  dropped: boolean;
}

export class IndexReader {
  #folder: IndexFolder;
  /** In order of last opening. */
  #open: Map<number, OpenIndex>;
  #sweep: ReturnType<typeof setInterval> | undefined;

  constructor(folder: IndexFolder) {
    this.#folder = folder;
    this.#open = new Map();
    this.#sweep = undefined;
  }

  /** Null: no index, or none that knows anything of this mailbox. */
  async candidates(
    mailbox: SearchedMailbox,
    question: IndexQuestion,
    pause: () => Promise<void>,
  ): Promise<Candidates | null> {
    const found = await this.#using(mailbox.accountId, async (statements) => {
      const [through = 0] =
        statements.rows("SELECT through FROM mailboxes WHERE id = ?").get(mailbox.mailboxId) ?? [];
      // A UID that was not given out yet: the index is of a database that this one is an older copy of.
      if (through === 0 || (through as number) >= mailbox.uidNext) return "absent";
      const uids = new UidBits();
      const add = (row: unknown[] | undefined) => {
        for (const uid of JSON.parse(String(row?.[0] ?? "[]")) as number[]) uids.add(uid);
      };
      for (const table of question.withWaiting ? ["unindexed", "waiting"] : ["unindexed"]) {
        add(
          statements.rows(
            `SELECT json_group_array(p.uid) FROM ${table} AS d CROSS JOIN places AS p ON p.document = d.document AND ` +
              "p.mailbox_id = ?",
          ).get(mailbox.mailboxId),
        );
      }
      const [last] = statements.rows("SELECT max(id) FROM documents").get() ?? [];
      for (let from = 1; from <= Number(last ?? 0); from += DOCUMENTS_AT_ONCE) {
        if (from > 1) await pause();
        for (const table of question.tables) {
          add(
            statements.rows(
              `SELECT json_group_array(p.uid) FROM (SELECT rowid AS id FROM ${table} WHERE ${table} MATCH ? AND ` +
                "rowid BETWEEN ? AND ?) AS d CROSS JOIN places AS p ON p.document = d.id AND p.mailbox_id = ?",
            ).get(question.match, from, from + DOCUMENTS_AT_ONCE - 1, mailbox.mailboxId),
          );
        }
      }
      return { through: through as number, uids };
    });
    switch (found) {
      case null:
      case "absent":
        absent.inc();
        return null;
      default:
        answered.inc();
        return found;
    }
  }

  /** What stands in the files attached to a message, "" where nothing does; null: the index does not know. */
  async attachedText(mailbox: SearchedMailbox, uid: number): Promise<string | null> {
    return await this.#using(mailbox.accountId, (statements) => {
      const place = statements.rows(
        "SELECT a.text FROM places AS p LEFT JOIN attached AS a ON a.document = p.document " +
          "JOIN mailboxes AS m ON m.id = p.mailbox_id AND m.through < ? WHERE p.mailbox_id = ? AND p.uid = ? AND " +
          `p.document <> ${NO_DOCUMENT} AND p.document NOT IN waiting`,
      ).get(mailbox.uidNext, mailbox.mailboxId, uid);
      if (place === undefined) return Promise.resolve(null);
      const [octets] = place;
      return Promise.resolve(octets === null ? "" : unpackText(octets as Uint8Array));
    });
  }

  /** Null without an index. */
  async state(accountId: number): Promise<IndexState | null> {
    return await this.#using(accountId, (statements) => {
      const [messages] = statements.rows("SELECT sum(messages) FROM mailboxes").get() ?? [];
      const [waiting] = statements.rows(
        "SELECT count(*) FROM waiting AS w JOIN places AS p ON p.document = w.document",
      ).get() ?? [];
      return Promise.resolve({
        messages: Number(messages ?? 0),
        waiting: Number(waiting ?? 0),
        octets: this.#folder.octets(accountId),
      });
    });
  }

  close(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    for (const accountId of [...this.#open.keys()]) this.#drop(accountId);
  }

  async #using<T>(accountId: number, work: (statements: Statements) => Promise<T>): Promise<T | null> {
    let index: OpenIndex | null = null;
    try {
      index = this.#get(accountId);
      if (index === null) return null;
      index.users++;
      index.recent = true;
      return await work(index.statements);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.inc();
      log.error("the index of account {accountId} cannot be read and is made again: {error}", {
        accountId,
        error,
      });
      this.#drop(accountId);
      if (index === null || this.#folder.identity(accountId) === index.identity) {
        this.#folder.quarantine(accountId);
      }
      return null;
    } finally {
      if (index !== null) {
        index.users--;
        closeUnused(index);
      }
    }
  }

  #get(accountId: number): OpenIndex | null {
    const identity = this.#folder.identity(accountId);
    const known = this.#open.get(accountId);
    if (known !== undefined && known.identity === identity) return known;
    this.#drop(accountId);
    if (identity === null) return null;
    const connection = Connection.readOnly(this.#folder.file(accountId));
    connection.exec("PRAGMA busy_timeout = 1000");
    connection.exec("PRAGMA cache_size = -2000");
    connection.exec("PRAGMA query_only = 1");
    const statements = new Statements(connection);
    const index = { connection, statements, identity, users: 0, recent: true, dropped: false };
    const [version] = statements.rows("PRAGMA user_version").get() ?? [];
    const [application] = statements.rows("PRAGMA application_id").get() ?? [];
    if (version !== INDEX_VERSION || application !== APPLICATION_ID) {
      connection.close();
      return null; // the indexer makes it again
    }
    const [oldest] = this.#open.keys();
    if (this.#open.size >= MAX_OPEN && oldest !== undefined) this.#drop(oldest);
    this.#open.set(accountId, index);
    if (this.#sweep === undefined) {
      this.#sweep = setInterval(() => this.#closeIdle(), IDLE_MS);
      Deno.unrefTimer(this.#sweep as unknown as number);
    }
    return index;
  }

  #closeIdle(): void {
    for (const [accountId, index] of this.#open) {
      if (index.recent) index.recent = false;
      else this.#drop(accountId);
    }
  }

  #drop(accountId: number): void {
    const index = this.#open.get(accountId);
    if (index === undefined) return;
    this.#open.delete(accountId);
    index.dropped = true;
    closeUnused(index);
  }
}

function closeUnused(index: OpenIndex): void {
  if (index.dropped && index.users === 0) index.connection.close();
}
