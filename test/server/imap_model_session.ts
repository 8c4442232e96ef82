/**
 * One session of imap_model_test.ts: the list a client would keep from the responses alone. Every response is held against
 * it and against the model.
 */
import assert from "node:assert/strict";
import type { Harness, TestClient } from "./imap_harness.ts";
import type { Mailbox, Message, Model } from "./imap_model.ts";

export type Kind = "rev1" | "rev2" | "condstore" | "qresync" | "uidonly";

const ENABLES: Readonly<Record<Kind, string | null>> = {
  rev1: null,
  rev2: "IMAP4rev2",
  condstore: "CONDSTORE",
  qresync: "QRESYNC",
  uidonly: "UIDONLY",
};

/** What a client keeps of a mailbox it left. */
interface Kept {
  readonly uidValidity: number;
  readonly modSeq: number;
  readonly view: readonly number[];
  readonly known: ReadonlyMap<number, ReadonlySet<string>>;
}

export interface RunOptions {
  readonly hidesExpunges?: boolean;
  /** Lines that this command alone is answered with; they come in {@linkcode Session.said}. */
  readonly asks?: RegExp;
}

export class Session {
  readonly kind: Kind;
  readonly model: Model;
  readonly log: string[];
  readonly name: string;
  readonly #login: () => Promise<TestClient>;
  #observer: TestClient | null = null;
  client!: TestClient;
  box: Mailbox | null = null;
  readOnly = false;
  /** Its loop notices that the mailbox was deleted. */
  idling = false;
  condstore = false;
  uidValidity = 0;
  modSeq = 0;
  /** Since the command began: HIGHESTMODSEQ, and the largest MODSEQ of a message. */
  #highest: number | null = null;
  #changed = 0;
  /** UIDs by sequence number, as the client has them. */
  view: number[] = [];
  /** Flags the client was told of. */
  known = new Map<number, ReadonlySet<string>>();
  kept = new Map<Mailbox, Kept>();
  /** What `$` stands for. */
  saved: number[] = [];
  searched: number[] | null = null;
  /** Of ESEARCH: MIN, MAX, COUNT, MODSEQ. */
  found = new Map<string, number>();
  /** Numbers of the messages that FETCH responses of this command were about, as UIDs. */
  fetched = new Set<number>();
  vanishedEarlier: number[] = [];
  said: string[] = [];
  /** What FETCH responses said of each UID. */
  items = new Map<number, string>();
  code = "";
  /** Its own command asks for FETCH responses of the form that it wants. */
  #fetching = false;

  constructor(h: Harness, options: { kind: Kind; model: Model; log: string[]; name: string }) {
    this.#login = () => h.login();
    this.kind = options.kind;
    this.model = options.model;
    this.log = options.log;
    this.name = options.name;
  }

  async connect(): Promise<void> {
    this.client = await this.#login();
    this.box = null;
    this.condstore = ["condstore", "qresync"].includes(this.kind);
    const enable = ENABLES[this.kind];
    if (enable !== null) await this.client.ok(`ENABLE ${enable}`);
  }

  /** Beside its own: looks at mailboxes without a part in what goes on. */
  async observer(): Promise<TestClient> {
    if (this.#observer === null) {
      this.#observer = await this.#login();
      await this.#observer.ok("ENABLE CONDSTORE");
    }
    return this.#observer;
  }

  get vanished(): boolean {
    return this.kind === "qresync" || this.kind === "uidonly";
  }

  /** Whether a command is to name UIDs: a client with UIDONLY has nothing else. */
  byUid(next: (below: number) => number): boolean {
    return next(2) === 0 || this.kind === "uidonly";
  }

  get truth(): Mailbox {
    return this.box!;
  }

  /** Runs a command and reads its answer as a client does. Returns the tagged status. */
  async run(text: string, options: RunOptions = {}): Promise<string> {
    this.log.push(`${this.name}: ${text.split("\r\n")[0]}`);
    this.#forget();
    this.#fetching = /^(?:UID )?FETCH /.test(text);
    const responses = responsesOf(await this.client.command(text));
    const tagged = responses.pop()!;
    for (const response of responses) this.#take(response, options);
    this.log.push(`${this.name}<  ${tagged}`);
    const code = /^OK \[([^\]]*)\]/.exec(tagged)?.[1] ?? "";
    if (code.startsWith("HIGHESTMODSEQ ")) this.#highest = Number(code.split(" ")[1]);
    else if (code !== "") this.code = code;
    this.#settle();
    return tagged.split(" ")[0]!;
  }

  /** What a client goes by when it comes back (RFC 7162 6). */
  #settle(): void {
    this.modSeq = this.#highest ?? Math.max(this.modSeq, this.#changed);
  }

  #forget(): void {
    this.#highest = null;
    this.#changed = 0;
    this.searched = null;
    this.found.clear();
    this.fetched.clear();
    this.vanishedEarlier = [];
    this.items.clear();
    this.said = [];
    this.code = "";
  }

  #take(response: string, options: RunOptions): void {
    this.log.push(`${this.name}<  ${response.split("\r\n")[0]}`);
    if (options.asks?.test(response)) this.said.push(response);
    else this.read(response, options.hidesExpunges === true);
  }

  /** Is told in IDLE what others do, one thing after the other; false when its mailbox was deleted. */
  async idle(work: () => Promise<void>, times: number): Promise<boolean> {
    this.log.push(`${this.name}: IDLE`);
    this.#forget();
    this.#fetching = false;
    this.client.send("idle IDLE\r\n");
    const take = (text: string) => {
      for (const response of responsesOf(text)) if (!response.startsWith("+ ")) this.#take(response, {});
    };
    take(await this.client.until(/^\+ [^\r]*\r\n/m));
    this.idling = true;
    const catchUp = async () => {
      while (this.truth.alive && !this.#complete()) take(await this.client.until(/^[^]*\r\n/));
    };
    await catchUp();
    for (let at = 0; at < times && this.truth.alive; at++) {
      await work();
      await catchUp();
    }
    this.idling = false;
    if (!this.truth.alive) return false;
    this.client.send("DONE\r\n");
    take((await this.client.until(/^idle OK [^\r]*\r\n/m)).replace(/^idle OK .*\r\n$/m, ""));
    this.#settle();
    this.check(true);
    return true;
  }

  #complete(): boolean {
    const { messages } = this.truth;
    return this.view.length === messages.size && this.view.every((uid) => messages.has(uid)) &&
      [...this.known].every(([uid, flags]) => flags.symmetricDifference(messages.get(uid)!.flags).size === 0);
  }

  read(line: string, hidesExpunges: boolean): void {
    let match: RegExpExecArray | null;
    if ((match = /^\* (\d+) EXISTS$/.exec(line)) !== null) {
      const exists = Number(match[1]);
      assert.ok(exists >= this.view.length, "EXISTS never shrinks a mailbox");
      const last = this.view.at(-1) ?? 0;
      for (const uid of this.truth.messages.keys()) {
        if (uid > last && this.view.length < exists) this.view.push(uid);
      }
      assert.equal(this.view.length, exists, "EXISTS counts what is there");
    } else if ((match = /^\* (\d+) EXPUNGE$/.exec(line)) !== null) {
      assert.ok(!hidesExpunges && !this.vanished, "EXPUNGE where it is not allowed");
      const number = Number(match[1]);
      assert.ok(number >= 1 && number <= this.view.length, "EXPUNGE of a number that exists");
      const [uid] = this.view.splice(number - 1, 1);
      assert.ok(!this.truth.messages.has(uid!), "EXPUNGE only of what is gone");
      this.known.delete(uid!);
    } else if ((match = /^\* VANISHED( \(EARLIER\))? ([\d:,]+)$/.exec(line)) !== null) {
      assert.ok(!hidesExpunges && this.vanished, "VANISHED where it is not allowed");
      for (const uid of numbersOf(match[2]!)) {
        assert.ok(!this.truth.messages.has(uid), "VANISHED only of what is gone");
        this.known.delete(uid);
        // RFC 7162 3.2.10.1: no number changes by it.
        if (match[1] !== undefined) {
          this.vanishedEarlier.push(uid);
          continue;
        }
        const at = this.view.indexOf(uid);
        assert.ok(at >= 0, "VANISHED of what the client has");
        this.view.splice(at, 1);
      }
    } else if ((match = /^\* (\d+) (UID)?FETCH \(([^]*)\)$/.exec(line)) !== null) {
      assert.equal(match[2] !== undefined, this.kind === "uidonly");
      this.#fetch(Number(match[1]), match[3]!);
    } else if ((match = /^\* (SEARCH|SORT)((?: \d+)*)(?: \(MODSEQ (\d+)\))?$/.exec(line)) !== null) {
      assert.ok(this.kind !== "rev2" || match[1] === "SORT");
      this.searched = match[2]!.split(" ").filter((word) => word !== "").map(Number);
      if (match[3] !== undefined) this.found.set("MODSEQ", Number(match[3]));
    } else if (
      (match = /^\* ESEARCH \(TAG "t\d+"\)(?: UID)?((?: (?:MIN|MAX|COUNT|MODSEQ) \d+)*)(?: ALL ([\d:,]+))?$/
        .exec(line)) !== null
    ) {
      this.searched = numbersOf(match[2] ?? "");
      for (const [, name, value] of match[1]!.matchAll(/ ([A-Z]+) (\d+)/g)) {
        this.found.set(name!, Number(value));
      }
    } else if (
      (match = /^\* OK \[HIGHESTMODSEQ (\d+)\] Expunges are still to be told$/.exec(line)) !== null
    ) {
      assert.ok(hidesExpunges && this.condstore, "HIGHESTMODSEQ below what is held back");
      this.#highest = Number(match[1]);
    } else if ((match = /^\* OK \[([A-Z]+)(?: ([^\]]*))?\]/.exec(line)) !== null) {
      this.#told(match[1]!, match[2] ?? "");
    } else {
      assert.match(line, /^\* (FLAGS|LIST|\d+ RECENT)/, "nothing else is said");
    }
  }

  #fetch(number: number, items: string): void {
    const uid = this.kind === "uidonly" ? number : this.view[number - 1];
    assert.ok(uid !== undefined && this.view.includes(uid), "FETCH of what the client has");
    const told = /(?:^| )UID (\d+)/.exec(items)?.[1];
    if (told !== undefined) assert.equal(Number(told), uid, "the UID of a sequence number");
    this.fetched.add(uid);
    this.items.set(uid, `${this.items.get(uid) ?? ""} ${items}`);
    const flags = /FLAGS \(([^)]*)\)/.exec(items)?.[1];
    if (flags !== undefined) {
      assert.ok(this.kind !== "rev2" || !flags.includes("Recent"), "no \\Recent for RFC 9051");
      this.#know(uid, flags);
    }
    const modSeq = /MODSEQ \((\d+)\)/.exec(items)?.[1];
    assert.ok(modSeq === undefined || this.condstore, "MODSEQ for who knows it");
    // RFC 7162 3.1, 3.2.4: what was not asked for has it, and with QRESYNC the UID.
    if (!this.#fetching) {
      assert.ok(modSeq !== undefined || !this.condstore, "MODSEQ");
      assert.ok(told !== undefined || this.kind !== "qresync", "UID");
    }
    if (modSeq !== undefined) {
      this.#changed = Math.max(this.#changed, Number(modSeq));
      this.truth.highest = Math.max(this.truth.highest, Number(modSeq));
    }
  }

  /** A response code of an untagged OK. */
  #told(code: string, value: string): void {
    switch (code) {
      case "HIGHESTMODSEQ":
        assert.ok(Number(value) >= this.truth.highest, "HIGHESTMODSEQ never goes back");
        this.truth.highest = Number(value);
        this.#highest = Number(value);
        break;
      case "UIDVALIDITY":
        this.uidValidity = Number(value);
        break;
      case "UIDNEXT":
        assert.equal(Number(value), this.truth.uidNext, "UIDNEXT");
        break;
      case "UNSEEN": {
        assert.ok(this.kind !== "rev2" && this.kind !== "uidonly", "no UNSEEN for RFC 9051 and RFC 9586");
        const flags = [...this.truth.messages.values()].map((message) => message.flags);
        assert.equal(Number(value), flags.findIndex((one) => !one.has("\\seen")) + 1, "UNSEEN");
        break;
      }
      case "MAILBOXID":
        if (this.truth.id !== "") assert.equal(value, this.truth.id, "MAILBOXID");
        this.truth.id = value;
        break;
      case "PERMANENTFLAGS":
        assert.equal(value.includes("\\*"), !this.readOnly, "PERMANENTFLAGS");
        break;
      case "COPYUID":
      case "APPENDUID":
        this.code = `${code} ${value}`;
        break;
      default:
        assert.equal(code, "CLOSED", "no other code");
    }
  }

  #know(uid: number, flags: string): void {
    const names = flags.toLowerCase().split(" ").filter((name) => name !== "" && name !== "\\recent");
    this.known.set(uid, new Set(names));
  }

  /** The messages of a set of UIDs that are there. */
  present(uids: readonly number[]): [number, Message][] {
    return uids.flatMap((uid) => {
      const message = this.truth.messages.get(uid);
      return message === undefined ? [] : [[uid, message] as [number, Message]];
    });
  }

  numberOf(uid: number): number {
    return this.view.indexOf(uid) + 1;
  }

  /** Holds what the client has against the truth. */
  check(complete: boolean): void {
    const { messages } = this.truth;
    if (complete) assert.deepEqual(this.view, [...messages.keys()], "the client has exactly what is there");
    for (const [uid, flags] of this.known) {
      const truth = messages.get(uid);
      if (truth !== undefined) {
        assert.deepEqual([...flags].sort(), [...truth.flags].sort(), `flags of UID ${uid}`);
      }
    }
  }

  /** What it keeps for the next time, where that is worth something. */
  keep(): void {
    if (this.kind !== "qresync") return;
    const { uidValidity, modSeq, view, known } = this;
    this.kept.set(this.truth, { uidValidity, modSeq, view: [...view], known: new Map(known) });
  }
}

/** Lines of an answer, each with the literals that belong to it. */
function responsesOf(text: string): string[] {
  const responses: string[] = [];
  for (let at = 0; at < text.length;) {
    let end = text.indexOf("\r\n", at);
    for (;;) {
      const literal = /\{(\d+)\}$/.exec(text.slice(at, end));
      if (literal === null) break;
      end = text.indexOf("\r\n", end + 2 + Number(literal[1]));
    }
    responses.push(text.slice(at, end));
    at = end + 2;
  }
  return responses;
}

export function numbersOf(set: string): number[] {
  return set.split(",").filter((range) => range !== "").flatMap((range) => {
    const [from, to = from] = range.split(":").map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
  });
}
