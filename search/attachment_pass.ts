/**
 * What stands in attached files, taken in behind the messages they came with.
 *
 * The indexer puts a message in with its own text, and notes that it waits (index_file.ts). Here its files are read, one message
 * after the other, the accounts in turn; then the document is replaced by one with their text. Nothing waits for this: the
 * indexer goes on beside it, and files that give no text leave the message as it was. One try each: a file that is too
 * much today is so tomorrow. Only where there was no extractor at all it is tried again.
 *
 * A crash anywhere leaves documents that wait. Each file may be replaced between two of our looks at it (rebuilt, moved aside):
 * the document is known again by its identity.
 */
import { getLogger } from "@logtape/logtape";
import { StorageError, type Store } from "../storage/store.ts";
import type { MessageRow } from "../storage/messages.ts";
import type { AttachedFiles } from "./attached_files.ts";
import type { IndexFile, WaitingDocument } from "./index_file.ts";
import { filesOf, readMessageText } from "./message_text.ts";

const log = getLogger(["veredus", "search"]);

export interface AttachmentPassOptions {
  readonly store: Store;
  readonly files: AttachedFiles;
  /** The index of an account as it is now; throws where it cannot be opened. */
  readonly fileOf: (accountId: number) => IndexFile;
  /** Awaited between messages. */
  readonly breathe: () => Promise<void>;
  /** Something went wrong that may mend: the account is noted again later. */
  readonly retry: (accountId: number) => void;
}

export class AttachmentPass {
  #options: AttachmentPassOptions;
  /** Accounts with documents that wait, and the last document looked at; the next account first. */
  #accounts: Map<number, number>;
  #working: Promise<void> | null;
  #stopping: boolean;

  constructor(options: AttachmentPassOptions) {
    this.#options = options;
    this.#accounts = new Map();
    this.#working = null;
    this.#stopping = false;
  }

  /** Something of this account waits. */
  note(accountId: number): void {
    // New documents have larger numbers; those that had to be left are looked at again from the start, later.
    if (!this.#accounts.has(accountId)) this.#accounts.set(accountId, 0);
    this.#begin();
  }

  #begin(): void {
    if (this.#stopping || this.#working !== null || this.#accounts.size === 0) return;
    this.#working = this.#work().finally(() => {
      this.#working = null;
      this.#begin(); // noted while the last one ended
    });
  }

  /** Waits until nothing does any more. */
  async settle(): Promise<void> {
    while (this.#working !== null) await this.#working;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#options.files.close();
    await this.#working;
  }

  async #work(): Promise<void> {
    for (;;) {
      const [next] = this.#accounts;
      if (next === undefined || this.#stopping) return;
      const [accountId, after] = next;
      await this.#options.breathe();
      this.#accounts.delete(accountId);
      try {
        const done = await this.#one(accountId, after);
        if (done !== null) this.#accounts.set(accountId, done); // behind the others
      } catch (error) {
        if (this.#stopping) return;
        log.error("attached files of account {accountId} are read later: {error}", { accountId, error });
        this.#options.retry(accountId);
      }
    }
  }

  /** Reads the files of the next document behind `after`; returns its number, null where none is left. */
  async #one(accountId: number, after: number): Promise<number | null> {
    const { store, fileOf } = this.#options;
    const waiting = fileOf(accountId).nextWaiting(after);
    if (waiting === null) return null;
    const row = store.messages.row(waiting.mailboxId, waiting.uid, { withImap: true });
    if (row === null) return waiting.id; // expunged: the indexer takes it out, or finds another place of it
    const text = await this.#read(waiting, row);
    // What follows does not wait: nobody changes the file meanwhile.
    const file = fileOf(accountId);
    if (!file.isWaiting(waiting)) return waiting.id;
    file.begin();
    try {
      file.endWaiting(waiting.id, text);
      file.commit();
    } catch (error) {
      file.rollback();
      throw error;
    }
    return waiting.id;
  }

  /** Null: its files have no text. */
  async #read(waiting: WaitingDocument, row: MessageRow): Promise<AttachedText | null> {
    const { store, files } = this.#options;
    try {
      const message = waiting.indexed ? await readMessageText(store.blobs, row, "all") : null;
      const attached = await files.textOf(message?.files ?? await filesOf(store.blobs, row), {
        row,
        ...waiting,
      });
      if (attached === null) return null;
      return { index: message === null ? null : message.withAttached(attached).forIndex(), attached };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      files.tell("unread", { ...waiting, name: null, fault: error.message });
      return null;
    }
  }
}

type AttachedText = NonNullable<Parameters<IndexFile["endWaiting"]>[1]>;
