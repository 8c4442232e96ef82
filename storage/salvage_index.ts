/**
 * What the database still knows of each record: the mailboxes and flags of its messages. All of it is read at once,
 * because a damaged database may stop answering anywhere: then it is not used at all.
 */
import { openReaderConnection } from "./database.ts";
import type { Connection, RawStatement } from "./libsql.ts";

/** A message row that points at a record. */
export interface PlacedMessage {
  readonly account: string;
  readonly mailbox: string;
  readonly flags: number;
  readonly internalDate: number;
  readonly prefix: Uint8Array;
}

export interface KnownRecord {
  readonly messages: readonly PlacedMessage[];
  readonly queued: boolean;
}

const SLICE_ROWS = 1_000;

export class SalvageIndex {
  /** Why there is no database; null when there is one. */
  readonly unusable: string | null;
  #connection: Connection | null;
  #row: RawStatement | null;
  /** `segment/offset` to content. */
  #contents = new Map<string, number>();
  /** Content to (mailbox, uid) pairs, one after the other. */
  #messages = new Map<number, number[]>();
  #mailboxes = new Map<number, { account: string; name: string }>();
  #queued = new Set<number>();

  private constructor(connection: Connection | null, unusable: string | null) {
    this.#connection = connection;
    this.unusable = unusable;
    this.#row = connection?.prepare(
      "SELECT flags, internal_date, prefix FROM messages WHERE mailbox_id = ? AND uid = ?",
    ).raw() ?? null;
  }

  static open(path: string): SalvageIndex {
    let connection: Connection | null = null;
    try {
      Deno.statSync(path); // opening would say so less clearly
      connection = openReaderConnection(path);
      const index = new SalvageIndex(connection, null);
      index.#load(connection);
      return index;
    } catch (error) {
      connection?.close();
      return new SalvageIndex(null, error instanceof Error ? error.message : String(error));
    }
  }

  /** Null: there is no database. A record that nothing points at has no messages. */
  placesOf(record: { readonly segment: number; readonly offset: number }): KnownRecord | null {
    if (this.#row === null) return null;
    const content = this.#contents.get(`${record.segment}/${record.offset}`);
    if (content === undefined) return { messages: [], queued: false };
    const pairs = this.#messages.get(content) ?? [];
    const messages: PlacedMessage[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      const mailbox = this.#mailboxes.get(pairs[i]!);
      const row = this.#row.get(pairs[i]!, pairs[i + 1]!);
      if (mailbox === undefined || row === undefined) continue;
      const [flags, internalDate, prefix] = row as [number, number, Uint8Array];
      messages.push({ account: mailbox.account, mailbox: mailbox.name, flags, internalDate, prefix });
    }
    return { messages, queued: this.#queued.has(content) };
  }

  close(): void {
    this.#connection?.close();
  }

  #load(connection: Connection): void {
    const mailboxes = connection.prepare(
      "SELECT b.id, a.address, b.name FROM mailboxes AS b JOIN accounts AS a ON a.id = b.account_id",
    ).raw().all() as [number, string, string][];
    for (const [id, account, name] of mailboxes) this.#mailboxes.set(id, { account, name });
    // A database of before has no quarantine.
    const tables = connection.prepare(
      "SELECT name FROM sqlite_master WHERE name IN ('queue_messages', 'quarantine_messages')",
    ).raw().all();
    for (const [table] of tables) {
      for (const [content] of connection.prepare(`SELECT content_id FROM ${table}`).raw().all()) {
        this.#queued.add(content as number);
      }
    }
    const contents = connection.prepare(
      "SELECT id, segment, offset FROM contents WHERE id > ? ORDER BY id LIMIT ?",
    ).raw();
    for (let after = -1;;) {
      const rows = contents.all(after, SLICE_ROWS) as [number, number, number][];
      for (const [id, segment, offset] of rows) this.#contents.set(`${segment}/${offset}`, id);
      if (rows.length < SLICE_ROWS) break;
      after = rows.at(-1)![0];
    }
    const messages = connection.prepare(
      "SELECT uid, content_id FROM messages WHERE mailbox_id = ? AND uid > ? ORDER BY uid LIMIT ?",
    ).raw();
    for (const mailbox of this.#mailboxes.keys()) {
      for (let after = 0;;) {
        const rows = messages.all(mailbox, after, SLICE_ROWS) as [number, number][];
        for (const [uid, content] of rows) {
          const pairs = this.#messages.get(content);
          if (pairs === undefined) this.#messages.set(content, [mailbox, uid]);
          else pairs.push(mailbox, uid);
        }
        if (rows.length < SLICE_ROWS) break;
        after = rows.at(-1)![0];
      }
    }
  }
}
