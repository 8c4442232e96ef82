/**
 * What the handlers of one IMAP connection share: account, selected mailbox, output, and the way to breathe.
 *
 * A handler returns the tagged reply; untagged responses it writes to `out`, asking `drain` between batches so that
 * a slow client holds it back and other sessions get their turn.
 */
import type { Logger } from "@logtape/logtape";
import type { Out } from "../../bytes/out.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { ImapSession } from "../../protocols/imap/session.ts";
import type { SequenceSet } from "../../protocols/imap/sequence_set.ts";
import type { MailboxView } from "../../protocols/imap/view.ts";
import type { AttachedFiles } from "../../search/attached_files.ts";
import type { IndexReader } from "../../search/index_reader.ts";
import type { ImapEvent } from "../../delivery/scripts/imap_events.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { MailboxIndex } from "../../storage/mailbox_index.ts";
import type { Store } from "../../storage/store.ts";
import type { NamedMailbox } from "./names.ts";
import type { Notifications } from "./notify.ts";
import type { SharingOptions } from "./options.ts";
import type { SearchContext } from "./search_context.ts";

/** The selected mailbox as this session has it. */
export interface Selected {
  readonly mailbox: NamedMailbox;
  /** What the client may do with it: as it was when it was told last. */
  rights: string;
  readonly index: MailboxIndex;
  readonly view: MailboxView;
  /** By EXAMINE. */
  readonly readOnly: boolean;
  /** Keywords the client was told of, by their folded form. */
  readonly keywords: Map<string, string>;
  /** UIDs that the last SEARCH with SAVE found: what `$` stands for (RFC 5182). */
  saved: SequenceSet;
  /** Searches whose changes are told, by the tag of their command (RFC 5267). */
  readonly searches: Map<string, SearchContext>;
  /** The client was told of HIGHESTMODSEQ since it wants to know, and no expunge was held back since (RFC 7162 3.1, 6). */
  modSeqTold: boolean;
  /** Ends the subscription to the index. */
  readonly stop: () => void;
}

export interface ImapContext {
  readonly store: Store;
  /** The full-text indexes; null where none are kept. */
  readonly indexes: IndexReader | null;
  /** Reads attached files that the indexes do not know; null: what stands in them is not searched. */
  readonly attached: AttachedFiles | null;
  readonly session: ImapSession;
  readonly sharing: SharingOptions;
  readonly out: Out;
  readonly log: Logger;
  account: Account | null;
  selected: Selected | null;
  /** What NOTIFY asked for; null before it was used (RFC 5465 3.1). */
  readonly notifications: Notifications | null;
  /** Changes of annotations not told yet, by mailbox id and entry; null for none. */
  annotations: Map<string, number> | null;
  /** Runs the scripts of what happened (RFC 6785); null: none are. */
  readonly scriptEvent: ((event: ImapEvent) => Promise<void>) | null;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A new id for a message that a client brought. */
  newTraceId(): string;
  /** From now on the client is told of these. */
  watch(notifications: Notifications): void;
  /** Called when the index changed; tells an idling client. */
  changed(): void;
  /**
   * Writes what is waiting when it is above the high-water mark, and lets other sessions run when this one has had
   * the thread for long; undefined when there is nothing to wait for. To be awaited between batches; the index may have changed afterwards.
   */
  drain(): Promise<void> | undefined;
  /** The next {@linkcode drain} writes, however little is waiting. */
  drainSoon(): void;
}

/** Account and selection are there by the command table; anything else is a fault of ours. */
export function accountOf(context: ImapContext): Account {
  if (context.account === null) throw new Error("no account in an authenticated session");
  return context.account;
}

export function selectedOf(context: ImapContext): Selected {
  if (context.selected === null) throw new Error("no mailbox in a selected session");
  return context.selected;
}

export function ok(text: string, code = ""): Reply {
  return { status: "OK", code, text };
}

export function no(text: string, code = ""): Reply {
  return { status: "NO", code, text };
}

export function bad(text: string): Reply {
  return { status: "BAD", text };
}
