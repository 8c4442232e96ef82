/** The IMAP driver over connections in memory and a real store on a temporary folder. */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { DEFAULT_SESSION_LIMITS } from "../../protocols/imap/session_options.ts";
import { Deadlines } from "../../server/deadline.ts";
import { ImapServer } from "../../server/imap.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions, type ImapServices } from "../../server/imap/options.ts";
import type { LoginOutcome } from "../../server/login.ts";
import type { PeerFacts, TlsFacts, Transport } from "../../server/transport.ts";
import { AttachedFiles } from "../../search/attached_files.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { IndexReader } from "../../search/index_reader.ts";
import type { TextExtractor } from "../../search/text_extractor.ts";
import type { Target } from "../../storage/ops.ts";
import { TestStore, type TestStoreOptions } from "../lib/test_store.ts";
import { ATTACHMENT_LIMITS } from "../search/fake_extractor.ts";
import { PlainExchange } from "../protocols/imap/transcript.ts";

/** One end of a connection in memory. */
class MemoryTransport implements Transport {
  readonly peer: PeerFacts = { address: "127.0.0.1", port: 1, localAddress: "127.0.0.1", localPort: 143 };
  readonly tls: TlsFacts | null = null;
  readonly canStartTls = false;
  readonly sink: (bytes: Uint8Array) => Promise<void> | void;
  #queue: Uint8Array[] = [];
  #waiting: ((bytes: Uint8Array | null) => void) | null = null;
  closed = false;
  #near = false;

  constructor(sink: (bytes: Uint8Array) => Promise<void> | void) {
    this.sink = sink;
  }

  /** What the peer sends. */
  push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#wake();
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#queue.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => this.#waiting = () => resolve());
    }
    return this.#queue.length === 0 ? null : this.#take(into);
  }

  /** Every second time, so that the driver reads both ways. */
  readNear(into: Uint8Array): number {
    this.#near = !this.#near;
    return this.#near && this.#queue.length > 0 ? this.#take(into) : 0;
  }

  #take(into: Uint8Array): number {
    const next = this.#queue.shift()!;
    const size = Math.min(next.length, into.length);
    into.set(next.subarray(0, size));
    if (size < next.length) this.#queue.unshift(next.subarray(size));
    return size;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("the connection is closed");
    await this.sink(bytes.slice());
  }

  startTls(): Promise<Transport> {
    return Promise.reject(new Error("no TLS in memory"));
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(null);
  }
}

/** A client of one connection: text in, text out. */
export class TestClient {
  readonly done: Promise<void>;
  #transport: MemoryTransport;
  #text = "";
  #arrived: (() => void)[] = [];
  #tag = 0;
  /** When set, writes of the server wait for it: a client that does not read. */
  blocked: Promise<void> | null = null;

  constructor(serve: (transport: Transport) => Promise<void>) {
    this.#transport = new MemoryTransport(async (bytes) => {
      if (this.blocked !== null) await this.blocked;
      this.#text += latin1(bytes);
      for (const wake of this.#arrived.splice(0)) wake();
    });
    this.done = serve(this.#transport);
  }

  send(text: string): void {
    this.#transport.push(encodeLatin1(text));
  }

  /** Everything up to and with the first match; throws when it does not come. */
  async until(pattern: RegExp, timeoutMs = 5_000): Promise<string> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        const at = match.index + match[0].length;
        const text = this.#text.slice(0, at);
        this.#text = this.#text.slice(at);
        return text;
      }
      if (Date.now() > end) throw new Error(`no ${pattern} in ${JSON.stringify(this.#text)}`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([
        new Promise<void>((resolve) => this.#arrived.push(resolve)),
        new Promise<void>((resolve) => timer = setTimeout(resolve, 50)),
      ]);
      clearTimeout(timer);
    }
  }

  /** Sends a command and returns everything up to its tagged reply, without its tag. */
  async command(text: string): Promise<string> {
    const tag = `t${++this.#tag}`;
    this.send(`${tag} ${text}\r\n`);
    const reply = await this.until(new RegExp(`^${tag} [^\r]*\r\n`, "m"));
    return reply.replace(new RegExp(`^${tag} `, "m"), "");
  }

  /** The same for a command that must succeed. */
  async ok(text: string): Promise<string> {
    const reply = await this.command(text);
    const last = reply.slice(0, -2).split("\r\n").at(-1) ?? "";
    if (!last.startsWith("OK ")) throw new Error(`${text}: ${reply}`);
    return reply;
  }

  /** What has come and was not asked for. */
  get pending(): string {
    return this.#text;
  }

  close(): void {
    this.#transport.close();
  }
}

export interface HarnessOptions extends Partial<ImapOptions> {
  readonly now?: () => number;
  /** Left out: attached files are not read. */
  readonly extractor?: TextExtractor;
}

export class Harness {
  readonly test: TestStore;
  readonly server: ImapServer;
  /** The same on top of the indexes, of which there is none until a test makes one. */
  readonly indexed: ImapServer;
  readonly indexes: IndexReader;
  readonly deadlines = new Deadlines();
  #ids = 0;
  #clients: TestClient[] = [];

  private constructor(test: TestStore, { now = () => Date.now(), extractor, ...options }: HarnessOptions) {
    this.test = test;
    this.indexes = new IndexReader(new IndexFolder(test.folder.indexes));
    const services: ImapServices = {
      store: test.store,
      indexes: null,
      attached: extractor === undefined
        ? null
        : new AttachedFiles({ blobs: test.store.blobs, extractor, limits: ATTACHMENT_LIMITS }),
      deadlines: this.deadlines,
      login: ({ user, password }) => Promise.resolve(this.#login(user, password)),
      mechanisms: () => new Map([["PLAIN", () => new PlainExchange()]]),
      hostName: "mx.example.test",
      now,
      newId: () => `id${++this.#ids}`,
    };
    const all = {
      ...DEFAULT_IMAP_OPTIONS,
      plainLoginAllowed: true,
      limits: DEFAULT_SESSION_LIMITS,
      ...options,
    };
    this.server = new ImapServer(services, all);
    this.indexed = new ImapServer({ ...services, indexes: this.indexes }, all);
  }

  static async open(options: HarnessOptions = {}, store: TestStoreOptions = {}): Promise<Harness> {
    return new Harness(await TestStore.open(store), options);
  }

  #login(user: string, password: string): LoginOutcome {
    if (password === "later") return { kind: "unavailable" };
    if (password === "blocked") return { kind: "blocked" };
    const account = this.test.store.directory.account(`${user}@example.test`);
    return account !== null && password === "secret" ? { kind: "ok", account } : { kind: "wrong" };
  }

  connect(options: Partial<ImapOptions> & { indexes?: boolean } = {}): TestClient {
    const { indexes = false, ...own } = options;
    const client = new TestClient((transport) =>
      (indexes ? this.indexed : this.server).serve(transport, own)
    );
    this.#clients.push(client);
    return client;
  }

  async login(user = "alice", options: { indexes?: boolean } = {}): Promise<TestClient> {
    const client = this.connect(options);
    await client.until(/^\* OK [^\r]*\r\n/m);
    await client.ok(`LOGIN ${user} secret`);
    return client;
  }

  async selected(mailbox = "INBOX", user = "alice"): Promise<TestClient> {
    const client = await this.login(user);
    await client.ok(`SELECT ${mailbox}`);
    return client;
  }

  /** Files a message as a delivery does. */
  async deliver(
    text: string,
    options: Partial<Target> & { mailbox?: string; user?: string; traceId?: string } = {},
  ): Promise<number> {
    const { mailbox = "INBOX", user = "alice", traceId = "t", ...target } = options;
    const octets = encodeLatin1(text);
    const builder = new FactsBuilder();
    builder.push(octets);
    const facts = builder.finish();
    const spool = this.test.store.spool();
    await spool.write(octets, 0, octets.length);
    const salvage = { accounts: [], mailbox, internalDate: 0, traceId: "t", sender: "", recipients: [] };
    const result = await this.test.ok({
      kind: "deliver",
      content: {
        blob: await spool.store(salvage),
        headerOctets: facts.headerOctets,
        imap: facts.imap,
        preview: facts.preview,
        subject: facts.subject,
        from: facts.from,
        messageId: facts.messageId,
        references: "",
        sentAt: facts.sentAtMs,
        traceId,
      },
      targets: [{
        mailboxId: this.test.mailboxId(user, mailbox),
        flags: 0,
        keywords: "",
        internalDate: Date.UTC(2024, 0, 2, 3, 4, 5),
        prefix: new Uint8Array(0),
        ...target,
      }],
      queue: null,
    });
    if (result.kind !== "delivered") throw new Error(result.kind);
    return result.uids[0]!.uid;
  }

  /** The data stays when `keep` is set. */
  async close(options: { keep?: boolean } = {}): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#clients.map((client) => client.done));
    this.server.shutdown();
    this.indexed.shutdown();
    this.deadlines.close();
    this.indexes.close();
    await this.test.close(options);
  }
}

/** Runs a test with a fresh store and server. */
export function imapTest(
  name: string,
  body: (harness: Harness) => Promise<void>,
  options: HarnessOptions = {},
): void {
  Deno.test(name, async () => {
    const harness = await Harness.open(options);
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  });
}
