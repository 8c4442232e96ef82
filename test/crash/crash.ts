/**
 * Crash proof: loads the real server, kills it with SIGKILL at random moments, starts it again and checks that
 * everything it acknowledged is there, whole and once, and that nothing went back.
 *
 *   deno task crash [--kills 20] [--minutes N] [--seed N] [--threads N] [--keep]
 *
 * Load: deliveries by SMTP to one and to two recipients, to an alias of two mailboxes, to one of a mailbox and the outside, to
 * a group, to a filter script, from where mail is set aside and let go later, and by LMTP; IMAP changes in folders of their own
 * and in one that another account shares (imap_worker.ts); what is no message (settings_worker.ts); a drop that POP3 empties
 * (drop_worker.ts); scripts by ManageSieve (script_worker.ts); lessons of the spam filter (pupil.ts); submissions. What leaves goes
 * by the queue to a counting sink. The shapes of threads take turns, and some kills come while it starts. After every kill
 * `verify` reads the dead server's data. How often each command that changes something was acknowledged is told at the end
 * (tally.ts); of a long run one that never was is a finding.
 *
 * The script sends a copy on, answers each sender once, and knows a message that comes again: at once, and after a kill from
 * its sender who has no 250, or did not get it. Copy, answer and memory are there with the message, or nothing is.
 *
 * What the sink took twice is counted: a message whose answer it had not given, or was on its way, when the server died has to
 * be sent again (RFC 5321 6.1 leaves no choice). In half of the lives the sink is far away, so that several messages are under
 * way on each connection.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FactsBuilder } from "../../message/facts.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { verify } from "../../storage/verify.ts";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { type ServerOptions, ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import {
  ALICE,
  BOB,
  CAROL,
  DAVE,
  ERIN,
  EVERYONE,
  FRANK,
  HELD_DOMAIN,
  LMTP_PORT,
  MIXED,
  PASSWORD,
  TEAM,
} from "./addresses.ts";
import { GrowingCounters } from "./counters.ts";
import { DropWorker } from "./drop_worker.ts";
import { ImapWorker } from "./imap_worker.ts";
import { SettingsWorker } from "./settings_worker.ts";
import { GROUP_MARK, HELD_MARK, Inbox } from "./inbox.ts";
import { messageOf } from "./messages.ts";
import { Pupil } from "./pupil.ts";
import { Random } from "./random.ts";
import { ScriptWorker } from "./script_worker.ts";
import { answerTo, Sink } from "./sink.ts";
import { Tally } from "./tally.ts";

const SERVER = fileURLToPath(import.meta.resolve("./server.ts"));
/** Of the server's log, shown with a finding. */
const MAX_OUTPUT = 5_000;
/** Kills until a run begins with an empty folder again: every kill is followed by a look at all the data there is. */
const FRESH_AFTER = 100;
/** With so many every command is acknowledged now and then. */
const ENOUGH_KILLS = 100;
/** Until a kill, however little was answered by then. */
const MOST_LOAD_MS = 10_000;
/** A message the sink accepted this long before a kill is off the queue for good. */
const SETTLED_MS = 3_000;
/** How far away the next hop is, milliseconds, one process of the server after the other. */
const DISTANCES_MS = [0, 0, 200, 200];

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    /** No kill begins later than that. */
    minutes: { type: "string", default: "Infinity" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    threads: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

/** One kind of delivery. */
interface Delivery {
  /** How its markers begin. */
  readonly mark: string;
  readonly to: string[];
  readonly from?: string;
  readonly times?: number;
  /** What is promised when it was acknowledged. */
  readonly acknowledge: (marker: string) => void;
}

/** A mailbox of alice in which bob may do everything. */
const SHARED = "w4";

/** So many messages come from the same sender, who is answered once. */
const SAME_SENDER = 200;
/** Messages to the script that come again after a kill. */
const MOST_AGAIN = 5;

class CrashRun {
  readonly random: Random;
  readonly findings: string[] = [];
  readonly sink = new Sink();
  readonly dataDir = Deno.makeTempDirSync({ prefix: "veredus-crash-" });
  readonly imapWorkers: ImapWorker[];
  readonly settings: SettingsWorker;
  readonly drop: DropWorker;
  readonly scripts: ScriptWorker;
  readonly tally = new Tally();
  readonly pupil: Pupil;
  readonly submitted = new Set<string>();
  /** By marker, whom mail to the script was from; what comes again after the next kill. */
  readonly #scripted = new Map<string, string>();
  resent = 0;
  kills = 0;
  /** Of each message that the sink took again: how long before the kill it had answered, milliseconds; below 0: it had not. */
  readonly twice: number[] = [];
  /** When each process was killed, by its number. */
  #deaths = new Map<number, number>();
  delivered = 0;
  readonly #alice = new Inbox(ALICE);
  readonly #bob = new Inbox(BOB);
  readonly #carol = new Inbox(CAROL);
  #counters = new GrowingCounters(this.dataDir);
  #offset = freeOffset();
  #serial = 0;
  #mails = 0;
  #starts = 0;
  #server: ServerProcess | null = null;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.pupil = new Pupil({ login: DAVE, dataDir: this.dataDir, random: this.random });
    const { random, tally } = this;
    this.settings = new SettingsWorker({ reader: BOB, random, tally });
    this.drop = new DropWorker({ login: ERIN, random, tally });
    this.scripts = new ScriptWorker({ login: FRANK, random, tally });
    this.imapWorkers = ["w1", "w2", "w3", `Other Users/${ALICE}/${SHARED}`].map((root) =>
      new ImapWorker(root, { random, tally })
    );
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
    this.sink.delayMs = DISTANCES_MS[this.#starts % DISTANCES_MS.length]!;
    const threads = values.threads ?? ["0", "2"][this.#starts++ % 2]!;
    this.sink.life = this.#starts;
    return {
      dataDir: this.dataDir,
      offset: this.#offset,
      password: PASSWORD,
      command: [Deno.execPath(), "run", "-A", SERVER],
      args: ["--relay", `127.0.0.1:${this.sink.port}`, "--threads", threads],
    };
  }

  /** Before the first load. */
  async share(server: ServerProcess): Promise<void> {
    const client = await this.#alicesClient(server);
    await client.ok(`CREATE ${SHARED}`);
    await client.ok(`SETACL ${SHARED} ${BOB} lrswipkxtea`);
    await this.settings.prepare(client);
    await client.logout();
  }

  async end(): Promise<void> {
    await this.#server?.kill();
    await this.sink.close();
    if (!values.keep) await Deno.remove(this.dataDir, { recursive: true });
  }

  /** What clients had an answer to, of all sorts. */
  get #answered(): number {
    return this.imapWorkers.reduce(
      (sum, { operations }) => sum + operations,
      this.#mails + this.pupil.commands + this.settings.operations + this.drop.operations +
        this.scripts.operations,
    );
  }

  /** Load until `server` is killed, when so many more operations were answered, or after a while. */
  async loadAndKill(server: ServerProcess, operations: number): Promise<void> {
    let dead = false;
    const work = [
      ...Array.from({ length: 4 }, () => this.#deliver(server)),
      this.#deliverByLmtp(server),
      ...Array.from({ length: 2 }, () => this.#submit(server)),
      ...this.imapWorkers.map(async (worker) =>
        worker.run(await ImapClient.connect(server.port(143), { login: BOB, password: PASSWORD }))
      ),
      this.pupil.run(server),
      this.#set(server),
      this.drop.run(server),
      this.scripts.run(server),
    ].map((task) =>
      task.catch((error: Error) => {
        if (!dead && error.name !== "WireClosed") this.findings.push(`before the kill: ${error.message}`);
        else if (!dead) this.findings.push(`the server closed a connection by itself: ${error.message}`);
      })
    );
    const enough = this.#answered + operations, until = performance.now() + MOST_LOAD_MS;
    while (this.#answered < enough && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, this.random.between(1, 15)));
    }
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

  async #set(server: ServerProcess): Promise<never> {
    return await this.settings.run(await this.#alicesClient(server));
  }

  #alicesClient(server: ServerProcess): Promise<ImapClient> {
    return ImapClient.connect(server.port(143), { login: ALICE, password: PASSWORD });
  }

  async #deliver(server: ServerProcess): Promise<never> {
    const client = await SmtpClient.connect(server.port(25));
    for (;;) {
      const { mark, to, acknowledge, from = "sender@other.test", times = 1 } = this.#anyDelivery();
      const marker = `${mark}${++this.#serial}`;
      if (to[0] === CAROL) this.#scripted.set(marker, from);
      for (let time = 0; time < times; time++) {
        const reply = await client.send(from, to, messageOf(marker));
        if (reply.code !== 250) throw new Error(`delivery: ${reply.code} ${reply.lines.join(" ")}`);
        this.#mails++;
        acknowledge(marker);
      }
    }
  }

  /** To whom, how its markers begin, and what an acknowledged one promises. */
  #anyDelivery(): Delivery {
    const [alice, bob] = [this.#alice, this.#bob];
    const toBoth = (marker: string) => [alice, bob].forEach(({ acknowledged }) => acknowledged.add(marker));
    const kind = this.random.between(0, 99);
    if (kind < 15) return { mark: "both-", to: [ALICE, BOB], acknowledge: toBoth };
    if (kind < 30) return { mark: "both-", to: [EVERYONE], acknowledge: toBoth };
    if (kind < 40) {
      const acknowledge = (marker: string) => {
        bob.acknowledged.add(marker);
        this.submitted.add(marker);
      };
      return { mark: "mixed-", to: [MIXED], acknowledge };
    }
    if (kind < 50) {
      const acknowledge = (marker: string) => {
        for (const { awaited } of [alice, bob]) awaited.add(marker);
        this.submitted.add(marker);
      };
      return { mark: GROUP_MARK, to: [TEAM], acknowledge };
    }
    if (kind < 57) {
      const from = `held@${HELD_DOMAIN}`;
      return { mark: HELD_MARK, to: [ALICE], from, acknowledge: (marker) => alice.awaited.add(marker) };
    }
    if (kind < 64) {
      const from = `v${Math.floor(this.#serial / SAME_SENDER)}@other.test`;
      const acknowledge = (marker: string) => {
        this.#carol.acknowledged.add(marker);
        this.submitted.add(marker);
        this.submitted.add(answerTo(from));
      };
      // The same once more: the script knows it.
      return { mark: "sieve-", to: [CAROL], from, times: 2, acknowledge };
    }
    return { mark: "d-", to: [ALICE], acknowledge: (marker) => alice.acknowledged.add(marker) };
  }

  /**
   * What the script had before the kill, acknowledged or not, once more: the message is there once, its copy left once, its
   * sender has one answer. Behind {@linkcode checkDeliveries}, so that what is filed again shows itself there.
   */
  async sendAgain(server: ServerProcess): Promise<void> {
    const client = await SmtpClient.connect(server.port(25));
    for (const [marker, from] of [...this.#scripted].slice(-MOST_AGAIN)) {
      const { code, lines } = await client.send(from, [CAROL], messageOf(marker));
      if (code !== 250) this.findings.push(`${marker} again: ${code} ${lines.join(" ")}`);
      this.submitted.add(marker).add(answerTo(from));
      if (!this.#carol.removed.has(marker)) this.#carol.acknowledged.add(marker);
      this.resent++;
    }
    this.#scripted.clear();
    await client.quit();
  }

  /** A reply for each recipient; all of them or none are filed. */
  async #deliverByLmtp(server: ServerProcess): Promise<never> {
    const client = await SmtpClient.connect(server.port(LMTP_PORT), { greeting: "LHLO" });
    for (;;) {
      const marker = `both-lmtp-${++this.#serial}`;
      const first = await client.send("sender@other.test", [ALICE, BOB], messageOf(marker));
      for (const { code, lines } of [first, await client.reply()]) {
        if (code !== 250) throw new Error(`LMTP: ${code} ${lines.join(" ")}`);
      }
      for (const { acknowledged } of [this.#alice, this.#bob]) acknowledged.add(marker);
      this.#mails++;
      await new Promise((resolve) => setTimeout(resolve, 5));
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
      this.#mails++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Both INBOXes against what was acknowledged; a message to both is in both or in none. */
  async checkDeliveries(server: ServerProcess): Promise<void> {
    const alice = await this.#alice.check(server, this.findings);
    const bob = await this.#bob.check(server, this.findings);
    const carol = await this.#carol.check(server, this.findings);
    this.delivered += alice.size + bob.size + carol.size;
    const half = alice.symmetricDifference(bob);
    for (const marker of half) {
      if (marker.startsWith("both-")) this.findings.push(`${marker} reached one of its two recipients`);
    }
  }

  async checkFolders(server: ServerProcess): Promise<void> {
    const client = await ImapClient.connect(server.port(143), { login: BOB, password: PASSWORD });
    for (const worker of this.imapWorkers) this.findings.push(...await worker.check(client));
    await client.logout();
    const alice = await this.#alicesClient(server);
    this.findings.push(...await this.settings.check(alice));
    await alice.logout();
    this.findings.push(...await this.drop.check(server), ...await this.scripts.check(server));
  }

  /** Waits until sink and INBOXes have all that goes by the queue; what stays away is a finding. */
  async checkQueue(server: ServerProcess): Promise<void> {
    const deadline = Date.now() + 60_000;
    const missing = () => [...this.submitted].filter((marker) => !this.sink.received.has(marker));
    const awaited = () =>
      [this.#alice, this.#bob].flatMap(({ login, awaited }) =>
        [...awaited].map((marker) => `${marker} of ${login}`)
      );
    while (missing().length + awaited().length + this.#halves().length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await this.checkDeliveries(server);
    }
    for (const marker of missing()) this.findings.push(`queue: ${marker} was acknowledged and never sent on`);
    for (const copy of awaited()) this.findings.push(`queue: ${copy} was acknowledged and never filed`);
    this.findings.push(...this.#halves());
    this.checkDuplicates();
  }

  /** Both legs of an alias are one transaction, acknowledged or not; so are a script's message and the copy it sends on. */
  #halves(): string[] {
    const half = (mark: string, { removed }: Inbox) => {
      const here = new Set([...removed].filter((marker) => marker.startsWith(mark)));
      const gone = new Set([...this.sink.received.keys()].filter((marker) => marker.startsWith(mark)));
      return [...here.symmetricDifference(gone)];
    };
    return [
      ...half("mixed-", this.#bob).map((marker) => `alias: ${marker} reached one of its two targets`),
      ...half("sieve-", this.#carol).map((marker) => `script: of ${marker} only copy or message is there`),
    ];
  }

  /** A message may go out twice only when a kill came between its end and the commit of the outcome. */
  checkDuplicates(): void {
    for (const [marker, acceptances] of this.sink.received) {
      const different = new Set(acceptances.map(({ digest }) => digest)).size;
      if (different > 1) this.findings.push(`queue: ${marker} left as ${different} messages`);
      for (const [i, again] of acceptances.slice(1).entries()) {
        const before = acceptances[i]!;
        const death = this.#deaths.get(before.life) ?? Infinity;
        this.twice.push(death - before.answeredAt);
        const left = death - before.at;
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

/** What several runs add up to. */
interface Totals {
  kills: number;
  delivered: number;
  operations: number;
  lessons: number;
  resent: number;
  submissions: number;
  behind: number;
  twice: number[];
  findings: number;
  readonly tally: Tally;
}

/** One server from its empty folder on, killed so many times, or until something is found. */
async function runKills(kills: number, seed: number, totals: Totals): Promise<void> {
  const run = new CrashRun(seed);
  try {
    let server = await run.start();
    await run.share(server);
    await run.pupil.begin(server);
    while (run.kills < kills && run.findings.length === 0 && Date.now() < end) {
      const { random } = run;
      await run.loadAndKill(
        server,
        random.chance(0.1) ? random.between(400, 1_200) : random.between(1, 300),
      );
      server = await run.start();
      try {
        await run.checkDeliveries(server);
        await run.checkFolders(server);
        await run.pupil.check(run.findings);
        await run.sendAgain(server);
      } catch (error) {
        run.findings.push(`while it was checked: ${error}`, server.output.slice(-MAX_OUTPUT));
      }
      if (run.kills % 10 === 0) {
        console.log(
          `${totals.kills + run.kills} kills, ${totals.delivered + run.delivered} deliveries and ` +
            `${totals.submissions + run.submitted.size} submissions checked`,
        );
      }
    }
    await run.checkQueue(server);
  } finally {
    await run.end();
  }
  for (const finding of run.findings) console.error(finding);
  totals.kills += run.kills;
  totals.delivered += run.delivered;
  totals.operations += run.imapWorkers.reduce((sum, worker) => sum + worker.operations, 0) +
    run.settings.operations + run.drop.operations;
  totals.lessons += run.pupil.lessons;
  totals.resent += run.resent;
  totals.submissions += run.submitted.size;
  totals.behind += run.sink.behind;
  totals.twice.push(...run.twice);
  totals.findings += run.findings.length;
  totals.tally.add(run.tally);
}

const kills = Number(values.kills);
const seed = Number(values.seed);
console.log(`crash run: ${kills} kills, seed ${seed}`);
const begin = Date.now(), end = begin + Number(values.minutes) * 60_000;
const totals: Totals = {
  kills: 0,
  delivered: 0,
  operations: 0,
  lessons: 0,
  resent: 0,
  submissions: 0,
  behind: 0,
  twice: [],
  findings: 0,
  tally: new Tally(),
};
while (totals.kills < kills && totals.findings === 0 && Date.now() < end) {
  await runKills(Math.min(FRESH_AFTER, kills - totals.kills), seed + totals.kills, totals);
}
const perThousand = (count: number) => Math.round(count * 1_000 / totals.kills);
const unanswered = totals.twice.filter((ms) => ms < 0).length;
const answered = totals.twice.filter((ms) => ms >= 0).sort((a, b) => a - b);
console.log(
  `${totals.kills} kills in ${Math.round((Date.now() - begin) / 1000)} s: ${totals.delivered} deliveries, ` +
    `${totals.operations} IMAP changes, ${totals.lessons} lessons, ${totals.submissions} submissions acknowledged, ` +
    `${totals.resent} messages to a script again; ${totals.findings} findings`,
);
console.log(
  `sent on twice, per 1,000 kills: ${perThousand(totals.twice.length)}, of which ${
    perThousand(unanswered)
  } were ` +
    `not answered yet and ${perThousand(answered.length)} were` +
    (answered.length === 0
      ? ""
      : `, the middle one ${answered[answered.length >> 1]!.toFixed(1)} ms before the kill, ` +
        `the first ${answered.at(-1)!.toFixed(1)} ms`) +
    `; ${totals.behind} messages were sent behind others`,
);
console.log(`acknowledged: ${totals.tally}`);
const { missing } = totals.tally;
if (totals.kills >= ENOUGH_KILLS && missing.length > 0) {
  console.error(`never acknowledged: ${missing.join(", ")}`);
  totals.findings++;
}
const failed = totals.findings > 0 ? 1 : 0;
console.log(`${totals.kills - failed} passed, ${failed} failed`);
Deno.exit(failed);
