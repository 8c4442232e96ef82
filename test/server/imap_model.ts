/**
 * The plain model of one account that imap_model_test.ts holds the server against: mailboxes by name, messages by UID, what
 * is subscribed, annotated and allowed. Nothing of it knows how the server does it.
 */
import assert from "node:assert/strict";

export interface Message {
  /** In lower case. */
  flags: ReadonlySet<string>;
  readonly text: string;
  /** Milliseconds. */
  readonly internalDate: number;
  /** Grows whenever the flags change. */
  version: number;
}

export class Mailbox {
  uidNext = 1;
  /** By UID, ascending. */
  readonly messages = new Map<number, Message>();
  alive = true;
  specialUse: string | null = null;
  readonly metadata = new Map<string, string>();
  /** What bob may do. */
  rights = "";
  /** What the server said of it first; neither changes, but the UIDVALIDITY by RENAME. */
  id = "";
  uidValidity = 0;
  /** The largest HIGHESTMODSEQ that any session was told. */
  highest = 0;
  /** Grows with every change of messages. */
  changes = 0;
  /** What was found at the last look: MODSEQ by UID, with the version it belongs to. */
  observed: { readonly changes: number; readonly highest: number; readonly modSeqs: Map<number, Observed> } =
    {
      changes: -1,
      highest: 0,
      modSeqs: new Map(),
    };

  add(
    { flags, text, internalDate }: { flags: Iterable<string>; text: string; internalDate: number },
  ): number {
    const uid = this.uidNext++;
    this.messages.set(uid, { flags: new Set(flags), text, internalDate, version: 0 });
    this.changes++;
    return uid;
  }

  remove(uid: number): boolean {
    if (!this.messages.delete(uid)) return false;
    this.changes++;
    return true;
  }

  setFlags(uid: number, flags: ReadonlySet<string>): void {
    const message = this.messages.get(uid);
    if (message === undefined || message.flags.symmetricDifference(flags).size === 0) return;
    message.flags = flags;
    message.version++;
    this.changes++;
  }

  modSeqOf(uid: number): number {
    return this.observed.modSeqs.get(uid)!.modSeq;
  }
}

interface Observed {
  readonly version: number;
  readonly modSeq: number;
}

/** Names that come and go. */
export const POOL = ["Archive", "a", "b", "a/x", "b/x", "a/x/y"] as const;
const STANDARD: readonly (readonly [string, string | null])[] = [
  ["INBOX", null],
  ["Sent", "\\Sent"],
  ["Drafts", "\\Drafts"],
  ["Junk", "\\Junk"],
  ["Trash", "\\Trash"],
  ["Archive", "\\Archive"],
];

export class Model {
  /** Null: only there for what is below it. */
  readonly names = new Map<string, Mailbox | null>();
  /** Of those: what another has there. */
  readonly #rightsBelow = new Map<string, string>();
  readonly subscribed = new Set<string>(STANDARD.map(([name]) => name));
  /** Under a name, which mailbox had which UIDVALIDITY last. */
  readonly validities = new Map<string, { readonly mailbox: Mailbox | null; readonly uidValidity: number }>();

  constructor() {
    for (const [name, specialUse] of STANDARD) {
      const mailbox = new Mailbox();
      mailbox.specialUse = specialUse;
      this.names.set(name, mailbox);
    }
  }

  nameOf(mailbox: Mailbox): string {
    for (const [name, other] of this.names) if (other === mailbox) return name;
    throw new Error("the mailbox has no name");
  }

  hasChildren(name: string): boolean {
    return [...this.names.keys()].some((other) => other.startsWith(`${name}/`));
  }

  /** What CREATE does; null where it is refused. */
  create(name: string): Mailbox | null {
    if (this.names.get(name)) return null;
    const above = this.#createParents(name);
    const mailbox = new Mailbox();
    mailbox.rights = this.#rightsBelow.get(name) || above;
    this.#rightsBelow.delete(name);
    this.names.set(name, mailbox);
    return mailbox;
  }

  /** Returns the rights in the nearest one above. */
  #createParents(name: string): string {
    const levels = name.split("/");
    let rights = "";
    for (let depth = 1; depth < levels.length; depth++) {
      const parent = levels.slice(0, depth).join("/");
      if (!this.names.has(parent)) {
        const mailbox = new Mailbox();
        mailbox.rights = rights;
        this.names.set(parent, mailbox);
      }
      rights = this.names.get(parent)?.rights ?? this.#rightsBelow.get(parent) ?? "";
    }
    return rights;
  }

  /** What DELETE does; undefined where it is refused. */
  delete(name: string): Mailbox | null | undefined {
    const mailbox = this.names.get(name);
    if (mailbox === undefined || name === "INBOX") return undefined;
    const children = this.hasChildren(name);
    if (children && mailbox === null) return undefined;
    if (children) {
      this.names.set(name, null);
      this.#rightsBelow.set(name, this.#createParents(name));
    } else this.names.delete(name);
    if (mailbox !== null) mailbox.alive = false;
    return mailbox;
  }

  /** What RENAME does; false where it is refused. */
  rename(from: string, to: string): boolean {
    const source = this.names.get(from);
    if (source === undefined || this.names.has(to) || to.startsWith(`${from}/`)) return false;
    if (from === "INBOX") {
      const target = this.create(to)!;
      for (const [uid, message] of [...source!.messages]) {
        source!.remove(uid);
        target.add(message);
      }
      return true;
    }
    this.#createParents(to);
    for (const [name, mailbox] of [...this.names]) {
      if (name !== from && !name.startsWith(`${from}/`)) continue;
      this.names.delete(name);
      this.names.set(to + name.slice(from.length), mailbox);
      const rights = this.#rightsBelow.get(name);
      this.#rightsBelow.delete(name);
      if (rights !== undefined) this.#rightsBelow.set(to + name.slice(from.length), rights);
      // A name that had a larger one before gives it a new one; and the old name is another one's from here on.
      if (mailbox !== null) mailbox.uidValidity = 0;
      const told = this.validities.get(name);
      if (told !== undefined) this.validities.set(name, { ...told, mailbox: null });
    }
    return true;
  }

  /** The lines of `LIST "" *`, in order; `subscribed`: with RETURN (SUBSCRIBED). */
  listed(subscribed = false): string[] {
    return [...this.names].sort(byName).map(([name, mailbox]) => {
      const attributes = [
        ...(mailbox === null ? ["\\Noselect"] : []),
        this.hasChildren(name) ? "\\HasChildren" : "\\HasNoChildren",
        ...(subscribed && this.subscribed.has(name) ? ["\\Subscribed"] : []),
        ...(mailbox?.specialUse ? [mailbox.specialUse] : []),
      ];
      return `* LIST (${attributes.join(" ")}) "/" "${name}"`;
    });
  }

  /** The lines of `LSUB "" *`. */
  subscriptions(): string[] {
    return [...this.subscribed].map((name) => [name, this.names.get(name)] as const).sort(byName)
      .map(([name, mailbox]) => `* LSUB (${mailbox === null ? "\\Noselect" : ""}) "/" "${name}"`);
  }

  get usage(): { readonly messages: number; readonly octets: number } {
    const all = [...this.names.values()].flatMap((mailbox) => [...mailbox?.messages.values() ?? []]);
    return { messages: all.length, octets: all.reduce((sum, { text }) => sum + text.length, 0) };
  }

  /** UIDVALIDITY of a name only grows, and is another one for another mailbox. */
  validityTold(name: string, uidValidity: number): void {
    const mailbox = this.names.get(name)!;
    const before = this.validities.get(name);
    if (before !== undefined) {
      if (before.mailbox === mailbox) assert.equal(uidValidity, before.uidValidity, `UIDVALIDITY of ${name}`);
      else assert.ok(uidValidity > before.uidValidity, `UIDVALIDITY of ${name} grows`);
    }
    this.validities.set(name, { mailbox, uidValidity });
    mailbox.uidValidity = uidValidity;
  }
}

/** INBOX first. */
function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a === "INBOX" ? -1 : b === "INBOX" ? 1 : a < b ? -1 : 1;
}
