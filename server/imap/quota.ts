/**
 * GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208): an account is one quota root for all its mailboxes.
 *
 * Its own is `""`; that of another account is called like its INBOX, and shown to whoever may read a mailbox in it (6).
 * Limits are those that delivery keeps to (delivery/quota.ts); a resource without one is not listed. The operator names
 * the accounts that may set them: they see and set those of every account, by the name of its INBOX or its address.
 */
import { quotaOf } from "../../delivery/quota.ts";
import { formatQuota, formatQuotaRoot, type QuotaItem } from "../../protocols/imap/format/quota.ts";
import type { Command } from "../../protocols/imap/command.ts";
import { parseForeignName } from "../../protocols/imap/namespaces.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Mailbox } from "../../storage/mailboxes.ts";
import { FLAG_DELETED } from "../../storage/changes.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";
import { inboxName, mailboxWith, placeOf } from "./names.ts";

const ROOT = "";
const RESOURCES: ReadonlySet<string> = new Set(["STORAGE", "MESSAGE"]);
const UNIT_OCTETS = 1_024;
const LARGEST_LIMIT = Math.floor(Number.MAX_SAFE_INTEGER / UNIT_OCTETS);
/** Rows read at once for DELETED-STORAGE. */
const ROW_BATCH = 500;

export function getQuota(context: ImapContext, command: { readonly root: string }): Reply {
  const account = accountOfRoot(context, command.root);
  if (account === null) return NO_ROOT;
  context.out.text(formatQuota(command.root, items(context, account)));
  return ok("Getquota completed");
}

export function getQuotaRoot(context: ImapContext, command: { readonly mailbox: string }): Reply {
  const place = placeOf(context, command.mailbox);
  // RFC 9208 4.1.2: one's own need not exist.
  if (place?.own !== true) {
    const mailbox = mailboxWith(context, command.mailbox, "r");
    if ("status" in mailbox) return mailbox;
  }
  const owner = place?.owner ?? accountOf(context);
  const root = place?.own === true ? ROOT : inboxName(context, owner) ?? owner.address;
  context.out.text(formatQuotaRoot(command.mailbox, root, context.session.enabled.utf8));
  context.out.text(formatQuota(root, items(context, owner)));
  return ok("Getquotaroot completed");
}

/** Limits that are not named are taken away (4.1.3), those of the domain too. A limit of nothing cannot be kept here. */
export async function setQuota(
  context: ImapContext,
  { root, limits }: Extract<Command, { name: "SETQUOTA" }>,
): Promise<Reply> {
  if (!context.session.maySetQuota) return no("Quotas are set by the administrator", "NOPERM");
  const account = accountOfRoot(context, root);
  if (account === null) return NO_ROOT;
  for (const { resource, limit } of limits) {
    if (!RESOURCES.has(resource)) return no("Only STORAGE and MESSAGE can be limited", "CANNOT");
    if (limit === 0 || limit > LARGEST_LIMIT) return no(`A limit is 1 to ${LARGEST_LIMIT}`, "CANNOT");
  }
  const limitOf = (name: string) => limits.findLast(({ resource }) => resource === name)?.limit ?? 0;
  const quotaOctets = limitOf("STORAGE") * UNIT_OCTETS, quotaMessages = limitOf("MESSAGE");
  const { address } = account;
  const result = await context.store.write({
    kind: "put-account",
    account: { address, quotaOctets, quotaMessages },
  });
  if (!result.ok) return refusal(result);
  context.log.info("quota of {account} set to {octets} octets, {messages} messages", {
    account: address,
    octets: quotaOctets,
    messages: quotaMessages,
    by: accountOf(context).address,
  });
  context.out.text(formatQuota(root, items(context, account)));
  return ok("Setquota completed");
}

const NO_ROOT = no("No such quota root", "NONEXISTENT");

/** The account of a quota root that this client may know of. */
function accountOfRoot(context: ImapContext, root: string): Account | null {
  const account = accountOf(context);
  if (root === ROOT) return account;
  const { directory, access } = context.store;
  const address = parseForeignName(context.sharing.namespaces, root)?.address ?? root;
  const owner = directory.account(address);
  if (owner === null) return null;
  if (context.session.maySetQuota) return owner;
  if (root !== inboxName(context, owner)) return null;
  const granted = access.granted(account, context.sharing.scope, owner.id);
  return granted.some(({ rights }) => rights.includes("r")) ? owner : null;
}

function items(context: ImapContext, account: Account): QuotaItem[] {
  const { directory } = context.store;
  // As it is now: the session's account is as it was at login.
  const now = directory.accountById(account.id) ?? account;
  const { octets, messages } = quotaOf(directory, now);
  const all: QuotaItem[] = [
    {
      resource: "STORAGE",
      used: Math.ceil(octets.used / UNIT_OCTETS),
      limit: Math.floor(octets.hard / UNIT_OCTETS),
    },
    { resource: "MESSAGE", used: messages.used, limit: messages.hard },
  ];
  return all.filter(({ resource }) => (resource === "STORAGE" ? octets.hard : messages.hard) > 0);
}

/** Octets of the messages marked \Deleted (RFC 9208 4.1.4). */
export async function deletedOctets(context: ImapContext, mailbox: Mailbox): Promise<number> {
  if (mailbox.deleted === 0) return 0;
  const index = await context.store.mailboxes.open(mailbox.id);
  if (index === null) return 0;
  let octets = 0;
  try {
    const uids: [number, number][] = [];
    for (let at = 0; at < index.count; at++) {
      if ((index.flagsAt(at) & FLAG_DELETED) !== 0) uids.push([index.uidAt(at), index.uidAt(at)]);
    }
    for (let at = 0; at < uids.length; at += ROW_BATCH) {
      const rows = context.store.messages.rows(mailbox.id, uids.slice(at, at + ROW_BATCH), {
        limit: ROW_BATCH,
        withImap: false,
      });
      for (const row of rows) octets += row.sizeOctets;
      await context.drain();
    }
  } finally {
    index.release();
  }
  return octets;
}
