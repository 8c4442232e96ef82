/**
 * One IMAP session that changes what is no message: subscriptions, annotations of a mailbox and of the account, rights,
 * quotas. One command after the other, so that after a kill everything is as before the one that had no answer, or as after it.
 */
import { type ImapClient, literalText, quote } from "../lib/imap_client.ts";
import type { Random } from "./random.ts";

const NAMES = 6;
/** Without a message, so that nothing else changes it. */
const MAILBOX = "settings";
const QUOTA_UNITS = 1_000_000_000;

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

  constructor(reader: string, random: Random) {
    this.#reader = reader;
    this.#random = random;
  }

  /** Once, before the first load. */
  async prepare(client: ImapClient): Promise<void> {
    await client.ok(`CREATE ${MAILBOX}`);
  }

  /** Until the connection dies. */
  async run(client: ImapClient): Promise<never> {
    for (;;) {
      const { text, key, value } = this.#any();
      const next = new Map(this.#settings);
      if (value === null) next.delete(key);
      else next.set(key, value);
      this.#pending = next;
      this.#pendingText = text;
      await client.ok(text);
      this.#settings = next;
      this.#pending = null;
      this.operations++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #any(): { readonly text: string; readonly key: string; readonly value: string | null } {
    const random = this.#random;
    const at = random.between(1, NAMES);
    const removes = random.chance(0.4);
    switch (random.between(0, 4)) {
      case 0: {
        const name = quote(`${MAILBOX}/s${at}`); // of a mailbox that is not there
        return removes
          ? { text: `UNSUBSCRIBE ${name}`, key: `subscribed ${name}`, value: null }
          : { text: `SUBSCRIBE ${name}`, key: `subscribed ${name}`, value: "" };
      }
      case 1: {
        const text = `${removes ? "DELETEACL" : "SETACL"} ${MAILBOX} ${quote(this.#reader)}`;
        const rights = random.pick(["lr", "lrs", "lrw", "lri"]);
        return removes
          ? { text, key: "rights", value: null }
          : { text: `${text} ${rights}`, key: "rights", value: rights };
      }
      case 2: {
        // Larger than anything the run brings.
        const value = `STORAGE ${QUOTA_UNITS + ++this.#serial} MESSAGE ${QUOTA_UNITS + this.#serial}`;
        return removes
          ? { text: 'SETQUOTA "" ()', key: "quota", value: null }
          : { text: `SETQUOTA "" (${value})`, key: "quota", value };
      }
      default: {
        const mailbox = random.chance(0.5) ? MAILBOX : "";
        const entry = `/private/vendor/veredus/e${at}`;
        const value = removes ? null : `value ${++this.#serial}`;
        const text = `SETMETADATA ${quote(mailbox)} (${entry} ${value === null ? "NIL" : quote(value)})`;
        return { text, key: `${quote(mailbox)} ${entry}`, value };
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
    const acl = await client.ok(`GETACL ${MAILBOX}`);
    const rights = new RegExp(`"${this.#reader}" "([a-z]*)"`).exec(acl.untagged[0]!.line)?.[1];
    if (rights !== undefined) settings.set("rights", rights);
    const quota = (await client.ok('GETQUOTA ""')).untagged[0]!.line;
    const limits = [...quota.matchAll(/(STORAGE|MESSAGE) \d+ (\d+)/g)].map(([, name, limit]) =>
      `${name} ${limit}`
    );
    if (limits.length > 0) settings.set("quota", limits.join(" "));
    for (const mailbox of [MAILBOX, ""]) {
      for (let at = 1; at <= NAMES; at++) {
        const entry = `/private/vendor/veredus/e${at}`;
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
