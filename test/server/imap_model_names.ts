/** Steps of imap_model_test.ts that are about mailboxes and what belongs to them. */
import assert from "node:assert/strict";
import { type Mailbox, POOL } from "./imap_model.ts";
import type { Session } from "./imap_model_session.ts";
import { type Bed, open, thrownOut } from "./imap_model_steps.ts";

const READER = "bob@example.test";

export async function nameStep(session: Session, bed: Bed): Promise<void> {
  const { model, next } = bed;
  const name = POOL[next(POOL.length)]!;
  switch (next(11)) {
    case 0:
    case 1: {
      const made = model.create(name);
      assert.equal(await session.run(`CREATE ${name}`), made === null ? "NO" : "OK");
      if (made !== null) made.id = /^MAILBOXID (.*)$/.exec(session.code)![1]!;
      await status(session, bed, name);
      await rightsTold(session, bed, name);
      break;
    }
    case 2:
      return await remove(session, bed, name);
    case 3:
    case 4: {
      const from = next(6) === 0 ? "INBOX" : name, to = POOL[next(POOL.length)]!;
      const done = model.rename(from, to);
      assert.equal(await session.run(`RENAME ${from} ${to}`), done ? "OK" : "NO");
      await status(session, bed, to);
      break;
    }
    case 5: {
      const verb = next(2) === 0 ? "SUBSCRIBE" : "UNSUBSCRIBE";
      if (verb === "SUBSCRIBE") model.subscribed.add(name);
      else model.subscribed.delete(name);
      assert.equal(await session.run(`${verb} ${name}`), "OK");
      break;
    }
    case 6:
      await list(session, bed);
      break;
    case 7: {
      assert.equal(await session.run('LSUB "" *', { asks: /^\* LSUB/ }), "OK");
      assert.deepEqual(session.said, model.subscriptions());
      break;
    }
    case 8:
      await metadata(session, bed, name);
      break;
    case 9:
      await rights(session, bed, name);
      break;
    default:
      await status(session, bed, next(3) === 0 ? "INBOX" : name);
      await quota(session, bed);
  }
  session.check(true);
}

/** Sessions that have it open are told BYE; the one that says it goes on without a mailbox. */
async function remove(session: Session, bed: Bed, name: string): Promise<void> {
  const box = bed.model.names.get(name);
  const own = box !== undefined && box !== null && session.box === box;
  const gone = bed.model.delete(name);
  assert.equal(await session.run(`DELETE ${name}`), gone === undefined ? "NO" : "OK");
  if (own) {
    session.box = null;
    await open(session, bed);
  } else session.check(true);
  if (!gone) return;
  for (const other of bed.sessions) {
    other.kept.delete(gone);
    if (other.box === gone && !other.idling) await thrownOut(other, bed);
  }
}

async function list(session: Session, { model, next }: Bed): Promise<void> {
  const subscribed = next(2) === 0;
  const returns = subscribed ? " RETURN (SUBSCRIBED)" : "";
  assert.equal(await session.run(`LIST "" *${returns}`, { asks: /^\* LIST/ }), "OK");
  assert.deepEqual(session.said, model.listed(subscribed));
}

async function status(session: Session, { model }: Bed, name: string): Promise<void> {
  const box = model.names.get(name) ?? null;
  const items = `(MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE MAILBOXID)`;
  const answer = await session.run(`STATUS ${name} ${items}`, { asks: /^\* STATUS/ });
  assert.equal(answer, box === null ? "NO" : "OK");
  if (box === null) return;
  const messages = [...box.messages.values()];
  const unseen = messages.filter(({ flags }) => !flags.has("\\seen")).length;
  const deleted = messages.filter(({ flags }) => flags.has("\\deleted")).length;
  const size = messages.reduce((sum, { text }) => sum + text.length, 0);
  const [line] = session.said;
  const [, uidValidity, id] = /UIDVALIDITY (\d+) .*MAILBOXID (\(\w+\))\)$/.exec(line!)!;
  model.validityTold(name, Number(uidValidity));
  if (box.id !== "") assert.equal(id, box.id, "MAILBOXID");
  box.id = id!;
  assert.equal(
    line,
    `* STATUS "${name}" (MESSAGES ${messages.length} UIDNEXT ${box.uidNext} UIDVALIDITY ${uidValidity} ` +
      `UNSEEN ${unseen} DELETED ${deleted} SIZE ${size} MAILBOXID ${id})`,
  );
}

async function quota(session: Session, { model }: Bed): Promise<void> {
  const { octets, messages } = model.usage;
  for (const command of ['GETQUOTA ""', "GETQUOTAROOT INBOX"]) {
    assert.equal(await session.run(command, { asks: /^\* QUOTA/ }), "OK");
    const used = /\(STORAGE (\d+) \d+ MESSAGE (\d+) \d+\)$/.exec(session.said.at(-1)!)!;
    assert.deepEqual([Number(used[1]), Number(used[2])], [Math.ceil(octets / 1_024), messages], command);
  }
}

/** RFC 5464; annotations go with their mailbox. */
async function metadata(session: Session, { model, next }: Bed, name: string): Promise<void> {
  const box: Mailbox | null = model.names.get(name) ?? null;
  const entry = `/${["private", "shared"][next(2)]}/vendor/test/e${next(2)}`;
  if (next(2) === 0) {
    const value = next(3) === 0 ? null : `value ${next(9)}`;
    if (box !== null && value !== null) box.metadata.set(entry, value);
    else box?.metadata.delete(entry);
    if (box !== null) box.changes++; // RFC 7162 3.2
    const given = value === null ? "NIL" : `"${value}"`;
    const answer = await session.run(`SETMETADATA ${name} (${entry} ${given})`);
    if (model.names.get(name) !== null) assert.equal(answer, box === null ? "NO" : "OK");
  } else {
    const answer = await session.run(`GETMETADATA ${name} ${entry}`, { asks: /^\* METADATA/ });
    if (model.names.get(name) !== null) assert.equal(answer, box === null ? "NO" : "OK");
    if (box === null) return;
    const told = /^\* METADATA "?[\w/]+"? \(\S+ "(.*)"\)$/.exec(session.said[0] ?? "")?.[1];
    assert.equal(told, box.metadata.get(entry), `${entry} of ${name}`);
  }
}

async function rights(session: Session, bed: Bed, name: string): Promise<void> {
  const { model, next } = bed;
  const box = model.names.get(name);
  if (box && next(3) !== 0) {
    box.rights = next(3) === 0 ? "" : ["lr", "lrs", "lrsw", "lrsi"][next(4)]!;
    const command = box.rights === "" ? "DELETEACL" : "SETACL";
    assert.equal(await session.run(`${command} ${name} ${READER} ${box.rights}`.trimEnd()), "OK");
  }
  await rightsTold(session, bed, name);
}

async function rightsTold(session: Session, { model }: Bed, name: string): Promise<void> {
  const box = model.names.get(name);
  if (!box) return void await session.run("NOOP");
  assert.equal(await session.run(`GETACL ${name}`, { asks: /^\* ACL/ }), "OK");
  const told = new RegExp(`"?${READER}"? "?([a-z]+)"?`).exec(session.said[0]!)?.[1] ?? "";
  // RFC 4314 2.1.1: "c" and "d" stand for others.
  const letters = (text: string) => [...text].filter((letter) => !"cd".includes(letter)).sort().join("");
  assert.equal(letters(told), letters(box.rights), `rights in ${name}`);
  assert.equal(await session.run(`MYRIGHTS ${name}`, { asks: /^\* MYRIGHTS/ }), "OK");
  assert.match(session.said[0]!, /"?lrswipkxtea(?:cd)?"?$/);
}
