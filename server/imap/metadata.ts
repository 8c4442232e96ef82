/**
 * METADATA (RFC 5464): annotations of mailboxes and of the account, which stands for the server.
 *
 * `/private/` entries are the account's own, on mailboxes of others too; `/shared/` ones belong to the mailbox. Both need
 * the right to look it up and one to its messages (RFC 5464 3.3), and to set shared ones also that to write. A session that
 * has enabled METADATA, or METADATA-SERVER for those of the account, is told the names of what other sessions change. Limits: {@linkcode MAX_VALUE_OCTETS} in a value (MAXSIZE), the store's number of
 * annotations of a mailbox (TOOMANY).
 */
import { encode } from "../../bytes/decode.ts";
import type { Command } from "../../protocols/imap/command.ts";
import { entryFault } from "../../protocols/imap/commands/metadata.ts";
import {
  formatMetadataChange,
  type MetadataValue,
  writeMetadata,
} from "../../protocols/imap/format/metadata.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Change } from "../../storage/changes.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";
import { mailboxWith, type NamedMailbox, namedMailbox, NOT_PERMITTED } from "./names.ts";

export const MAX_VALUE_OCTETS = 32_768;
/** Mailbox id of the account's own annotations. */
const SERVER = 0;
/** RFC 5464 3.2.1.1: no client changes it. */
const SERVER_ADMIN = "/shared/admin";
/** Of a mailbox: what it is used for, which is settled when it is made (RFC 6154 4). */
const SPECIAL_USE = "/private/specialuse";
/** Changes kept for a client that does not ask; past it the oldest are forgotten. */
const MAX_PENDING = 1_000;

export function getMetadata(context: ImapContext, command: Extract<Command, { name: "GETMETADATA" }>): Reply {
  const { entries, options } = command;
  const subject = subjectOf(context, command.mailbox);
  if ("status" in subject) return subject;
  const { maxSize, depth } = options;
  const kept = annotationsOf(context, subject);
  const all = depth === 0
    ? asAsked(kept, entries)
    : kept.filter(({ entry }) => entries.some((asked) => reaches(asked, entry, depth)));
  const values = maxSize === null ? all : all.filter(({ value }) => (value?.length ?? 0) <= maxSize);
  if (values.length > 0) {
    writeMetadata(context.out, { mailbox: command.mailbox, values, utf8: context.session.enabled.utf8 });
  }
  const left = all.filter((one) => !values.includes(one)).map(({ value }) => value?.length ?? 0);
  return ok("Getmetadata completed", left.length === 0 ? "" : `METADATA LONGENTRIES ${Math.max(...left)}`);
}

/** LIST RETURN (METADATA ...) (RFC 9590). */
export function listMetadata(
  context: ImapContext,
  mailbox: NamedMailbox,
  entries: readonly string[],
): void {
  const kept = annotationsOf(context, { mailboxId: mailbox.id, mailbox });
  const values = asAsked(kept, entries);
  writeMetadata(context.out, { mailbox: mailbox.name, values, utf8: context.session.enabled.utf8 });
}

/** Each entry once, NIL where it is not set (RFC 5464 3.2). */
function asAsked(kept: readonly MetadataEntry[], entries: readonly string[]): MetadataValue[] {
  const values = new Map(kept.map(({ entry, value }) => [entry, value]));
  return [...new Set(entries)].map((entry) => ({ entry, value: values.get(entry) ?? null }));
}

export async function setMetadata(
  context: ImapContext,
  command: Extract<Command, { name: "SETMETADATA" }>,
): Promise<Reply> {
  const { annotations } = command;
  const subject = subjectOf(context, command.mailbox);
  if ("status" in subject) return subject;
  const { mailboxId, mailbox } = subject;
  const sharedOnes = annotations.some(({ entry }) => isShared(entry));
  if (mailbox?.own === false && sharedOnes && !mailbox.rights.includes("w")) return NOT_PERMITTED;
  for (const { entry, value } of annotations) {
    if (entry === (mailbox === null ? SERVER_ADMIN : SPECIAL_USE)) {
      return no("The entry is read-only", "CANNOT");
    }
    const fault = entryFault(entry);
    if (fault !== null) return no(fault, "CANNOT");
    if (value !== null && value.length > MAX_VALUE_OCTETS) {
      return no(`A value has at most ${MAX_VALUE_OCTETS} octets`, `METADATA MAXSIZE ${MAX_VALUE_OCTETS}`);
    }
  }
  const { id: accountId } = accountOf(context);
  const ownerId = mailbox?.accountId ?? accountId;
  const put = (whose: number, some: typeof annotations): WriteOp => ({
    kind: "put-annotations",
    accountId: whose,
    mailboxId,
    annotations: some,
  });
  const result = await context.store.write(
    ownerId === accountId ? put(accountId, annotations) : {
      kind: "batch",
      ops: [
        put(accountId, annotations.filter(({ entry }) => !isShared(entry))),
        put(ownerId, annotations.filter(({ entry }) => isShared(entry))),
      ].filter((op) => op.kind === "put-annotations" && op.annotations.length > 0),
    },
  );
  if (!result.ok) {
    return result.fault === "limit" ? no("Too many annotations", "METADATA TOOMANY") : refusal(result);
  }
  forgetOwn(context, mailboxId, annotations.map(({ entry }) => entry));
  return ok("Setmetadata completed");
}

interface MetadataEntry {
  readonly entry: string;
  readonly value: Uint8Array;
}

/** What annotations are of: a mailbox, or the account itself. */
interface Subject {
  readonly mailboxId: number;
  readonly mailbox: NamedMailbox | null;
}

function subjectOf(context: ImapContext, name: string | null): Subject | Reply {
  if (name === null) return { mailboxId: SERVER, mailbox: null };
  const mailbox = mailboxWith(context, name, "l");
  if ("status" in mailbox) return mailbox;
  return mayAnnotate(mailbox) ? { mailboxId: mailbox.id, mailbox } : NOT_PERMITTED;
}

/** RFC 5464 3.3. */
export function mayAnnotate({ rights }: NamedMailbox): boolean {
  return rights.includes("l") && [..."rswip"].some((right) => rights.includes(right));
}

function annotationsOf(context: ImapContext, { mailboxId, mailbox }: Subject): readonly MetadataEntry[] {
  const { mailboxes } = context.store;
  const { id: accountId } = accountOf(context);
  const own = mailboxes.annotations(accountId, mailboxId);
  if (mailbox === null) return own;
  if (mailbox.own) {
    const { specialUse } = mailbox;
    return specialUse === null ? own : [...own, { entry: SPECIAL_USE, value: encode(specialUse) }];
  }
  const shared = mailboxes.annotations(mailbox.accountId, mailboxId).filter(({ entry }) => isShared(entry));
  return [...own.filter(({ entry }) => !isShared(entry)), ...shared];
}

function isShared(entry: string): boolean {
  return entry.startsWith("/shared/");
}

/** RFC 5464 4.2.2. */
function reaches(asked: string, entry: string, depth: 1 | "infinity"): boolean {
  if (entry === asked) return true;
  if (!entry.startsWith(asked + "/")) return false;
  return depth === "infinity" || !entry.slice(asked.length + 1).includes("/");
}

/** Keeps a change for a client that wants to be told; the count tells changes of its own from those of others. */
export function noteAnnotations(
  context: ImapContext,
  change: Extract<Change, { kind: "annotations" }>,
): void {
  const { account, notifications, session } = context;
  const enabled = change.mailboxId === SERVER ? session.enabled.serverMetadata : session.enabled.metadata;
  if (account === null || (notifications === null && !enabled)) return;
  const own = account.id === change.accountId;
  const entries = own ? change.entries : change.entries.filter(isShared);
  if (entries.length === 0 || (!own && change.mailboxId === SERVER)) return;
  const name = change.mailboxId === SERVER ? null : namedMailbox(context, change.mailboxId)?.name;
  if (name === undefined) return;
  if (!enabled && notifications?.wantsAnnotations(context, name) !== true) return;
  const pending = context.annotations ??= new Map();
  for (const entry of entries) {
    const key = `${change.mailboxId} ${entry}`;
    pending.set(key, (pending.get(key) ?? 0) + 1);
    if (pending.size > MAX_PENDING) pending.delete(pending.keys().next().value!);
  }
  context.changed();
}

function forgetOwn(context: ImapContext, mailboxId: number, entries: readonly string[]): void {
  for (const entry of new Set(entries)) {
    const key = `${mailboxId} ${entry}`;
    const count = context.annotations?.get(key) ?? 0;
    if (count > 1) context.annotations?.set(key, count - 1);
    else context.annotations?.delete(key);
  }
}

/** Tells what other sessions changed. */
export function tellAnnotations(context: ImapContext): void {
  const { annotations, out, session } = context;
  if (annotations === null || annotations.size === 0 || context.account === null) return;
  context.annotations = null;
  const byMailbox = Map.groupBy(annotations.keys(), (key) => Number(key.slice(0, key.indexOf(" "))));
  for (const [mailboxId, keys] of byMailbox) {
    const name = mailboxId === SERVER ? null : namedMailbox(context, mailboxId)?.name;
    if (name === undefined) continue;
    out.text(
      formatMetadataChange(name, keys.map((key) => key.slice(key.indexOf(" ") + 1)), session.enabled.utf8),
    );
  }
}
