/**
 * The change stream: what the writer tells every thread after each commit.
 *
 * IDLE, the shared mailbox indexes, the queue runner and every cache of directory rows hang on this one stream.
 * A change reaches a thread before the result of the write that made it, and in commit order per mailbox.
 */

/** System flags as bits of one integer; keywords travel beside them as a sorted, space-separated string. */
export const FLAG_SEEN = 1;
export const FLAG_ANSWERED = 2;
export const FLAG_FLAGGED = 4;
export const FLAG_DELETED = 8;
export const FLAG_DRAFT = 16;

/** One message's changeable facts. */
export interface FlagState {
  readonly uid: number;
  readonly flags: number;
  /** Sorted keywords joined by one space; "" when there are none. */
  readonly keywords: string;
}

export type Change =
  | {
    readonly kind: "added";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly modSeq: number;
    readonly messages: readonly FlagState[];
  }
  | {
    readonly kind: "flags";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly modSeq: number;
    readonly messages: readonly FlagState[];
  }
  | {
    readonly kind: "expunged";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly modSeq: number;
    /** Ascending. */
    readonly uids: readonly number[];
  }
  /** One reader has seen messages of a mailbox he does not own, or has not any more. UIDs ascend. */
  | {
    readonly kind: "seen";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly modSeq: number;
    readonly readerId: number;
    readonly added: readonly number[];
    readonly removed: readonly number[];
  }
  /** Access lists of an account's mailboxes changed. */
  | { readonly kind: "acl"; readonly accountId: number; readonly mailboxIds: readonly number[] }
  /** Mailboxes of an account were created, renamed, deleted or (un)subscribed. `deleted` closes open sessions. */
  | { readonly kind: "mailboxes"; readonly accountId: number; readonly deleted: readonly number[] }
  /** Annotations were set or removed; mailbox 0 is the account itself, whose MODSEQ is always 0. */
  | {
    readonly kind: "annotations";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly modSeq: number;
    readonly entries: readonly string[];
  }
  /** Domains, accounts, aliases or tokens changed: drop cached rows. `accountId` when one account alone did. */
  | { readonly kind: "directory"; readonly accountId: number | null }
  /** Queue rows were added or became due. */
  | { readonly kind: "queue" }
  /** Users have said something about their mail (spam_lessons.ts). */
  | { readonly kind: "lessons" }
  /** Rows of greylisting were written or removed; not those whose time is over. */
  | { readonly kind: "greylist"; readonly keys: readonly string[] };

export type ChangeListener = (change: Change) => void;
