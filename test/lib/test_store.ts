/** A real store in a folder of its own: writer and one thread's store, with alice and bob. */
import { latin1 } from "../../bytes/decode.ts";
import { DataFolder, recoverSegments } from "../../storage/data_folder.ts";
import type { Files } from "../../storage/files.ts";
import { openStore } from "../../storage/open_store.ts";
import type { NewContent, Target, WriteOp, WriteResult } from "../../storage/ops.ts";
import type { SegmentOptions } from "../../storage/segment_writer.ts";
import type { Store } from "../../storage/store.ts";
import { Writer, type WriterOptions, type WriterPort } from "../../storage/writer.ts";
import { connectWriter, serveWriter } from "../../storage/writer_port.ts";

export interface TestStoreOptions {
  /** An existing folder (opened again after a crash or close); made when missing. */
  readonly path?: string;
  /** Talks to the writer through a message channel, as threads do. */
  readonly ported?: boolean;
  readonly files?: Files;
  readonly segment?: Partial<SegmentOptions>;
  readonly minFreeOctets?: number;
  readonly writer?: Partial<WriterOptions>;
}

export class TestStore {
  readonly folder: DataFolder;
  readonly writer: Writer;
  readonly store: Store;
  readonly fatal: Error[] = [];
  #port: WriterPort;

  private constructor(options: TestStoreOptions) {
    this.folder = new DataFolder(options.path ?? Deno.makeTempDirSync({ prefix: "veredus-test-" }));
    this.folder.create();
    recoverSegments(this.folder);
    this.writer = new Writer({
      databasePath: this.folder.database,
      segments: this.folder.segments,
      clock: () => Date.now(),
      onFatal: (reason) => this.fatal.push(reason),
      reapEveryMs: 20,
      ...(options.files && { files: options.files }),
      ...options.writer,
    });
    this.#port = this.writer;
    if (options.ported) {
      const { port1, port2 } = new MessageChannel();
      serveWriter(this.writer, port1);
      this.#port = connectWriter(port2);
    }
    this.store = openStore({
      folder: this.folder,
      writer: this.#port,
      segment: { preallocateOctets: 64 * 1024, ...options.segment },
      ...(options.files && { files: options.files }),
      ...(options.minFreeOctets !== undefined && { minFreeOctets: options.minFreeOctets }),
    });
  }

  /** With domain example.test and accounts alice and bob unless the folder has them already. */
  static async open(options: TestStoreOptions = {}): Promise<TestStore> {
    const test = new TestStore(options);
    if (test.store.directory.domain("example.test") === null) {
      test.store.directory.domain("example.test");
      const domain = {
        name: "example.test",
        kind: "local",
        nextHop: "",
        catchAll: "",
        subaddressSeparators: "+",
      } as const;
      await test.ok({ kind: "put-domain", domain });
      for (const name of ["alice", "bob"]) {
        await test.ok({ kind: "put-account", account: { address: `${name}@example.test` } });
      }
    }
    return test;
  }

  async write(op: WriteOp): Promise<WriteResult> {
    return await this.store.write(op);
  }

  /** The result of an operation that must succeed. */
  async ok(op: WriteOp): Promise<Extract<WriteResult, { ok: true }>> {
    const result = await this.store.write(op);
    if (!result.ok) throw new Error(`${op.kind}: ${result.fault}: ${result.detail}`);
    return result;
  }

  accountId(name: string): number {
    const account = this.store.directory.account(`${name}@example.test`);
    if (account === null) throw new Error(`no account ${name}`);
    return account.id;
  }

  mailboxId(account: string, name: string): number {
    const mailbox = this.store.mailboxes.byName(this.accountId(account), name);
    if (mailbox === null) throw new Error(`no mailbox ${name} of ${account}`);
    return mailbox.id;
  }

  /** Spools and stores the octets; the content is what a delivery would carry, without MIME facts. */
  async content(text: string): Promise<NewContent> {
    const spool = this.store.spool();
    const bytes = new TextEncoder().encode(text);
    await spool.write(bytes, 0, bytes.length);
    const blob = await spool.store({
      accounts: ["alice@example.test"],
      mailbox: "INBOX",
      internalDate: 0,
      traceId: "t",
      sender: "",
      recipients: [],
    });
    const header = latin1(bytes).indexOf("\r\n\r\n");
    return {
      blob,
      headerOctets: header < 0 ? bytes.length : header + 4,
      imap: new Uint8Array([1]),
      preview: "",
      subject: "",
      from: "",
      messageId: null,
      references: "",
      sentAt: null,
      traceId: "t",
    };
  }

  /** Delivers `text` into mailboxes; returns the UIDs. */
  async deliver(text: string, mailboxIds: number[], target: Partial<Target> = {}): Promise<number[]> {
    const content = await this.content(text);
    const targets = mailboxIds.map((mailboxId) => ({
      mailboxId,
      flags: 0,
      keywords: "",
      internalDate: Date.now(),
      prefix: new Uint8Array(0),
      ...target,
    }));
    const result = await this.ok({ kind: "deliver", content, targets, queue: null });
    if (result.kind !== "delivered") throw new Error(result.kind);
    return result.uids.map(({ uid }) => uid);
  }

  /** Closes everything; the folder stays when `keep` is set. */
  async close(options: { keep?: boolean } = {}): Promise<void> {
    await this.store.close();
    if (this.#port !== this.writer) await this.#port.close();
    await this.writer.close();
    if (!options.keep) Deno.removeSync(this.folder.path, { recursive: true });
  }
}
