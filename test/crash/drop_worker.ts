/**
 * One account whose INBOX is read and emptied by POP3: what DELE marked goes at QUIT, all of it or nothing. Between two such
 * sessions messages are put there by IMAP, and INBOX is renamed, which moves all it has at once.
 */
import { ImapClient, literalText, quote } from "../lib/imap_client.ts";
import type { ServerProcess } from "../lib/server_process.ts";
import { Wire } from "../lib/wire.ts";
import { PASSWORD } from "./addresses.ts";
import { markerOf, messageOf } from "./messages.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./tally.ts";

const MOST = 12;
/** What RENAME of INBOX makes; the one before it is deleted first. */
const OLD = "old-inbox";

/** Markers in each mailbox, in their order; a mailbox that is not there is left out. */
type Drop = ReadonlyMap<string, readonly string[]>;

export class DropWorker {
  readonly login: string;
  operations = 0;
  readonly #random: Random;
  readonly #tally: Tally;
  #serial = 0;
  #drop: Drop = new Map([["INBOX", []]]);
  #pending: Drop | null = null;
  #pendingText = "";

  constructor({ login, random, tally }: { login: string; random: Random; tally: Tally }) {
    this.login = login;
    this.#random = random;
    this.#tally = tally;
  }

  /** Until the connection dies. */
  async run(server: ServerProcess): Promise<never> {
    const imap = await ImapClient.connect(server.port(143), { login: this.login, password: PASSWORD });
    for (;;) {
      const inbox = this.#drop.get("INBOX")!;
      if (inbox.length < 3 || (inbox.length < MOST && this.#random.chance(0.5))) {
        const marker = `${this.login[0]}-${++this.#serial}`;
        const next = new Map(this.#drop).set("INBOX", [...inbox, marker]);
        await this.#do("APPEND", next, () => imap.ok("APPEND INBOX", messageOf(marker)));
      } else if (this.#random.chance(0.2)) await this.#renameInbox(imap, inbox);
      else await this.#emptyByPop3(server, inbox);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #renameInbox(imap: ImapClient, inbox: readonly string[]): Promise<void> {
    if (this.#drop.has(OLD)) {
      const next = new Map(this.#drop);
      next.delete(OLD);
      await this.#do("DELETE", next, () => imap.ok(`DELETE ${OLD}`));
    }
    const next = new Map([["INBOX", []], [OLD, inbox]]);
    await this.#do("RENAME INBOX", next, () => imap.ok(`RENAME INBOX ${OLD}`));
  }

  async #emptyByPop3(server: ServerProcess, inbox: readonly string[]): Promise<void> {
    const wire = await Wire.connect(server.port(110));
    try {
      const say = async (command: string) => {
        if (command !== "") await wire.write(`${command}\r\n`);
        const answer = await wire.line();
        if (!answer.startsWith("+OK")) throw new Error(`${command}: ${answer}`);
        return answer;
      };
      await say("");
      await say(`USER ${this.login}`);
      await say(`PASS ${PASSWORD}`);
      const there = Number(/^\+OK (\d+)/.exec(await say("STAT"))![1]);
      if (there !== inbox.length) throw new Error(`POP3 has ${there} messages, IMAP ${inbox.length}`);
      const all = inbox.map((_, at) => at + 1);
      for (const number of all.filter(() => this.#random.chance(0.3))) await say(`DELE ${number}`);
      await say("RSET");
      const marked = all.filter(() => this.#random.chance(0.5));
      for (const number of marked) await say(`DELE ${number}`);
      this.#tally.count("DELE");
      const left = inbox.filter((_, at) => !marked.includes(at + 1));
      await this.#do("QUIT", new Map(this.#drop).set("INBOX", left), () => say("QUIT"));
    } finally {
      wire.close();
    }
  }

  async #do(name: string, next: Drop, command: () => Promise<unknown>): Promise<void> {
    this.#pending = next;
    this.#pendingText = name;
    await command();
    this.#tally.count(name);
    this.operations++;
    this.#drop = next;
    this.#pending = null;
  }

  /** Reads everything back and takes it as the new state; returns what is wrong. */
  async check(server: ServerProcess): Promise<string[]> {
    const client = await ImapClient.connect(server.port(143), { login: this.login, password: PASSWORD });
    const seen = new Map<string, string[]>();
    for (const name of ["INBOX", OLD]) {
      if ((await client.command(`EXAMINE ${quote(name)}`)).status !== "OK") continue;
      const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[])");
      const texts = untagged.filter(({ literals }) => literals.length > 0).map(literalText);
      seen.set(name, texts.map((text) => markerOf(text) ?? "octets that differ"));
    }
    await client.logout();
    const is = shown(seen), before = shown(this.#drop);
    const after = this.#pending === null ? before : shown(this.#pending);
    const text = this.#pendingText;
    this.#drop = seen;
    this.#pending = null;
    if (is === before || is === after) return [];
    return [
      `${this.login}: neither as before nor as after ${text}: ${is}; before: ${before}; after: ${after}`,
    ];
  }
}

function shown(drop: Drop): string {
  return JSON.stringify([...drop].toSorted(([a], [b]) => a < b ? -1 : 1));
}
