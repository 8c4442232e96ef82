/** POP3 drivers of several "threads" over connections in memory and a real store on a temporary folder. */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { MAILBOX_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { Deadlines } from "../../server/deadline.ts";
import type { LoginOutcome } from "../../server/login.ts";
import { MaildropLocks } from "../../server/maildrop_locks.ts";
import { DEFAULT_POP3_OPTIONS, type Pop3Options, Pop3Server, type Pop3Timeouts } from "../../server/pop3.ts";
import type { Store } from "../../storage/store.ts";
import { type MemoryOptions, type MemoryTransport, memoryTransports } from "../lib/memory_transport.ts";
import { fileMessage } from "../lib/stored_message.ts";
import { TestStore, type TestStoreOptions } from "../lib/test_store.ts";

const PATIENCE_MS = 5_000;

/** A client of one connection: text in, text out, one character per octet. */
export class Pop3TestClient {
  transport: MemoryTransport;
  readonly done: Promise<void>;
  #text = "";
  #buffer = new Uint8Array(64 * 1024);

  constructor(transport: MemoryTransport, done: Promise<void>) {
    this.transport = transport;
    this.done = done;
  }

  async send(text: string): Promise<void> {
    await this.transport.write(encodeLatin1(text));
  }

  /** One line without its CRLF. Rejects at the end of the connection, and when nothing comes. */
  async line(): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf("\r\n");
      if (at >= 0) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 2);
        return line;
      }
      if (!await this.#more()) throw new Error(`the connection ended behind ${JSON.stringify(this.#text)}`);
    }
  }

  /** A command and the first line of its reply. */
  async command(text: string): Promise<string> {
    await this.send(`${text}\r\n`);
    return await this.line();
  }

  /** The body of a multi-line reply, unstuffed. */
  async body(): Promise<string> {
    for (;;) {
      const end = this.#text.startsWith(".\r\n") ? 0 : this.#text.indexOf("\r\n.\r\n") + 2;
      if (end !== 1) {
        const body = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 3);
        return body.replace(/(^|\r\n)\.\./g, "$1.");
      }
      if (!await this.#more()) throw new Error("the connection ended inside a reply");
    }
  }

  /** A command whose reply has more lines. */
  async multi(text: string): Promise<string> {
    const first = await this.command(text);
    if (!first.startsWith("+OK")) throw new Error(`${text}: ${first}`);
    return await this.body();
  }

  async login(user = "alice"): Promise<string> {
    await this.command(`USER ${user}`);
    return await this.command("PASS secret");
  }

  /** What comes until the connection ends. */
  async rest(): Promise<string> {
    while (await this.#more());
    return this.#text;
  }

  /** Hangs up without a word. */
  async hangUp(): Promise<void> {
    this.transport.close();
    await this.done;
  }

  async #more(): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) =>
      timer = setTimeout(() => reject(new Error(`silence behind ${JSON.stringify(this.#text)}`)), PATIENCE_MS)
    );
    const count = await Promise.race([this.transport.read(this.#buffer), silence]).finally(() =>
      clearTimeout(timer)
    );
    if (count === null) return false;
    this.#text += latin1(this.#buffer, 0, count);
    return true;
  }
}

export class Pop3Harness {
  readonly test: TestStore;
  readonly buffer = MaildropLocks.buffer();
  readonly deadlines = new Deadlines();
  /** One for each thread. */
  readonly servers: Pop3Server[];
  #ids = 0;
  #clients: Pop3TestClient[] = [];

  constructor(test: TestStore, options: Partial<Pop3Options> = {}) {
    this.test = test;
    this.servers = [0, 1].map((column) => this.server(column, options));
  }

  static async open(
    options: Partial<Pop3Options> = {},
    store: TestStoreOptions = {},
  ): Promise<Pop3Harness> {
    return new Pop3Harness(await TestStore.open(store), options);
  }

  server(column: number, options: Partial<Pop3Options> = {}, store: Store = this.test.store): Pop3Server {
    return new Pop3Server({
      store,
      deadlines: this.deadlines,
      locks: new MaildropLocks(this.buffer, { column }),
      login: ({ user, password }) => Promise.resolve(this.#login(user, password)),
      mechanisms: () => MAILBOX_MECHANISMS,
      hostName: "mx.example.test",
      now: () => Date.now(),
      newId: () => `id${++this.#ids}`,
    }, { ...DEFAULT_POP3_OPTIONS, plainLoginAllowed: true, ...options });
  }

  #login(user: string, password: string): LoginOutcome {
    if (password === "later") return { kind: "unavailable" };
    if (password === "blocked") return { kind: "blocked" };
    const account = this.test.store.directory.account(`${user}@example.test`);
    return account !== null && password === "secret" ? { kind: "ok", account } : { kind: "wrong" };
  }

  /** A new connection whose greeting was read. */
  async connect(
    options: { server?: Pop3Server; memory?: MemoryOptions; serve?: Partial<Pop3Options> } = {},
  ): Promise<Pop3TestClient> {
    const [server, client] = memoryTransports(options.memory);
    const done = (options.server ?? this.servers[0]!).serve(server, options.serve);
    const connected = new Pop3TestClient(client, done);
    this.#clients.push(connected);
    await connected.line();
    return connected;
  }

  async login(options: Parameters<Pop3Harness["connect"]>[0] = {}): Promise<Pop3TestClient> {
    const client = await this.connect(options);
    const reply = await client.login();
    if (!reply.startsWith("+OK")) throw new Error(reply);
    return client;
  }

  /** Files messages in alice's INBOX; the UID of the last. */
  async deliver(...texts: string[]): Promise<number> {
    let last = 0;
    for (const text of texts) {
      const uid = await fileMessage(this.test.store, this.inbox, text);
      if (uid === null) throw new Error("not delivered");
      last = uid;
    }
    return last;
  }

  get inbox(): number {
    return this.test.mailboxId("alice", "INBOX");
  }

  uids(): number[] {
    return [...this.test.store.messages.maildrop(this.inbox, { after: 0, limit: 1_000 }).uids];
  }

  /** Ends the sessions; the store stays open. */
  async end(): Promise<void> {
    for (const client of this.#clients) client.transport.close();
    await Promise.all(this.#clients.map((client) => client.done));
    for (const server of this.servers) server.shutdown();
    this.deadlines.close();
  }

  async close(options: { keep?: boolean } = {}): Promise<void> {
    await this.end();
    await this.test.close(options);
  }
}

/** Runs a test with a fresh store and two servers on the same locks. */
export function pop3Test(
  name: string,
  body: (harness: Pop3Harness) => Promise<void>,
  options: { pop3?: Partial<Pop3Options>; store?: TestStoreOptions } = {},
): void {
  Deno.test(name, async () => {
    const harness = await Pop3Harness.open(options.pop3, options.store);
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  });
}

export function timeouts(changes: Partial<Pop3Timeouts>): Partial<Pop3Options> {
  return { timeouts: { ...DEFAULT_POP3_OPTIONS.timeouts, ...changes } };
}
