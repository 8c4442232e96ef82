/**
 * Crash proof: loads the real server, kills it with SIGKILL at random moments, starts it again and checks that
 * everything it acknowledged is there, whole and once, and that nothing went back.
 *
 *   deno task crash [--kills 20] [--seed N] [--threads N] [--keep]
 *
 * Load: SMTP deliveries, IMAP changes in folders of their own (test/crash/imap_worker.ts), submissions that the
 * queue sends on to a counting sink. After every tenth kill `veredus verify` reads the dead server's data.
 */
import { parseArgs } from "node:util";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { freeOffset, MAIN, ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { ImapWorker } from "./imap_worker.ts";
import { markerOf, messageOf } from "./messages.ts";
import { Random } from "./random.ts";
import { Sink } from "./sink.ts";

const ALICE = "alice@example.test";
const BOB = "bob@example.test";
const PASSWORD = "secret";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    threads: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

class CrashRun {
  readonly random: Random;
  readonly findings: string[] = [];
  readonly sink = new Sink();
  readonly dataDir = Deno.makeTempDirSync({ prefix: "veredus-crash-" });
  readonly offset = freeOffset();
  readonly imapWorkers: ImapWorker[];
  /** Deliveries answered 250 that the checker has not seen yet. */
  readonly acknowledged = new Set<string>();
  /** All checked and expunged: must never come back. */
  readonly removed = new Set<string>();
  readonly submitted = new Set<string>();
  delivered = 0;
  #serial = 0;
  #server: ServerProcess | null = null;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.imapWorkers = ["w1", "w2", "w3"].map((root) => new ImapWorker(root, this.random));
  }

  async start(): Promise<ServerProcess> {
    const threads = values.threads === undefined ? [] : ["--threads", values.threads];
    this.#server = await ServerProcess.start({
      dataDir: this.dataDir,
      offset: this.offset,
      password: PASSWORD,
      args: ["--relay", `127.0.0.1:${this.sink.port}`, ...threads],
    });
    return this.#server;
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
    dead = true;
    await server.kill();
    await Promise.all(work);
  }

  async #deliver(server: ServerProcess): Promise<never> {
    const client = await SmtpClient.connect(server.port(25));
    for (;;) {
      const marker = `d-${++this.#serial}`;
      const reply = await client.send("sender@other.test", [ALICE], messageOf(marker));
      if (reply.code !== 250) throw new Error(`delivery: ${reply.code} ${reply.lines.join(" ")}`);
      this.acknowledged.add(marker);
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

  /** Reads alice's INBOX, checks it against what was acknowledged, and expunges what was checked. */
  async checkDeliveries(server: ServerProcess): Promise<void> {
    const client = await ImapClient.connect(server.port(143), { login: ALICE, password: PASSWORD });
    await client.ok("SELECT INBOX");
    const seen = new Set<string>();
    for (const response of (await client.ok("UID FETCH 1:* (UID BODY.PEEK[])")).untagged) {
      if (response.literals.length === 0) continue;
      const marker = markerOf(literalText(response));
      if (marker === null) this.findings.push(`INBOX: octets differ in ${response.line.slice(0, 60)}`);
      else if (this.removed.has(marker)) this.findings.push(`INBOX: ${marker} was expunged and is back`);
      else if (seen.has(marker)) this.findings.push(`INBOX: ${marker} is there twice`);
      else seen.add(marker);
    }
    for (const marker of this.acknowledged) {
      if (!seen.has(marker)) this.findings.push(`INBOX: ${marker} was acknowledged and is missing`);
    }
    this.delivered += seen.size;
    this.acknowledged.clear();
    if (seen.size > 0) {
      await client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
      await client.ok("EXPUNGE");
      for (const marker of seen) this.removed.add(marker);
    }
    await client.logout();
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
  }

  /** `veredus verify` over the data of the dead server. */
  async verify(): Promise<void> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "verify", "--data", this.dataDir],
      env: { NO_COLOR: "1" },
    }).output();
    if (code !== 0) {
      this.findings.push(`verify: ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
    }
  }
}

const kills = Number(values.kills);
const run = new CrashRun(Number(values.seed));
console.log(`crash run: ${kills} kills, seed ${values.seed}`);
const begin = Date.now();
let killed = 0;
try {
  let server = await run.start();
  while (killed < kills && run.findings.length === 0) {
    await run.loadAndKill(server, run.random.between(30, 700));
    killed++;
    if (killed % 10 === 0) await run.verify();
    server = await run.start();
    await run.checkDeliveries(server);
    await run.checkFolders(server);
    if (killed % 10 === 0) {
      console.log(
        `${killed} kills, ${run.delivered} deliveries and ${run.submitted.size} submissions checked`,
      );
    }
  }
  await run.checkQueue();
} finally {
  await run.end();
}
const operations = run.imapWorkers.reduce((sum, worker) => sum + worker.operations, 0);
const twice = [...run.sink.received.values()].reduce((sum, count) => sum + count - 1, 0);
for (const finding of run.findings) console.error(finding);
console.log(
  `${killed} kills in ${
    Math.round((Date.now() - begin) / 1000)
  } s: ${run.delivered} deliveries, ${operations} IMAP changes, ` +
    `${run.submitted.size} submissions acknowledged; ${twice} sent on twice; ${run.findings.length} findings`,
);
console.log(
  `${killed - (run.findings.length > 0 ? 1 : 0)} passed, ${run.findings.length > 0 ? 1 : 0} failed`,
);
Deno.exit(run.findings.length > 0 ? 1 : 0);
