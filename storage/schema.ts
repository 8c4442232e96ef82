/**
 * The one schema, for Drizzle and its migration generator. Tables become STRICT in the generated SQL by hand
 * (docs/decisions/002-strict-tables.md).
 *
 * `messages` is narrow: SELECT, FETCH FLAGS, SEARCH and STORE touch nothing else. `contents` holds what copies share;
 * `contents.refs` counts the message rows, queue rows and wishes of traps that point at it, every statement that adds or removes such
 * rows moves it in the same transaction, and the writer's reaper frees rows that reached 0.
 */
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { sql } from "drizzle-orm";

const octets = (name: string) => blob(name, { mode: "buffer" }).$type<Uint8Array>();

export const counters = sqliteTable("counters", {
  name: text("name").primaryKey(),
  value: integer("value").notNull(),
});

export const domains = sqliteTable("domains", {
  name: text("name").primaryKey(),
  kind: text("kind").$type<"local" | "relay">().notNull(),
  nextHop: text("next_hop").notNull(),
  catchAll: text("catch_all").notNull(),
  subaddressSeparators: text("subaddress_separators").notNull(),
  /** The domain this one is another name of; "" for itself. */
  aliasOf: text("alias_of").notNull().default(""),
  subaddressFolder: text("subaddress_folder").$type<SubaddressFolder>().notNull().default("inbox"),
  relayRecipients: text("relay_recipients").$type<RelayRecipients>().notNull().default("any"),
  /** Limits of the whole domain, and of each account without its own; 0 is none. */
  quotaOctets: integer("quota_octets").notNull().default(0),
  quotaMessages: integer("quota_messages").notNull().default(0),
  accountQuotaOctets: integer("account_quota_octets").notNull().default(0),
  accountQuotaMessages: integer("account_quota_messages").notNull().default(0),
  /** Hundredths of a limit from which on the owner is told; 0 never. */
  quotaSoftPercent: integer("quota_soft_percent").notNull().default(90),
  overQuota: text("over_quota").$type<OverQuota>().notNull().default("defer"),
  /** Sums over the mailboxes of its accounts, moved with them. */
  usedOctets: integer("used_octets").notNull().default(0),
  usedMessages: integer("used_messages").notNull().default(0),
});

/** What becomes of `user+folder`: INBOX, the folder where it exists, or the folder in any case. */
export type SubaddressFolder = "inbox" | "existing" | "create";
/** Relay only: whom mail is taken for: anybody, those of a list, or whom the next hop takes (asked, and remembered). */
export type RelayRecipients = "any" | "list" | "ask";
/** Mail over a hard limit is put off (452) or refused (552). */
export type OverQuota = "defer" | "refuse";

export const accounts = sqliteTable(
  "accounts",
  {
    id: integer("id").primaryKey(),
    address: text("address").notNull(),
    domain: text("domain").notNull(),
    displayName: text("display_name").notNull(),
    passwordHash: text("password_hash"),
    enabled: integer("enabled").notNull(),
    /** Addresses, one per line. */
    sendAs: text("send_as").notNull(),
    createdAt: integer("created_at").notNull(),
    /** Null takes the domain's; 0 is no limit. */
    quotaOctets: integer("quota_octets"),
    quotaMessages: integer("quota_messages"),
    /** Null takes the domain's. */
    subaddressFolder: text("subaddress_folder").$type<SubaddressFolder>(),
    /** Sums over its mailboxes, moved with them. */
    usedOctets: integer("used_octets").notNull().default(0),
    usedMessages: integer("used_messages").notNull().default(0),
    /** The owner was told: 0 nothing, 1 nearly full, 2 full. */
    quotaNoticed: integer("quota_noticed").notNull().default(0),
    /** What SCRAM-SHA-256 needs of the password (RFC 5803); null until it is known. */
    scram: text("scram"),
    /** Capabilities its clients are not told of, in capitals, separated by spaces. */
    hiddenCapabilities: text("hidden_capabilities").notNull().default(""),
    /** 1: nobody's own. It takes mail and holds mailboxes that others have rights on; nobody logs in as it. */
    shared: integer("shared").notNull().default(0),
  },
  (
    table,
  ) => [
    uniqueIndex("accounts_address").on(table.address),
    index("accounts_domain").on(table.domain, table.address),
    index("accounts_without_scram").on(table.id).where(sql`scram IS NULL AND password_hash IS NOT NULL`),
  ],
);

/** Further addresses of accounts; masked ones are made up, and can be given up. */
export const addresses = sqliteTable("addresses", {
  address: text("address").primaryKey(),
  domain: text("domain").notNull(),
  accountId: integer("account_id").notNull(),
  kind: text("kind").$type<"own" | "masked">().notNull(),
  enabled: integer("enabled").notNull(),
  note: text("note").notNull(),
  createdAt: integer("created_at").notNull(),
  /** To the hour; 0 never. */
  lastUsedAt: integer("last_used_at").notNull(),
}, (table) => [
  index("addresses_account").on(table.accountId, table.address),
  index("addresses_domain").on(table.domain, table.address),
]);

/** Client certificates that log in as an account, by the SHA-256 of their DER form in lower-case hex. */
export const clientCertificates = sqliteTable("client_certificates", {
  fingerprint: text("fingerprint").primaryKey(),
  accountId: integer("account_id").notNull(),
  note: text("note").notNull(),
  createdAt: integer("created_at").notNull(),
}, (table) => [index("client_certificates_account").on(table.accountId, table.fingerprint)]);

export const groups = sqliteTable("groups", {
  address: text("address").primaryKey(),
  domain: text("domain").notNull(),
  displayName: text("display_name").notNull(),
  posting: text("posting").$type<"anyone" | "members" | "owners">().notNull(),
  /** Addresses, one per line; the first gets bounces. */
  owners: text("owners").notNull(),
  members: integer("members").notNull(),
  createdAt: integer("created_at").notNull(),
}, (table) => [index("groups_domain").on(table.domain, table.address)]);

export const groupMembers = sqliteTable("group_members", {
  group: text("group_address").notNull(),
  member: text("member").notNull(),
}, (table) => [
  primaryKey({ columns: [table.group, table.member] }),
  index("group_members_member").on(table.member, table.group),
]);

/** Keys that the server makes and changes by itself; the newest signs. */
export const secrets = sqliteTable("secrets", {
  name: text("name").notNull(),
  createdAt: integer("created_at").notNull(),
  /** Base64. */
  value: text("value").notNull(),
}, (table) => [primaryKey({ columns: [table.name, table.createdAt] })]);

export const aliases = sqliteTable("aliases", {
  address: text("address").primaryKey(),
  domain: text("domain").notNull(),
  /** Addresses, one per line. */
  targets: text("targets").notNull(),
}, (table) => [index("aliases_domain").on(table.domain, table.address)]);

export const aliasTargets = sqliteTable("alias_targets", {
  target: text("target").notNull(),
  address: text("address").notNull(),
}, (table) => [primaryKey({ columns: [table.target, table.address] })]);

export const tokens = sqliteTable("tokens", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  hash: text("hash").notNull(),
  scopes: text("scopes").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
}, (table) => [uniqueIndex("tokens_hash").on(table.hash)]);

export const mailboxes = sqliteTable("mailboxes", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  accountId: integer("account_id").notNull(),
  name: text("name").notNull(),
  uidValidity: integer("uid_validity").notNull(),
  uidNext: integer("uid_next").notNull(),
  highestModSeq: integer("highest_modseq").notNull(),
  messages: integer("messages").notNull(),
  unseen: integer("unseen").notNull(),
  deleted: integer("deleted").notNull(),
  sizeOctets: integer("size_octets").notNull(),
  recentUid: integer("recent_uid").notNull(),
  specialUse: text("special_use"),
  selectable: integer("selectable").notNull(),
}, (table) => [uniqueIndex("mailboxes_name").on(table.accountId, table.name)]);

/** The largest UIDVALIDITY a name had when it was given up, so that the name never gets a smaller one again. */
export const retiredNames = sqliteTable("retired_names", {
  accountId: integer("account_id").notNull(),
  name: text("name").notNull(),
  uidValidity: integer("uid_validity").notNull(),
}, (table) => [primaryKey({ columns: [table.accountId, table.name] })]);

/** Annotations of IMAP METADATA (RFC 5464). Mailbox 0 stands for the account as a whole. */
export const annotations = sqliteTable("annotations", {
  accountId: integer("account_id").notNull(),
  mailboxId: integer("mailbox_id").notNull(),
  /** In lower case, from "/private/" or "/shared/" on. */
  entry: text("entry").notNull(),
  value: octets("value").notNull(),
}, (table) => [
  primaryKey({ columns: [table.accountId, table.mailboxId, table.entry] }),
  index("annotations_mailbox").on(table.mailboxId, table.accountId),
]);

/** Access control lists (RFC 4314). The owner's rights are never here. */
export const acl = sqliteTable("acl", {
  mailboxId: integer("mailbox_id").notNull(),
  /** An address, "@domain", "anyone" or "authenticated"; behind "-" its rights are taken away. */
  identifier: text("identifier").notNull(),
  /** Letters in the order of storage/rights.ts. */
  rights: text("rights").notNull(),
}, (table) => [
  primaryKey({ columns: [table.mailboxId, table.identifier] }),
  index("acl_identifier").on(table.identifier, table.mailboxId),
]);

/** What others than its owner have seen of a mailbox: the one flag that each has for himself. */
export const seenBy = sqliteTable("seen_by", {
  mailboxId: integer("mailbox_id").notNull(),
  accountId: integer("account_id").notNull(),
  /** MODSEQ of the last change. */
  modSeq: integer("modseq").notNull(),
  /** UIDs as ascending ranges, JSON. Those of messages that are gone may be among them. */
  uids: text("uids").notNull(),
}, (table) => [
  primaryKey({ columns: [table.mailboxId, table.accountId] }),
  index("seen_by_account").on(table.accountId, table.mailboxId),
]);

/** Kept for names that have no mailbox too (RFC 3501 6.3.6). */
export const subscriptions = sqliteTable("subscriptions", {
  accountId: integer("account_id").notNull(),
  name: text("name").notNull(),
}, (table) => [primaryKey({ columns: [table.accountId, table.name] })]);

export const contents = sqliteTable("contents", {
  id: integer("id").primaryKey(),
  refs: integer("refs").notNull(),
  segment: integer("segment").notNull(),
  offset: integer("offset").notNull(),
  length: integer("length").notNull(),
  headerOctets: integer("header_octets").notNull(),
  sentAt: integer("sent_at"),
  imap: octets("imap").notNull(),
  preview: text("preview").notNull(),
  subject: text("subject").notNull(),
  sender: text("sender").notNull(),
  messageId: text("message_id"),
  references: text("reference_ids").notNull(),
  traceId: text("trace_id").notNull(),
}, (table) => [index("contents_free").on(table.id).where(sql`refs = 0`)]);

export const messages = sqliteTable("messages", {
  mailboxId: integer("mailbox_id").notNull(),
  uid: integer("uid").notNull(),
  modSeq: integer("modseq").notNull(),
  flags: integer("flags").notNull(),
  keywords: text("keywords").notNull(),
  internalDate: integer("internal_date").notNull(),
  savedAt: integer("saved_at").notNull(),
  sizeOctets: integer("size_octets").notNull(),
  contentId: integer("content_id").notNull(),
  prefix: octets("prefix").notNull(),
}, (table) => [primaryKey({ columns: [table.mailboxId, table.uid] })]);

/** What a COPY in pieces has brought so far: all or nothing, so that it goes again where the rest does not come. */
export const unfinishedCopies = sqliteTable("unfinished_copies", {
  key: text("key").notNull(),
  mailboxId: integer("mailbox_id").notNull(),
  fromUid: integer("from_uid").notNull(),
  toUid: integer("to_uid").notNull(),
}, (table) => [primaryKey({ columns: [table.key, table.fromUid] })]);

/** Unique ids that POP3 clients know messages by from the server before this one. */
export const keptUidls = sqliteTable("kept_uidls", {
  mailboxId: integer("mailbox_id").notNull(),
  uid: integer("uid").notNull(),
  uidl: text("uidl").notNull(),
}, (table) => [primaryKey({ columns: [table.mailboxId, table.uid] })]);

/** What was imported, so that an import goes on where it ended; both are made by transfer/. */
export const importedItems = sqliteTable("imported_items", {
  accountId: integer("account_id").notNull(),
  source: text("source").notNull(),
  item: text("item").notNull(),
}, (table) => [primaryKey({ columns: [table.accountId, table.source, table.item] })]);

export const expunged = sqliteTable("expunged", {
  mailboxId: integer("mailbox_id").notNull(),
  modSeq: integer("modseq").notNull(),
  uid: integer("uid").notNull(),
}, (table) => [primaryKey({ columns: [table.mailboxId, table.modSeq, table.uid] })]);

export const queueMessages = sqliteTable("queue_messages", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  contentId: integer("content_id").notNull(),
  sender: text("sender").notNull(),
  accountId: integer("account_id"),
  envelopeId: text("envelope_id").notNull(),
  ret: text("ret").$type<"" | "FULL" | "HDRS">().notNull(),
  eightBit: integer("eight_bit").notNull(),
  smtputf8: integer("smtputf8").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  tls: text("tls").$type<QueueTls>().notNull().default(""),
  /** RFC 6710, -9 to 9. */
  priority: integer("priority").notNull().default(0),
});

/** RFC 8689: `require` demands REQUIRETLS of each hop, `optional` is `TLS-Required: No`. */
export type QueueTls = "" | "require" | "optional";

export const queueRecipients = sqliteTable("queue_recipients", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  queueId: integer("queue_id").notNull(),
  recipient: text("recipient").notNull(),
  destination: text("destination").notNull(),
  notify: text("notify").notNull(),
  originalRecipient: text("original_recipient").notNull(),
  held: integer("held").notNull(),
  attempts: integer("attempts").notNull(),
  nextAttemptAt: integer("next_attempt_at").notNull(),
  delayNotified: integer("delay_notified").notNull(),
  lastReply: text("last_reply").notNull(),
  lastRemote: text("last_remote").notNull(),
}, (table) => [
  index("queue_recipients_due").on(table.nextAttemptAt, table.id).where(sql`held = 0`),
  index("queue_recipients_message").on(table.queueId),
  index("queue_recipients_destination").on(table.destination, table.held, table.nextAttemptAt),
]);

/** What webhooks are still to be told, one row for each of them. */
export const queueEvents = sqliteTable("queue_events", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  /** The webhook's name in the configuration. */
  hook: text("hook").notNull(),
  /** JSON. */
  body: text("body").notNull(),
  createdAt: integer("created_at").notNull(),
  attempts: integer("attempts").notNull(),
  nextAttemptAt: integer("next_attempt_at").notNull(),
}, (table) => [index("queue_events_due").on(table.nextAttemptAt)]);

/** Mail that checks have set aside: whole messages with their envelope, until somebody lets them go or their time is over. */
export const quarantineMessages = sqliteTable("quarantine_messages", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  contentId: integer("content_id").notNull(),
  sender: text("sender").notNull(),
  /** The login that submitted it. */
  accountId: integer("account_id"),
  envelopeId: text("envelope_id").notNull(),
  ret: text("ret").$type<"" | "FULL" | "HDRS">().notNull(),
  eightBit: integer("eight_bit").notNull(),
  smtputf8: integer("smtputf8").notNull(),
  tls: text("tls").$type<QueueTls>().notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  /** The check and what it said, one line. */
  reason: text("reason").notNull(),
  /** It does harm: recipients cannot let it go themselves. */
  dangerous: integer("dangerous").notNull(),
}, (table) => [index("quarantine_messages_expires").on(table.expiresAt)]);

export const quarantineRecipients = sqliteTable("quarantine_recipients", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  quarantineId: integer("quarantine_id").notNull(),
  /** As queue rows have them, for the queue they go to when they are let go. */
  recipient: text("recipient").notNull(),
  destination: text("destination").notNull(),
  notify: text("notify").notNull(),
  originalRecipient: text("original_recipient").notNull(),
  /** The recipient knows of it. */
  told: integer("told").notNull(),
}, (table) => [
  index("quarantine_recipients_message").on(table.quarantineId),
  index("quarantine_recipients_recipient").on(table.recipient, table.id),
  index("quarantine_recipients_untold").on(table.recipient, table.id).where(sql`told = 0`),
]);

/**
 * What checks remember: greylisted triplets, sums of a day, bans, the TLS of other domains. Rows past their end mean nothing
 * and are swept.
 */
export const policyState = sqliteTable("policy_state", {
  kind: text("kind").$type<PolicyKind>().notNull(),
  key: text("key").notNull(),
  firstAt: integer("first_at").notNull(),
  lastAt: integer("last_at").notNull(),
  count: integer("count").notNull(),
  expiresAt: integer("expires_at").notNull(),
  note: text("note").notNull(),
}, (table) => [
  primaryKey({ columns: [table.kind, table.key] }),
  index("policy_state_expires").on(table.expiresAt),
]);

/**
 * `sent` and `first-time` are by login and day, `known` the recipients a login has written to.
 * `group-page` are members of a group that have a message, `held-filed` mail that was filed here, by queue row. `sts` are MTA-STS policies of other domains, the policy in `note`; `tls-seen` are domains that took mail under TLS.
 * `suppressed` are recipients that are no more, `relay-recipient` those of relay domains with a list, `asked-recipient` what the
 * next hop of a relay domain said of one (count 1: it takes mail).
 */
export type PolicyKind =
  | "ban"
  | "greylist"
  | "known"
  | "sent"
  | "first-time"
  | "noticed"
  | "dns-trouble"
  | "scan-trouble"
  | "sts"
  | "tls-seen"
  | "vacation"
  | "duplicate"
  | "script-fault"
  | "group-page"
  | "held-filed"
  | "quarantine-digest"
  | "suppressed"
  | "relay-recipient"
  | "asked-recipient"
  | "seen-author";

/** Keys that sign for our domains. */
export const dkimKeys = sqliteTable("dkim_keys", {
  domain: text("domain").notNull(),
  selector: text("selector").notNull(),
  kind: text("kind").$type<"rsa" | "ed25519">().notNull(),
  /** PKCS #8, PEM. "" once it was revoked. */
  privateKey: text("private_key").notNull(),
  /** SubjectPublicKeyInfo (RSA) or the raw key (Ed25519), base64: what stands behind p=. */
  publicKey: text("public_key").notNull(),
  /**
   * `waiting`: its record is to be published; `signing`; `retired`: signs no more, its record stays for mail on its way;
   * `revoked`: the record has an empty p=.
   */
  state: text("state").$type<DkimKeyState>().notNull(),
  createdAt: integer("created_at").notNull(),
  /** When it came into its state. */
  changedAt: integer("changed_at").notNull(),
}, (table) => [primaryKey({ columns: [table.domain, table.selector] })]);

export type DkimKeyState = "waiting" | "signing" | "retired" | "revoked";

/** Aggregate reports: of DMARC (RFC 9990) and of TLS (RFC 8460). */
export type ReportKind = "dmarc" | "tls";

/** Aggregate reports that others sent us: DMARC (RFC 9990) and TLS (RFC 8460). */
export const authReports = sqliteTable("auth_reports", {
  id: integer("id").primaryKey(),
  kind: text("kind").$type<ReportKind>().notNull(),
  /** Whom it is about, a domain of ours. */
  domain: text("domain").notNull(),
  /** Who reports, as it says itself. */
  organization: text("organization").notNull(),
  reportId: text("report_id").notNull(),
  /** The domain that the report came from, by DMARC. */
  sender: text("sender").notNull(),
  beginAt: integer("begin_at").notNull(),
  endAt: integer("end_at").notNull(),
  receivedAt: integer("received_at").notNull(),
  /** What the report says of our policy, one line. */
  policy: text("policy").notNull(),
}, (table) => [
  uniqueIndex("auth_reports_once").on(table.kind, table.domain, table.sender, table.reportId),
  index("auth_reports_domain").on(table.domain, table.endAt),
  index("auth_reports_received").on(table.receivedAt),
]);

/** Rows of those reports. `result` is "pass" or "fail" (DMARC), "success" or a result type (TLS). */
export const authReportRows = sqliteTable("auth_report_rows", {
  reportId: integer("report_id").notNull(),
  position: integer("position").notNull(),
  source: text("source").notNull(),
  count: integer("count").notNull(),
  result: text("result").notNull(),
  /** DMARC: disposition, aligned DKIM and SPF; TLS: the reason code. */
  detail: text("detail").notNull(),
}, (table) => [primaryKey({ columns: [table.reportId, table.position] })]);

/** What we saw of other domains in a day (UTC), for the reports that we send: of their mail, and of TLS towards them. */
export const observed = sqliteTable("observed", {
  kind: text("kind").$type<ReportKind>().notNull(),
  /** Milliseconds of its beginning. */
  day: integer("day").notNull(),
  policyDomain: text("policy_domain").notNull(),
  /** One row of the report without its count, JSON. */
  row: text("row").notNull(),
  count: integer("count").notNull(),
}, (table) => [primaryKey({ columns: [table.kind, table.day, table.policyDomain, table.row] })]);

/** Octets of freed records per segment: what compaction goes by. */
export const segmentDead = sqliteTable("segment_dead", {
  segment: integer("segment").primaryKey(),
  octets: integer("octets").notNull(),
});

/** Filter scripts. `owner` is the account's id in decimal, the domain's name, or "". */
export const sieveScripts = sqliteTable("sieve_scripts", {
  scope: text("scope").$type<ScriptScope>().notNull(),
  owner: text("owner").notNull(),
  name: text("name").notNull(),
  content: text("content").notNull(),
  octets: integer("octets").notNull(),
  /** At most one of an owner. */
  active: integer("active").notNull(),
  updatedAt: integer("updated_at").notNull(),
}, (table) => [primaryKey({ columns: [table.scope, table.owner, table.name] })]);

/** Scripts run in this order: of the server, of the domain, of the user, and what the server runs behind them. */
export type ScriptScope = "server" | "domain" | "user" | "after";

/** What users have said about messages by moving or marking them, until the filter has read those messages. */
export const spamWishes = sqliteTable("spam_wishes", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  accountId: integer("account_id").notNull(),
  contentId: integer("content_id").notNull(),
  /** As in `messages`: what was found out about the sender stands there. */
  prefix: octets("prefix").notNull(),
  kind: text("kind").$type<LessonKind>().notNull(),
});

/** `spam` and `ham` are what a message was taught as; `weak-ham` is mail that was answered. */
export type LessonKind = "spam" | "ham" | "weak-ham";

/** What each message counts as, by a key made of its octets: it counts once. */
export const spamLessons = sqliteTable("spam_lessons", {
  accountId: integer("account_id").notNull(),
  key: text("key").notNull(),
  kind: text("kind").$type<LessonKind>().notNull(),
  at: integer("at").notNull(),
}, (table) => [primaryKey({ columns: [table.accountId, table.key] }), index("spam_lessons_at").on(table.at)]);

/** What lessons change in the knowledge and is not folded into it yet. */
export const spamJournal = sqliteTable("spam_journal", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  accountId: integer("account_id").notNull(),
  spam: integer("spam").notNull(),
  ham: integer("ham").notNull(),
  /** Numbers of 32 bits, little-endian. */
  tokens: octets("tokens").notNull(),
}, (table) => [index("spam_journal_account").on(table.accountId, table.id)]);

/** What was learnt from one account's lessons up to a row of the journal; account 0 is what all share. */
export const spamKnowledge = sqliteTable("spam_knowledge", {
  accountId: integer("account_id").primaryKey(),
  upTo: integer("up_to").notNull(),
  octets: octets("octets").notNull(),
});
