/**
 * Every IMAP command as data: what the grammars in `commands/` produce and the drivers carry out.
 *
 * Mailbox names are in the store's form (mailbox_name.ts), octets are copies or text. `uid` says whether numbers
 * are UIDs (the UID form of the command). Pure.
 */
import type { FetchItem } from "./fetch_plan.ts";
import type { FlagList } from "./lexer.ts";
import type { MailboxFilter } from "./mailbox_filter.ts";
import type { PartialRange } from "./partial_range.ts";
import type { SearchKey, SearchReturn } from "./search_program.ts";
import type { SequenceSet } from "./sequence_set.ts";
import type { MetadataOptions } from "./commands/metadata.ts";
import type { EventGroup } from "./commands/notify.ts";
import type { SortKey } from "./commands/sort.ts";
import type { ThreadAlgorithm } from "./thread.ts";
import type { StatusItem } from "./commands/status.ts";

/** Commands without arguments. */
export type BareName =
  | "CAPABILITY"
  | "NOOP"
  | "LOGOUT"
  | "STARTTLS"
  | "NAMESPACE"
  | "IDLE"
  | "CHECK"
  | "CLOSE"
  | "UNSELECT"
  | "UNAUTHENTICATE";

export type Command =
  | { readonly name: BareName }
  | { readonly name: "LOGIN"; readonly user: string; readonly password: string }
  | {
    readonly name: "AUTHENTICATE";
    /** In capitals. */
    readonly mechanism: string;
    /** RFC 4959; in base64, "=" for an empty response; null when none was sent. */
    readonly initialResponse: string | null;
  }
  | { readonly name: "COMPRESS"; readonly algorithm: string }
  /** Collation orders, the first that is known wins; none asks (RFC 5255 4.7). */
  | { readonly name: "COMPARATOR"; readonly orders: readonly string[] }
  | { readonly name: "GETACL" | "MYRIGHTS"; readonly mailbox: string }
  | { readonly name: "DELETEACL" | "LISTRIGHTS"; readonly mailbox: string; readonly identifier: string }
  | {
    readonly name: "SETACL";
    readonly mailbox: string;
    readonly identifier: string;
    readonly mode: "replace" | "add" | "remove";
    /** Letters of rights.ts, without those of RFC 2086. */
    readonly rights: string;
  }
  | { readonly name: "GETQUOTA"; readonly root: string }
  | {
    readonly name: "SETQUOTA";
    readonly root: string;
    /** Resources in capitals; STORAGE counts in units of 1,024 octets. */
    readonly limits: readonly { readonly resource: string; readonly limit: number }[];
  }
  | {
    readonly name: "GETMETADATA";
    /** Null: the server's own. */
    readonly mailbox: string | null;
    readonly entries: readonly string[];
    readonly options: MetadataOptions;
  }
  | {
    readonly name: "SETMETADATA";
    readonly mailbox: string | null;
    readonly annotations: readonly { readonly entry: string; readonly value: Uint8Array | null }[];
  }
  | { readonly name: "GETQUOTAROOT"; readonly mailbox: string }
  | { readonly name: "ENABLE"; readonly capabilities: readonly string[] }
  | { readonly name: "ID"; readonly fields: ReadonlyMap<string, string | null> | null }
  | {
    readonly name: "SELECT" | "EXAMINE";
    readonly mailbox: string;
    readonly condstore: boolean;
    readonly qresync: QresyncParameter | null;
  }
  /** Several special uses stand separated by spaces (RFC 6154 3); none of ours combine. */
  | { readonly name: "CREATE"; readonly mailbox: string; readonly specialUse: string | null }
  | { readonly name: "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE"; readonly mailbox: string }
  | { readonly name: "RENAME"; readonly mailbox: string; readonly to: string }
  | ListCommand
  | { readonly name: "STATUS"; readonly mailbox: string; readonly items: readonly StatusItem[] }
  | {
    readonly name: "UIDBATCHES";
    /** Messages of one batch. */
    readonly size: number;
    /** Which batches, counted from the newest; null: all. As given, also the wrong way round. */
    readonly range: { readonly from: number; readonly to: number } | null;
  }
  | { readonly name: "EXPUNGE"; readonly uids: SequenceSet | null }
  | {
    readonly name: "SEARCH";
    readonly uid: boolean;
    readonly returns: SearchReturn | null;
    readonly charset: string | null;
    readonly key: SearchKey;
  }
  | {
    readonly name: "ESEARCH";
    /** Null: the selected mailbox. */
    readonly sources: readonly MailboxFilter[] | null;
    readonly returns: SearchReturn;
    readonly charset: string | null;
    readonly key: SearchKey;
  }
  | {
    readonly name: "NOTIFY";
    /** Null: NONE. */
    readonly groups: readonly EventGroup[] | null;
    readonly status: boolean;
    /** Some event has a name that is none of ours. */
    readonly unknown: boolean;
  }
  | { readonly name: "CANCELUPDATE"; readonly tags: readonly string[] }
  | {
    readonly name: "SORT";
    readonly uid: boolean;
    readonly returns: SearchReturn | null;
    readonly order: readonly SortKey[];
    readonly charset: string;
    readonly key: SearchKey;
  }
  | {
    readonly name: "THREAD";
    readonly uid: boolean;
    readonly algorithm: ThreadAlgorithm;
    readonly charset: string;
    readonly key: SearchKey;
  }
  | {
    readonly name: "FETCH";
    readonly uid: boolean;
    readonly set: SequenceSet;
    readonly items: readonly FetchItem[];
    /** Only messages with a larger MODSEQ (RFC 7162 3.1.4.1). */
    readonly changedSince: number | null;
    /** Also name what was expunged since (RFC 7162 3.2.6). */
    readonly vanished: boolean;
    /** Only these of the messages named (RFC 9394 3.3). */
    readonly partial: PartialRange | null;
  }
  | {
    readonly name: "STORE";
    readonly uid: boolean;
    readonly set: SequenceSet;
    readonly mode: "add" | "remove" | "replace";
    readonly silent: boolean;
    /** Leaves messages with a larger MODSEQ alone (RFC 7162 3.1.3). */
    readonly unchangedSince: number | null;
    readonly flags: FlagList;
  }
  | {
    readonly name: "COPY" | "MOVE";
    readonly uid: boolean;
    readonly set: SequenceSet;
    readonly mailbox: string;
  };

export interface ListCommand {
  readonly name: "LIST" | "LSUB";
  readonly reference: string;
  readonly patterns: readonly string[];
  /** Asked in the form of RFC 5258, where an empty pattern is a pattern like others. */
  readonly extended: boolean;
  /** Only subscribed names (RFC 5258 SUBSCRIBED; always true for LSUB). */
  readonly subscribed: boolean;
  /** Also name parents of subscribed children that are not subscribed (RFC 5258 RECURSIVEMATCH). */
  readonly recursiveMatch: boolean;
  /** Only names with a special use (RFC 6154). */
  readonly specialUse: boolean;
  readonly returns: {
    readonly children: boolean;
    readonly subscribed: boolean;
    readonly specialUse: boolean;
    /** RFC 8440. */
    readonly myRights: boolean;
    /** Entries of RFC 9590; empty when not asked for. */
    readonly metadata: readonly string[];
    /** RFC 5819; empty when not asked for. */
    readonly status: readonly StatusItem[];
  };
}

/** What a client knew when it last saw the mailbox (RFC 7162 3.2.5). */
export interface QresyncParameter {
  /** Sequence match data was given, which UIDONLY forbids; it is of no other use to us (RFC 7162 3.2.5.2). */
  readonly matchData: boolean;
  readonly uidValidity: number;
  readonly modSeq: number;
  /** UIDs it has; null: all. */
  readonly knownUids: SequenceSet | null;
}

/** One message of APPEND, up to its literal. */
export interface AppendMessage {
  readonly flags: FlagList;
  /** Milliseconds since the epoch; null when the client left it to us. */
  readonly internalDate: number | null;
  readonly sizeOctets: number;
  /** It comes as `UTF8 (~{n}...)` (RFC 6855 4). */
  readonly utf8: boolean;
  /** It comes as literal8 and may hold NUL (RFC 3516 4.4). */
  readonly binary: boolean;
}

/** APPEND or REPLACE up to the literal of the first message. */
export interface AppendStart {
  readonly mailbox: string;
  /** The message of the selected mailbox that goes when the new one is there (RFC 8508); null for APPEND. */
  readonly replaces: { readonly uid: boolean; readonly number: number } | null;
  readonly message: AppendMessage;
}
