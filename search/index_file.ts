/**
 * The index of one account as the indexer writes it: documents, where each one lies, and how far each mailbox is done.
 *
 * A document is the text of one message; copies within the account share it. `places` says which messages have it.
 * `unindexed` are documents that every query finds: those with too much text, and document 0, which stands for all messages that
 * cannot be read. A row of `mailboxes` promises: each message with a UID up to `through` is in `places`, unless it was expunged. Promise and
 * places change in one transaction, so a crash leaves an index that is merely behind.
 *
 * WAL with synchronous=NORMAL: a loss of power can take the last transactions, never break the file, and what is lost
 * is indexed again. Only this connection checkpoints (SQLite 3.45.1 lacks the fix of the WAL-reset race). The FTS5 tables
 * keep no text (contentless) and no positions (detail=none): a quarter of the size, and the caller looks at each
 * candidate anyway.
 *
 * What stands in attached files comes later (attachment_pass.ts): a document that has such files is `waiting` until they
 * were read; `attached` keeps their text, packed, because a search would take long to read it again.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { Connection, type RawStatement, type Statement } from "../storage/libsql.ts";
import { IndexDamage } from "./index_folder.ts";
import { type DocumentText, TEXT_VERSION } from "./message_text.ts";

/** Goes up with the tables below; TEXT_VERSION with what is put into them. */
const TABLES_VERSION = 3;
export const INDEX_VERSION = TABLES_VERSION * 1_000 + TEXT_VERSION;
/** "Vrds" */
export const APPLICATION_ID = 0x56726473;
/** More than a text of attached files can have. */
const MAX_ATTACHED_OCTETS = 4 * 1024 * 1024;
/** Of messages that could not be read. */
export const NO_DOCUMENT = 0;

const TRIGRAMS = `content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1'`;
const TABLES = [
  `CREATE VIRTUAL TABLE head USING fts5(text, ${TRIGRAMS})`,
  `CREATE VIRTUAL TABLE body USING fts5(text, ${TRIGRAMS})`,
  // The words are folded and cut by words.ts; two and three letters of a beginning have an index of their own.
  "CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='ascii', " +
  "prefix='2 3')",
  "CREATE TABLE documents (id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE) STRICT",
  "CREATE TABLE places (mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, document INTEGER NOT NULL, " +
  "PRIMARY KEY (mailbox_id, uid)) STRICT, WITHOUT ROWID",
  "CREATE INDEX places_document ON places (document, mailbox_id, uid)",
  "CREATE TABLE unindexed (document INTEGER PRIMARY KEY) STRICT",
  `INSERT INTO unindexed (document) VALUES (${NO_DOCUMENT})`,
  "CREATE TABLE waiting (document INTEGER PRIMARY KEY) STRICT",
  "CREATE TABLE attached (document INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT",
  "CREATE TABLE mailboxes (id INTEGER PRIMARY KEY, through INTEGER NOT NULL, modseq INTEGER NOT NULL, " +
  "messages INTEGER NOT NULL) STRICT",
];

/** How far a mailbox is done. */
export interface MailboxProgress {
  /** Every message up to this UID is in. */
  readonly through: number;
  /** Every expunge up to this MODSEQ is taken out. */
  readonly modSeq: number;
}

/** A document whose attached files were not read yet, and a message that has it. */
export interface WaitingDocument {
  readonly id: number;
  readonly identity: Uint8Array;
  /** Its own text is in the index. */
  readonly indexed: boolean;
  readonly mailboxId: number;
  readonly uid: number;
}

export class IndexFile {
  #connection: Connection;
  #statements: Map<string, Statement>;

  /** Opens or makes it. Throws what SQLite says of a file that is none, or of another version. */
  constructor(path: string) {
    this.#connection = new Connection(path);
    this.#statements = new Map();
    this.#connection.exec("PRAGMA busy_timeout = 5000");
    // A new file becomes one with a WAL by a transaction of the old kind; it has nothing to lose yet.
    this.#connection.exec("PRAGMA synchronous = OFF");
    this.#connection.exec("PRAGMA journal_mode = WAL");
    this.#connection.exec("PRAGMA synchronous = NORMAL");
    this.#connection.exec("PRAGMA wal_autocheckpoint = 1000");
    this.#connection.exec("PRAGMA cache_size = -4000");
    if (this.#rows("PRAGMA user_version").get()?.[0] === 0) this.#make();
  }

  /** False for a file that another version of this program made. */
  get current(): boolean {
    return this.#rows("PRAGMA user_version").get()?.[0] === INDEX_VERSION &&
      this.#rows("PRAGMA application_id").get()?.[0] === APPLICATION_ID;
  }

  /** Lets go of the pages it has read, up to 4 MB: the next change may be long away, and the system has them too. */
  forgetPages(): void {
    this.#connection.exec("PRAGMA shrink_memory");
  }

  progress(mailboxId: number): MailboxProgress {
    const [through = 0, modSeq = 0] = this.#rows("SELECT through, modseq FROM mailboxes WHERE id = ?")
      .get(mailboxId) ?? [];
    return { through: through as number, modSeq: modSeq as number };
  }

  mailboxes(): number[] {
    return this.#rows("SELECT id FROM mailboxes").all().map(([id]) => id as number);
  }

  begin(): void {
    this.#connection.exec("BEGIN IMMEDIATE");
  }

  commit(): void {
    this.#connection.exec("COMMIT");
  }

  rollback(): void {
    this.#connection.exec("ROLLBACK");
  }

  /** Takes a mailbox to be done so far. In a transaction, as are all that follow. */
  setProgress(mailboxId: number, { through, modSeq }: MailboxProgress): void {
    this.#run(
      "INSERT INTO mailboxes (id, through, modseq, messages) VALUES (?, ?, ?, 0) " +
        "ON CONFLICT (id) DO UPDATE SET through = excluded.through, modseq = excluded.modseq",
      [mailboxId, through, modSeq],
    );
  }

  /** The document of this identity; null when it must be read first. */
  documentOf(identity: Uint8Array): number | null {
    return this.#rows("SELECT id FROM documents WHERE identity = ?").get(identity)?.[0] as number ?? null;
  }

  /** `text`: null where it is too much to be indexed. */
  addDocument(
    identity: Uint8Array,
    { text, hasFiles }: { readonly text: DocumentText | null; readonly hasFiles: boolean },
  ): number {
    const id = this.#rows("INSERT INTO documents (identity) VALUES (?) RETURNING id").get(
      identity,
    )![0] as number;
    if (text === null) this.#run("INSERT INTO unindexed (document) VALUES (?)", [id]);
    else {
      this.#run("INSERT INTO head (rowid, text) VALUES (?, ?)", [id, text.header]);
      this.#run("INSERT INTO body (rowid, text) VALUES (?, ?)", [id, text.body]);
      this.#run("INSERT INTO words (rowid, text) VALUES (?, ?)", [id, text.words]);
    }
    if (hasFiles) this.#run("INSERT INTO waiting (document) VALUES (?)", [id]);
    return id;
  }

  /** The first document behind `after` (an id) that waits for its attached files; null when none does. */
  nextWaiting(after: number): WaitingDocument | null {
    const [id, identity, unindexed, mailboxId, uid] = this.#rows(
      "SELECT w.document, d.identity, w.document IN unindexed, p.mailbox_id, p.uid " +
        "FROM waiting AS w JOIN documents AS d ON d.id = w.document JOIN places AS p ON p.document = w.document WHERE w.document > ? ORDER BY w.document LIMIT 1",
    ).get(after) ?? [];
    return id === undefined ? null : {
      id: id as number,
      identity: identity as Uint8Array,
      indexed: unindexed === 0,
      mailboxId: mailboxId as number,
      uid: uid as number,
    };
  }

  /** False where it was taken out, or this is another index by now. */
  isWaiting({ id, identity }: WaitingDocument): boolean {
    return this.documentOf(identity) === id &&
      this.#rows("SELECT 1 FROM waiting WHERE document = ?").get(id) !== undefined;
  }

  /**
   * Its attached files were read: `index` is all there is to search now, null for a document that is not indexed. A `text` of
   * null: they have none.
   */
  endWaiting(
    document: number,
    text: { readonly index: DocumentText | null; readonly attached: string } | null,
  ): void {
    this.#run("DELETE FROM waiting WHERE document = ?", [document]);
    if (text === null) return;
    if (text.index !== null) {
      for (const table of ["body", "words"] as const) {
        this.#run(`DELETE FROM ${table} WHERE rowid = ?`, [document]);
        this.#run(`INSERT INTO ${table} (rowid, text) VALUES (?, ?)`, [document, text.index[table]]);
      }
    }
    this.#run("INSERT INTO attached (document, text) VALUES (?, ?)", [document, packText(text.attached)]);
  }

  /** Behind `setProgress` of its mailbox. */
  addPlace(mailboxId: number, uid: number, document: number): void {
    this.#run("INSERT INTO places (mailbox_id, uid, document) VALUES (?, ?, ?)", [mailboxId, uid, document]);
    this.#run("UPDATE mailboxes SET messages = messages + 1 WHERE id = ?", [mailboxId]);
  }

  /** Takes messages out; documents that no message has any more go with them. */
  removePlaces(mailboxId: number, uids: readonly number[]): void {
    const removed = this.#rows(
      "DELETE FROM places WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) RETURNING document",
    ).all(mailboxId, JSON.stringify(uids)).map(([document]) => document as number);
    this.#run("UPDATE mailboxes SET messages = messages - ? WHERE id = ?", [removed.length, mailboxId]);
    const gone = this.#rows(
      "DELETE FROM documents WHERE id IN (SELECT value FROM json_each(?)) AND " +
        "NOT EXISTS (SELECT 1 FROM places WHERE document = documents.id) RETURNING id",
    ).all(JSON.stringify(removed));
    for (const [id] of gone) {
      for (const table of ["head", "body", "words"]) {
        this.#run(`DELETE FROM ${table} WHERE rowid = ?`, [id as number]);
      }
      for (const table of ["unindexed", "waiting", "attached"]) {
        this.#run(`DELETE FROM ${table} WHERE document = ?`, [id as number]);
      }
    }
  }

  /** Up to `limit` messages of a mailbox that are in. */
  placesOf(mailboxId: number, limit: number): number[] {
    return this.#rows("SELECT uid FROM places WHERE mailbox_id = ? ORDER BY uid LIMIT ?").all(
      mailboxId,
      limit,
    )
      .map(([uid]) => uid as number);
  }

  /** Forgets a mailbox that has no places any more. */
  forgetMailbox(mailboxId: number): void {
    this.#run("DELETE FROM mailboxes WHERE id = ?", [mailboxId]);
  }

  /** Writes the log into the file unless somebody reads just now. */
  close(): void {
    this.#connection.exec("PRAGMA busy_timeout = 0");
    this.#connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
    this.#connection.close();
    this.#statements.clear();
  }

  #make(): void {
    this.begin();
    for (const table of TABLES) this.#connection.exec(table);
    this.#connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    this.#connection.exec(`PRAGMA user_version = ${INDEX_VERSION}`);
    this.commit();
  }

  #run(text: string, parameters: (number | string | Uint8Array)[]): void {
    this.#statement(text).run(...parameters);
  }

  #rows(text: string): RawStatement {
    return this.#statement(text).raw();
  }

  #statement(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.#connection.prepare(text));
    return statement;
  }
}

function packText(text: string): Uint8Array {
  return new Uint8Array(deflateRawSync(new TextEncoder().encode(text)));
}

/** As `attached` keeps it. Throws {@linkcode IndexDamage}. */
export function unpackText(octets: Uint8Array): string {
  try {
    return new TextDecoder().decode(inflateRawSync(octets, { maxOutputLength: MAX_ATTACHED_OCTETS }));
  } catch (cause) {
    throw new IndexDamage("a text cannot be unpacked", { cause });
  }
}
