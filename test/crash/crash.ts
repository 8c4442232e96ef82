/**
 * Crash proof: loads the real server, kills it with SIGKILL at random moments, starts it again and checks that
 * everything it acknowledged is there, whole and once, and that nothing went back.
 *
 *   deno task crash [--kills 20] [--seed N] [--threads N] [--keep]
 *
 * Load: SMTP deliveries to one and to two recipients, IMAP changes in folders of their own (imap_worker.ts),
 * submissions that the queue sends on to a counting sink. The shapes of threads take turns, and some kills come while
 * it starts. After every kill `verify` reads the dead server's data.
 */
import { parseArgs } from "node:util";
import { FactsBuilder } from "../../message/facts.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { verify } from "../../storage/verify.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { freeOffset, type ServerOptions, ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { GrowingCounters } from "./counters.ts";
import { ImapWorker } from "./imap_worker.ts";
import { markerOf, messageOf } from "./messages.ts";
import { Random } from "./random.ts";
import { Sink } from "./sink.ts";

const ALICE = "alice@example.test";
const BOB = "bob@example.test";
const PASSWORD = "secret";
/** Of the server's log, shown with a finding. */
const MAX_OUTPUT = 5_000;
/** A message the sink accepted this long before a kill is off the queue for good. */
const SETTLED_MS = 3_000;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    threads: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

/** One INBOX: what was acknowledged for it, and what was checked and expunged. */
interface Inbox {
  readonly login: string;
  readonly acknowledged: Set<string>;
  readonly removed: Set<string>;
}

class CrashRun {
  readonly random: Random;
  readonly findings: string[] = [];
  readonly sink = new Sink();
  readonly dataDir = Deno.makeTempDirSync({ prefix: "veredus-crash-" });
  readonly imapWorkers: ImapWorker[];
  readonly submitted = new Set<string>();
  kills = 0;
  /** When each process was killed, by its number. */
  #deaths = new Map<number, number>();
  delivered = 0;
  #inboxes: Inbox[] = [ALICE, BOB].map((login) => ({ login, acknowledged: new Set(), removed: new Set() }));
  #counters = new GrowingCounters(this.dataDir);
  #offset = freeOffset();
  #serial = 0;
  #starts = 0;
  #server: ServerProcess | null = null;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.imapWorkers = ["w1", "w2", "w3"].map((root) => new ImapWorker(root, this.random));
  }

  async start(): Promise<ServerProcess> {
    if (this.#starts > 0 && this.random.chance(0.1)) {
      await ServerProcess.startAndKill(this.#options(), this.random.between(20, 800));
      this.#deaths.set(this.sink.life, performance.now());
    }
    this.#server = await ServerProcess.start(this.#options());
    return this.#server;
  }

  #options(): ServerOptions {
    const threads = values.threads ?? ["0", "2"][this.#starts++ % 2]!;
    this.sink.life = this.#starts;
    return {
      dataDir: this.dataDir,
      offset: this.#offset,
      password: PASSWORD,
      args: ["--relay", `127.0.0.1:${this.sink.port}`, "--threads", threads],
    };
  }

  async end(): Promise<void> {
    await this.#server?.kill();
    await this.sink.close();
    if (!values.keep) await Deno.remove(this.dataDir, { recursive: true });
  }

  /** Load until `server` is killed after `ms`. */
  async loadAndKill(server: ServerProcess, ms: number): Promise<void> {
    let dead = false;
    const work = [
      ...Array.from({ length: 4 }, () => this.#deliver(server)),
      ...Array.from({ length: 2 }, () => this.#submit(server)),
      ...this.imapWorkers.map(async (worker) =>
        worker.run(await ImapClient.connect(server.port(143), { login: BOB, password: PASSWORD }))
      ),
    ].map((task) =>
      task.catch((error: Error) => {
        if (!dead && error.name !== "WireClosed") this.findings.push(`before the kill: ${error.message}`);
        else if (!dead) this.findings.push(`the server closed a connection by itself: ${error.message}`);
      })
    );
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.findings.push(...this.#counters.sample());
    dead = true;
    this.#deaths.set(this.sink.life, performance.now());
    this.kills++;
    await server.kill();
    await Promise.all(work);
    if (this.findings.length > 0) this.findings.push(server.output.slice(-MAX_OUTPUT));
    await this.#verify();
    this.findings.push(...this.#counters.sample());
  }

  async #deliver(server: ServerProcess): Promise<never> {
    const client = await SmtpClient.connect(server.port(25));
    for (;;) {
      const inboxes = this.random.chance(0.25) ? this.#inboxes : this.#inboxes.slice(0, 1);
      const marker = `${inboxes.length === 1 ? "d" : "both"}-${++this.#serial}`;
      const reply = await client.send(
        "sender@other.test",
        inboxes.map(({ login }) => login),
        messageOf(marker),
      );
      if (reply.code !== 250) throw new Error(`delivery: ${reply.code} ${reply.lines.join(" ")}`);
      for (const { acknowledged } of inboxes) acknowledged.add(marker);
    }
  }

  async #submit(server: ServerProcess): Promise<never> {
    const client = await SmtpClient.connect(server.port(587));
    await client.authPlain(ALICE, PASSWORD);
    for (;;) {
      const marker = `q-${++this.#serial}`;
      const reply = await client.send(ALICE, [`${marker}@outside.test`], messageOf(marker));
      if (reply.code !== 250) throw new Error(`submission: ${reply.code} ${reply.lines.join(" ")}`);
      this.submitted.add(marker);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Both INBOXes against what was acknowledged; a message to both is in both or in none. */
  async checkDeliveries(server: ServerProcess): Promise<void> {
    const [alice, bob] = [await this.#checkInbox(server, 0), await this.#checkInbox(server, 1)];
    const half = alice.symmetricDifference(bob);
    for (const marker of half) {
      if (marker.startsWith("both-")) this.findings.push(`${marker} reached one of its two recipients`);
    }
  }

  /** Reads an INBOX, checks it, and expunges what was checked. */
  async #checkInbox(server: ServerProcess, which: 0 | 1): Promise<Set<string>> {
    const { login, acknowledged, removed } = this.#inboxes[which]!;
    const client = await ImapClient.connect(server.port(143), { login, password: PASSWORD });
    await client.ok("SELECT INBOX");
    const seen = new Set<string>();
    for (const response of (await client.ok("UID FETCH 1:* (UID BODY.PEEK[])")).untagged) {
      if (response.literals.length === 0) continue;
      const marker = markerOf(literalText(response));
      const where = `INBOX of ${login}`;
      if (marker === null) this.findings.push(`${where}: octets differ in ${response.line.slice(0, 60)}`);
      else if (removed.has(marker)) this.findings.push(`${where}: ${marker} was expunged and is back`);
      else if (seen.has(marker)) this.findings.push(`${where}: ${marker} is there twice`);
      else seen.add(marker);
    }
    for (const marker of acknowledged) {
      if (!seen.has(marker)) {
        this.findings.push(`INBOX of ${login}: ${marker} was acknowledged and is missing`);
      }
    }
    this.delivered += seen.size;
    acknowledged.clear();
    if (seen.size > 0) {
      await client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
      await client.ok("EXPUNGE");
      for (const marker of seen) removed.add(marker);
    }
    await client.logout();
    return seen;
  }

  async checkFolders(server: ServerProcess): Promise<void> {
    const client = await ImapClient.connect(server.port(143), { login: BOB, password: PASSWORD });
    for (const worker of this.imapWorkers) this.findings.push(...await worker.check(client));
    await client.logout();
  }

  /** Waits until the sink has every submission; what stays away is a finding. */
  async checkQueue(): Promise<void> {
    const deadline = Date.now() + 60_000;
    const missing = () => [...this.submitted].filter((marker) => !this.sink.received.has(marker));
    while (missing().length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    for (const marker of missing()) this.findings.push(`queue: ${marker} was acknowledged and never sent on`);
    this.checkDuplicates();
  }

  /** A message may go out twice only when a kill came between the sink's 250 and the commit of the outcome. */
  checkDuplicates(): void {
    for (const [marker, acceptances] of this.sink.received) {
      for (const [i, again] of acceptances.slice(1).entries()) {
        const before = acceptances[i]!;
        const left = (this.#deaths.get(before.life) ?? Infinity) - before.at;
        if (again.life === before.life) {
          this.findings.push(`queue: ${marker} was sent on twice by one process`);
        } else if (left > SETTLED_MS) {
          this.findings.push(
            `queue: ${marker} was sent on again, though its process lived for ${
              Math.round(left)
            } ms after the first time`,
          );
        }
      }
    }
  }

  async #verify(): Promise<void> {
    const { problems } = await verify({
      folder: new DataFolder(this.dataDir),
      fix: false,
      newFacts: () => new FactsBuilder(),
      progress: () => {},
    });
    for (const { kind, subject, detail } of problems) {
      this.findings.push(`verify: ${kind}: ${subject}: ${detail}`);
    }
  }
}

const kills = Number(values.kills);
const run = new CrashRun(Number(values.seed));
console.log(`crash run: ${kills} kills, seed ${values.seed}`);
const begin = Date.now();
try {
  let server = await run.start();
  while (run.kills < kills && run.findings.length === 0) {
    const { random } = run;
    await run.loadAndKill(
      server,
      random.chance(0.1) ? random.between(1_500, 2_500) : random.between(30, 900),
    );
    server = await run.start();
    try {
      await run.checkDeliveries(server);
      await run.checkFolders(server);
    } catch (error) {
      run.findings.push(`while it was checked: ${error}`, server.output.slice(-MAX_OUTPUT));
    }
    if (run.kills % 10 === 0) {
      console.log(
        `${run.kills} kills, ${run.delivered} deliveries and ${run.submitted.size} submissions checked`,
      );
    }
  }
  await run.checkQueue();
} finally {
  await run.end();
}
const operations = run.imapWorkers.reduce((sum, worker) => sum + worker.operations, 0);
const twice = [...run.sink.received.values()].reduce((sum, times) => sum + times.length - 1, 0);
for (const finding of run.findings) console.error(finding);
console.log(
  `${run.kills} kills in ${Math.round((Date.now() - begin) / 1000)} s: ${run.delivered} deliveries, ` +
    `${operations} IMAP changes, ${run.submitted.size} submissions acknowledged; ${twice} sent on twice; ` +
    `${run.findings.length} findings`,
);
const failed = run.findings.length > 0 ? 1 : 0;
console.log(`${run.kills - failed} passed, ${failed} failed`);
Deno.exit(failed);
