/**
 * A short run of the real server under strace: SMTP to one and two recipients, IMAP changes, submissions that the queue
 * sends on; and a ledger of what was acknowledged, by the words of each reply.
 */
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { MAIN, ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { ImapWorker, type Step } from "../crash/imap_worker.ts";
import { Tally } from "../crash/tally.ts";
import { messageOf } from "../crash/messages.ts";
import type { Random } from "../crash/random.ts";
import { Sink } from "../crash/sink.ts";
import { parseTrace, TRACED_CALLS, type TraceEvent } from "./trace.ts";

export const ALICE = "alice@example.test";
export const BOB = "bob@example.test";
const PASSWORD = "secret";
const MAX_MS = 30_000;

/** A message the server answered 250 to. */
export interface Accepted {
  readonly marker: string;
  /** As in the 250: our id of the message. */
  readonly traceId: string;
  /** Accounts that have it; none when it is for the queue. */
  readonly accounts: readonly string[];
}

export interface Recording {
  /** The data folder as the server saw it. */
  readonly root: string;
  readonly events: readonly TraceEvent[];
  readonly accepted: readonly Accepted[];
  /** Answered with 4xx, or not at all. */
  readonly refused: number;
  /** States of each IMAP worker's folders, in order. */
  readonly steps: ReadonlyMap<string, readonly Step[]>;
  /** Deliveries and changes, for the summary. */
  readonly operations: number;
  /** The server was still there at the end of the load. */
  readonly survived: boolean;
}

export interface RecordOptions {
  /** Processes, one after the other on the same data; each but the last is killed. */
  readonly lives: number;
  /** The load ends after so many acknowledgements, when the server is gone, or after {@linkcode MAX_MS}. */
  readonly operations: number;
  readonly threads: string;
  /** Options of strace's `--inject`, as in `fdatasync:error=EIO:when=9`. */
  readonly inject: readonly string[];
  readonly random: Random;
}

export async function record(options: RecordOptions): Promise<Recording> {
  const base = Deno.makeTempDirSync({ prefix: "veredus-powerloss-" });
  const root = `${base}/data`;
  Deno.mkdirSync(root);
  const listing = `${base}/trace`;
  const sink = new Sink();
  const events: TraceEvent[] = [];
  const load = new Load(options.random);
  const command = [
    ...["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "9000000", "-o", listing],
    ...["-e", `trace=${TRACED_CALLS.join(",")}`],
    ...options.inject.flatMap((inject) => ["-e", `inject=${inject}`]),
    ...["--", Deno.execPath(), "run", "-A", MAIN],
  ];
  const args = ["--relay", `127.0.0.1:${sink.port}`, "--threads", options.threads];
  let survived = true;
  try {
    for (let life = 1; life <= options.lives; life++) {
      const server = await ServerProcess.start({
        ...{ dataDir: root, offset: freeOffset(), password: PASSWORD, args, command },
        readyWithinMs: 60_000,
      });
      await load.run(server, options.operations / options.lives);
      survived = server.running;
      if (survived) await server.killTraced();
      parseTrace(Deno.readTextFileSync(listing), root, events);
    }
    return { root, events, survived, ...load.ledger() };
  } finally {
    await sink.close();
    Deno.removeSync(base, { recursive: true });
  }
}

class Load {
  #server: ServerProcess | null = null;
  #random: Random;
  #accepted: Accepted[] = [];
  #refused = 0;
  #steps = new Map<string, Step[]>();
  #serial = 0;
  #ended = false;

  constructor(random: Random) {
    this.#random = random;
  }

  get operations(): number {
    return this.#accepted.length + [...this.#steps.values()].flat().filter(({ tag }) => tag !== null).length;
  }

  ledger(): Pick<Recording, "accepted" | "refused" | "steps" | "operations"> {
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      steps: this.#steps,
      operations: this.operations,
    };
  }

  async run(server: ServerProcess, operations: number): Promise<void> {
    this.#server = server;
    this.#ended = false;
    const before = this.operations;
    const tasks = [
      ...[1, 2, 3].map(() => this.#untilEnd(() => this.#deliver())),
      this.#untilEnd(() => this.#submit()),
      ...["w1", "w2"].map((root) => this.#untilEnd(() => this.#work(root))),
    ];
    const end = performance.now() + MAX_MS;
    while (this.operations - before < operations && server.running && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#ended = true;
    await Promise.all(tasks);
  }

  #port(standard: number): number {
    if (this.#server === null) throw new Error("no server runs");
    return this.#server.port(standard);
  }

  /** A session that the server ends or refuses (faults are injected) is counted, and begun again. */
  async #untilEnd(session: () => Promise<void>): Promise<void> {
    while (!this.#ended) {
      try {
        await session();
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        this.#refused++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #deliver(): Promise<void> {
    const client = await SmtpClient.connect(this.#port(25), { timeoutMs: 8_000 });
    while (!this.#ended) {
      const accounts = this.#random.chance(0.25) ? [ALICE, BOB] : [ALICE];
      await this.#send(client, { from: "sender@other.test", to: accounts, accounts });
    }
    client.close();
  }

  async #submit(): Promise<void> {
    const client = await SmtpClient.connect(this.#port(587), { timeoutMs: 8_000 });
    await client.authPlain(ALICE, PASSWORD);
    while (!this.#ended) await this.#send(client, { from: ALICE, to: ["x@outside.test"], accounts: [] });
    client.close();
  }

  async #send(client: SmtpClient, mail: { from: string; to: string[]; accounts: string[] }): Promise<void> {
    const marker = `p-${++this.#serial}`;
    const { code, lines } = await client.send(mail.from, mail.to, messageOf(marker));
    if (code !== 250) throw new Error(`${code} ${lines.join(" ")}`);
    const traceId = /^2\.6\.0 (\S+)/.exec(lines[0] ?? "")?.[1];
    if (traceId === undefined) throw new Error(`no id in the reply: ${lines[0]}`);
    this.#accepted.push({ marker, traceId, accounts: mail.accounts });
  }

  /** A worker's folders of one session; the next session has a new worker. */
  async #work(root: string): Promise<void> {
    const name = `${root}n${++this.#serial}`;
    const steps: Step[] = [{ tag: null, folders: new Map() }];
    this.#steps.set(name, steps);
    const port = this.#port(143);
    const login = { login: BOB, password: PASSWORD, tagPrefix: `${name}x`, timeoutMs: 8_000 };
    const client = await ImapClient.connect(port, login);
    const worker = new ImapWorker(name, {
      random: this.#random,
      tally: new Tally(),
      onStep: (step) => {
        steps.push(step);
        if (this.#ended && step.tag !== null) client.close();
      },
    });
    await worker.run(client);
  }
}
