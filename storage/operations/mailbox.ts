/**
 * CREATE, RENAME, DELETE, SUBSCRIBE and \Recent.
 *
 * UIDVALIDITY comes from one counter that only grows (and never lags behind the clock), so a name that is created
 * again gets a larger one; a name given by RENAME gets a new one only when it had a larger one before.
 */
import type { WriteOp, WriteResult } from "../ops.ts";
import { dropSharing, inheritAcl } from "./acl.ts";
import { BELOW, boundsBelow } from "./below.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";
import { copy } from "./copy.ts";
import { removeMessages } from "./expunge.ts";

export const SEPARATOR = "/";
const MAX_MAILBOXES = 10_000;
/** As IMAP's grammar has them (protocols/imap/mailbox_name.ts). */
const MAX_NAME_OCTETS = 1_024;
const MAX_LEVELS = 32;

const TOO_MANY = refuse("limit", `an account has at most ${MAX_MAILBOXES} mailboxes`);

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** INBOX in any case is INBOX, also as the first level of a longer name (RFC 3501 5.1). */
export function canonicalName(name: string): string {
  return /^inbox(?=\/|$)/i.test(name) ? "INBOX" + name.slice(5) : name;
}

export function createMailbox(context: OperationContext, op: Op<"create-mailbox">): WriteResult {
  const name = canonicalName(op.name.endsWith(SEPARATOR) ? op.name.slice(0, -1) : op.name);
  const wrong = faultOfName(name);
  if (wrong !== null) return refuse("not-permitted", wrong);
  const existing = find(context, op.accountId, name);
  if (existing?.selectable) return refuse("already-exists", name);
  const inbox = op.belowInbox === true ? find(context, op.accountId, "INBOX") : null;
  const above = createParents(context, op.accountId, name, inbox?.id ?? null);
  const uidValidity = nextUidValidity(context);
  let id: number;
  if (existing !== null) {
    id = existing.id;
    context.sql(
      "UPDATE mailboxes SET selectable = 1, uid_validity = ?, uid_next = 1, recent_uid = 1, special_use = ? WHERE id = ?",
    )
      .run(uidValidity, op.specialUse, id);
  } else id = insert(context, { accountId: op.accountId, name, specialUse: op.specialUse, uidValidity });
  inheritAcl(context, id, above);
  if (tooMany(context, op.accountId)) return TOO_MANY;
  context.changes.push({ kind: "mailboxes", accountId: op.accountId, deleted: [] });
  return { ok: true, kind: "mailbox", mailboxId: id, uidValidity };
}

function tooMany(context: OperationContext, accountId: number): boolean {
  const [count] = context.rows("SELECT count(*) FROM mailboxes WHERE account_id = ?").get(accountId) as [
    number,
  ];
  return count > MAX_MAILBOXES;
}

/** Creates what is missing above a name, each with the access list of the one above it; returns the id of the nearest. */
function createParents(
  context: OperationContext,
  accountId: number,
  name: string,
  top: number | null,
): number | null {
  const levels = name.split(SEPARATOR);
  let above = top;
  for (let depth = 1; depth < levels.length; depth++) {
    const parent = levels.slice(0, depth).join(SEPARATOR);
    const found = find(context, accountId, parent)?.id;
    const id = found ?? insert(context, { accountId, name: parent });
    if (found === undefined) inheritAcl(context, id, above);
    above = id;
  }
  return above;
}

export function renameMailbox(context: OperationContext, op: Op<"rename-mailbox">): WriteResult {
  const from = canonicalName(op.from);
  const to = canonicalName(op.to);
  const source = find(context, op.accountId, from);
  if (source === null) return refuse("no-such-mailbox", from);
  const wrong = faultOfName(to);
  if (wrong !== null) return refuse("not-permitted", wrong);
  if (find(context, op.accountId, to) !== null) return refuse("already-exists", to);
  if (from === "INBOX") return moveInbox(context, op.accountId, source.id, to);
  if (to.startsWith(from + SEPARATOR)) return refuse("not-permitted", `${to} is under ${from}`);
  createParents(context, op.accountId, to, null);
  if (tooMany(context, op.accountId)) return TOO_MANY;
  const tree = context.rows(
    `SELECT id, name, uid_validity FROM mailboxes WHERE account_id = ? AND (name = ? OR ${BELOW}) ORDER BY name`,
  ).all(op.accountId, from, ...boundsBelow(from)) as [number, string, number][];
  for (const [id, name, uidValidity] of tree) {
    const renamed = to + name.slice(from.length);
    const longest = faultOfName(renamed);
    if (longest !== null) return refuse("not-permitted", longest);
    if (find(context, op.accountId, renamed) !== null) return refuse("already-exists", renamed);
    retire(context, { accountId: op.accountId, name, uidValidity });
    const [retired] = context.rows("SELECT uid_validity FROM retired_names WHERE account_id = ? AND name = ?")
      .get(op.accountId, renamed) ?? [0];
    const validity = Number(retired) >= uidValidity ? nextUidValidity(context) : uidValidity;
    context.sql("UPDATE mailboxes SET name = ?, uid_validity = ? WHERE id = ?").run(renamed, validity, id);
  }
  context.changes.push({ kind: "mailboxes", accountId: op.accountId, deleted: [] });
  return DONE;
}

/** RENAME of INBOX moves its messages and leaves it empty (RFC 3501 6.3.5), with its annotations; children of INBOX stay. */
function moveInbox(context: OperationContext, accountId: number, inbox: number, to: string): WriteResult {
  const made = createMailbox(context, { kind: "create-mailbox", accountId, name: to, specialUse: null });
  if (!made.ok || made.kind !== "mailbox") return made;
  // RFC 5464 4.1: INBOX keeps its own.
  context.sql(
    "INSERT INTO annotations (account_id, mailbox_id, entry, value) SELECT account_id, ?, entry, value FROM annotations " +
      "WHERE mailbox_id = ?",
  ).run(made.mailboxId, inbox);
  const moved = copy(context, {
    kind: "copy",
    from: inbox,
    to: made.mailboxId,
    uids: [[1, 0xffffffff]],
    move: true,
  });
  return moved.ok ? DONE : moved;
}

export function deleteMailbox(context: OperationContext, op: Op<"delete-mailbox">): WriteResult {
  const name = canonicalName(op.name);
  if (name === "INBOX") return refuse("not-permitted", "INBOX cannot be deleted");
  const mailbox = find(context, op.accountId, name);
  if (mailbox === null) return refuse("no-such-mailbox", name);
  const [children] = context.rows(`SELECT count(*) FROM mailboxes WHERE account_id = ? AND ${BELOW}`)
    .get(op.accountId, ...boundsBelow(name)) as [number];
  if (children > 0 && !mailbox.selectable) return refuse("has-children", name);
  removeMessages(context, mailbox.id, [[1, 0xffffffff]]);
  context.sql("DELETE FROM expunged WHERE mailbox_id = ?").run(mailbox.id);
  dropSharing(context, mailbox.id);
  retire(context, { accountId: op.accountId, name, uidValidity: mailbox.uidValidity });
  if (children > 0) {
    // The name stays for its children, under a new row: whoever has the old mailbox open must not see it come back.
    context.sql("DELETE FROM mailboxes WHERE id = ?").run(mailbox.id);
    const id = insert(context, { accountId: op.accountId, name, selectable: false });
    // As every new name: whoever may create one here may make it a mailbox again, and then use it.
    const above = find(context, op.accountId, name.slice(0, Math.max(0, name.lastIndexOf(SEPARATOR))));
    inheritAcl(context, id, above?.id ?? null);
  } else context.sql("DELETE FROM mailboxes WHERE id = ?").run(mailbox.id);
  context.changes.push({ kind: "mailboxes", accountId: op.accountId, deleted: [mailbox.id] });
  return DONE;
}

export function subscribe(context: OperationContext, op: Op<"subscribe">): WriteResult {
  const name = canonicalName(op.name);
  if (!op.subscribed) {
    context.sql("DELETE FROM subscriptions WHERE account_id = ? AND name = ?").run(op.accountId, name);
  } else {
    const wrong = faultOfName(name);
    if (wrong !== null) return refuse("not-permitted", wrong);
    const [count] = context.rows("SELECT count(*) FROM subscriptions WHERE account_id = ?").get(
      op.accountId,
    ) as [number];
    if (count >= MAX_MAILBOXES) {
      return refuse("limit", `an account has at most ${MAX_MAILBOXES} subscriptions`);
    }
    context.sql("INSERT OR IGNORE INTO subscriptions (account_id, name) VALUES (?, ?)").run(
      op.accountId,
      name,
    );
  }
  context.changes.push({ kind: "mailboxes", accountId: op.accountId, deleted: [] });
  return DONE;
}

export function claimRecent(context: OperationContext, op: Op<"claim-recent">): WriteResult {
  const row = context.rows("SELECT recent_uid, uid_next FROM mailboxes WHERE id = ?").get(op.mailboxId);
  if (row === undefined) return refuse("no-such-mailbox", `mailbox ${op.mailboxId}`);
  const [recent, next] = row as [number, number];
  if (recent < next) context.sql("UPDATE mailboxes SET recent_uid = uid_next WHERE id = ?").run(op.mailboxId);
  return { ok: true, kind: "recent", firstRecentUid: recent };
}

/** The INBOX of an account that nobody logs in as: whoever may write to it must be named, and at first everybody is. */
export function createSharedInbox(context: OperationContext, accountId: number): void {
  const id = insert(context, { accountId, name: "INBOX" });
  context.sql("INSERT INTO acl (mailbox_id, identifier, rights) VALUES (?, 'anyone', 'p')").run(id);
}

/** Mailboxes of a new account: all there, subscribed, with SPECIAL-USE (clients show subscribed folders only). */
export function createStandardMailboxes(context: OperationContext, accountId: number): void {
  const standard: [string, string | null][] = [
    ["INBOX", null],
    ["Sent", "\\Sent"],
    ["Drafts", "\\Drafts"],
    ["Junk", "\\Junk"],
    ["Trash", "\\Trash"],
    ["Archive", "\\Archive"],
  ];
  for (const [name, specialUse] of standard) {
    insert(context, { accountId, name, specialUse });
    context.sql("INSERT INTO subscriptions (account_id, name) VALUES (?, ?)").run(accountId, name);
  }
}

function find(
  context: OperationContext,
  accountId: number,
  name: string,
): { id: number; selectable: boolean; uidValidity: number } | null {
  const row = context.rows(
    "SELECT id, selectable, uid_validity FROM mailboxes WHERE account_id = ? AND name = ?",
  )
    .get(accountId, name) as [number, number, number] | undefined;
  return row === undefined ? null : { id: row[0], selectable: row[1] === 1, uidValidity: row[2] };
}

function insert(
  context: OperationContext,
  mailbox: {
    accountId: number;
    name: string;
    specialUse?: string | null;
    selectable?: boolean;
    uidValidity?: number;
  },
): number {
  const { accountId, name, specialUse = null, selectable = true } = mailbox;
  const uidValidity = mailbox.uidValidity ?? nextUidValidity(context);
  const [id] = context.rows(
    "INSERT INTO mailboxes (account_id, name, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, " +
      "size_octets, recent_uid, special_use, selectable) VALUES (?, ?, ?, 1, 1, 0, 0, 0, 0, 1, ?, ?) RETURNING id",
  ).get(accountId, name, uidValidity, specialUse, selectable ? 1 : 0) as [number];
  return id;
}

function nextUidValidity(context: OperationContext): number {
  const [value] = context.rows(
    "INSERT INTO counters (name, value) VALUES ('uid_validity', ?) " +
      "ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value",
  ).get(Math.floor(context.clock() / 1000)) as [number];
  return value;
}

function retire(
  context: OperationContext,
  name: { accountId: number; name: string; uidValidity: number },
): void {
  context.sql(
    "INSERT INTO retired_names (account_id, name, uid_validity) VALUES (?, ?, ?) " +
      "ON CONFLICT (account_id, name) DO UPDATE SET uid_validity = max(uid_validity, excluded.uid_validity)",
  ).run(name.accountId, name.name, name.uidValidity);
}

function faultOfName(name: string): string | null {
  if (name === "") return "a mailbox name cannot be empty";
  if (new TextEncoder().encode(name).length > MAX_NAME_OCTETS) {
    return `a mailbox name has at most ${MAX_NAME_OCTETS} octets`;
  }
  const levels = name.split(SEPARATOR);
  if (levels.length > MAX_LEVELS) return `a mailbox name has at most ${MAX_LEVELS} levels`;
  if (levels.some((level) => level === "")) return "a level of a mailbox name cannot be empty";
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name)) return "a mailbox name cannot have control characters";
  return null;
}
