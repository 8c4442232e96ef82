/**
 * GETQUOTA and GETQUOTAROOT (RFC 9208): an account is one quota root, `""`, for all its mailboxes.
 *
 * Limits are those that delivery keeps to (delivery/quota.ts); a resource without one is not listed. Only the
 * administrator sets them, and not by IMAP: SETQUOTA is refused, and QUOTASET is not advertised.
 */
import { quotaOf } from "../../delivery/quota.ts";
import { formatQuota, formatQuotaRoot, type QuotaItem } from "../../protocols/imap/format/quota.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Account, Mailbox } from "../../storage/store.ts";
import { FLAG_DELETED } from "../../storage/changes.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";

const ROOT = "";
const UNIT_OCTETS = 1_024;
/** Rows read at once for DELETED-STORAGE. */
const ROW_BATCH = 500;

export function getQuota(context: ImapContext, command: { readonly root: string }): Reply {
  if (command.root !== ROOT) return no("No such quota root", "NONEXISTENT");
  context.out.text(formatQuota(ROOT, items(context)));
  return ok("Getquota completed");
}

export function getQuotaRoot(context: ImapContext, command: { readonly mailbox: string }): Reply {
  const mailbox = context.store.mailboxes.byName(accountOf(context).id, command.mailbox);
  if (mailbox === null) return no("No such mailbox", "NONEXISTENT");
  context.out.text(formatQuotaRoot(mailbox.name, ROOT, context.session.enabled.utf8));
  context.out.text(formatQuota(ROOT, items(context)));
  return ok("Getquotaroot completed");
}

export function setQuota(): Reply {
  return no("Quotas are set by the administrator", "NOPERM");
}

function items(context: ImapContext): QuotaItem[] {
  const { octets, messages } = quotaOf(context.store.directory, current(context));
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

/** As it is now: the session's account is as it was at login. */
function current(context: ImapContext): Account {
  const account = accountOf(context);
  return context.store.directory.accountById(account.id) ?? account;
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
