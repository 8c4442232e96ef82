/** Steps of imap_model_test.ts that are about messages: each gives a command, does the same to the model, and compares. */
import assert from "node:assert/strict";
import type { Harness } from "./imap_harness.ts";
import { type Mailbox, type Message, type Model, POOL } from "./imap_model.ts";
import { anyKey, DAY_MS, FIRST_DAY, FLAGS, hasNumbers, SUBJECTS } from "./imap_model_search.ts";
import { nameStep } from "./imap_model_names.ts";
import { numbersOf, type Session } from "./imap_model_session.ts";

export interface Bed {
  readonly h: Harness;
  readonly model: Model;
  readonly sessions: readonly Session[];
  readonly next: (below: number) => number;
  readonly log: string[];
}

/** When the harness says that its deliveries came. */
const DELIVERED_AT = Date.UTC(2024, 0, 2, 3, 4, 5);

export async function messageStep(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0 && next(2) === 0) return await append(session, bed);
  switch (next(23)) {
    case 0:
    case 1:
      return await append(session, bed);
    case 2:
      return await deliver(bed);
    case 3:
    case 4:
      return await store(session, bed);
    case 5:
      return await storeUnchanged(session, bed);
    case 6:
      return await fetchFlags(session, bed);
    case 7:
      return await fetchContents(session, bed);
    case 8:
      return await fetchChanged(session, bed);
    case 9:
      return await search(session, bed);
    case 10:
      return await searchModSeq(session, bed);
    case 11:
      return await sort(session, bed);
    case 12:
      return await thread(session, bed);
    case 13:
      return await expunge(session, bed);
    case 14:
    case 15:
      return await copyOrMove(session, bed);
    case 16:
      return await open(session, bed);
    case 17:
      return await replace(session, bed);
    case 18:
      return await idle(session, bed);
    case 21:
      return await race(session, bed);
    case 20:
      return await together(session, bed);
    case 19:
      return await multiSearch(session, bed);
    default:
      await session.run(next(2) === 0 ? "NOOP" : "CHECK");
      return session.check(true);
  }
}

/** Most often one of two, so that sessions meet. */
function someName({ model, next }: Bed): string {
  const wanted = next(3) === 0 ? "INBOX" : next(2) === 0 ? "Archive" : POOL[next(POOL.length)]!;
  return model.names.get(wanted) ? wanted : "INBOX";
}

/** As {@linkcode someName}; now and then one that is not there, with null. */
function someTarget(bed: Bed): readonly [string, Mailbox | null] {
  const { model, next } = bed;
  const name = next(10) === 0 ? POOL[next(POOL.length)]! : someName(bed);
  return [name, model.names.get(name) ?? null];
}

export async function open(session: Session, bed: Bed): Promise<void> {
  const { model, next } = bed;
  if (session.box !== null) {
    // Now and then a client of QRESYNC is cut off, whatever it was not told yet.
    const cut = session.kind === "qresync" && next(2) === 0;
    if (!cut) {
      await session.run("NOOP");
      session.check(true);
    } else if (session.view.length > 0) await session.run("FETCH 1 (UID)", { hidesExpunges: true });
    session.keep();
    const how = cut ? 2 : next(3);
    if (how === 0) assert.equal(await session.run("UNSELECT"), "OK");
    else if (how === 1) await close(session);
  }
  const name = someName(bed);
  session.box = model.names.get(name)!;
  session.readOnly = next(8) === 0;
  const kept = session.kept.get(session.box);
  session.view = [];
  session.known = new Map();
  session.saved = [];
  session.modSeq = 0;
  const verb = session.readOnly ? "EXAMINE" : "SELECT";
  if (kept === undefined) {
    assert.equal(await session.run(`${verb} ${name}`), "OK");
  } else {
    // The numbers come with EXISTS; what was known before is only the flags.
    session.known = new Map(kept.known);
    assert.equal(await session.run(`${verb} ${name} (QRESYNC (${kept.uidValidity} ${kept.modSeq}))`), "OK");
    // Another UIDVALIDITY, after RENAME: nothing of what was kept counts.
    if (session.uidValidity !== kept.uidValidity) session.known = new Map();
    else {
      for (const uid of kept.view) {
        assert.equal(session.truth.messages.has(uid), session.view.includes(uid), "resynchronized");
        if (!session.truth.messages.has(uid)) assert.ok(!session.known.has(uid), "VANISHED told it");
      }
    }
  }
  model.validityTold(name, session.uidValidity);
  session.check(true);
}

/** What is \Deleted goes, and nobody says so here. */
async function close(session: Session): Promise<void> {
  const { truth } = session;
  if (!session.readOnly) {
    for (const [uid, { flags }] of [...truth.messages]) if (flags.has("\\deleted")) truth.remove(uid);
  }
  assert.equal(await session.run("CLOSE"), "OK");
  session.kept.delete(truth);
}

/** Some of the UIDs that the client has, and the set that names them. */
function someOf(session: Session, { next }: Bed, uid: boolean): { uids: number[]; set: string } {
  const from = next(session.view.length);
  const uids = session.view.slice(from, from + 1 + next(4));
  return { uids, set: (uid ? uids : uids.map((one) => session.numberOf(one))).join(",") };
}

function flagSet({ next }: Bed): string[] {
  return FLAGS.filter(() => next(3) === 0);
}

function folded(flags: readonly string[]): Set<string> {
  return new Set(flags.map((flag) => flag.toLowerCase()));
}

function changed(old: ReadonlySet<string>, mode: string, flags: ReadonlySet<string>): ReadonlySet<string> {
  return mode === "+" ? old.union(flags) : mode === "-" ? old.difference(flags) : flags;
}

interface Letter {
  readonly text: string;
  readonly internalDate: number;
  readonly flags: readonly string[];
  /** Its arguments to APPEND and REPLACE. */
  readonly sent: string;
}

function someLetter(bed: Bed): Letter {
  const { next } = bed;
  const text = `Subject: s${next(SUBJECTS)}\r\n\r\n${"x".repeat(1 + next(40))}\r\n`;
  const internalDate = FIRST_DAY + next(10) * DAY_MS + next(86_400) * 1_000;
  const [, day, month, year, time] = /, (\d\d) (\w+) (\d+) ([\d:]+)/.exec(
    new Date(internalDate).toUTCString(),
  )!;
  const flags = flagSet(bed);
  const sent = `(${flags.join(" ")}) "${day}-${month}-${year} ${time} +0000" {${text.length}+}\r\n${text}`;
  return { text, internalDate, flags, sent };
}

function filed({ text, internalDate, flags }: Letter) {
  return { text, internalDate, flags: folded(flags) };
}

/** Of one message, or of several at once (RFC 3502); cancelled by an empty one now and then. */
async function append(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  const [name, box] = someTarget(bed);
  const count = next(2) === 0 ? 1 : 1 + next(3);
  const cancelled = next(8) === 0;
  const letters = Array.from({ length: count }, () => someLetter(bed));
  const made = cancelled || box === null ? [] : letters.map((letter) => box.add(filed(letter)));
  const text = `APPEND ${name} ${letters.map(({ sent }) => sent).join(" ")}${cancelled ? " {0+}\r\n" : ""}`;
  assert.equal(await session.run(text), made.length === 0 ? "NO" : "OK");
  if (made.length > 0) {
    const [code, uidValidity, uids] = session.code.split(" ");
    assert.equal(code, "APPENDUID");
    if (box!.uidValidity !== 0) assert.equal(Number(uidValidity), box!.uidValidity);
    assert.deepEqual(numbersOf(uids!), made);
  }
  session.check(true);
}

async function deliver(bed: Bed): Promise<void> {
  const name = someName(bed);
  const text = `Subject: s${bed.next(SUBJECTS)}\r\n\r\nx\r\n`;
  const uid = bed.model.names.get(name)!.add({ flags: [], text, internalDate: DELIVERED_AT });
  bed.log.push(`delivery ${uid} to ${name}`);
  assert.equal(await bed.h.deliver(text, { mailbox: name }), uid);
}

async function store(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  const uid = session.byUid(next);
  const mode = ["+", "-", ""][next(3)]!;
  const silent = next(3) === 0;
  const { uids, set } = someOf(session, bed, uid);
  const flags = flagSet(bed);
  if (flags.length === 0 && mode !== "") return;
  if (!session.readOnly) applyStore(session, { uids, mode, flags, silent });
  const text = `${uid ? "UID " : ""}STORE ${set} ${mode}FLAGS${silent ? ".SILENT" : ""} (${flags.join(" ")})`;
  assert.equal(await session.run(text, { hidesExpunges: !uid }), session.readOnly ? "NO" : "OK");
  if (!silent && !session.readOnly) toldAll(session, uids);
  session.check(false);
}

/** Two sessions at the same time, silently, each a flag of its own: in whatever order, both have both afterwards. */
async function together(session: Session, bed: Bed): Promise<void> {
  const { next, sessions } = bed;
  const other = sessions.find((one) => one !== session && one.box === session.box && !one.idling);
  if (other === undefined || session.readOnly || other.readOnly) return;
  for (const one of [session, other]) {
    await one.run("NOOP");
    one.check(true);
  }
  if (session.view.length === 0) return;
  const { uids, set } = someOf(session, bed, true);
  const all = `UID FETCH ${set} (FLAGS)`;
  for (const one of [session, other]) await one.run(all);
  const [a, b] = next(2) === 0 ? ["\\Flagged", "$one"] : ["\\Answered", "\\Seen"];
  const mode = next(2) === 0 ? "+" : "-";
  applyStore(session, { uids, mode, flags: [a!], silent: true });
  applyStore(other, { uids, mode, flags: [b!], silent: true });
  const command = (flag: string) => `UID STORE ${set} ${mode}FLAGS.SILENT (${flag})`;
  assert.deepEqual(await Promise.all([session.run(command(a!)), other.run(command(b!))]), ["OK", "OK"]);
  for (const one of [session, other]) {
    await one.run("NOOP");
    one.check(true);
  }
}

/**
 * Two sessions want the same messages at the same time, each for its own mailbox or with its own text: each message goes once,
 * and comes once. Who was first the replies say; both look anew afterwards, the others hear of it.
 */
async function race(session: Session, bed: Bed): Promise<void> {
  const { next, sessions, model } = bed;
  const other = sessions.find((one) => one !== session && one.box === session.box);
  if (other === undefined || session.readOnly || other.readOnly || sessions.some(({ idling }) => idling)) {
    return;
  }
  const both = [session, other];
  for (const one of both) {
    await one.run("NOOP");
    one.check(true);
  }
  if (session.view.length === 0) return;
  const { truth } = session;
  const replaces = next(2) === 0;
  const { uids, set } = someOf(session, bed, true);
  const letters = both.map(() => someLetter(bed));
  const targets = both.map(() => someName(bed));
  const commands = both.map((_, at) =>
    replaces ? `UID REPLACE ${uids[0]} ${targets[at]} ${letters[at]!.sent}` : `UID MOVE ${set} ${targets[at]}`
  );
  for (const command of commands) bed.log.push(`at once: ${command.split("\r\n")[0]}`);
  const replies = await Promise.all(both.map((one, at) => one.client.command(commands[at]!)));
  const came: {
    readonly to: string;
    readonly uid: number;
    readonly message: Parameters<Mailbox["add"]>[0];
  }[] = [];
  const gone: number[] = [];
  for (const [at, reply] of replies.entries()) {
    bed.log.push(reply);
    const to = targets[at]!;
    const appended = /\[APPENDUID \d+ (\d+)\]/.exec(reply)?.[1];
    const [, from = "", as = ""] = /\[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]/.exec(reply) ?? [];
    if (replaces) assert.match(reply, appended === undefined ? /^NO \[EXPUNGEISSUED\]/m : /^OK/m);
    else assert.match(reply, /^OK/m);
    if (appended !== undefined) {
      gone.push(uids[0]!);
      came.push({ to, uid: Number(appended), message: filed(letters[at]!) });
    }
    const made = numbersOf(as);
    for (const [place, uid] of numbersOf(from).entries()) {
      gone.push(uid);
      came.push({
        to,
        uid: made[place]!,
        message: truth.messages.get(uid) ?? { flags: [], text: "", internalDate: 0 },
      });
    }
  }
  const wanted = replaces ? uids.slice(0, 1) : uids;
  assert.deepEqual(gone.toSorted((a, b) => a - b), [...wanted], "each message goes once");
  for (const uid of gone) truth.remove(uid);
  for (const { to, uid, message } of came.toSorted((a, b) => a.uid - b.uid)) {
    assert.equal(model.names.get(to)!.add(message), uid, "each message comes once");
  }
  for (const one of both) {
    one.kept.delete(truth);
    one.box = null;
    await open(one, bed);
  }
}

/** To the truth; where it is silent also to what the client knows, which is told what others changed before. */
function applyStore(
  session: Session,
  { uids, mode, flags, silent }: { uids: readonly number[]; mode: string; flags: string[]; silent: boolean },
): void {
  for (const [uid, message] of session.present(uids)) {
    session.truth.setFlags(uid, changed(message.flags, mode, folded(flags)));
    const known = session.known.get(uid);
    if (silent && known !== undefined) session.known.set(uid, changed(known, mode, folded(flags)));
  }
}

function toldAll(session: Session, uids: readonly number[]): void {
  for (const [uid] of session.present(uids)) assert.ok(session.fetched.has(uid), `UID ${uid} is told`);
}

/**
 * What each message has now by an observer of its own: the same MODSEQ as long as nothing changed, a larger one than any
 * before where something did.
 */
async function observe(session: Session, { model }: Bed): Promise<void> {
  const { truth: box } = session;
  const { observed } = box;
  const name = model.nameOf(box);
  const client = await session.observer();
  const told = await client.ok(`EXAMINE ${name}`);
  const highest = Number(/\[HIGHESTMODSEQ (\d+)\]/.exec(told)![1]);
  const answer = box.messages.size === 0 ? "" : await client.ok("UID FETCH 1:* (FLAGS MODSEQ)");
  await client.ok("UNSELECT");
  const modSeqs = new Map<number, { version: number; modSeq: number }>();
  for (const [, number, flags, value] of answer.matchAll(/UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)/g)) {
    const uid = Number(number), modSeq = Number(value);
    const message = box.messages.get(uid)!;
    assert.deepEqual(
      flags!.toLowerCase().split(" ").filter((flag) => flag !== "" && flag !== "\\recent").sort(),
      [...message.flags].sort(),
    );
    const before = observed.modSeqs.get(uid);
    if (before?.version === message.version) {
      assert.equal(modSeq, before.modSeq, `MODSEQ of UID ${uid} stays`);
    } else assert.ok(modSeq > observed.highest || observed.changes < 0, `MODSEQ of UID ${uid} grows`);
    assert.ok(modSeq <= highest, "HIGHESTMODSEQ is the highest");
    modSeqs.set(uid, { version: message.version, modSeq });
  }
  assert.deepEqual([...modSeqs.keys()], [...box.messages.keys()]);
  if (observed.changes === box.changes) assert.equal(highest, observed.highest, "HIGHESTMODSEQ stays");
  else assert.ok(highest > observed.highest, "HIGHESTMODSEQ grows");
  box.observed = { changes: box.changes, highest, modSeqs };
}

/** A MODSEQ that some message has, or one beside it. */
function someModSeq({ truth }: Session, { next }: Bed): number {
  const values = [...truth.observed.modSeqs.values()];
  const { modSeq } = values[next(Math.max(1, values.length))] ?? { modSeq: 1 };
  return Math.max(1, modSeq + next(3) - 1);
}

/** RFC 7162 3.1.3. */
async function storeUnchanged(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  await observe(session, bed);
  const uid = session.byUid(next);
  const { uids, set } = someOf(session, bed, uid);
  const since = someModSeq(session, bed);
  const silent = next(2) === 0;
  const flags = flagSet(bed);
  const mode = flags.length === 0 ? "" : ["+", "-", ""][next(3)]!;
  const there = session.present(uids).map(([one]) => one);
  const refused = there.filter((one) => session.truth.modSeqOf(one) > since);
  if (!session.readOnly) {
    const may = there.filter((one) => !refused.includes(one));
    applyStore(session, { uids: may, mode, flags, silent });
  }
  // RFC 7162 3.1: it knows of MODSEQ from here on.
  session.condstore = true;
  const text = `${uid ? "UID " : ""}STORE ${set} (UNCHANGEDSINCE ${since}) ${mode}FLAGS` +
    `${silent ? ".SILENT" : ""} (${flags.join(" ")})`;
  const status = await session.run(text, { hidesExpunges: !uid });
  if (session.readOnly || (refused.length === 0 && there.length < uids.length)) assert.equal(status, "NO");
  else {
    assert.equal(status, "OK");
    const told = /^MODIFIED ([\d:,]+)$/.exec(session.code)?.[1] ?? "";
    const numbers = numbersOf(told).map((number) => uid ? number : session.view[number - 1]);
    assert.deepEqual(numbers, refused, "MODIFIED");
    // Silent or not: with their new MODSEQ.
    toldAll(session, there.filter((one) => !refused.includes(one)));
  }
  session.check(false);
}

async function fetchFlags(session: Session, { next }: Bed): Promise<void> {
  if (session.view.length === 0) return;
  const before = [...session.view];
  const uid = session.byUid(next);
  await session.run(`${uid ? "UID " : ""}FETCH 1:* (UID FLAGS)`, { hidesExpunges: !uid });
  for (const one of before) {
    assert.ok(session.known.has(one) || !session.truth.messages.has(one), "FETCH told all");
  }
  session.check(false);
}

/** Octets, sizes, dates; without PEEK they are \Seen from then on. */
async function fetchContents(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  const uid = session.byUid(next);
  const { uids, set } = someOf(session, bed, uid);
  const peek = next(2) === 0;
  if (!peek && !session.readOnly) applyStore(session, { uids, mode: "+", flags: ["\\Seen"], silent: false });
  const items = `(UID INTERNALDATE RFC822.SIZE ENVELOPE BODY${peek ? ".PEEK" : ""}[])`;
  const status = await session.run(`${uid ? "UID " : ""}FETCH ${set} ${items}`, { hidesExpunges: !uid });
  assert.equal(status, "OK");
  for (const [one, message] of session.present(uids)) compareContents(session.items.get(one)!, message);
  session.check(false);
}

function compareContents(told: string, { text, internalDate }: Message): void {
  assert.ok(told.includes(`BODY[] {${text.length}}\r\n${text}`), "BODY[]");
  assert.equal(/RFC822\.SIZE (\d+)/.exec(told)![1], String(text.length));
  const date = /INTERNALDATE "([^"]*)"/.exec(told)![1]!;
  assert.equal(Date.parse(date.replaceAll("-", " ").replace(/ (\d{4})$/, " -$1")), internalDate, date);
  assert.equal(/ENVELOPE \(NIL "(.*?)" /.exec(told)![1], /^Subject: (.*)\r/.exec(text)![1]);
}

/** RFC 7162 3.1.4.1, and 3.2.6 for who has enabled QRESYNC. */
async function fetchChanged(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  await observe(session, bed);
  const uid = session.byUid(next);
  const since = someModSeq(session, bed);
  const vanished = uid && session.kind === "qresync" && next(2) === 0;
  session.condstore = true;
  const before = [...session.view];
  const text = `${uid ? "UID " : ""}FETCH 1:* (UID FLAGS) (CHANGEDSINCE ${since}${
    vanished ? " VANISHED" : ""
  })`;
  assert.equal(await session.run(text, { hidesExpunges: !uid }), "OK");
  const wanted = session.present(before).filter(([one]) => session.truth.modSeqOf(one) > since);
  for (const [one] of wanted) {
    assert.ok(session.fetched.has(one), `UID ${one} has changed`);
    assert.match(session.items.get(one)!, new RegExp(`MODSEQ \\(${session.truth.modSeqOf(one)}\\)`));
  }
  if (vanished) {
    for (const one of session.vanishedEarlier) assert.ok(one < session.truth.uidNext);
    for (const one of before) {
      if (!session.truth.messages.has(one)) assert.ok(!session.view.includes(one), "VANISHED told it");
    }
  }
  session.check(false);
}

/** What a search is to find: numbers of the kind that the command names, in the order of the mailbox. */
function hitsOf(
  session: Session,
  before: readonly number[],
  options: { readonly uid: boolean; readonly matches: (uid: number, message: Message) => boolean },
): number[] {
  return before.flatMap((one, at) => {
    const message = session.truth.messages.get(one);
    if (message === undefined || !options.matches(one, message)) return [];
    return [options.uid ? one : at + 1];
  });
}

async function search(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  const uid = session.byUid(next);
  const before = [...session.view];
  const again = session.saved.length > 0 && next(4) === 0;
  const key = anyKey(session, next);
  const saved = [...session.saved];
  const matches = again
    ? (one: number, message: Message) => saved.includes(one) && key.matches(one, message)
    : key.matches;
  const hits = hitsOf(session, before, { uid, matches });
  const returns = next(2) === 0 ? [] : ["MIN", "MAX", "COUNT", "ALL", "SAVE"].filter(() => next(2) === 0);
  const inner = again ? `UID $ ${key.text}` : key.text;
  const asked = returns.length === 0 ? "" : `RETURN (${returns.join(" ")}) `;
  const command = `${uid ? "UID " : ""}SEARCH ${asked}${inner}`;
  assert.equal(await session.run(command, { hidesExpunges: !uid || hasNumbers(key) }), "OK");
  if (returns.length === 0 || returns.includes("ALL")) {
    assert.deepEqual(session.searched, hits, command);
  } else assert.deepEqual(session.searched ?? [], [], command);
  const wanted: Record<string, number | undefined> = {
    MIN: hits[0],
    MAX: hits.at(-1),
    COUNT: hits.length,
  };
  for (const [name, value] of Object.entries(wanted)) {
    assert.equal(
      session.found.get(name),
      returns.includes(name) ? value : undefined,
      `${name} of ${command}`,
    );
  }
  if (returns.includes("SAVE")) {
    // RFC 5182 2.4: with MIN or MAX and neither of the others only what they found.
    const some = returns.includes("ALL") || returns.includes("COUNT") ||
        !(returns.includes("MIN") || returns.includes("MAX"))
      ? hits
      : [
        ...(returns.includes("MIN") ? hits.slice(0, 1) : []),
        ...(returns.includes("MAX") ? hits.slice(-1) : []),
      ];
    session.saved = uid ? some : some.map((number) => before[number - 1]!);
  }
  session.check(false);
}

/** RFC 7162 3.1.5. */
async function searchModSeq(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  await observe(session, bed);
  const uid = session.byUid(next);
  const before = [...session.view];
  const since = someModSeq(session, bed);
  session.condstore = true;
  const modSeqOf = (one: number) => session.truth.modSeqOf(one);
  const matching = session.present(before).map(([one]) => one).filter((one) => modSeqOf(one) >= since);
  const hits = hitsOf(session, before, { uid, matches: (one) => matching.includes(one) });
  assert.equal(
    await session.run(`${uid ? "UID " : ""}SEARCH MODSEQ ${since}`, { hidesExpunges: !uid }),
    "OK",
  );
  assert.deepEqual(session.searched, hits);
  const highest = matching.length === 0 ? undefined : Math.max(...matching.map(modSeqOf));
  assert.equal(session.found.get("MODSEQ"), highest, "MODSEQ of what was found");
  session.check(false);
}

/** RFC 7377: in all mailboxes at once; those without a hit are not spoken of. */
async function multiSearch(session: Session, { model, next }: Bed): Promise<void> {
  const key = anyKey({ kind: "uidonly", view: [] }, next);
  const command = `ESEARCH IN (personal) RETURN (ALL COUNT) ${key.text}`;
  assert.equal(await session.run(command, { asks: /^\* ESEARCH/ }), "OK");
  const told = new Map(session.said.map((line) => {
    const [, name, uidValidity, count, set] =
      /^\* ESEARCH \(TAG "t\d+" MAILBOX "?([\w/]+)"? UIDVALIDITY (\d+)\) UID COUNT (\d+)(?: ALL ([\d:,]+))?$/
        .exec(line)!;
    model.validityTold(name!, Number(uidValidity));
    const uids = numbersOf(set ?? "");
    assert.equal(Number(count), uids.length, command);
    return [name!, uids] as const;
  }));
  for (const [name, box] of model.names) {
    const hits = [...box?.messages ?? []].flatMap(([uid, message]) => key.matches(uid, message) ? [uid] : []);
    assert.deepEqual(told.get(name) ?? [], hits, `${command} in ${name}`);
  }
  session.check(true);
}

const ORDERS: Readonly<Record<string, (message: Message) => number | string>> = {
  ARRIVAL: ({ internalDate }) => internalDate,
  SIZE: ({ text }) => text.length,
  SUBJECT: ({ text }) => text.slice(0, text.indexOf("\r")),
};

async function sort(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  const uid = session.byUid(next);
  const before = [...session.view];
  const key = anyKey(session, next, 1);
  const names = Object.keys(ORDERS).filter(() => next(2) === 0);
  if (names.length === 0) return;
  const reversed = names.map(() => next(2) === 0);
  const found = hitsOf(session, before, { uid: true, matches: key.matches });
  const message = (one: number) => session.truth.messages.get(one)!;
  found.sort((a, b) => {
    for (const [at, name] of names.entries()) {
      const [x, y] = [ORDERS[name]!(message(a)), ORDERS[name]!(message(b))];
      if (x !== y) return (x < y ? -1 : 1) * (reversed[at] ? -1 : 1);
    }
    return a - b;
  });
  const wanted = uid ? found : found.map((one) => before.indexOf(one) + 1);
  const order = names.map((name, at) => `${reversed[at] ? "REVERSE " : ""}${name}`).join(" ");
  const command = `${uid ? "UID " : ""}SORT (${order}) UTF-8 ${key.text}`;
  assert.equal(await session.run(command, { hidesExpunges: !uid || hasNumbers(key) }), "OK");
  assert.deepEqual(session.searched, wanted, command);
  session.check(false);
}

/** RFC 5256 3: by subject; who is first of it came first. Without Date the day is that of the arrival. */
async function thread(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  const uid = session.byUid(next);
  const before = [...session.view];
  const key = anyKey(session, next, 1);
  const found = hitsOf(session, before, { uid: true, matches: key.matches });
  const message = (one: number) => session.truth.messages.get(one)!;
  const dated = found.sort((a, b) => message(a).internalDate - message(b).internalDate || a - b);
  const groups = Map.groupBy(dated, (one) => ORDERS.SUBJECT!(message(one)));
  const number = (one: number) => uid ? one : before.indexOf(one) + 1;
  const wanted = [...groups.values()].map(([first, ...others]) =>
    others.length === 0
      ? `(${number(first!)})`
      : others.length === 1
      ? `(${number(first!)} ${number(others[0]!)})`
      : `(${number(first!)} ${others.map((one) => `(${number(one)})`).join("")})`
  ).join("");
  const command = `${uid ? "UID " : ""}THREAD ORDEREDSUBJECT UTF-8 ${key.text}`;
  assert.equal(
    await session.run(command, { hidesExpunges: !uid || hasNumbers(key), asks: /^\* THREAD/ }),
    "OK",
  );
  assert.deepEqual(session.said, [wanted === "" ? "* THREAD" : `* THREAD ${wanted}`], command);
  session.check(false);
}

async function expunge(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  const { truth } = session;
  const some = next(2) === 0 && session.view.length > 0 ? someOf(session, bed, true).uids : null;
  if (!session.readOnly) {
    for (const [uid, { flags }] of [...truth.messages]) {
      if (flags.has("\\deleted") && (some === null || some.includes(uid))) truth.remove(uid);
    }
  }
  const status = await session.run(some === null ? "EXPUNGE" : `UID EXPUNGE ${some.join(",")}`);
  assert.equal(status, session.readOnly ? "NO" : "OK");
  session.check(true);
}

async function copyOrMove(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  const uid = session.byUid(next);
  const move = next(2) === 0;
  const [name, target] = someTarget(bed);
  const { uids, set } = someOf(session, bed, uid);
  const there = session.present(uids);
  const allowed = !(move && session.readOnly) && target !== null;
  const made: number[] = [];
  if (allowed) {
    if (move) { for (const [one] of there) session.truth.remove(one); }
    for (const [, message] of there) made.push(target.add(message));
  }
  const status = await session.run(`${uid ? "UID " : ""}${move ? "MOVE" : "COPY"} ${set} ${name}`);
  assert.equal(status, allowed ? "OK" : "NO");
  if (allowed && there.length > 0) {
    const [code, uidValidity, from, to] = session.code.split(" ");
    assert.equal(code, "COPYUID");
    if (target.uidValidity !== 0) assert.equal(Number(uidValidity), target.uidValidity);
    assert.deepEqual(numbersOf(from!), there.map(([one]) => one));
    assert.deepEqual(numbersOf(to!), made);
  }
  session.check(true);
}

/** RFC 8508: nothing happens where the message is gone already. */
async function replace(session: Session, bed: Bed): Promise<void> {
  const { next } = bed;
  if (session.view.length === 0) return;
  const uid = session.byUid(next);
  const [name, target] = someTarget(bed);
  const old = session.view[next(session.view.length)]!;
  const letter = someLetter(bed);
  const allowed = !session.readOnly && target !== null && session.truth.remove(old);
  const made = allowed ? target.add(filed(letter)) : 0;
  const command = `${uid ? "UID " : ""}REPLACE ${uid ? old : session.numberOf(old)} ${name} ${letter.sent}`;
  assert.equal(await session.run(command), allowed ? "OK" : "NO");
  if (allowed) assert.equal(session.code.split(" ")[2], String(made), "APPENDUID");
  session.check(true);
}

/** Another session works meanwhile; what it does is told without being asked for. */
async function idle(session: Session, bed: Bed): Promise<void> {
  const { next, sessions } = bed;
  if (sessions.some(({ idling }) => idling)) return;
  const others = sessions.filter((other) => other !== session);
  const work = async () => {
    const other = others[next(others.length)]!;
    await (next(4) === 0 ? nameStep(other, bed) : messageStep(other, bed));
  };
  if (!await session.idle(work, 1 + next(3))) await thrownOut(session, bed);
}

/** The mailbox was deleted under it: BYE, and it comes again. */
export async function thrownOut(session: Session, bed: Bed): Promise<void> {
  session.client.send("x NOOP\r\n");
  await session.client.until(/^\* BYE \[NONEXISTENT\] [^\r]*\r\n/m);
  bed.log.push(`${session.name}<  * BYE`);
  await session.connect();
  await open(session, bed);
}
