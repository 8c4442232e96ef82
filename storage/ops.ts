/**
 * Write operations: plain data that a thread sends to the one writer, and the results that come back.
 *
 * A result arrives only after the transaction that holds the operation is on stable storage. Each operation is
 * atomic (its group is run again around it): it happens whole or, on a fault, not at all. Everything here can be
 * cloned across threads. Times are milliseconds since the epoch, sizes octets.
 */
import type {
  DkimKeyState,
  LessonKind,
  OverQuota,
  PolicyKind,
  QueueTls,
  RelayRecipients,
  ReportKind,
  ScriptScope,
  SubaddressFolder,
} from "./schema.ts";

export type {
  DkimKeyState,
  LessonKind,
  OverQuota,
  PolicyKind,
  QueueTls,
  RelayRecipients,
  ReportKind,
  ScriptScope,
  SubaddressFolder,
} from "./schema.ts";

/** Where a record of the blob segments lies. */
export interface BlobAddress {
  readonly segment: number;
  /** Offset of the payload in the segment file. */
  readonly offset: number;
  /** Payload octets. */
  readonly length: number;
}

/** A message's shared octets and the facts computed from them at delivery. */
export interface NewContent {
  readonly blob: BlobAddress;
  /** Octets of the header block including the empty line. */
  readonly headerOctets: number;
  /** ENVELOPE, BODYSTRUCTURE, BODY and part table as packed by message/packed.ts. */
  readonly imap: Uint8Array;
  readonly preview: string;
  readonly subject: string;
  readonly from: string;
  readonly messageId: string | null;
  /** In-Reply-To and References, newest last, joined by one space; "" when there are none. */
  readonly references: string;
  readonly sentAt: number | null;
  /** Our own id of the message, as in the 250, `Received` and every log line. */
  readonly traceId: string;
}

/** One mailbox a message is filed in. */
export interface Target {
  readonly mailboxId: number;
  readonly flags: number;
  readonly keywords: string;
  readonly internalDate: number;
  /** Header lines before the shared octets (Return-Path, Delivered-To); sizes and offsets include them. */
  readonly prefix: Uint8Array;
  /** The account for which it is seen from the start, in a mailbox that is not its own. */
  readonly seenBy?: number;
}

export interface ImportedMessage {
  readonly content: NewContent;
  readonly flags: number;
  readonly keywords: string;
  readonly internalDate: number;
  /** What it is called at its source. */
  readonly item: string;
  /** The UID to keep, above all others of the mailbox; null takes the next. */
  readonly uid: number | null;
  /** The unique id POP3 clients know it by; null makes one. */
  readonly uidl: string | null;
}

export interface QueueRecipient {
  /** The address as sent in RCPT. */
  readonly recipient: string;
  /** What groups deliveries: a domain in lower case, or `[host]:port` of a stated next hop. */
  readonly destination: string;
  /** RFC 3461 NOTIFY and ORCPT as received, "" when absent. */
  readonly notify: string;
  readonly originalRecipient: string;
}

/** What all recipients of a message in the queue share. Times are milliseconds. */
export interface QueueEnvelope {
  /** Reverse-path; "" is the null path. */
  readonly sender: string;
  /** Login that submitted it, null for relayed mail and our own DSNs. */
  readonly accountId: number | null;
  readonly envelopeId: string;
  readonly ret: "" | "FULL" | "HDRS";
  readonly eightBit: boolean;
  readonly smtputf8: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface QueueEntry extends QueueEnvelope {
  /** Left out: "". */
  readonly tls?: QueueTls;
  /** RFC 6710, -9 to 9. Left out: 0. */
  readonly priority?: number;
  /** First attempt (RFC 4865); left out: at once. */
  readonly notBefore?: number;
  /** It goes into the quarantine and not into the queue; left out: it does not. */
  readonly quarantine?: { readonly reason: string; readonly dangerous: boolean; readonly expiresAt: number };
  readonly recipients: readonly QueueRecipient[];
}

/** What one attempt did to one recipient. */
export interface QueueOutcome {
  readonly recipientId: number;
  readonly outcome: "delivered" | "deferred" | "failed";
  /** The peer's (or our own) words, one line, at most 1,000 octets, with the enhanced code in front. */
  readonly reply: string;
  readonly remote: string;
  /** For `deferred`. */
  readonly nextAttemptAt: number;
  /** The delay notice has been sent for this recipient. */
  readonly delayNotified: boolean;
  /** Of `deferred`: it waits for the operator. Left out: it does not. */
  readonly held?: boolean;
}

/** Something that happened to a message, for a webhook. */
export interface NewQueueEvent {
  readonly hook: string;
  /** JSON. */
  readonly body: string;
}

/** An account that changes flags in the mailbox of another, and what its rights cover there (RFC 4314 4). */
export interface ReaderRights {
  readonly readerId: number;
  /** Bits of the system flags it may set and clear; \Seen is its own. */
  readonly flags: number;
  readonly keywords: boolean;
}

/** Inclusive UID ranges, ascending, not overlapping. */
export type UidRanges = readonly (readonly [number, number])[];

export type WriteOp =
  /** All or nothing, results in order. */
  | { readonly kind: "batch"; readonly ops: readonly WriteOp[] }
  /** Files a message in mailboxes and queues it for others, in one transaction. */
  | {
    readonly kind: "deliver";
    readonly content: NewContent;
    readonly targets: readonly Target[];
    readonly queue: QueueEntry | null;
    /** The same message with other reverse-paths (forwarding). */
    readonly forwards?: readonly QueueEntry[];
    /** "over-quota" where an account would pass a hard limit. Left out: whoever files it has checked already, or may. */
    readonly enforceQuota?: boolean;
    /** What it says of the message, for the accounts of all targets; left out: nothing. */
    readonly teaches?: LessonKind;
    /**
     * It came to an address that nobody writes to: copies of its text are unwanted, whoever they are for. Such a message needs
     * neither a mailbox nor a queue: it is held until that is learnt.
     */
    readonly trapped?: boolean;
  }
  /** Files messages brought from elsewhere; those whose item is known of this source are left out. */
  | {
    readonly kind: "import";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly source: string;
    readonly messages: readonly ImportedMessage[];
  }
  /** Gives a mailbox that never had a message the UIDVALIDITY of the server it comes from. */
  | { readonly kind: "adopt-uid-validity"; readonly mailboxId: number; readonly uidValidity: number }
  | {
    readonly kind: "store-flags";
    readonly mailboxId: number;
    readonly uids: UidRanges;
    readonly mode: "add" | "remove" | "replace";
    readonly flags: number;
    readonly keywords: readonly string[];
    /** CONDSTORE UNCHANGEDSINCE; null without. */
    readonly unchangedSince: number | null;
    /** Whoever stores where he is not the owner. Left out: the owner. */
    readonly reader?: ReaderRights;
    /** What the change says of the messages it changes; left out: nothing. */
    readonly teaches?: LessonKind;
  }
  | {
    readonly kind: "copy";
    readonly from: number;
    readonly to: number;
    readonly uids: UidRanges;
    /** Removes them from the source in the same transaction (RFC 6851). */
    readonly move: boolean;
    /** Whoever copies where not both mailboxes are his own, and what he may set in the target. Left out: the owner of both. */
    readonly reader?: ReaderRights;
    /** One piece of a COPY that is too long for one transaction; `key` names the COPY. Left out: it is whole. */
    readonly piece?: { readonly key: string; readonly last: boolean };
    /** What it says of the messages; left out: nothing. */
    readonly teaches?: LessonKind;
  }
  /** The rest of a COPY in pieces will not come: what is there goes. */
  | { readonly kind: "abandon-copy"; readonly key: string }
  | {
    readonly kind: "expunge";
    readonly mailboxId: number;
    /** Null: all. */
    readonly uids: UidRanges | null;
    /** Only those with \Deleted (IMAP), or all named (POP3, retention). */
    readonly onlyDeleted: boolean;
    /** "no-such-message" where one of the ranges has none. Left out: what is gone is gone. */
    readonly strict?: boolean;
  }
  /** Gives this session the \Recent messages: returns the first UID no session has seen yet, and moves it. */
  | { readonly kind: "claim-recent"; readonly mailboxId: number }
  /** Missing parents are created too. */
  | {
    readonly kind: "create-mailbox";
    readonly accountId: number;
    readonly name: string;
    readonly specialUse: string | null;
    /** At the top it has the access list of INBOX, as for those who see it below INBOX. Left out: none. */
    readonly belowInbox?: boolean;
  }
  /** Changes one entry of an access list, of a mailbox or also of all below it; one without rights goes. */
  | {
    readonly kind: "set-acl";
    readonly mailboxId: number;
    readonly identifier: string;
    /** Letters of storage/rights.ts. */
    readonly rights: string;
    readonly mode: "replace" | "add" | "remove";
    readonly subtree?: boolean;
  }
  /** Renames the mailbox and everything under it. INBOX moves its messages instead (RFC 3501 6.3.5). */
  | {
    readonly kind: "rename-mailbox";
    readonly accountId: number;
    readonly from: string;
    readonly to: string;
  }
  /** A mailbox with children stays as \Noselect name. */
  | { readonly kind: "delete-mailbox"; readonly accountId: number; readonly name: string }
  | {
    readonly kind: "subscribe";
    readonly accountId: number;
    readonly name: string;
    readonly subscribed: boolean;
  }
  /** A null value removes the entry. Mailbox 0 is the account itself; the account need not own the mailbox. */
  | {
    readonly kind: "put-annotations";
    readonly accountId: number;
    readonly mailboxId: number;
    readonly annotations: readonly { readonly entry: string; readonly value: Uint8Array | null }[];
  }
  /** Outcome of an attempt; a recipient with a final outcome leaves the queue, and the message with its last. */
  | { readonly kind: "queue-outcomes"; readonly at: number; readonly outcomes: readonly QueueOutcome[] }
  | {
    readonly kind: "queue-control";
    readonly action: "retry" | "hold" | "release" | "remove";
    readonly recipientIds: readonly number[];
    readonly at: number;
  }
  /** What webhooks are to be told; due at once. */
  | { readonly kind: "put-events"; readonly at: number; readonly events: readonly NewQueueEvent[] }
  /** Events that were told, or given up, leave; the others wait. */
  | {
    readonly kind: "event-outcomes";
    readonly done: readonly number[];
    readonly again: readonly { readonly id: number; readonly nextAttemptAt: number }[];
  }
  /** Recipients of the quarantine: into the queue (`expiresAt` of what is queued), forgotten, or told of it. */
  | {
    readonly kind: "quarantine-control";
    readonly action: "release" | "remove" | "told";
    readonly recipientIds: readonly number[];
    readonly at: number;
    readonly expiresAt: number;
    /** With `release`: for these accounts the filter learns that it was wanted. Left out: for none. */
    readonly lessons?: readonly { readonly recipientId: number; readonly accountId: number }[];
  }
  /** Drops at most a few hundred messages of the quarantine whose time was over at `at`. */
  | { readonly kind: "quarantine-expire"; readonly at: number }
  /** Compaction: the octets of contents lie somewhere else now. What is gone meanwhile is left out. */
  | { readonly kind: "relocate"; readonly moves: readonly Relocation[] }
  | { readonly kind: "put-domain"; readonly domain: DomainInput }
  | { readonly kind: "remove-domain"; readonly name: string }
  /** Creates (with the standard mailboxes, subscribed, SPECIAL-USE) or changes an account. */
  | { readonly kind: "put-account"; readonly account: AccountInput }
  | { readonly kind: "remove-account"; readonly address: string }
  /** The SCRAM verifier of the password with this hash. */
  | {
    readonly kind: "put-scram";
    readonly accountId: number;
    readonly ifHash: string;
    readonly scram: string;
  }
  | {
    readonly kind: "put-certificate";
    /** SHA-256 of the DER form, lower-case hex. */
    readonly fingerprint: string;
    readonly accountId: number;
    readonly note: string;
  }
  | { readonly kind: "remove-certificate"; readonly fingerprint: string; readonly accountId: number }
  | { readonly kind: "put-alias"; readonly address: string; readonly targets: readonly string[] }
  | { readonly kind: "remove-alias"; readonly address: string }
  /** A further address of an account, or other facts of it. */
  | { readonly kind: "put-address"; readonly address: AddressInput }
  | { readonly kind: "remove-address"; readonly address: string }
  /** Mail came for a masked address. Announces nothing. */
  | { readonly kind: "touch-address"; readonly address: string; readonly at: number }
  | { readonly kind: "put-group"; readonly group: GroupInput }
  | { readonly kind: "remove-group"; readonly address: string }
  | {
    readonly kind: "change-members";
    readonly group: string;
    readonly add: readonly string[];
    readonly remove: readonly string[];
  }
  /** Notes what the owner was told; refuses when that stands there already, so that a notice in the same batch is one. */
  | { readonly kind: "note-quota"; readonly accountId: number; readonly level: QuotaLevel }
  /** A new key, unless the newest was made after `ifBefore`; the newest `keep` stay. */
  | {
    readonly kind: "rotate-secret";
    readonly name: string;
    readonly value: string;
    readonly ifBefore: number;
    readonly keep: number;
  }
  | { readonly kind: "put-dkim-key"; readonly key: DkimKeyInput }
  /** Goes on to the next state; a revoked key loses its private part. */
  | {
    readonly kind: "set-dkim-key-state";
    readonly domain: string;
    readonly selector: string;
    readonly state: DkimKeyState;
  }
  | { readonly kind: "remove-dkim-key"; readonly domain: string; readonly selector: string }
  /** A report that is there already is left as it is. */
  | { readonly kind: "put-report"; readonly report: ReportInput }
  | { readonly kind: "remove-reports"; readonly receivedBefore: number }
  /** What was seen of other domains, for the reports to them; counts add up. */
  | { readonly kind: "observe"; readonly of: ReportKind; readonly rows: readonly ObservedRow[] }
  | {
    readonly kind: "remove-observed";
    readonly of: ReportKind;
    readonly day: number;
    readonly policyDomain: string;
  }
  /** With `add` the count grows by it; else the row is replaced. */
  | { readonly kind: "put-state"; readonly rows: readonly PolicyRow[]; readonly add: boolean }
  | { readonly kind: "remove-state"; readonly of: PolicyKind; readonly keys: readonly string[] }
  /** Drops at most a few thousand rows that ended before `at`. */
  | { readonly kind: "sweep-state"; readonly at: number }
  /** Does `ops` and notes the row, unless it is there and has not ended: then nothing, which is no fault. */
  | { readonly kind: "once"; readonly row: PolicyRow; readonly ops: readonly WriteOp[] }
  /** Adds or replaces a script; whether it is active stays. Faults: "limit", "over-quota". */
  | {
    readonly kind: "put-script";
    readonly scope: ScriptScope;
    readonly owner: string;
    readonly name: string;
    readonly content: string;
  }
  /** Null activates none. */
  | {
    readonly kind: "activate-script";
    readonly scope: ScriptScope;
    readonly owner: string;
    readonly name: string | null;
  }
  | {
    readonly kind: "rename-script";
    readonly scope: ScriptScope;
    readonly owner: string;
    readonly from: string;
    readonly to: string;
  }
  | {
    readonly kind: "remove-script";
    readonly scope: ScriptScope;
    readonly owner: string;
    readonly name: string;
  }
  /** One message more for the filter of an account; null takes back what it was taught before. */
  | {
    readonly kind: "teach";
    readonly accountId: number;
    /** Of the message: each counts once. */
    readonly key: string;
    readonly as: LessonKind | null;
    /** Numbers of 32 bits, little-endian. */
    readonly tokens: Uint8Array;
    /** The wish that is fulfilled by it; 0 is none. */
    readonly wish: number;
  }
  /** Wishes whose messages are gone. */
  | { readonly kind: "drop-wishes"; readonly ids: readonly number[] }
  /** What an account's lessons up to a row of the journal make together. */
  | {
    readonly kind: "put-knowledge";
    readonly accountId: number;
    readonly upTo: number;
    readonly octets: Uint8Array;
  }
  /** Everything that was learnt from an account's mail; the shared knowledge stays. */
  | { readonly kind: "forget-lessons"; readonly accountId: number }
  /** Drops at most a few thousand rows of messages that were taught before: one taught again then counts again. */
  | { readonly kind: "sweep-lessons"; readonly before: number }
  | { readonly kind: "put-token"; readonly token: TokenRow }
  | { readonly kind: "remove-token"; readonly id: string };

/** One thing that the checks of incoming mail remember; the meaning of `count` and `note` is the kind's. */
export interface DkimKeyInput {
  readonly domain: string;
  readonly selector: string;
  readonly kind: "rsa" | "ed25519";
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  readonly publicKey: string;
  readonly state: DkimKeyState;
}

export interface ReportInput {
  readonly kind: ReportKind;
  readonly domain: string;
  readonly organization: string;
  readonly reportId: string;
  readonly sender: string;
  readonly beginAt: number;
  readonly endAt: number;
  readonly receivedAt: number;
  readonly policy: string;
  readonly rows: readonly ReportRow[];
}

export interface ReportRow {
  readonly source: string;
  readonly count: number;
  readonly result: string;
  readonly detail: string;
}

export interface ObservedRow {
  readonly day: number;
  readonly policyDomain: string;
  readonly row: string;
  readonly count: number;
}

export interface PolicyRow {
  readonly kind: PolicyKind;
  readonly key: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
  readonly expiresAt: number;
  readonly note: string;
}

/** A record that was copied; both addresses have the same length. */
export interface Relocation {
  readonly contentId: number;
  readonly from: BlobAddress;
  readonly to: BlobAddress;
}

/** What the owner of an account was told of its quota: nothing, nearly full, full. */
export type QuotaLevel = 0 | 1 | 2;

export interface DomainOptions {
  /** Another name of this local domain; "" is a domain of its own. */
  readonly aliasOf: string;
  readonly subaddressFolder: SubaddressFolder;
  /** Relay only. */
  readonly relayRecipients: RelayRecipients;
  /** Hard limits of all accounts together; 0 is none. */
  readonly quotaOctets: number;
  readonly quotaMessages: number;
  /** Hard limits of each account that has none of its own; 0 is none. */
  readonly accountQuotaOctets: number;
  readonly accountQuotaMessages: number;
  /** Hundredths of an account's hard limit that are its soft limit: the owner is told; 0 never. */
  readonly quotaSoftPercent: number;
  readonly overQuota: OverQuota;
}

/** Options left out stay as they are, or as a new domain has them. */
export interface DomainInput extends Partial<DomainOptions> {
  readonly name: string;
  readonly kind: "local" | "relay";
  readonly nextHop: string;
  readonly catchAll: string;
  readonly subaddressSeparators: string;
}

export interface DomainRow extends DomainOptions {
  /** A-labels, lower case. */
  readonly name: string;
  /** `local`: mailboxes here. `relay`: accepted for and sent on. */
  readonly kind: "local" | "relay";
  /** Relay only: `mx`, `host:port` (SMTP) or `lmtp:host:port`. "" for local. */
  readonly nextHop: string;
  /** Address that receives what no account or alias takes; "" is none. */
  readonly catchAll: string;
  /** Separators of sub-addressing, as in "+"; "" turns it off. */
  readonly subaddressSeparators: string;
}

export interface AccountInput {
  /** Primary address, normal form of its domain. */
  readonly address: string;
  /** Of a new account: nobody logs in as it, and it has INBOX alone. */
  readonly shared?: boolean;
  /** Left out: unchanged (new accounts: null, which cannot log in). */
  readonly passwordHash?: string | null;
  /** SCRAM verifier of the same password; a new hash without one drops the old. */
  readonly scram?: string | null;
  readonly displayName?: string;
  readonly enabled?: boolean;
  /** Extra From addresses this login may use besides its own and its aliases. */
  readonly sendAs?: readonly string[];
  /** Null takes the domain's, 0 is no limit. */
  readonly quotaOctets?: number | null;
  readonly quotaMessages?: number | null;
  readonly subaddressFolder?: SubaddressFolder | null;
  /** Capabilities of IMAP its clients are not told of, in capitals. */
  readonly hiddenCapabilities?: readonly string[];
}

export interface AddressInput {
  readonly address: string;
  readonly accountId: number;
  readonly kind: "own" | "masked";
  /** A disabled masked address refuses mail. */
  readonly enabled: boolean;
  readonly note: string;
}

/** Who may write to a group. */
export type Posting = "anyone" | "members" | "owners";

export interface GroupInput {
  readonly address: string;
  readonly displayName: string;
  readonly posting: Posting;
  /** The first gets what bounces. */
  readonly owners: readonly string[];
}

export interface TokenRow {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the secret, lower-case hex. */
  readonly hash: string;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  /** 0 never ends. */
  readonly expiresAt: number;
}

/** Why an operation did nothing. Faults of the disk are not here: they end the process (DESIGN section 4). */
export type WriteFault =
  | "no-such-mailbox"
  | "no-such-message"
  | "no-such-account"
  | "no-such-domain"
  | "no-such-alias"
  | "no-such-token"
  | "no-such-script"
  | "no-such-key"
  | "no-such-recipient"
  | "already-exists"
  | "not-permitted"
  | "has-children"
  | "no-such-address"
  | "no-such-group"
  | "over-quota"
  | "domain-in-use"
  | "limit"
  /** What adds data is refused until there is space again. */
  | "disk-full"
  /** The store is closing or has failed; try again later. */
  | "unavailable"
  /** The octets it points at could not be made durable; another try writes them anew. */
  | "unsynced";

export interface AppendedUid {
  readonly mailboxId: number;
  readonly uidValidity: number;
  readonly uid: number;
  readonly modSeq: number;
}

export type WriteResult =
  | { readonly ok: false; readonly fault: WriteFault; readonly detail: string }
  | { readonly ok: true; readonly kind: "done" }
  | { readonly ok: true; readonly kind: "batch"; readonly results: readonly WriteResult[] }
  | {
    readonly ok: true;
    readonly kind: "delivered";
    readonly uids: readonly AppendedUid[];
    readonly queueId: number | null;
  }
  | {
    readonly ok: true;
    readonly kind: "flags";
    readonly modSeq: number;
    /** UIDs, ascending; their flags come as a change. */
    readonly changed: readonly number[];
    /** UIDs refused by UNCHANGEDSINCE. */
    readonly modified: readonly number[];
  }
  | { readonly ok: true; readonly kind: "imported"; readonly messages: number }
  | {
    readonly ok: true;
    readonly kind: "copied";
    readonly uidValidity: number;
    /** Pairwise with `to`, both ascending. */
    readonly from: readonly number[];
    readonly to: readonly number[];
  }
  | {
    readonly ok: true;
    readonly kind: "expunged";
    readonly modSeq: number;
    readonly uids: readonly number[];
  }
  /** `moved` is the number of contents that now point at the new place. */
  | { readonly ok: true; readonly kind: "relocated"; readonly moved: number }
  | { readonly ok: true; readonly kind: "recent"; readonly firstRecentUid: number }
  | { readonly ok: true; readonly kind: "mailbox"; readonly mailboxId: number; readonly uidValidity: number }
  | {
    readonly ok: true;
    readonly kind: "account";
    readonly accountId: number;
    readonly hasPassword: boolean;
  };

const NO_BLOBS: readonly BlobAddress[] = [];

/** Records that the operation brings into the database. */
export function blobsOf(op: WriteOp): readonly BlobAddress[] {
  switch (op.kind) {
    case "deliver":
      return [op.content.blob];
    case "import":
      return op.messages.map(({ content }) => content.blob);
    case "batch":
    case "once":
      return op.ops.flatMap(blobsOf);
    default:
      return NO_BLOBS;
  }
}
