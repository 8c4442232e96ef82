/**
 * Keeps the full-text indexes up with the mailboxes, behind the deliveries.
 *
 * Everything an index must hold follows from the database: the UIDs above what a mailbox is done `through`, and the log
 * of expunges since its MODSEQ. So there is one way for everything: look at an account, do what is missing. A change
 * only says when to look; a start looks at all. What a crash, a lost power or a full disk leaves undone is done at the
 * next look. A file that cannot be read is moved aside and made again.
 *
 * Files that are attached are read afterwards (attachment_pass.ts), beside all of this: they never hold it up. That they
 * wait is noted in any case, so that they are read when that is turned on.
 *
 * Memory: one batch of messages ({@linkcode BATCH_OCTETS} of text), the cache of one file; {@linkcode MAX_OPEN} are open.
 */
import { getLogger } from "@logtape/logtape";
import { createHash } from "node:crypto";
import type { Change } from "../storage/changes.ts";
import type { Mailbox } from "../storage/mailboxes.ts";
import type { IndexedRow, MessageRow } from "../storage/messages.ts";
import { StorageError, type Store } from "../storage/store.ts";
import { counter, gauge } from "../telemetry/metrics.ts";
import { AttachedFiles, type AttachmentLimits } from "./attached_files.ts";
import { AttachmentPass } from "./attachment_pass.ts";
import { IndexFile, NO_DOCUMENT } from "./index_file.ts";
import { type IndexFolder, isDamage } from "./index_folder.ts";
import { type DocumentText, filesOf, leastCharacters, readMessageText } from "./message_text.ts";
import { Breather, type Pace } from "./pace.ts";
import type { TextExtractor } from "./text_extractor.ts";

/** After a change, so that a burst of deliveries is one look. */
const SETTLE_MS = 1_000;
/** Between looks for files that were moved aside, and after trouble. */
const SWEEP_MS = 10_000;
const BATCH_ROWS = 500;
const BATCH_OCTETS = 4 * 1024 * 1024;
const REMOVE_ROWS = 500;
const ACCOUNT_PAGE = 200;
const MAX_OPEN = 16;
/** Larger texts are left out and looked at by each search, their attached files are not: indexing one would hold the thread up. */
export const MAX_INDEXED_CHARACTERS = 512 * 1024;

const log = getLogger(["veredus", "search"]);
const indexed = counter("veredus_search_indexed_messages_total", "Messages that came into full-text indexes");
const leftOut = counter(
  "veredus_search_unindexed_messages_total",
  "Messages too large or unreadable, which each search looks at",
);
const quarantined = counter(
  "veredus_search_quarantined_total",
  "Index files that were damaged and are made again",
);
let running: Indexer | null = null;
gauge("veredus_search_lag_seconds", "How long the oldest change has waited to be indexed", {
  collect: (g) => g.set(running === null ? 0 : running.lagSeconds()),
});
gauge("veredus_search_index_octets", "Size of all full-text indexes", {
  collect: (g) => g.set(running === null ? 0 : running.octets()),
});

export interface IndexerOptions {
  readonly store: Store;
  readonly folder: IndexFolder;
  readonly pace: Pace;
  /** Null: what stands in attached files is not looked for. */
  readonly attachments: { readonly extractor: TextExtractor; readonly limits: AttachmentLimits } | null;
  /** Instead of SETTLE_MS and SWEEP_MS. */
  readonly settleMs?: number;
  readonly sweepMs?: number;
}

export class Indexer {
  #options: IndexerOptions;
  #attachments: AttachmentPass | null;
  #breather: Breather;
  /** Accounts to look at, and since when, by performance.now(); in order. */
  #due: Map<number, number>;
  #open: Map<number, { readonly file: IndexFile; readonly identity: number | null }>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #working: Promise<void> | null;
  #stopping: boolean;
  #unsubscribe: () => void;

  constructor(options: IndexerOptions) {
    const { store, attachments } = options;
    this.#options = options;
    this.#breather = new Breather(options.pace);
    this.#attachments = attachments === null ? null : new AttachmentPass({
      store,
      files: new AttachedFiles({ blobs: store.blobs, ...attachments }),
      fileOf: (accountId) => this.#fileOf(accountId),
      breathe: () => this.#breather.breathe(),
      retry: (accountId) => this.#noteLater(accountId),
    });
    this.#due = new Map();
    this.#open = new Map();
    this.#timer = undefined;
    this.#sweeper = undefined;
    this.#working = null;
    this.#stopping = false;
    this.#unsubscribe = () => {};
    options.folder.create();
  }

  /** Looks at every account, and from then on at each that changes. */
  start(): void {
    running = this;
    this.#unsubscribe = this.#options.store.onChange((change) => this.#noteChange(change));
    this.#sweeper = setInterval(() => this.#noteAside(), this.#options.sweepMs ?? SWEEP_MS);
    Deno.unrefTimer(this.#sweeper as unknown as number);
    this.#work(() => this.#lookAtAll());
  }

  /** The index of an account goes at once, and is made anew behind what is done just now. */
  rebuild(accountId: number): void {
    this.#options.folder.remove(accountId);
    this.#note(accountId);
  }

  /** Waits until nothing is left to do, not even what just changed. */
  async settle(): Promise<void> {
    while (!this.#stopping && (this.#working !== null || this.#due.size > 0)) {
      clearTimeout(this.#timer);
      this.#work(() => this.#lookAtDue());
      await this.#working;
    }
    await this.#attachments?.settle();
  }

  lagSeconds(): number {
    const [since] = this.#due.values();
    return since === undefined ? 0 : (performance.now() - since) / 1000;
  }

  octets(): number {
    return this.#options.folder.totalOctets();
  }

  /** Ends after the message it is at; what is not done is done after the next start. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    clearInterval(this.#sweeper);
    await this.#attachments?.stop();
    await this.#working;
    for (const accountId of [...this.#open.keys()]) this.#close(accountId);
    if (running === this) running = null;
  }

  #noteChange(change: Change): void {
    switch (change.kind) {
      case "added":
        this.#breather.arrived(change.messages.length);
        return this.#note(change.accountId);
      case "expunged":
      case "mailboxes":
        return this.#note(change.accountId);
      case "directory":
        if (change.accountId !== null) this.#note(change.accountId);
        return;
      case "flags":
      case "seen":
      case "acl":
      case "annotations":
      case "queue":
      case "greylist":
      case "lessons":
        return;
      default:
        return change satisfies never;
    }
  }

  #note(accountId: number): void {
    if (this.#due.has(accountId)) return;
    this.#due.set(accountId, performance.now());
    this.#schedule();
  }

  #noteAside(): void {
    for (const accountId of this.#options.folder.accounts().aside) this.#note(accountId);
  }

  #schedule(): void {
    if (this.#working !== null || this.#stopping || this.#due.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#work(() => this.#lookAtDue()),
      this.#options.settleMs ?? SETTLE_MS,
    );
  }

  /** One piece of work at a time. */
  #work(work: () => Promise<void>): void {
    if (this.#working !== null) return;
    this.#working = work().catch((error) => {
      log.error("the indexer stumbled and goes on with the next change: {error}", { error });
    }).finally(() => {
      this.#working = null;
      this.#schedule();
    });
  }

  async #lookAtAll(): Promise<void> {
    const { store, folder } = this.#options;
    const known = new Set<number>();
    for (let after = "";;) {
      const page = store.directory.accounts({ after, limit: ACCOUNT_PAGE });
      for (const { id } of page) {
        known.add(id);
        await this.#lookAt(id);
        if (this.#stopping) return;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < ACCOUNT_PAGE) break;
      after = last.address;
    }
    const { files, aside } = folder.accounts();
    for (const id of [...files, ...aside]) if (!known.has(id) && !this.#due.has(id)) await this.#lookAt(id);
  }

  async #lookAtDue(): Promise<void> {
    for (const accountId of [...this.#due.keys()]) {
      if (this.#stopping) return;
      this.#due.delete(accountId); // what changes from here on makes it due again
      await this.#lookAt(accountId);
    }
  }

  /** Does what is missing; trouble with one account leaves the others alone. */
  async #lookAt(accountId: number): Promise<void> {
    const { store, folder } = this.#options;
    await this.#breather.breathe();
    try {
      if (store.directory.accountById(accountId) === null) {
        this.#close(accountId);
        folder.remove(accountId);
        return;
      }
      const mailboxes = store.mailboxes.list(accountId);
      if (folder.identity(accountId) === null && mailboxes.every(({ uidNext }) => uidNext === 1)) {
        return; // it never had a message: no file is made
      }
      const file = this.#fileOf(accountId);
      const there = new Set(mailboxes.map(({ id }) => id));
      for (const id of file.mailboxes()) if (!there.has(id)) await this.#forget(file, id);
      for (const mailbox of mailboxes) {
        if (mailbox.selectable) await this.#mailbox(file, mailbox);
        if (this.#stopping) return;
      }
      if (file.nextWaiting(0) !== null) this.#attachments?.note(accountId);
      file.forgetPages();
      folder.removeAside(accountId);
    } catch (error) {
      this.#close(accountId);
      if (isDamage(error)) {
        quarantined.inc();
        log.error("the index of account {accountId} is damaged and is made again: {error}", {
          accountId,
          error,
        });
        folder.quarantine(accountId);
      } else log.error("the index of account {accountId} is behind: {error}", { accountId, error });
      // Not at once: a full disk stays full for a while. The sweep finds a file that was moved aside.
      if (!isDamage(error)) this.#noteLater(accountId);
    }
  }

  #noteLater(accountId: number): void {
    setTimeout(() => this.#note(accountId), this.#options.sweepMs ?? SWEEP_MS);
  }

  async #mailbox(file: IndexFile, mailbox: Mailbox): Promise<void> {
    const { store } = this.#options;
    let { through, modSeq } = file.progress(mailbox.id);
    if (through >= mailbox.uidNext || (through === 0 && file.placesOf(mailbox.id, 1).length > 0)) {
      // UIDs that were not given out yet: the database was put back to an older state. Or this was interrupted.
      await this.#forget(file, mailbox.id);
      through = 0;
      modSeq = 0;
    }
    const last = mailbox.uidNext - 1;
    if (modSeq === mailbox.highestModSeq && through === last) return;
    if (through > 0) await this.#takeOut(file, mailbox.id, store.messages.expungedSince(mailbox.id, modSeq));
    modSeq = mailbox.highestModSeq;
    while (through < last && !this.#stopping) {
      const rows = store.messages.toIndex(mailbox.id, { after: through, limit: BATCH_ROWS });
      through = await this.#putIn(file, mailbox.id, { rows, modSeq, last });
      await this.#breather.breathe();
    }
    if (this.#stopping) return;
    inTransaction(file, () => file.setProgress(mailbox.id, { through, modSeq }));
  }

  /** Indexes rows; returns the UID up to which the mailbox is done now. */
  async #putIn(
    file: IndexFile,
    mailboxId: number,
    batch: { readonly rows: readonly IndexedRow[]; readonly modSeq: number; readonly last: number },
  ): Promise<number> {
    const { rows, modSeq, last } = batch;
    const ready: { uid: number; identity: Uint8Array; text: Prepared | null }[] = [];
    let octets = 0;
    for (const row of rows) {
      const identity = identityOf(row);
      const known = file.documentOf(identity) !== null ||
        ready.some((one) => sameOctets(one.identity, identity));
      const text = known ? null : await this.#read(mailboxId, row);
      ready.push({ uid: row.uid, identity, text });
      octets += sizeOf(text);
      await this.#breather.breathe();
      if (octets > BATCH_OCTETS || this.#stopping) break;
    }
    // All of the page: what lies between its UIDs was expunged. Messages may have come since `last` was read.
    const reached = ready.at(-1)?.uid ?? last;
    const through = ready.length < rows.length || rows.length === BATCH_ROWS
      ? reached
      : Math.max(last, reached);
    inTransaction(file, () => {
      file.setProgress(mailboxId, { through, modSeq });
      for (const { uid, identity, text } of ready) {
        const document = text === "unreadable"
          ? NO_DOCUMENT
          : file.documentOf(identity) ?? (text === null ? NO_DOCUMENT : file.addDocument(identity, text));
        file.addPlace(mailboxId, uid, document);
      }
    });
    indexed.inc(ready.length);
    return through;
  }

  async #read(mailboxId: number, row: IndexedRow): Promise<Prepared> {
    const { store } = this.#options;
    let prepared: Prepared;
    try {
      prepared = await prepare(store, row);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      try {
        // Compaction may have moved it between the two reads.
        const again = store.messages.row(mailboxId, row.uid, { withImap: true });
        if (again === null) return "unreadable"; // expunged: its log entry comes
        prepared = await prepare(store, again);
      } catch (still) {
        if (!(still instanceof StorageError)) throw still;
        log.warn("message {uid} of mailbox {mailboxId} cannot be read: {error}", {
          uid: row.uid,
          mailboxId,
          error: still,
        });
        prepared = "unreadable";
      }
    }
    if (prepared === "unreadable" || prepared.text === null) leftOut.inc();
    if (prepared !== "unreadable" && prepared.text === null) {
      log.debug(
        "message {uid} of mailbox {mailboxId} has more than {limit} characters: each search reads it",
        {
          uid: row.uid,
          mailboxId,
          limit: MAX_INDEXED_CHARACTERS,
        },
      );
    }
    return prepared;
  }

  async #takeOut(file: IndexFile, mailboxId: number, uids: readonly number[]): Promise<void> {
    for (let at = 0; at < uids.length; at += REMOVE_ROWS) {
      inTransaction(file, () => file.removePlaces(mailboxId, uids.slice(at, at + REMOVE_ROWS)));
      await this.#breather.breathe();
    }
  }

  async #forget(file: IndexFile, mailboxId: number): Promise<void> {
    for (;;) {
      const uids = file.placesOf(mailboxId, REMOVE_ROWS);
      if (uids.length === 0) break;
      // First the promise, then the places: a crash between leaves a mailbox that is done again from its start.
      inTransaction(file, () => {
        file.setProgress(mailboxId, { through: 0, modSeq: 0 });
        file.removePlaces(mailboxId, uids);
      });
      await this.#breather.breathe();
    }
    inTransaction(file, () => file.forgetMailbox(mailboxId));
  }

  #fileOf(accountId: number): IndexFile {
    const { folder } = this.#options;
    const known = this.#open.get(accountId);
    if (known !== undefined && known.identity === folder.identity(accountId)) return known.file;
    this.#close(accountId);
    const [oldest] = this.#open.keys();
    if (this.#open.size >= MAX_OPEN && oldest !== undefined) this.#close(oldest);
    let file = new IndexFile(folder.file(accountId));
    if (!file.current) {
      file.close();
      log.info("the index of account {accountId} is of another version and is made again", { accountId });
      folder.remove(accountId);
      file = new IndexFile(folder.file(accountId));
    }
    this.#open.set(accountId, { file, identity: folder.identity(accountId) });
    return file;
  }

  #close(accountId: number): void {
    const known = this.#open.get(accountId);
    this.#open.delete(accountId);
    try {
      known?.file.close();
    } catch (error) {
      if (!isDamage(error)) throw error;
      log.debug("closing a damaged index: {error}", { error }); // whoever uses it next meets it again
    }
  }
}

/** `text`: null where it is too much. */
type Prepared = { readonly text: DocumentText | null; readonly hasFiles: boolean } | "unreadable";

async function prepare({ blobs }: Store, row: MessageRow): Promise<Exclude<Prepared, "unreadable">> {
  if (leastCharacters(row) > MAX_INDEXED_CHARACTERS) { // megabytes that need not be read
    return { text: null, hasFiles: (await filesOf(blobs, row)).length > 0 };
  }
  const message = await readMessageText(blobs, row, "all");
  const tooMuch = message.header.length + (message.body ?? "").length > MAX_INDEXED_CHARACTERS;
  return { text: tooMuch ? null : message.forIndex(), hasFiles: message.files.length > 0 };
}

function sizeOf(prepared: Prepared | null): number {
  const text = prepared === null || prepared === "unreadable" ? null : prepared.text;
  return text === null ? 0 : text.header.length + text.body.length;
}

function inTransaction(file: IndexFile, work: () => void): void {
  file.begin();
  try {
    work();
    file.commit();
  } catch (error) {
    rollBack(file);
    throw error;
  }
}

function rollBack(file: IndexFile): void {
  try {
    file.rollback();
  } catch (error) {
    // SQLite has rolled back by itself on some faults and then says so; the file is closed by whoever caught the first.
    log.debug("rollback of an index: {error}", { error });
  }
}

/**
 * What makes two messages the same document: content and prefix. The number of a content alone can come again, for
 * another, once it was freed.
 */
function identityOf({ contentId, traceId, blob, prefix }: IndexedRow): Uint8Array {
  const hash = createHash("sha256").update(
    `${contentId} ${traceId} ${blob.segment} ${blob.offset} ${blob.length} `,
  );
  return new Uint8Array(hash.update(prefix).digest().subarray(0, 16));
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((octet, at) => octet === b[at]);
}
