/** Large mailboxes, filled straight into the storage of each server while it does not run. */
import { FactsBuilder } from "../../message/facts.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { Indexer } from "../../search/indexer.ts";
import { ALONE } from "../../search/pace.ts";
import { FLAG_ANSWERED, FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openStore } from "../../storage/open_store.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import { Writer } from "../../storage/writer.ts";
import { DOMAIN } from "../target.ts";
import { flagsOf, internalDateOf, largeMessage, SIZE_OCTETS } from "./messages.ts";

/** Messages that are under way at once. */
const BATCH = 400;
const NO_PREFIX = new Uint8Array(0);

/** `count` messages in the INBOX of `user`; beyond `distinct` they are copies that share their octets. */
export interface Filling {
  readonly user: string;
  readonly count: number;
  readonly distinct?: number;
}

export async function fillVeredus(data: string, fillings: readonly Filling[]): Promise<void> {
  await withStore(data, async (store) => {
    for (const filling of fillings) await fillInbox(store, filling);
  });
}

/** Makes the full-text indexes, which a server would make beside what is measured. */
export async function indexVeredus(data: string): Promise<void> {
  const folder = new IndexFolder(new DataFolder(data).indexes);
  await withStore(data, async (store) => {
    const indexer = new Indexer({ store, folder, pace: ALONE, attachments: null });
    indexer.start();
    await indexer.settle();
    await indexer.stop();
  });
}

/** The same `count` messages in the INBOX of each, which share their octets. */
export async function fillAlike(data: string, users: readonly string[], count: number): Promise<void> {
  await withStore(data, async (store) => {
    const [first = "", ...others] = users;
    await fillInbox(store, { user: first, count });
    const from = inboxOf(store, first);
    for (const user of others) {
      await written(store, { kind: "copy", from, to: inboxOf(store, user), uids: [[1, count]], move: false });
    }
  });
}

/** Mailboxes in folders of a hundred until the account has so many, INBOX and all. */
export async function makeMailboxes(data: string, user: string, count: number): Promise<void> {
  await withStore(data, async (store) => {
    const accountId = store.directory.account(`${user}@${DOMAIN}`)!.id;
    const names = new Set(store.mailboxes.list(accountId).map(({ name }) => name));
    for (let number = 0; names.size < count; number++) {
      const name = nameOf(number);
      if (names.has(name)) continue;
      names.add(name);
      await written(store, {
        kind: "batch",
        ops: [
          { kind: "create-mailbox", accountId, name, specialUse: null },
          { kind: "subscribe", accountId, name, subscribed: true },
        ],
      });
    }
  });
}

function nameOf(number: number): string {
  const folder = Math.floor(number / 100), place = number % 100;
  return place === 0 ? `Folder ${folder}` : `Folder ${folder}/List ${place}`;
}

/** A writer and a store of their own, while no server has the data. */
export async function withStore(data: string, work: (store: Store) => Promise<void>): Promise<void> {
  const folder = new DataFolder(data);
  const fatal = Promise.withResolvers<never>();
  const writer = new Writer({
    databasePath: folder.database,
    segments: folder.segments,
    clock: Date.now,
    onFatal: (error) => fatal.reject(error),
  });
  const store = openStore({ folder, writer });
  try {
    await Promise.race([work(store), fatal.promise]);
  } finally {
    await store.close();
    await writer.close();
  }
}

function inboxOf(store: Store, user: string): number {
  const account = store.directory.account(`${user}@${DOMAIN}`);
  const inbox = account === null ? null : store.mailboxes.inboxOf(account.id);
  if (inbox === null) throw new Error(`no INBOX of ${user}`);
  return inbox;
}

async function fillInbox(store: Store, { user, count, distinct = count }: Filling): Promise<void> {
  const inbox = inboxOf(store, user);
  for (let from = 0; from < distinct; from += BATCH) {
    const length = Math.min(BATCH, distinct - from);
    await Promise.all(Array.from({ length }, (_, at) => deliver(store, inbox, from + at)));
  }
  for (let have = distinct; have < count;) {
    const more = Math.min(distinct, count - have);
    await written(store, { kind: "copy", from: inbox, to: inbox, uids: [[1, more]], move: false });
    have += more;
  }
}

async function deliver(store: Store, mailboxId: number, number: number): Promise<void> {
  const { octets, flags, internalDate } = largeMessage(number);
  const builder = new FactsBuilder();
  builder.push(octets, 0, octets.length);
  const { headerOctets, imap, preview, subject, from, messageId, references, sentAtMs } = builder.finish();
  const spool = store.spool();
  await spool.write(octets, 0, octets.length);
  const facts = { accounts: [], mailbox: "INBOX", internalDate, traceId: "", sender: "", recipients: [] };
  const content = {
    blob: await spool.store(facts),
    headerOctets,
    imap,
    preview,
    subject,
    from,
    messageId,
    references: references.join(" "),
    sentAt: sentAtMs,
    traceId: "",
  };
  spool.discard();
  const target = { mailboxId, flags, keywords: "", internalDate, prefix: NO_PREFIX };
  await written(store, { kind: "deliver", content, targets: [target], queue: null });
}

async function written(store: Store, op: WriteOp): Promise<void> {
  const result = await store.write(op);
  if (!result.ok) throw new Error(`${op.kind}: ${result.detail}`);
}

/** The same in a Maildir below `mail`, as Dovecot writes it: its copies are hard links too. */
export function fillMaildir(
  mail: string,
  { user, count, distinct = count }: Filling,
  { owner }: { readonly owner: string | null },
): void {
  for (const name of ["cur", "new", "tmp"]) Deno.mkdirSync(`${mail}/${user}/${name}`, { recursive: true });
  const originals: string[] = [];
  for (let number = 0; number < distinct; number++) {
    const { octets, flags, internalDate } = largeMessage(number);
    const path = `${mail}/${user}/cur/${maildirName(number, flags)}`;
    Deno.writeFileSync(path, octets);
    Deno.utimeSync(path, internalDate / 1000, internalDate / 1000);
    originals.push(path);
  }
  for (let number = distinct; number < count; number++) {
    const original = originals[number % distinct]!;
    Deno.linkSync(original, `${mail}/${user}/cur/${maildirName(number, flagsOf(number % distinct))}`);
  }
  if (owner === null) return;
  const { success } = new Deno.Command("chown", { args: ["-R", owner, `${mail}/${user}`] }).outputSync();
  if (!success) throw new Error("chown of the Maildir failed");
}

/** In the order of the numbers. */
function maildirName(number: number, flags: number): string {
  const letters = [[FLAG_FLAGGED, "F"], [FLAG_ANSWERED, "R"], [FLAG_SEEN, "S"]] as const;
  const info = letters.map(([bit, letter]) => flags & bit ? letter : "").join("");
  const seconds = internalDateOf(number) / 1000;
  return `${seconds}.M${number}P1.bench,S=${SIZE_OCTETS},W=${SIZE_OCTETS}:2,${info}`;
}
