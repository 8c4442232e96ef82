/**
 * Random commands from several sessions on two mailboxes against a plain model, comparing everything that is said.
 *
 * The truth is two lists of messages. Every session keeps the list a client would keep from the responses alone, and
 * every response is held against both: no number ever wrong, EXPUNGE only where it is allowed, flags and searches as they
 * are. Sessions of RFC 3501, of RFC 9051 and with QRESYNC take part; the last come back with what they knew.
 * A few seeds here; `VEREDUS_MODEL_SEEDS=5000 VEREDUS_MODEL_FROM=1` runs as many as wanted (`deno task model`).
 */
import assert from "node:assert/strict";
import { seeded } from "../lib/seeded.ts";
import { Harness, type TestClient } from "./imap_harness.ts";

const SEEDS = Number(Deno.env.get("VEREDUS_MODEL_SEEDS") ?? 20);
const FROM = Number(Deno.env.get("VEREDUS_MODEL_FROM") ?? 1);
const STEPS = 60;
const BOXES = ["INBOX", "Archive"] as const;
const FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$one", "$Two"];

interface Truth {
  uidNext: number;
  /** Flags in lower case by UID, ascending. */
  messages: Map<number, Set<string>>;
  modSeq: number;
}

type Kind = "rev1" | "rev2" | "qresync" | "uidonly";

class Model {
  readonly truth = new Map<string, Truth>(
    BOXES.map((name) => [name, { uidNext: 1, messages: new Map(), modSeq: 0 }]),
  );

  add(box: string, flags: Iterable<string>): number {
    const truth = this.truth.get(box)!;
    const uid = truth.uidNext++;
    truth.messages.set(uid, new Set(flags));
    return uid;
  }
}

class Session {
  readonly client: TestClient;
  readonly kind: Kind;
  readonly model: Model;
  readonly log: string[];
  readonly name: string;
  box = "";
  readOnly = false;
  uidValidity = 0;
  modSeq = 0;
  /** UIDs by sequence number, as the client has them. */
  view: number[] = [];
  /** Flags the client was told of. */
  known = new Map<number, Set<string>>();
  /** What a QRESYNC client keeps of a mailbox it left. */
  kept = new Map<
    string,
    { uidValidity: number; modSeq: number; view: number[]; known: Map<number, Set<string>> }
  >();
  searched: number[] | null = null;
  /** Its own command asks for FETCH responses of the form that it wants. */
  fetching = false;
  code = "";

  constructor(client: TestClient, options: { kind: Kind; model: Model; log: string[]; name: string }) {
    this.client = client;
    this.kind = options.kind;
    this.model = options.model;
    this.log = options.log;
    this.name = options.name;
  }

  get vanished(): boolean {
    return this.kind === "qresync" || this.kind === "uidonly";
  }

  /** Whether a command is to name UIDs: a client with UIDONLY has nothing else. */
  byUid(next: (below: number) => number): boolean {
    return next(2) === 0 || this.kind === "uidonly";
  }

  get truth(): Truth {
    return this.model.truth.get(this.box)!;
  }

  /** Runs a command and reads its answer as a client does. Returns the tagged status. */
  async run(text: string, options: { readonly hidesExpunges?: boolean } = {}): Promise<string> {
    this.log.push(`${this.name}: ${text.split("\r\n")[0]}`);
    this.fetching = text.startsWith("FETCH ");
    const reply = await this.client.command(text);
    this.searched = null;
    const lines = reply.split("\r\n");
    for (const line of lines.slice(0, -2)) {
      this.log.push(`${this.name}<  ${line}`);
      this.read(line, options.hidesExpunges === true);
    }
    const tagged = lines.at(-2)!;
    this.log.push(`${this.name}<  ${tagged}`);
    this.code = /^OK \[([^\]]*)\]/.exec(tagged)?.[1] ?? this.code;
    const highest = /HIGHESTMODSEQ (\d+)/.exec(tagged);
    if (highest !== null) this.modSeq = Math.max(this.modSeq, Number(highest[1]));
    return tagged.split(" ")[0]!;
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
      for (const range of match[2]!.split(",")) {
        const [from, to = from] = range.split(":").map(Number);
        for (let uid = from!; uid <= to!; uid++) {
          const at = this.view.indexOf(uid);
          assert.ok(at >= 0 || match[1] !== undefined, "VANISHED of what the client has");
          assert.ok(!this.truth.messages.has(uid), "VANISHED only of what is gone");
          if (at >= 0) this.view.splice(at, 1);
          this.known.delete(uid);
        }
      }
    } else if ((match = /^\* (\d+) UIDFETCH \((.*)\)$/.exec(line)) !== null) {
      assert.equal(this.kind, "uidonly");
      const uid = Number(match[1]);
      assert.ok(this.view.includes(uid), "UIDFETCH of what the client has");
      const flags = /FLAGS \(([^)]*)\)/.exec(match[2]!)?.[1];
      if (flags !== undefined) this.know(uid, flags);
    } else if ((match = /^\* (\d+) FETCH \((.*)\)$/.exec(line)) !== null) {
      assert.notEqual(this.kind, "uidonly");
      const uid = /UID (\d+)/.exec(match[2]!)?.[1];
      if (uid !== undefined) {
        assert.equal(Number(uid), this.view[Number(match[1]) - 1], "the UID of a sequence number");
      }
      const flags = /FLAGS \(([^)]*)\)/.exec(match[2]!)?.[1];
      const told = this.view[Number(match[1]) - 1];
      assert.ok(told !== undefined, "FETCH of a number that exists");
      if (flags !== undefined) {
        assert.ok(this.kind !== "rev2" || !flags.includes("Recent"), "no \\Recent for RFC 9051");
        this.know(told, flags);
      }
      const modSeq = /MODSEQ \((\d+)\)/.exec(match[2]!)?.[1];
      // RFC 7162 3.1, 3.2.4: with QRESYNC what was not asked for has both; nobody else knows MODSEQ.
      if (this.kind !== "qresync") assert.equal(modSeq, undefined, "MODSEQ only where it is known");
      else if (!this.fetching) assert.ok(modSeq !== undefined && uid !== undefined, "UID and MODSEQ");
      if (modSeq !== undefined) this.modSeq = Math.max(this.modSeq, Number(modSeq));
    } else if ((match = /^\* SEARCH((?: \d+)*)$/.exec(line)) !== null) {
      assert.notEqual(this.kind, "rev2");
      this.searched = match[1]!.split(" ").filter((word) => word !== "").map(Number);
    } else if ((match = /^\* ESEARCH \(TAG "t\d+"\)(?: UID)?(?: ALL ([\d:,]+))?$/.exec(line)) !== null) {
      this.searched = numbersOf(match[1] ?? "");
    } else if (
      (match = /^\* OK \[(UIDVALIDITY|HIGHESTMODSEQ|COPYUID|APPENDUID) ([^\]]*)\]/.exec(line)) !== null
    ) {
      if (match[1] === "UIDVALIDITY") this.uidValidity = Number(match[2]);
      else if (match[1] !== "HIGHESTMODSEQ") this.code = `${match[1]} ${match[2]}`;
      else {
        assert.ok(Number(match[2]) >= this.truth.modSeq, "HIGHESTMODSEQ never goes back");
        this.truth.modSeq = Number(match[2]);
        this.modSeq = Math.max(this.modSeq, Number(match[2]));
      }
    } else {
      assert.match(
        line,
        /^\* (FLAGS|LIST|\d+ RECENT|OK \[(PERMANENTFLAGS|UIDNEXT|UNSEEN|CLOSED|MAILBOXID))/,
        "nothing else is said",
      );
    }
  }

  know(uid: number, flags: string): void {
    const names = flags.toLowerCase().split(" ").filter((name) => name !== "" && name !== "\\recent");
    this.known.set(uid, new Set(names));
  }

  /** Holds what the client has against the truth. */
  check(complete: boolean): void {
    const { messages } = this.truth;
    if (complete) assert.deepEqual(this.view, [...messages.keys()], "the client has exactly what is there");
    for (const [uid, flags] of this.known) {
      const truth = messages.get(uid);
      if (truth !== undefined) assert.deepEqual([...flags].sort(), [...truth].sort(), `flags of UID ${uid}`);
    }
  }
}

function numbersOf(set: string): number[] {
  return set.split(",").filter((range) => range !== "").flatMap((range) => {
    const [from, to = from] = range.split(":").map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
  });
}

async function open(session: Session, next: (below: number) => number): Promise<void> {
  if (session.box !== "") {
    await session.run("NOOP");
    session.check(true);
    if (session.kind === "qresync") {
      const { uidValidity, modSeq, view, known } = session;
      session.kept.set(session.box, { uidValidity, modSeq, view: [...view], known: new Map(known) });
    }
    if (next(2) === 0) await session.run("UNSELECT");
  }
  session.box = BOXES[next(BOXES.length)]!;
  session.readOnly = next(8) === 0;
  const kept = session.kept.get(session.box);
  session.view = [];
  session.known = new Map();
  session.modSeq = 0;
  const verb = session.readOnly ? "EXAMINE" : "SELECT";
  if (kept === undefined) {
    assert.equal(await session.run(`${verb} ${session.box}`), "OK");
  } else {
    // The numbers come with EXISTS; what was known before is only the flags.
    session.known = new Map(kept.known);
    assert.equal(
      await session.run(`${verb} ${session.box} (QRESYNC (${kept.uidValidity} ${kept.modSeq}))`),
      "OK",
    );
    for (const uid of kept.view) {
      assert.equal(session.truth.messages.has(uid), session.view.includes(uid), "resynchronized");
      if (!session.truth.messages.has(uid)) assert.ok(!session.known.has(uid), "VANISHED told it");
    }
  }
  session.check(true);
}

/** Some of the numbers the client may use. */
function someOf(numbers: readonly number[], next: (below: number) => number): number[] {
  const from = next(numbers.length);
  return numbers.slice(from, from + 1 + next(4));
}

function flagSet(next: (below: number) => number): string[] {
  return FLAGS.filter(() => next(3) === 0);
}

/** False when there was nothing to say. */
async function store(session: Session, next: (below: number) => number): Promise<boolean> {
  const uid = session.byUid(next);
  const mode = ["+", "-", ""][next(3)]!;
  const silent = next(3) === 0;
  const numbers = someOf(session.view.map((_, at) => at + 1), next);
  const uids = numbers.map((number) => session.view[number - 1]!);
  const flags = flagSet(next);
  if (flags.length === 0 && mode !== "") return false;
  const folded = flags.map((flag) => flag.toLowerCase());
  if (!session.readOnly) {
    for (const one of uids) {
      const truth = session.truth.messages.get(one);
      if (truth === undefined) continue;
      if (mode === "") truth.clear();
      for (const flag of folded) mode === "-" ? truth.delete(flag) : truth.add(flag);
      // A silent client applies its own change; it is told when others changed the message too.
      if (silent) session.known.set(one, new Set(truth));
    }
  }
  const set = (uid ? uids : numbers).join(",");
  const text = `${uid ? "UID " : ""}STORE ${set} ${mode}FLAGS${silent ? ".SILENT" : ""} (${flags.join(" ")})`;
  const status = await session.run(text, { hidesExpunges: !uid });
  assert.equal(status, session.readOnly ? "NO" : "OK");
  return true;
}

async function searchFor(session: Session, next: (below: number) => number): Promise<void> {
  const uid = session.byUid(next);
  const flag = FLAGS[next(FLAGS.length)]!;
  const key = flag.startsWith("\\") ? flag.slice(1).toUpperCase() : `KEYWORD ${flag}`;
  const negated = next(2) === 0;
  const before = [...session.view];
  const command = `${uid ? "UID " : ""}SEARCH ${negated ? `NOT ${key}` : key}`;
  assert.equal(await session.run(command, { hidesExpunges: !uid }), "OK");
  const hits = before.flatMap((one, at) => {
    const truth = session.truth.messages.get(one);
    if (truth === undefined || truth.has(flag.toLowerCase()) === negated) return [];
    return [uid ? one : at + 1];
  });
  assert.deepEqual(session.searched, hits, command);
}

async function expunge(session: Session, next: (below: number) => number): Promise<void> {
  const { messages } = session.truth;
  const some = next(2) === 0 && session.view.length > 0 ? someOf(session.view, next) : null;
  if (!session.readOnly) {
    for (const [uid, flags] of [...messages]) {
      if (flags.has("\\deleted") && (some === null || some.includes(uid))) messages.delete(uid);
    }
  }
  const status = await session.run(some === null ? "EXPUNGE" : `UID EXPUNGE ${some.join(",")}`);
  assert.equal(status, session.readOnly ? "NO" : "OK");
}

async function copyOrMove(session: Session, next: (below: number) => number): Promise<void> {
  const uid = session.byUid(next);
  const move = next(2) === 0;
  const target = BOXES[next(BOXES.length)]!;
  const numbers = someOf(session.view.map((_, at) => at + 1), next);
  const uids = numbers.map((number) => session.view[number - 1]!);
  const { messages } = session.truth;
  const there = uids.filter((one) => messages.has(one));
  const allowed = !(move && session.readOnly);
  const made: number[] = [];
  if (allowed) {
    const flags = there.map((one) => new Set(messages.get(one)));
    if (move) { for (const one of there) messages.delete(one); }
    for (const set of flags) made.push(session.model.add(target, set));
  }
  session.code = "";
  const set = (uid ? uids : numbers).join(",");
  const status = await session.run(`${uid ? "UID " : ""}${move ? "MOVE" : "COPY"} ${set} ${target}`);
  assert.equal(status, allowed ? "OK" : "NO");
  if (!allowed || there.length === 0) return;
  const [name, , from, to] = session.code.split(" ");
  assert.equal(name, "COPYUID");
  assert.deepEqual(numbersOf(from!), there);
  assert.deepEqual(numbersOf(to!), made);
}

/** Of one message, or of several at once (RFC 3502); cancelled by an empty one now and then. */
async function append(session: Session, next: (below: number) => number): Promise<void> {
  const box = BOXES[next(BOXES.length)]!;
  const count = next(2) === 0 ? 1 : 1 + next(3);
  const cancelled = next(8) === 0;
  let text = `APPEND ${box}`;
  const uids: number[] = [];
  for (let at = 0; at < count; at++) {
    const flags = flagSet(next);
    if (!cancelled) uids.push(session.model.add(box, flags.map((flag) => flag.toLowerCase())));
    const message = `Subject: ${at}\r\n\r\nx\r\n`;
    text += ` (${flags.join(" ")}) {${message.length}+}\r\n${message}`;
  }
  session.code = "";
  assert.equal(await session.run(cancelled ? `${text} {0+}\r\n` : text), cancelled ? "NO" : "OK");
  if (cancelled) return;
  assert.deepEqual(numbersOf(session.code.split(" ")[2]!), uids, "APPENDUID");
}

/** RFC 8508: nothing happens where the message is gone already. */
async function replace(session: Session, next: (below: number) => number): Promise<void> {
  const uid = session.byUid(next);
  const target = BOXES[next(BOXES.length)]!;
  const number = 1 + next(session.view.length);
  const old = session.view[number - 1]!;
  const flags = flagSet(next);
  const allowed = !session.readOnly && session.truth.messages.delete(old);
  const made = allowed ? session.model.add(target, flags.map((flag) => flag.toLowerCase())) : 0;
  session.code = "";
  const text = `Subject: ${made}\r\n\r\nx\r\n`;
  const command = `${uid ? "UID " : ""}REPLACE ${uid ? old : number} ${target}`;
  const status = await session.run(`${command} (${flags.join(" ")}) {${text.length}+}\r\n${text}`);
  assert.equal(status, allowed ? "OK" : "NO");
  if (allowed) assert.equal(session.code.split(" ")[2], String(made), "APPENDUID");
}

async function step(session: Session, h: Harness, next: (below: number) => number): Promise<void> {
  const hides = { hidesExpunges: true };
  const empty = session.view.length === 0;
  switch (next(13)) {
    case 0:
    case 1:
      await append(session, next);
      return session.check(true);
    case 2: {
      const box = BOXES[next(BOXES.length)]!;
      const uid = session.model.add(box, []);
      session.log.push(`delivery ${uid} to ${box}`);
      assert.equal(await h.deliver(`Subject: ${uid}\r\n\r\nx\r\n`, { mailbox: box }), uid);
      return;
    }
    case 3:
    case 4:
    case 5:
      if (!empty && await store(session, next)) session.check(false);
      return;
    case 6: {
      if (empty) return;
      const before = [...session.view];
      if (session.kind === "uidonly") await session.run("UID FETCH 1:* (UID FLAGS)");
      else await session.run("FETCH 1:* (UID FLAGS)", hides);
      for (const uid of before) {
        assert.ok(session.known.has(uid) || !session.truth.messages.has(uid), "FETCH told all");
      }
      return session.check(false);
    }
    case 7:
      await searchFor(session, next);
      return session.check(false);
    case 8:
      await expunge(session, next);
      return session.check(true);
    case 9:
      if (empty) return;
      await copyOrMove(session, next);
      return session.check(true);
    case 10:
      return await open(session, next);
    case 11:
      if (empty) return;
      await replace(session, next);
      return session.check(true);
    default:
      await session.run(next(2) === 0 ? "NOOP" : "CHECK");
      return session.check(true);
  }
}

async function runSeed(seed: number): Promise<void> {
  const next = seeded(seed);
  const h = await Harness.open();
  const log: string[] = [];
  try {
    const model = new Model();
    const sessions: Session[] = [];
    const opening = await h.login();
    await opening.command("CREATE Archive");
    for (const [at, kind] of (["rev1", "rev2", "qresync", "uidonly"] as const).entries()) {
      const session = new Session(await h.login(), { kind, model, log, name: `${kind}${at}` });
      if (kind === "rev2") await session.client.ok("ENABLE IMAP4rev2");
      if (kind === "qresync") await session.client.ok("ENABLE QRESYNC");
      if (kind === "uidonly") await session.client.ok("ENABLE UIDONLY");
      await open(session, next);
      sessions.push(session);
    }
    for (let at = 0; at < STEPS; at++) await step(sessions[next(sessions.length)]!, h, next);
    for (const session of sessions) {
      await session.run("NOOP");
      session.check(true);
    }
  } catch (error) {
    throw new Error(
      `seed ${seed}: ${error instanceof Error ? error.message : error}\n${log.slice(-40).join("\n")}`,
      {
        cause: error,
      },
    );
  } finally {
    await h.close();
  }
}

Deno.test(`random commands of four sessions are answered as a plain model says, ${SEEDS} seeds`, async () => {
  for (let seed = FROM; seed < FROM + SEEDS; seed++) await runSeed(seed);
});
