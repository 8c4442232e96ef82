/** The SMTP driver over connections in memory, a reception that the test steers, and a clock that the test turns. */
import { accountRow } from "../lib/account_row.ts";
import { encode, latin1 } from "../../bytes/decode.ts";
import type { ClientFacts, Reception, Transaction } from "../../delivery/reception.ts";
import { SMTP_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import { RECIPIENT_OK, type Reply, reply } from "../../protocols/smtp/reply.ts";
import { Deadlines } from "../../server/deadline.ts";
import type { LoginOutcome } from "../../server/login.ts";
import { SmtpServer } from "../../server/smtp.ts";
import { DEFAULT_SMTP_OPTIONS, type SmtpOptions } from "../../server/smtp/options.ts";
import { type MemoryOptions, type MemoryTransport, memoryTransports } from "../lib/memory_transport.ts";

/** A transaction as the driver used it. */
export class FakeTransaction implements Transaction {
  readonly traceId: string;
  readonly client: ClientFacts;
  readonly from: string;
  readonly to: string[] = [];
  text = "";
  octets = 0;
  finished = 0;
  discarded = 0;
  /** What the message was told that was refused while it came. */
  refusal: Reply | undefined;
  #reception: FakeReception;

  constructor(reception: FakeReception, facts: { traceId: string; client: ClientFacts; from: string }) {
    this.#reception = reception;
    this.traceId = facts.traceId;
    this.client = facts.client;
    this.from = facts.from;
  }

  rcpt(path: Parameters<Transaction["rcpt"]>[0]): Reply | Promise<Reply> {
    const to = formatPath(path);
    const answer = this.#reception.rcpt(to);
    this.to.push(to);
    return answer;
  }

  begin(): Reply | null {
    return this.#reception.begin();
  }

  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    this.octets += end - start;
    if (this.octets <= 100_000) this.text += latin1(bytes, start, end);
    return this.#reception.write(end - start);
  }

  finish(): Promise<Reply> {
    this.finished++;
    return this.#reception.finish();
  }

  async finishEach(): Promise<readonly Reply[]> {
    const answer = await this.finish();
    return this.to.map(() => answer);
  }

  discard(refusal?: Reply): void {
    this.discarded++;
    this.refusal ??= refusal;
  }
}

/** Every answer can be replaced by the test. */
export class FakeReception implements Reception {
  readonly transactions: FakeTransaction[] = [];
  refusal: Reply | null = null;
  rcpt: (to: string) => Reply | Promise<Reply> = () => RECIPIENT_OK;
  begin: () => Reply | null = () => null;
  write: (octets: number) => Promise<void> | undefined = () => undefined;
  finish: () => Promise<Reply> = () => Promise.resolve(reply(250, "2.0.0", "Stored"));

  mail(client: ClientFacts, mail: Parameters<Reception["mail"]>[1]): Transaction | Reply {
    if (this.refusal !== null) return this.refusal;
    const traceId = `t${this.transactions.length + 1}`;
    const transaction = new FakeTransaction(this, { traceId, client, from: formatPath(mail.reversePath) });
    this.transactions.push(transaction);
    return transaction;
  }

  lookup(): Reply {
    return reply(252, "2.1.5", "Perhaps");
  }

  etrn(_client: ClientFacts, text: string): Promise<Reply> {
    return Promise.resolve(reply(250, "2.0.0", `OK, ${text}`));
  }

  get last(): FakeTransaction {
    const last = this.transactions.at(-1);
    if (last === undefined) throw new Error("there was no MAIL");
    return last;
  }
}

/** A client: text in, text out. */
export class SmtpTestClient {
  readonly done: Promise<void>;
  transport: MemoryTransport;
  #text = "";
  #buffer = new Uint8Array(65_536);

  constructor(transport: MemoryTransport, done: Promise<void>) {
    this.transport = transport;
    this.done = done;
  }

  /** Does not wait for the other side to read. */
  send(text: string): void {
    this.transport.write(encode(text)).catch((error) => {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    });
  }

  /** The next reply, lines without their CRLF. */
  async reply(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const end = this.#text.indexOf("\r\n");
      if (end < 0) {
        if (!await this.#more()) throw new Error(`closed after ${JSON.stringify([...lines, this.#text])}`);
        continue;
      }
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      lines.push(line);
      if (line[3] !== "-") return lines;
    }
  }

  /** The last line of the reply to a command. */
  async command(line: string): Promise<string> {
    this.send(line + "\r\n");
    return (await this.reply()).at(-1) ?? "";
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<string> {
    while (await this.#more()) continue;
    return this.#text;
  }

  close(): void {
    this.transport.close();
  }

  async #more(): Promise<boolean> {
    const count = await this.transport.read(this.#buffer);
    if (count === null) return false;
    this.#text += latin1(this.#buffer, 0, count);
    return true;
  }
}

const ALICE = accountRow();

export class SmtpHarness {
  readonly reception = new FakeReception();
  readonly server: SmtpServer;
  now = 1_000_000;
  #deadlines: Deadlines;
  #options: SmtpOptions;
  #ids = 0;
  #clients: SmtpTestClient[] = [];

  constructor(options: Partial<SmtpOptions> = {}) {
    this.#deadlines = new Deadlines({ now: () => this.now, every: () => () => {} });
    this.server = new SmtpServer({
      reception: this.reception,
      deadlines: this.#deadlines,
      login: ({ user, password }) => Promise.resolve(this.#login(user, password)),
      mechanisms: () => SMTP_MECHANISMS,
      hostName: "mx.example.test",
      now: () => this.now,
      newId: () => `s${++this.#ids}`,
    });
    this.#options = { ...DEFAULT_SMTP_OPTIONS, ...options };
  }

  /** A connection whose greeting is read. */
  async connect(options: Partial<SmtpOptions> = {}, memory: MemoryOptions = {}): Promise<SmtpTestClient> {
    const [mine, theirs] = memoryTransports({ canStartTls: true, ...memory });
    const client = new SmtpTestClient(theirs, this.server.serve(mine, { ...this.#options, ...options }));
    this.#clients.push(client);
    const [greeting] = await client.reply();
    if (greeting !== "220 mx.example.test ESMTP") throw new Error(`greeting: ${greeting}`);
    return client;
  }

  /** Lets time pass and fires what is due. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    this.#deadlines.tick();
    await settle();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#clients.map((client) => client.done));
    this.#deadlines.close();
  }

  #login(user: string, password: string): LoginOutcome {
    if (password === "later") return { kind: "unavailable" };
    if (password === "blocked") return { kind: "blocked" };
    return user === "alice" && password === "secret" ? { kind: "ok", account: ALICE } : { kind: "wrong" };
  }
}

/** Lets everything that can go on go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

export function smtpTest(
  name: string,
  body: (harness: SmtpHarness) => Promise<void>,
  options: Partial<SmtpOptions> = {},
): void {
  Deno.test(name, async () => {
    const harness = new SmtpHarness(options);
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  });
}
