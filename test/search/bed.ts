/** A store with an index of alice, and what is looked for in it. */
import { encodeLatin1 } from "../../bytes/decode.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { type Candidates, IndexReader } from "../../search/index_reader.ts";
import { Indexer, type IndexerOptions } from "../../search/indexer.ts";
import { ALONE } from "../../search/pace.ts";
import { unicodeCasemap } from "../../bytes/casemap.ts";
import { substringQuery } from "../../search/query.ts";
import { TestStore } from "../lib/test_store.ts";

export class Bed {
  readonly test: TestStore;
  readonly folder: IndexFolder;
  readonly reader: IndexReader;
  #ids = 0;

  private constructor(test: TestStore) {
    this.test = test;
    this.folder = new IndexFolder(test.folder.indexes);
    this.reader = new IndexReader(this.folder);
  }

  static async open(): Promise<Bed> {
    return new Bed(await TestStore.open());
  }

  async deliver(text: string, mailbox = "INBOX"): Promise<number> {
    const octets = encodeLatin1(text);
    const builder = new FactsBuilder();
    builder.push(octets);
    const { headerOctets, imap } = builder.finish();
    const content = await this.test.content("");
    const spool = this.test.store.spool();
    await spool.write(octets, 0, octets.length);
    const salvage = { accounts: [], mailbox, internalDate: 0, traceId: "t", sender: "", recipients: [] };
    const result = await this.test.ok({
      kind: "deliver",
      content: {
        ...content,
        blob: await spool.store(salvage),
        headerOctets,
        imap,
        traceId: `t${++this.#ids}`,
      },
      targets: [{
        mailboxId: this.test.mailboxId("alice", mailbox),
        flags: 0,
        keywords: "",
        internalDate: 0,
        prefix: new Uint8Array(0),
      }],
      queue: null,
    });
    return result.kind === "delivered" ? result.uids[0]!.uid : 0;
  }

  indexer(attachments: IndexerOptions["attachments"] = null): Indexer {
    return new Indexer({
      store: this.test.store,
      folder: this.folder,
      pace: ALONE,
      attachments,
      settleMs: 5,
      sweepMs: 30,
    });
  }

  /** Runs one until everything is in. */
  async index(attachments: IndexerOptions["attachments"] = null): Promise<void> {
    const indexer = this.indexer(attachments);
    indexer.start();
    await indexer.settle();
    await indexer.stop();
  }

  /** What is left of a mailbox of alice for a needle; null without an answer. */
  async candidates(needle: string, mailbox = "INBOX", reader = this.reader): Promise<Candidates | null> {
    const accountId = this.test.accountId("alice");
    const { id, uidNext } = this.test.store.mailboxes.byName(accountId, mailbox)!;
    return await reader.candidates(
      { accountId, mailboxId: id, uidNext },
      { tables: ["head", "body"], match: substringQuery(unicodeCasemap(needle))!, withWaiting: false },
      () => Promise.resolve(),
    );
  }

  async uids(needle: string, mailbox = "INBOX", reader = this.reader): Promise<number[] | null> {
    const found = await this.candidates(needle, mailbox, reader);
    const { uidNext } = this.test.store.mailboxes.byName(this.test.accountId("alice"), mailbox)!;
    return found === null ? null : [...Array(uidNext).keys()].filter((uid) => found.uids.has(uid));
  }

  async close(): Promise<void> {
    this.reader.close();
    await this.test.close();
  }
}
