/**
 * One IMAP session that teaches the spam filter, and knows what must have been learnt after a kill.
 *
 * What a client says by moving, saving and marking commits with the change; the lesson itself is made later, by whatever process
 * lives then. So after a kill everything that was acknowledged is learnt in the end, as the last word said, each message counts
 * once, and of the one unanswered command all messages are learnt or none. What is learnt is read from the database itself.
 */
import { keyOf } from "../../filter/spam/assessor.ts";
import { Knowledge } from "../../filter/spam/learner/knowledge.ts";
import { Mail } from "../../filter/spam/mail.ts";
import { encode } from "../../bytes/decode.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openReaderConnection } from "../../storage/database.ts";
import { SqlSpamLessons } from "../../storage/spam_lessons.ts";
import type { LessonKind } from "../../storage/ops.ts";
import { Statements } from "../../storage/statements.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import type { ServerProcess } from "../lib/server_process.ts";
import { PASSWORD } from "./addresses.ts";
import { messageOf } from "./messages.ts";
import type { Random } from "./random.ts";

/** There before the first kill; from so many on no new ones come. */
const FIRST_MESSAGES = 30, MESSAGES = 60;
const LEARNT_WITHIN_MS = 60_000;

type Place = "INBOX" | "Junk";

export class Pupil {
  readonly login: string;
  lessons = 0;
  /** That were answered. */
  commands = 0;
  readonly #random: Random;
  readonly #dataDir: string;
  #serial = 0;
  /** What each message must count as; null nothing. */
  readonly #taught = new Map<string, LessonKind | null>();
  /** What the unanswered command says. */
  #pending = new Map<string, LessonKind>();
  #where: Record<Place, Map<string, number>> = { INBOX: new Map(), Junk: new Map() };

  constructor({ login, dataDir, random }: { login: string; dataDir: string; random: Random }) {
    this.login = login;
    this.#dataDir = dataDir;
    this.#random = random;
  }

  /** Before the first load. */
  async begin(server: ServerProcess): Promise<void> {
    const client = await ImapClient.connect(server.port(143), { login: this.login, password: PASSWORD });
    for (let i = 0; i < FIRST_MESSAGES; i++) await this.#append(client, "INBOX");
    await client.logout();
  }

  /** Teaches until the connection dies. */
  async run(server: ServerProcess): Promise<never> {
    const client = await ImapClient.connect(server.port(143), { login: this.login, password: PASSWORD });
    await this.#look(client);
    for (;;) await this.#step(client);
  }

  async #step(client: ImapClient): Promise<void> {
    const random = this.#random;
    const kind = random.between(0, 9);
    const place = random.pick<Place>(["INBOX", "Junk"]);
    const here = [...this.#where[place]];
    if (here.length === 0 || (kind < 1 && this.#taught.size < MESSAGES)) {
      return await this.#append(client, place);
    }
    const share = random.pick([0.1, 0.5, 0.9]);
    const chosen = here.filter(() => random.chance(share));
    if (chosen.length === 0) chosen.push(random.pick(here));
    const markers = chosen.map(([marker]) => marker);
    const set = chosen.map(([, uid]) => uid).join(",");
    await client.ok(`SELECT ${place}`);
    if (kind < 4) {
      await this.#say(client, `UID MOVE ${set} ${place === "INBOX" ? "Junk" : "INBOX"}`, {
        ...{ markers, as: place === "INBOX" ? "spam" : "ham" },
      });
      return await this.#look(client);
    }
    // Flags that are there already say nothing new.
    await client.ok(`UID STORE ${set} FLAGS.SILENT ()`);
    if (kind === 7 && place === "INBOX") {
      return await this.#say(client, `UID STORE ${set} +FLAGS.SILENT (\\Answered)`, {
        ...{ markers, as: "weak-ham" },
      });
    }
    const spam = random.chance(0.5);
    await this.#say(client, `UID STORE ${set} +FLAGS.SILENT (${spam ? "$Junk" : "$NotJunk"})`, {
      ...{ markers, as: spam ? "spam" : "ham" },
    });
  }

  /** Saved into INBOX a message teaches nothing. */
  async #append(client: ImapClient, place: Place): Promise<void> {
    const marker = `p-${++this.#serial}`;
    this.#taught.set(marker, null);
    if (place === "INBOX") await client.ok("APPEND INBOX", messageOf(marker));
    else await this.#say(client, "APPEND Junk", { markers: [marker], as: "spam" }, messageOf(marker));
    await this.#look(client);
  }

  async #say(
    client: ImapClient,
    command: string,
    { markers, as }: { readonly markers: readonly string[]; readonly as: LessonKind },
    literal?: string,
  ): Promise<void> {
    // That mail was answered says less than what was said before.
    const said = markers.filter((marker) => as !== "weak-ham" || this.#taught.get(marker) === null);
    this.#pending = new Map(said.map((marker) => [marker, as]));
    await client.ok(command, literal);
    for (const [marker, kind] of this.#pending) this.#taught.set(marker, kind);
    this.lessons += this.#pending.size;
    this.commands++;
    this.#pending = new Map();
  }

  /** Waits until nothing is left to learn, and compares. */
  async check(findings: string[]): Promise<void> {
    const connection = openReaderConnection(new DataFolder(this.#dataDir).database);
    try {
      const account = connection.prepare("SELECT id FROM accounts WHERE address = ?").raw().get(this.login);
      const id = Number(account?.[0]);
      const lessons = new SqlSpamLessons(new Statements(connection));
      if (!await learnt(lessons, id)) {
        findings.push(`lessons of ${this.login} wait for ${LEARNT_WITHIN_MS / 1_000} s`);
        return;
      }
      // One snapshot: the server folds its journal right behind the last lesson.
      connection.exec("BEGIN");
      this.#compare(lessons, id, findings);
      findings.push(...miscounted(lessons, id));
      connection.exec("COMMIT");
    } finally {
      connection.close();
    }
  }

  #compare(lessons: SqlSpamLessons, id: number, findings: string[]): void {
    const now = (marker: string) => lessons.lesson(id, keyOf(new Mail(encode(messageOf(marker)))));
    const pending = [...this.#pending];
    const done = pending.filter(([marker, kind]) =>
      now(marker) === kind && this.#taught.get(marker) !== kind
    );
    const undone = pending.filter(([marker, kind]) => now(marker) !== kind);
    if (done.length > 0 && undone.length > 0) {
      findings.push(
        `of a command that was cut off ${done.length} messages are learnt and ${undone.length} not`,
      );
    }
    if (undone.length === 0) { for (const [marker, kind] of pending) this.#taught.set(marker, kind); }
    this.#pending = new Map();
    for (const [marker, kind] of this.#taught) {
      const found = now(marker);
      if (found !== kind) findings.push(`${marker} was taught as ${kind}, and counts as ${found}`);
    }
  }

  /** Where each message is now. */
  async #look(client: ImapClient): Promise<void> {
    for (const place of ["INBOX", "Junk"] as const) {
      await client.ok(`SELECT ${place}`);
      const { untagged } = await client.ok("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-CRASH)])");
      this.#where[place] = new Map(
        untagged.filter(({ literals }) => literals.length > 0).map((response) => [
          /^X-Crash: (\S+)/m.exec(literalText(response))?.[1] ?? "?",
          Number(/UID (\d+)/.exec(response.line)?.[1]),
        ]),
      );
    }
  }
}

/** False where something waits for too long. */
async function learnt(lessons: SqlSpamLessons, id: number): Promise<boolean> {
  const until = performance.now() + LEARNT_WITHIN_MS;
  for (;;) {
    if (lessons.counts(id).waiting === 0) return true;
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Knowledge and journal together count each lesson once. */
function miscounted(lessons: SqlSpamLessons, id: number): string[] {
  const counts = lessons.counts(id);
  const folded = lessons.knowledge(id);
  const known = folded === null ? { spam: 0, ham: 0 } : Knowledge.decode(folded.octets);
  let { spam, ham } = known;
  let after = folded?.upTo ?? 0;
  for (;;) {
    const rows = lessons.journal(id, { after, limit: 500 });
    if (rows.length === 0) break;
    for (const row of rows) {
      spam += row.spam;
      ham += row.ham;
      after = row.id;
    }
  }
  return spam === counts.spam && ham === counts.ham
    ? []
    : [`${counts.spam} spam and ${counts.ham} ham were taught, the learner knows of ${spam} and ${ham}`];
}
