/**
 * One IMAP session that changes what is no message: subscriptions, annotations of a mailbox and of the account, rights,
 * quotas, what a mailbox is used for. One command after the other, so that after a kill everything is as before the one that had no answer, or as after it.
 */
import { type ImapClient, literalText, quote } from "../lib/imap_client.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./tally.ts";

const NAMES = 6;
/** Without a message, so that nothing else changes it. */
const MAILBOX = "settings";
const QUOTA_UNITS = 1_000_000_000;
const ENTRIES = Array.from(
  { length: NAMES },
  (_, at) => `/${at % 2 === 0 ? "private" : "shared"}/vendor/veredus/e${at}`,
);
/** At most one mailbox has this use. */
const ARCHIVE = "\\Archive";

interface Change {
  readonly text: string;
  /** What it sets; null takes it away. */
  readonly set: readonly (readonly [key: string, value: string | null])[];
}

/** What is set, by what it is. */
type Settings = ReadonlyMap<string, string>;

export class SettingsWorker {
  operations = 0;
  readonly #random: Random;
  /** Whom rights are given to. */
  readonly #reader: string;
  #settings: Settings = new Map();
  /** As it would be when the command without an answer was carried out. */
  #pending: Settings | null = null;
  #pendingText = "";
  #serial = 0;

  readonly #tally: Tally;

  constructor({ reader, random, tally }: { reader: string; random: Random; tally: Tally }) {
    this.#reader = reader;
    this.#random = random;
    this.#tally = tally;
  }

  /** Once, before the first load. */
  async prepare(client: ImapClient): Promise<void> {
    await client.ok(`CREATE ${MAILBOX}`);
    await client.ok("DELETE Archive"); // its use is given to others
  }

  /** Until the connection dies. */
  async run(client: ImapClient): Promise<never> {
    for (;;) {
      const { text, set } = this.#any();
      const next = new Map(this.#settings);
      for (const [key, value] of set) {
        if (value === null) next.delete(key);
        else next.set(key, value);
      }
      this.#pending = next;
      this.#pendingText = text;
      await client.ok(text);
      this.#tally.count(text.split(" ")[0]!);
      if (text.includes(" (USE ")) this.#tally.count("CREATE (USE");
      this.#settings = next;
      this.#pending = null;
      this.operations++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #any(): Change {
    const random = this.#random;
    const at = random.between(1, NAMES);
    const removes = random.chance(0.4);
    switch (random.between(0, 5)) {
      case 0: {
        const name = quote(`${MAILBOX}/s${at}`); // of a mailbox that is not there
        return {
          text: `${removes ? "UN" : ""}SUBSCRIBE ${name}`,
          set: [[`subscribed ${name}`, removes ? null : ""]],
        };
      }
      case 1: {
        const text = `${removes ? "DELETEACL" : "SETACL"} ${MAILBOX} ${quote(this.#reader)}`;
        const rights = random.pick(["lr", "lrs", "lrw", "lri"]);
        return { text: removes ? text : `${text} ${rights}`, set: [["rights", removes ? null : rights]] };
      }
      case 2: {
        // Larger than anything the run brings.
        const value = `STORAGE ${QUOTA_UNITS + ++this.#serial} MESSAGE ${QUOTA_UNITS + this.#serial}`;
        return { text: `SETQUOTA "" (${removes ? "" : value})`, set: [["quota", removes ? null : value]] };
      }
      case 3: {
        const holder = this.#settings.get(ARCHIVE);
        const name = `archive${++this.#serial}`;
        if (holder === undefined) {
          return { text: `CREATE ${name} (USE (${ARCHIVE}))`, set: [[ARCHIVE, name]] };
        }
        const gone = random.chance(0.5);
        const text = gone ? `DELETE ${holder}` : `RENAME ${holder} ${name}`;
        return { text, set: [[ARCHIVE, gone ? null : name]] };
      }
      default: {
        const mailbox = random.chance(0.5) ? MAILBOX : "";
        // Several at once: all of them or none.
        const entries = new Set(Array.from({ length: random.between(1, 3) }, () => random.pick(ENTRIES)));
        const set = [...entries].map((entry): [string, string | null] => [
          `${quote(mailbox)} ${entry}`,
          random.chance(0.4) ? null : `value ${++this.#serial}`,
        ]);
        const values = [...entries].map((entry, at) => {
          const value = set[at]![1];
          return `${entry} ${value === null ? "NIL" : quote(value)}`;
        });
        return { text: `SETMETADATA ${quote(mailbox)} (${values.join(" ")})`, set };
      }
    }
  }

  /** Reads everything back and takes it as the new state; returns what is wrong. */
  async check(client: ImapClient): Promise<string[]> {
    const seen = await this.#read(client);
    const is = shown(seen);
    const before = shown(this.#settings);
    const after = this.#pending === null ? before : shown(this.#pending);
    this.#settings = seen;
    this.#pending = null;
    if (is === before || is === after) return [];
    return [
      `settings: neither as before nor as after "${this.#pendingText}": ${is}; before: ${before}; after: ${after}`,
    ];
  }

  async #read(client: ImapClient): Promise<Settings> {
    const settings = new Map<string, string>();
    const list = await client.ok(`LIST (SUBSCRIBED) "" ${quote(`${MAILBOX}/*`)}`);
    for (const { line } of list.untagged) {
      const name = /^\* LIST \([^)]*\) "\/" "?([^"]+)"?$/.exec(line)?.[1];
      if (name !== undefined) settings.set(`subscribed ${quote(name)}`, "");
    }
    const uses = await client.ok('LIST (SPECIAL-USE) "" "*"');
    const used = uses.untagged.find(({ line }) => line.includes(ARCHIVE));
    if (used !== undefined) settings.set(ARCHIVE, /"?([^" ]+)"?$/.exec(used.line)![1]!);
    const acl = await client.ok(`GETACL ${MAILBOX}`);
    const rights = new RegExp(`"${this.#reader}" "([a-z]*)"`).exec(acl.untagged[0]!.line)?.[1];
    if (rights !== undefined) settings.set("rights", rights);
    const quota = (await client.ok('GETQUOTA ""')).untagged[0]!.line;
    const limits = [...quota.matchAll(/(STORAGE|MESSAGE) \d+ (\d+)/g)].map(([, name, limit]) =>
      `${name} ${limit}`
    );
    if (limits.length > 0) settings.set("quota", limits.join(" "));
    for (const mailbox of [MAILBOX, ""]) {
      for (const entry of ENTRIES) {
        const { untagged } = await client.ok(`GETMETADATA ${quote(mailbox)} ${entry}`);
        for (const response of untagged) {
          const text = /"(value \d+)"/.exec(response.line)?.[1] ?? literalText(response);
          if (text !== "") settings.set(`${quote(mailbox)} ${entry}`, text);
        }
      }
    }
    return settings;
  }
}

function shown(settings: Settings): string {
  return JSON.stringify([...settings].toSorted(([a], [b]) => a < b ? -1 : 1));
}
