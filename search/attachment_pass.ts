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
import { counter } from "../telemetry/metrics.ts";
import { fileKind } from "./extract/file_kind.ts";
import type { IndexFile, WaitingDocument } from "./index_file.ts";
import { type AttachedFile, type MessageText, readFile, readMessageText } from "./message_text.ts";
import type { ExtractOutcome, TextExtractor } from "./text_extractor.ts";

const log = getLogger(["veredus", "search"]);
const files = counter(
  "veredus_search_attachments_total",
  "Attached files whose text was looked for, by what came of it",
  ["outcome"],
);

/** Files of one message that are read. */
const MAX_FILES = 20;

export interface AttachmentLimits {
  /** Larger files are passed over; decoded octets. */
  readonly fileOctets: number;
  /** Of all files of a message together. */
  readonly characters: number;
  /** Processor time for all files of a message, milliseconds. */
  readonly timeMs: number;
}

/** `too-many`: others of the message have used up what is allowed. `unread`: the octets of the message cannot be read. */
type Outcome = ExtractOutcome | "too-many" | "unread";

export interface AttachmentPassOptions {
  readonly store: Store;
  readonly extractor: TextExtractor;
  readonly limits: AttachmentLimits;
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
    await this.#options.extractor.close();
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
    const { store, limits } = this.#options;
    let message: MessageText;
    try {
      message = await readMessageText(store.blobs, row, "all");
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#tell("unread", { waiting, name: null, fault: error.message });
      return null;
    }
    const budget: Budget = { files: MAX_FILES, characters: limits.characters, timeMs: limits.timeMs };
    const texts: string[] = [];
    for (const attached of message.files) {
      const text = await this.#file({ waiting, row, attached }, budget);
      if (text !== "") texts.push(text);
    }
    if (texts.length === 0) return null;
    const attached = texts.join("\n");
    return { index: message.withAttached(attached).forIndex(), attached };
  }

  /** "" where there is none. */
  async #file(
    file: { readonly waiting: WaitingDocument; readonly row: MessageRow; readonly attached: AttachedFile },
    budget: Budget,
  ): Promise<string> {
    const { waiting, row, attached } = file;
    const { store, extractor, limits } = this.#options;
    const told = { waiting, name: attached.name, fault: "" };
    const passedOver = (outcome: Outcome, fault = "") => {
      this.#tell(outcome, { ...told, fault });
      return "";
    };
    if (budget.files-- <= 0 || budget.characters <= 0 || budget.timeMs <= 0) return passedOver("too-many");
    // As base64 it is a third more, with its line ends.
    if (attached.end - attached.start > 1.4 * limits.fileOctets) return passedOver("too-large");
    let octets: Uint8Array;
    try {
      octets = await readFile(store.blobs, row, attached);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return passedOver("unread", error.message);
    }
    if (octets.length > limits.fileOctets) return passedOver("too-large");
    if (fileKind(octets) === "other") return passedOver("unsupported");
    const { outcome, text, fault, usedMs } = await extractor.extract({
      octets,
      characters: budget.characters,
      timeMs: budget.timeMs,
    });
    budget.characters -= text.length;
    budget.timeMs -= usedMs;
    this.#tell(outcome, { ...told, fault });
    return text;
  }

  #tell(
    outcome: Outcome,
    { waiting: { mailboxId, uid }, name, fault }: {
      readonly waiting: WaitingDocument;
      readonly name: string | null;
      readonly fault: string;
    },
  ): void {
    files.labels({ outcome }).inc();
    const facts = { outcome, mailboxId, uid, name: name ?? "", fault };
    const line = "file {name} of message {uid} in mailbox {mailboxId}: {outcome} {fault}";
    if (outcome === "time" || outcome === "crashed") log.warn(line, facts);
    else log.debug(line, facts);
  }
}

type AttachedText = NonNullable<Parameters<IndexFile["endWaiting"]>[1]>;

/** What is left for one message. */
interface Budget {
  files: number;
  characters: number;
  timeMs: number;
}
