/**
 * One IMAP session that changes folders of its own and knows what must be there after a kill.
 *
 * Operations run one after the other, so at most one is unanswered when the server dies: the folders must then be
 * in the state before it or in the state after it, octet by octet and flag by flag, and nothing else.
 */
import { ImapClient, literalText, quote } from "../lib/imap_client.ts";
import { markerOf, messageOf } from "./messages.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./tally.ts";

const MOST_LEVELS = 3;
const FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Label"];

export interface Message {
  /** Null while the reply that names it is missing. */
  readonly uid: number | null;
  readonly marker: string;
  /** Sorted, joined by spaces, without \Recent. */
  readonly flags: string;
}

export type Folders = ReadonlyMap<string, readonly Message[]>;

/** One state of the folders; `tag` is that of the command whose OK made it, null while there was none. */
export interface Step {
  readonly tag: string | null;
  readonly folders: Folders;
}

interface FolderFacts {
  uidValidity: number;
  uidNext: number;
}

export class ImapWorker {
  readonly root: string;
  operations = 0;
  #random: Random;
  readonly #tally: Tally;
  #serial = 0;
  #folders: Folders = new Map();
  #pending: Folders | null = null;
  #pendingText = "";
  /** What each folder has shown so far; neither value may go back. */
  #facts = new Map<string, FolderFacts>();
  /** Names that were deleted: created again they must get a larger UIDVALIDITY. */
  #deleted = new Set<string>();
  #onStep: (step: Step) => void;

  /** `onStep` hears of each state when it was asked for (without a tag), and again when it was acknowledged. */
  constructor(
    root: string,
    { random, tally, onStep = () => {} }: {
      readonly random: Random;
      readonly tally: Tally;
      readonly onStep?: (step: Step) => void;
    },
  ) {
    this.root = root;
    this.#random = random;
    this.#tally = tally;
    this.#onStep = onStep;
  }

  /** Runs operations until the connection dies. */
  async run(client: ImapClient): Promise<never> {
    for (;;) await this.#step(client);
  }

  async #step(client: ImapClient): Promise<void> {
    const random = this.#random;
    const names = [...this.#folders.keys()];
    if (names.length === 0 || (names.length < 5 && random.chance(0.1))) {
      const name = this.#newName(names);
      this.#deleted.delete(name);
      const known = this.#facts.get(name);
      // Whatever the folder had before, the new one begins with a larger UIDVALIDITY and any UIDNEXT.
      if (known !== undefined) this.#facts.set(name, { uidValidity: known.uidValidity + 1, uidNext: 0 });
      return await this.#do(client, `CREATE ${quote(name)}`, with_(this.#folders, [[name, []]]));
    }
    const name = random.pick(names);
    const messages = this.#folders.get(name) ?? [];
    const kind = random.between(0, 99);
    if (kind < 3) {
      const parents = names.filter((above) => names.some((other) => other.startsWith(`${above}/`)));
      return await this.#rename(
        client,
        parents.length > 0 && random.chance(0.5) ? random.pick(parents) : name,
      );
    }
    if (kind < 5) {
      const next = new Map(this.#folders);
      next.delete(name);
      await this.#do(client, `DELETE ${quote(name)}`, next);
      this.#deleted.add(name);
      return;
    }
    if (messages.length === 0 || (kind < 40 && messages.length < 30)) {
      return await this.#append(client, name, messages);
    }
    await client.ok(`SELECT ${quote(name)}`);
    const chosen = messages.filter(() => random.chance(0.3));
    if (chosen.length === 0) chosen.push(random.pick(messages));
    if (kind < 46) return await this.#replace(client, name, random.pick(chosen));
    const uid = random.chance(0.7);
    const numbers = chosen.map((message) => uid ? message.uid : messages.indexOf(message) + 1);
    const [UID, set] = [uid ? "UID " : "", numbers.join(",")];
    const isChosen = new Set(chosen);
    if (kind < 65) {
      const flags = FLAGS.filter(() => random.chance(0.4));
      const mode = random.pick(["+", "-", ""]);
      const changed = messages.map((message) =>
        isChosen.has(message) ? { ...message, flags: changeFlags(message.flags, mode, flags) } : message
      );
      const next = with_(this.#folders, [[name, changed]]);
      return await this.#do(client, `${UID}STORE ${set} ${mode}FLAGS.SILENT (${flags.join(" ")})`, next);
    }
    if (kind < 68) {
      const read = messages.map((message) =>
        isChosen.has(message) ? { ...message, flags: changeFlags(message.flags, "+", ["\\Seen"]) } : message
      );
      return await this.#do(client, `${UID}FETCH ${set} BODY[TEXT]`, with_(this.#folders, [[name, read]]));
    }
    if (kind < 80 && names.length > 1) {
      const to = random.pick(names.filter((other) => other !== name));
      const move = random.chance(0.5);
      const copies = chosen.map((message) => ({ ...message, uid: null }));
      const next = with_(this.#folders, [
        [to, [...(this.#folders.get(to) ?? []), ...copies]],
        ...(move ? [[name, messages.filter((message) => !isChosen.has(message))] as const] : []),
      ]);
      return await this.#do(client, `${UID}${move ? "MOVE" : "COPY"} ${set} ${quote(to)}`, next, to);
    }
    const deleted = messages.map((message) =>
      isChosen.has(message) ? { ...message, flags: changeFlags(message.flags, "+", ["\\Deleted"]) } : message
    );
    await this.#do(
      client,
      `${UID}STORE ${set} +FLAGS.SILENT (\\Deleted)`,
      with_(this.#folders, [[name, deleted]]),
    );
    const expunge = random.pick([
      "EXPUNGE",
      "CLOSE",
      `UID EXPUNGE ${chosen.map((message) => message.uid).join(",")}`,
    ]);
    const uids = new Set(chosen.map((message) => message.uid));
    const rest = deleted.filter((message) =>
      expunge.startsWith("UID") ? !uids.has(message.uid) : !message.flags.includes("\\Deleted")
    );
    await this.#do(client, expunge, with_(this.#folders, [[name, rest]]));
  }

  /** A name that was deleted, one below another, or one that is new. */
  #newName(names: readonly string[]): string {
    const random = this.#random;
    // Above it all must be there: what is missing would be created too.
    const parent = (name: string) => name.slice(0, name.lastIndexOf("/"));
    const again = [...this.#deleted].filter((name) =>
      parent(name) === this.root || this.#folders.has(parent(name))
    );
    if (again.length > 0 && random.chance(0.5)) return random.pick(again);
    const above = names.filter((name) => name.slice(this.root.length).split("/").length <= MOST_LEVELS);
    return above.length > 0 && random.chance(0.4)
      ? `${random.pick(above)}/c${++this.#serial}`
      : `${this.root}/f${++this.#serial}`;
  }

  /** With all that is below it. */
  async #rename(client: ImapClient, name: string): Promise<void> {
    const to = `${this.root}/f${++this.#serial}`;
    const next = new Map<string, readonly Message[]>();
    for (const [folder, messages] of this.#folders) {
      const moves = folder === name || folder.startsWith(`${name}/`);
      const renamed = moves ? to + folder.slice(name.length) : folder;
      next.set(renamed, messages);
      const known = this.#facts.get(folder);
      if (moves && known !== undefined) this.#facts.set(renamed, known);
    }
    await this.#do(client, `RENAME ${quote(name)} ${quote(to)}`, next);
    if ([...next.keys()].some((folder) => folder.startsWith(`${to}/`))) {
      this.#tally.count("RENAME with children");
    }
  }

  /** One message, or several at once: all of them or none. */
  async #append(client: ImapClient, name: string, messages: readonly Message[]): Promise<void> {
    const added = [this.#newMessage()];
    while (this.#random.chance(0.3)) added.push(this.#newMessage());
    const next = with_(this.#folders, [[name, [...messages, ...added]]]);
    const [first, ...further] = added.map(({ marker, flags }) => ({
      before: ` (${flags})`,
      literal: messageOf(marker),
    }));
    await this.#do(client, `APPEND ${quote(name)}${first!.before}`, next, name, [first!.literal, further]);
  }

  /** One message in the place of another, in the same folder or a second one. */
  async #replace(client: ImapClient, name: string, old: Message): Promise<void> {
    const to = this.#random.pick([...this.#folders.keys()]);
    const added = this.#newMessage();
    const rest = (this.#folders.get(name) ?? []).filter((message) => message !== old);
    const there = to === name ? rest : this.#folders.get(to) ?? [];
    const next = with_(this.#folders, [[name, rest], [to, [...there, added]]]);
    const uid = this.#random.chance(0.7);
    const number = uid ? old.uid : this.#folders.get(name)!.indexOf(old) + 1;
    const command = `${uid ? "UID " : ""}REPLACE ${number} ${quote(to)} (${added.flags})`;
    await this.#do(client, command, next, to, [messageOf(added.marker), []]);
  }

  #newMessage(): Message {
    const flags = FLAGS.filter(() => this.#random.chance(0.3));
    return {
      uid: null,
      marker: `${this.root.slice(this.root.lastIndexOf("/") + 1)}-${++this.#serial}`,
      flags: [...flags].sort().join(" "),
    };
  }

  /** Issues one operation; `named` is the folder whose new messages the OK names. */
  async #do(
    client: ImapClient,
    text: string,
    next: Folders,
    named?: string,
    literals?: [string, { readonly before: string; readonly literal: string }[]],
  ): Promise<void> {
    this.#pending = next;
    this.#pendingText = text;
    this.#onStep({ tag: null, folders: next });
    const result = await client.ok(text, literals?.[0], literals?.[1]);
    this.operations++;
    this.#tally.count(/^(?:UID )?[A-Z]+/.exec(text)![0]);
    if ((literals?.[1].length ?? 0) > 0) this.#tally.count("APPEND of several");
    if (named !== undefined) {
      const texts = [...result.untagged.map((response) => response.line), result.text];
      const code = texts.map((line) => /\[(?:APPENDUID (\d+) |COPYUID (\d+) \S+ )([\d:,]+)\]/.exec(line))
        .find((match) => match !== null);
      if (code === undefined) throw new Error(`${text}: no UIDPLUS code in ${texts.join(" | ")}`);
      const uids = expand(code[3] ?? "");
      const folder = (next.get(named) ?? []).map((message) =>
        message.uid === null ? { ...message, uid: uids.shift() ?? null } : message
      );
      next = with_(next, [[named, folder]]);
    }
    this.#folders = next;
    this.#pending = null;
    this.#onStep({ tag: client.lastTag, folders: next });
  }

  /** Reads everything back and takes it as the new state; returns what is wrong. */
  async check(client: ImapClient): Promise<string[]> {
    const findings: string[] = [];
    const seen = await this.#read(client, findings);
    const before = difference(this.#folders, seen, this.#facts);
    const after = this.#pending === null ? before : difference(this.#pending, seen, this.#facts);
    if (before.length > 0 && after.length > 0) {
      findings.push(
        `${this.root}: neither the state before nor after "${this.#pendingText}"`,
        ...before.map((line) => `  before: ${line}`),
        ...(this.#pending === null ? [] : after.map((line) => `  after: ${line}`)),
      );
    }
    this.#folders = new Map([...seen].map(([name, folder]) => [name, folder.messages]));
    this.#pending = null;
    for (const [name, folder] of seen) {
      const known = this.#facts.get(name);
      if (known !== undefined && folder.uidValidity < known.uidValidity) {
        findings.push(`${name}: UIDVALIDITY went back`);
      }
      if (known !== undefined && folder.uidValidity === known.uidValidity && folder.uidNext < known.uidNext) {
        findings.push(`${name}: UIDNEXT went from ${known.uidNext} to ${folder.uidNext}`);
      }
      this.#facts.set(name, { uidValidity: folder.uidValidity, uidNext: folder.uidNext });
    }
    return findings;
  }

  async #read(
    client: ImapClient,
    findings: string[],
  ): Promise<Map<string, FolderFacts & { messages: Message[] }>> {
    const folders = new Map<string, FolderFacts & { messages: Message[] }>();
    const list = await client.ok(`LIST "" ${quote(this.root + "/*")}`);
    for (const { line } of list.untagged) {
      const name = /^\* LIST \([^)]*\) "\/" "?([^"]+)"?$/.exec(line)?.[1];
      if (name === undefined || /\\Noselect/i.test(line)) continue;
      const select = await client.ok(`SELECT ${quote(name)}`);
      const number = (code: string) =>
        Number(
          select.untagged.map((r) => new RegExp(`\\[${code} (\\d+)\\]`).exec(r.line)?.[1]).find(Boolean),
        );
      const messages: Message[] = [];
      const fetch = await client.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])");
      for (const response of fetch.untagged) {
        const uid = /UID (\d+)/.exec(response.line)?.[1];
        const flags = /FLAGS \(([^)]*)\)/.exec(response.line)?.[1];
        if (uid === undefined || flags === undefined || response.literals.length === 0) continue;
        const text = literalText(response);
        const marker = markerOf(text);
        if (marker === null || text !== messageOf(marker)) findings.push(`${name} UID ${uid}: octets differ`);
        messages.push({
          uid: Number(uid),
          marker: marker ?? "?",
          flags: flags.split(" ").filter((flag) => flag !== "" && flag !== "\\Recent").sort().join(" "),
        });
      }
      folders.set(name, { uidValidity: number("UIDVALIDITY"), uidNext: number("UIDNEXT"), messages });
    }
    return folders;
  }
}

function with_(folders: Folders, changes: readonly (readonly [string, readonly Message[]])[]): Folders {
  const next = new Map(folders);
  for (const [name, messages] of changes) next.set(name, messages);
  return next;
}

function changeFlags(flags: string, mode: string, changed: readonly string[]): string {
  const set = new Set(mode === "" ? [] : flags.split(" ").filter((flag) => flag !== ""));
  for (const flag of changed) mode === "-" ? set.delete(flag) : set.add(flag);
  return [...set].sort().join(" ");
}

function expand(set: string): number[] {
  return set.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split(":").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** What distinguishes the folders found from those expected; a message of unknown UID must be newer than all known. */
export function difference(
  expected: Folders,
  seen: ReadonlyMap<string, { readonly messages: readonly Message[] }>,
  facts: ReadonlyMap<string, FolderFacts>,
): string[] {
  const lines: string[] = [];
  for (const name of seen.keys()) if (!expected.has(name)) lines.push(`${name} is there`);
  for (const [name, messages] of expected) {
    const folder = seen.get(name);
    if (folder === undefined) {
      lines.push(`${name} is missing`);
      continue;
    }
    const left = [...folder.messages];
    for (const message of messages) {
      const at = left.findIndex((other) =>
        other.marker === message.marker && other.flags === message.flags &&
        (message.uid === null
          ? (other.uid ?? 0) >= (facts.get(name)?.uidNext ?? 0)
          : other.uid === message.uid)
      );
      if (at < 0) lines.push(`${name}: missing ${describe(message)}`);
      else left.splice(at, 1);
    }
    for (const message of left) lines.push(`${name}: not expected ${describe(message)}`);
  }
  return lines;
}

function describe(message: Message): string {
  return `UID ${message.uid ?? "new"} ${message.marker} (${message.flags})`;
}
