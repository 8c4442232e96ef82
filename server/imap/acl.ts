/**
 * SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 3).
 *
 * Identifiers: an address of an account or a group here (any spelling of it), `@domain`, `authenticated`, `anyone`, each also
 * behind a dash. The owner has every right in any case; his entry is told and cannot be changed.
 */
import { formatAcl, formatListRights, formatMyRights } from "../../protocols/imap/format/acl.ts";
import type { Command } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { ALL_RIGHTS, NO_RIGHTS } from "../../storage/rights.ts";
import { domainOf } from "../../storage/address_form.ts";
import { aclIdentifier } from "../../delivery/acl_identifier.ts";
import { type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";
import { findMailbox, mailboxWith, type NamedMailbox, NO_MAILBOX } from "./names.ts";

interface OfMailbox {
  readonly mailbox: string;
}
interface OfIdentifier extends OfMailbox {
  readonly identifier: string;
}

export function getAcl(context: ImapContext, command: OfMailbox): Reply {
  const mailbox = mailboxWith(context, command.mailbox, "a");
  if ("status" in mailbox) return mailbox;
  const entries = context.store.access.acl(mailbox.id);
  const owner = ownerOf(context, mailbox);
  const all = owner === null ? entries : [{ identifier: owner, rights: ALL_RIGHTS }, ...entries];
  context.out.text(formatAcl(named(context, mailbox), all));
  return ok("Getacl completed");
}

export function myRights(context: ImapContext, command: OfMailbox): Reply {
  const mailbox = findMailbox(context, command.mailbox);
  const any = mailbox !== null && [..."lrikxa"].some((right) => mailbox.rights.includes(right));
  if (!any) return NO_MAILBOX;
  context.out.text(formatMyRights(named(context, mailbox), mailbox.rights));
  return ok("Myrights completed");
}

export function listRights(context: ImapContext, command: OfIdentifier): Reply {
  const mailbox = mailboxWith(context, command.mailbox, "a");
  if ("status" in mailbox) return mailbox;
  const normal = identify(context, mailbox, command.identifier);
  if (normal === null) return NOBODY;
  const isOwner = normal === ownerOf(context, mailbox);
  context.out.text(formatListRights(named(context, mailbox), {
    identifier: command.identifier,
    always: isOwner ? ALL_RIGHTS : NO_RIGHTS,
    others: isOwner ? NO_RIGHTS : ALL_RIGHTS,
  }));
  return ok("Listrights completed");
}

export async function setAcl(
  context: ImapContext,
  command: Extract<Command, { name: "SETACL" }>,
): Promise<Reply> {
  const { rights, mode } = command;
  return await change(context, command, { rights, mode, done: "Setacl completed" });
}

export async function deleteAcl(context: ImapContext, command: OfIdentifier): Promise<Reply> {
  return await change(context, command, { rights: NO_RIGHTS, mode: "replace", done: "Deleteacl completed" });
}

const NOBODY = no("There is no such account or group", "CANNOT");

async function change(
  context: ImapContext,
  command: OfIdentifier,
  { rights, mode, done }: {
    readonly rights: string;
    readonly mode: "replace" | "add" | "remove";
    readonly done: string;
  },
): Promise<Reply> {
  const mailbox = mailboxWith(context, command.mailbox, "a");
  if ("status" in mailbox) return mailbox;
  if (context.sharing.scope === "off") return no("Mailboxes are not shared here", "NOPERM");
  // What was kept of somebody who is gone can be removed.
  const identifier = identify(context, mailbox, command.identifier) ??
    (rights === NO_RIGHTS && mode === "replace" ? command.identifier : null);
  if (identifier === null) return NOBODY;
  const owner = ownerOf(context, mailbox);
  if (identifier === owner || identifier === `-${owner}`) {
    const same = identifier === owner && (mode === "add" || rights === ALL_RIGHTS);
    return same ? ok(done) : no("The owner has every right", "CANNOT");
  }
  const result = await context.store.write({
    kind: "set-acl",
    mailboxId: mailbox.id,
    identifier,
    rights,
    mode,
  });
  if (!result.ok) return refusal(result);
  context.log.info("access of {identifier} to {mailbox} changed: {mode} {rights}", {
    identifier,
    mailbox: mailbox.id,
    mode,
    rights,
    account: context.account?.address,
  });
  return ok(done);
}

/** The normal form of an identifier; null where nobody is meant, or nobody the mailbox can be shared with. */
function identify(context: ImapContext, { accountId }: NamedMailbox, text: string): string | null {
  const { directory } = context.store;
  const identifier = aclIdentifier(directory, text);
  if (identifier === null || !identifier.includes("@") || context.sharing.scope === "server") {
    return identifier;
  }
  const owner = directory.accountById(accountId);
  return owner !== null && domainOf(identifier) === domainOf(owner.address) ? identifier : null;
}

/** The owner as an identifier; null for a mailbox that is nobody's own. */
function ownerOf(context: ImapContext, { accountId }: NamedMailbox): string | null {
  const owner = context.store.directory.accountById(accountId);
  return owner === null || owner.shared ? null : owner.address;
}

function named(context: ImapContext, { name }: NamedMailbox): { mailbox: string; utf8: boolean } {
  return { mailbox: name, utf8: context.session.enabled.utf8 };
}
