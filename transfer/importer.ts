/**
 * Brings the mail of a source into an account: folders side by side, messages in batches through the writer's group
 * commit, octets through this thread's segment like those of any other message.
 *
 * What was brought is noted in the same transaction as the message itself (storage/operations/import.ts): an import that
 * was cut off goes on, one that is run again brings what is new. Bare line ends become CRLF; parts with NUL become base64 as
 * in mail that comes in (delivery/binary_parts.ts). Memory is bounded by {@linkcode BATCHES} batches and {@linkcode READS}
 * reads a folder; a message past a quarter of a megabyte goes through a file.
 */
import { createHash, randomBytes } from "node:crypto";
import { NUL } from "../bytes/ascii.ts";
import { reencodeBinaryParts } from "../delivery/binary_parts.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import { LineEndConverter } from "../protocols/smtp/line_ends.ts";
import { newContent } from "../storage/new_content.ts";
import type { ImportedMessage, WriteResult } from "../storage/ops.ts";
import type { Account } from "../storage/directory_view.ts";
import type { Mailbox } from "../storage/mailboxes.ts";
import type { Spool, Store } from "../storage/store.ts";
import type { Source, SourceFolder, SourceMessage } from "./source.ts";

const BATCH_MESSAGES = 50;
/** Batches of a folder that are read or written at the same time. */
const BATCHES = 3;
const BATCH_OCTETS = 4 * 1024 * 1024;
/** Messages of a folder that are read at the same time; a large one takes a megabyte. */
const READS = 16;
const ITEM_PAGE = 10_000;
const MAX_FAILURES = 100;
/** A message may be as large as one of SMTP may become. */
const MAX_MESSAGE_OCTETS = 1024 * 1024 * 1024;

export interface ImportOptions {
  readonly store: Store;
  readonly account: Account;
  /** Mailbox above all that is brought; "" brings folders under their own names. */
  readonly into: string;
  readonly keepUids: boolean;
  readonly keepUidls: boolean;
  /** Folders at the same time. */
  readonly parallel: number;
  readonly signal: AbortSignal;
}

export interface ImportFailure {
  readonly folder: string;
  readonly item: string;
  readonly reason: string;
}

/** How far an import is; the same object grows. */
export interface ImportProgress {
  folders: number;
  foldersDone: number;
  /** Messages of all folders, those brought before too. */
  total: number;
  imported: number;
  /** Brought before. */
  skipped: number;
  octets: number;
  failed: number;
  /** The first of them. */
  readonly failures: ImportFailure[];
}

export function newProgress(): ImportProgress {
  return {
    folders: 0,
    foldersDone: 0,
    total: 0,
    imported: 0,
    skipped: 0,
    octets: 0,
    failed: 0,
    failures: [],
  };
}

/** Rejects when the source or the store cannot go on; trouble with one message or folder is noted. */
export async function importMail(
  source: Source,
  progress: ImportProgress,
  options: ImportOptions,
): Promise<void> {
  const folders = await source.folders();
  progress.folders = folders.length;
  progress.total = folders.reduce((sum, { messages }) => sum + messages, 0);
  const waiting = [...folders];
  const lane = async () => {
    for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
      options.signal.throwIfAborted();
      await new FolderImport(source.identity, folder, { progress, options }).run();
      progress.foldersDone++;
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, lane));
}

interface ReadMessage {
  readonly spool: Spool;
  readonly facts: MessageFacts;
  readonly octets: number;
}

interface Batch {
  readonly mailbox: Mailbox;
  readonly messages: Promise<ImportedMessage | null>[];
  octets: number;
}

class FolderImport {
  readonly #source: string;
  readonly #folder: SourceFolder;
  readonly #progress: ImportProgress;
  readonly #options: ImportOptions;
  #mailboxes: Map<string, Mailbox>;
  /** Messages that are read just now. */
  #reading: Set<Promise<void>>;
  /** Batches under way, in order; each is written when the one before it is. */
  #writing: Promise<void>[];

  constructor(
    identity: string,
    folder: SourceFolder,
    parts: { readonly progress: ImportProgress; readonly options: ImportOptions },
  ) {
    const name = `${identity}\n${folder.name}`;
    this.#source = createHash("sha256").update(name).digest("hex").slice(0, 24);
    this.#folder = folder;
    this.#progress = parts.progress;
    this.#options = parts.options;
    this.#mailboxes = new Map();
    this.#reading = new Set();
    this.#writing = [];
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    try {
      const known = this.#known();
      this.#progress.skipped += Math.min(known.size, this.#folder.messages);
      let batch: Batch | null = null;
      await this.#mailbox(this.#folder.name); // an empty folder is brought, too
      for await (const message of this.#folder.list(known)) {
        signal.throwIfAborted();
        const mailbox: Mailbox | null = await this.#mailboxOf(message);
        if (mailbox === null) continue;
        if (batch !== null && batch.mailbox.id !== mailbox.id) batch = await this.#send(batch);
        batch ??= { mailbox, messages: [], octets: 0 };
        await this.#add(batch, message);
        if (batch.messages.length >= BATCH_MESSAGES || batch.octets >= BATCH_OCTETS) {
          batch = await this.#send(batch);
        }
      }
      if (batch !== null) await this.#send(batch);
      await Promise.all(this.#writing);
    } catch (error) {
      await Promise.allSettled(this.#writing);
      signal.throwIfAborted();
      if (!(error instanceof FolderFault)) throw error;
      this.#failed("", error.message);
    }
  }

  /** Begins to read a message; in a sequential source it is read when this resolves. */
  async #add(batch: Batch, message: SourceMessage): Promise<void> {
    const reading = this.#read(message);
    const done = reading.then(() => {}, () => {}).finally(() => this.#reading.delete(done)); // told below
    this.#reading.add(done);
    if (this.#folder.sequential) await done;
    else if (this.#reading.size >= READS) await Promise.race(this.#reading);
    const stored = reading.then(async (read) => {
      batch.octets += read.octets;
      return await this.#store(message, read, batch.mailbox);
    }).catch((error) => {
      if (!(error instanceof Error)) throw error;
      this.#failed(message.item, error.message);
      return null;
    });
    batch.messages.push(stored);
  }

  async #read(message: SourceMessage): Promise<ReadMessage> {
    const spool = this.#options.store.spool();
    const facts = new FactsBuilder();
    const converter = new LineEndConverter();
    let holdsNul = false;
    const take = async () => {
      const { bytes, start, end } = converter;
      if (start === end) return;
      if (!holdsNul) holdsNul = bytes.subarray(start, end).includes(NUL);
      facts.push(bytes, start, end);
      const pending = spool.write(bytes, start, end);
      if (pending !== undefined) await pending;
    };
    try {
      for await (const piece of message.octets()) {
        converter.push(piece, 0, piece.length);
        await take();
        if (spool.octets > MAX_MESSAGE_OCTETS) {
          throw new Error(`it has more than ${MAX_MESSAGE_OCTETS} octets`);
        }
      }
      converter.finish();
      await take();
      if (spool.octets === 0) throw new Error("it is empty");
      return holdsNul
        ? await this.#withoutNul(spool)
        : { spool, facts: facts.finish(), octets: spool.octets };
    } catch (error) {
      spool.discard();
      throw error;
    }
  }

  async #withoutNul(from: Spool): Promise<ReadMessage> {
    const spool = this.#options.store.spool();
    try {
      const facts = await reencodeBinaryParts(from, spool);
      if (facts === null || facts === "unmendable") {
        throw new Error("it has NUL outside the body of a MIME part");
      }
      from.discard();
      return { spool, facts, octets: spool.octets };
    } catch (error) {
      spool.discard();
      throw error;
    }
  }

  async #store(
    message: SourceMessage,
    { spool, facts }: ReadMessage,
    mailbox: Mailbox,
  ): Promise<ImportedMessage> {
    const { account, keepUids, keepUidls } = this.#options;
    const { item } = message;
    const internalDate = message.internalDate || (facts.sentAtMs ?? Date.now());
    const traceId = randomBytes(8).toString("hex");
    const salvage = { mailbox: mailbox.name, internalDate, traceId, sender: "", recipients: [] };
    const blob = await spool.store({ ...salvage, accounts: [account.address] });
    return {
      content: newContent(facts, { blob, traceId }),
      flags: message.flags,
      keywords: message.keywords.join(" "),
      internalDate,
      item,
      uid: keepUids ? message.uid : null,
      uidl: keepUidls ? message.uidl : null,
    };
  }

  /** Writes a batch behind those before it; resolves when there is room for the next. */
  async #send(batch: Batch): Promise<null> {
    const before = this.#writing.at(-1) ?? Promise.resolve();
    const written = Promise.all([before, ...batch.messages]).then(async ([, ...messages]) => {
      await this.#write(batch.mailbox, messages.filter((message) => message !== null));
    });
    written.catch(() => {}); // told by whoever awaits it
    this.#writing.push(written);
    if (this.#writing.length >= BATCHES) await this.#writing.shift();
    return null;
  }

  async #write(mailbox: Mailbox, messages: readonly ImportedMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const { store, account } = this.#options;
    const result = await this.#must({
      kind: "import",
      accountId: account.id,
      mailboxId: mailbox.id,
      source: this.#source,
      messages,
    }, store);
    if (result.kind !== "imported") throw new Error(`an import answered ${result.kind}`);
    this.#progress.imported += result.messages;
    this.#progress.skipped += messages.length - result.messages;
    this.#progress.octets += messages.reduce((sum, { content }) => sum + content.blob.length, 0);
  }

  /** Where a message goes; null where it names a folder that cannot be: others of the source can. */
  async #mailboxOf({ folder, item }: SourceMessage): Promise<Mailbox | null> {
    if (folder === null) return await this.#mailbox(this.#folder.name);
    try {
      return await this.#mailbox(folder);
    } catch (error) {
      if (!(error instanceof FolderFault)) throw error;
      this.#failed(item, error.message);
      return null;
    }
  }

  /** Our mailbox for a folder of the source, made when it is missing. */
  async #mailbox(name: string): Promise<Mailbox> {
    const known = this.#mailboxes.get(name);
    if (known !== undefined) return known;
    const { store, account, into, keepUids } = this.#options;
    const { specialUse, uidValidity } = this.#folder;
    const inbox = /^inbox$/i.test(name);
    const wanted = into === "" ? name : inbox ? into : `${into}/${name}`;
    const special = specialUse === null || into !== ""
      ? undefined
      : store.mailboxes.list(account.id).find((mailbox) => mailbox.specialUse === specialUse);
    let mailbox = special ?? store.mailboxes.byName(account.id, wanted);
    if (mailbox === null || !mailbox.selectable) {
      const use = into === "" && special === undefined ? specialUse : null;
      const made = await store.write({
        kind: "create-mailbox",
        accountId: account.id,
        name: wanted,
        specialUse: use,
      });
      // "already-exists": made meanwhile, as a parent of another folder.
      if (!made.ok && made.fault !== "already-exists") throw new FolderFault(`${wanted}: ${made.detail}`);
      mailbox = store.mailboxes.byName(account.id, wanted);
      await store.write({ kind: "subscribe", accountId: account.id, name: wanted, subscribed: true });
    }
    if (mailbox === null) throw new FolderFault(`${wanted} could not be made`);
    if (keepUids && uidValidity !== null && mailbox.uidValidity !== uidValidity) {
      await this.#must({ kind: "adopt-uid-validity", mailboxId: mailbox.id, uidValidity }, store);
    }
    this.#mailboxes.set(name, mailbox);
    return mailbox;
  }

  async #must(op: Parameters<Store["write"]>[0], store: Store): Promise<Extract<WriteResult, { ok: true }>> {
    const result = await store.write(op);
    if (result.ok) return result;
    if (result.fault === "not-permitted" || result.fault === "no-such-mailbox") {
      throw new FolderFault(result.detail);
    }
    throw new Error(`the store refused: ${result.detail}`);
  }

  #known(): Set<string> {
    const { store, account } = this.#options;
    const known = new Set<string>();
    for (let after = "";;) {
      const page = store.messages.importedItems(account.id, this.#source, { after, limit: ITEM_PAGE });
      for (const item of page) known.add(item);
      const last = page.at(-1);
      if (last === undefined || page.length < ITEM_PAGE) return known;
      after = last;
    }
  }

  #failed(item: string, reason: string): void {
    this.#progress.failed++;
    if (this.#progress.failures.length < MAX_FAILURES) {
      this.#progress.failures.push({ folder: this.#folder.name, item, reason });
    }
  }
}

/** One folder cannot be brought; the others can. */
class FolderFault extends Error {
  override readonly name = "FolderFault";
}
