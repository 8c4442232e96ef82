/**
 * One ManageSieve session that puts, renames, activates and removes scripts: after a kill they are as before the command that
 * had no answer, or as after it.
 */
import { quote } from "../lib/imap_client.ts";
import type { ServerProcess } from "../lib/server_process.ts";
import { Wire } from "../lib/wire.ts";
import { MANAGESIEVE_PORT, PASSWORD } from "./addresses.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./tally.ts";

const NAMES = 5;

interface Scripts {
  readonly byName: ReadonlyMap<string, string>;
  readonly active: string | null;
}

export class ScriptWorker {
  readonly login: string;
  operations = 0;
  readonly #random: Random;
  readonly #tally: Tally;
  #serial = 0;
  #scripts: Scripts = { byName: new Map(), active: null };
  #pending: Scripts | null = null;
  #pendingText = "";

  constructor({ login, random, tally }: { login: string; random: Random; tally: Tally }) {
    this.login = login;
    this.#random = random;
    this.#tally = tally;
  }

  /** Until the connection dies. */
  async run(server: ServerProcess): Promise<never> {
    const client = await Client.connect(server, this.login);
    for (;;) {
      const { text, next } = this.#any();
      this.#pending = next;
      this.#pendingText = text;
      await client.ok(text);
      this.#tally.count(text.split(" ")[0]!);
      this.operations++;
      this.#scripts = next;
      this.#pending = null;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #any(): { readonly text: string; readonly next: Scripts } {
    const random = this.#random;
    const { byName, active } = this.#scripts;
    const there = [...byName.keys()];
    const free = Array.from({ length: NAMES }, (_, at) => `s${at}`).filter((name) => !byName.has(name));
    const kind = random.between(0, 9);
    if (there.length === 0 || kind < 4) {
      const name = free.length > 0 && random.chance(0.5)
        ? random.pick(free)
        : `s${random.between(0, NAMES - 1)}`;
      const script = `# ${++this.#serial}\r\n${random.chance(0.5) ? "keep;" : 'redirect "a@b.test";'}\r\n`;
      return {
        text: `PUTSCRIPT ${quote(name)} {${script.length}+}\r\n${script}`,
        next: { byName: new Map(byName).set(name, script), active },
      };
    }
    const name = random.pick(there);
    if (kind < 6 || (kind < 8 && name === active)) {
      const none = random.chance(0.3) || name === active;
      return { text: `SETACTIVE ${none ? '""' : quote(name)}`, next: { byName, active: none ? null : name } };
    }
    const rest = new Map(byName);
    rest.delete(name);
    if (kind < 8) return { text: `DELETESCRIPT ${quote(name)}`, next: { byName: rest, active } };
    const to = free.length > 0 ? random.pick(free) : "another";
    if (byName.has(to)) return { text: `SETACTIVE ""`, next: { byName, active: null } };
    return {
      text: `RENAMESCRIPT ${quote(name)} ${quote(to)}`,
      next: { byName: rest.set(to, byName.get(name)!), active: active === name ? to : active },
    };
  }

  /** Reads everything back and takes it as the new state; returns what is wrong. */
  async check(server: ServerProcess): Promise<string[]> {
    const client = await Client.connect(server, this.login);
    const byName = new Map<string, string>();
    let active: string | null = null;
    for (const line of await client.ok("LISTSCRIPTS")) {
      const [, name, mark] = /^"(.*)"( ACTIVE)?$/.exec(line)!;
      if (mark !== undefined) active = name!;
      byName.set(name!, "");
    }
    for (const name of byName.keys()) {
      byName.set(name, (await client.ok(`GETSCRIPT ${quote(name)}`)).join(""));
    }
    client.close();
    const seen = { byName, active };
    const is = shown(seen), before = shown(this.#scripts);
    const after = this.#pending === null ? before : shown(this.#pending);
    const text = this.#pendingText;
    this.#scripts = seen;
    this.#pending = null;
    if (is === before || is === after) return [];
    return [
      `scripts of ${this.login}: neither as before nor as after "${text}": ${is}; before: ${before}; after: ${after}`,
    ];
  }
}

function shown({ byName, active }: Scripts): string {
  return JSON.stringify([active, [...byName].toSorted(([a], [b]) => a < b ? -1 : 1)]);
}

class Client {
  readonly #wire: Wire;

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  static async connect(server: ServerProcess, login: string): Promise<Client> {
    const client = new Client(await Wire.connect(server.port(MANAGESIEVE_PORT)));
    await client.#answer("the greeting");
    await client.ok(`AUTHENTICATE "PLAIN" "${btoa(`\0${login}\0${PASSWORD}`)}"`);
    return client;
  }

  async ok(command: string): Promise<string[]> {
    await this.#wire.write(`${command}\r\n`);
    return await this.#answer(command);
  }

  /** Lines before the OK; a literal is one of them, as it is. */
  async #answer(command: string): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#wire.line();
      const literal = /^\{(\d+)\}$/.exec(line);
      if (literal !== null) {
        lines.push(new TextDecoder().decode(await this.#wire.octets(Number(literal[1]))));
        await this.#wire.line();
      } else if (/^OK\b/.test(line)) return lines;
      else if (/^(?:NO|BYE)\b/.test(line)) throw new Error(`${command}: ${line}`);
      else lines.push(line);
    }
  }

  close(): void {
    this.#wire.close();
  }
}
