/** The database by itself: SQLite's own check, rows whose other half is missing, and columns derived from others. */
import type { CheckContext } from "./findings.ts";

interface RowCheck {
  readonly kind: string;
  /** Rows of (subject, detail). */
  readonly select: string;
  /** Mends all of them. */
  readonly fix?: string;
}

const MAX_ROWS = 1_000;

const REFS =
  "SELECT c.id, c.refs AS old, coalesce(m.n, 0) + coalesce(q.n, 0) + coalesce(h.n, 0) + coalesce(t.n, 0) AS new FROM contents AS c " +
  "LEFT JOIN (SELECT content_id, count(*) AS n FROM messages GROUP BY content_id) AS m ON m.content_id = c.id " +
  "LEFT JOIN (SELECT content_id, count(*) AS n FROM queue_messages GROUP BY content_id) AS q ON q.content_id = c.id " +
  "LEFT JOIN (SELECT content_id, count(*) AS n FROM quarantine_messages GROUP BY content_id) AS h ON h.content_id = c.id " +
  // What came to traps is held until it is learnt.
  "LEFT JOIN (SELECT content_id, count(*) AS n FROM spam_wishes WHERE account_id = 0 GROUP BY content_id) AS t ON t.content_id = c.id " +
  "WHERE c.refs != coalesce(m.n, 0) + coalesce(q.n, 0) + coalesce(h.n, 0) + coalesce(t.n, 0)";
const SIZES = "SELECT m.mailbox_id, m.uid, m.size_octets AS old, c.length + length(m.prefix) AS new " +
  "FROM messages AS m JOIN contents AS c ON c.id = m.content_id WHERE m.size_octets != c.length + length(m.prefix)";
const HIGHEST_VALIDITY =
  "SELECT max(v) FROM (SELECT max(uid_validity) AS v FROM mailboxes UNION ALL SELECT max(uid_validity) FROM retired_names)";

const ACCOUNT_USAGE =
  "SELECT a.id, a.address AS subject, a.used_octets AS old_octets, a.used_messages AS old_messages, " +
  "coalesce(sum(m.size_octets), 0) AS octets, coalesce(sum(m.messages), 0) AS messages " +
  "FROM accounts AS a LEFT JOIN mailboxes AS m ON m.account_id = a.id GROUP BY a.id";
const DOMAIN_USAGE =
  "SELECT d.name AS subject, d.used_octets AS old_octets, d.used_messages AS old_messages, " +
  "coalesce(sum(a.used_octets), 0) AS octets, coalesce(sum(a.used_messages), 0) AS messages " +
  "FROM domains AS d LEFT JOIN accounts AS a ON a.domain = d.name GROUP BY d.name";
const wrongUsage = (of: string) =>
  "SELECT subject, old_octets || ' octets in ' || old_messages || ' messages counted, ' || octets || ' in ' || messages " +
  `|| ' found' FROM (${of}) WHERE old_octets != octets OR old_messages != messages`;

/** Nobody is called so, or it holds what is no right: nothing is granted rather than the wrong thing. */
const BAD_ENTRY = "rights = '' OR rights GLOB '*[^lrswipkxtea]*' OR " +
  "(ltrim(identifier, '-') NOT IN ('anyone', 'authenticated') AND identifier NOT LIKE '%@%') OR " +
  "(ltrim(identifier, '-') LIKE '_%@%' AND ltrim(identifier, '-') NOT IN " +
  "(SELECT address FROM accounts UNION ALL SELECT address FROM groups))";
const BAD_READER =
  "account_id NOT IN (SELECT id FROM accounts) OR NOT json_valid(uids) OR json_type(uids) != 'array' OR " +
  "account_id = (SELECT account_id FROM mailboxes WHERE id = mailbox_id)";

const CHECKS: readonly RowCheck[] = [
  {
    kind: "refs",
    select: `SELECT 'content ' || id, old || ' references counted, ' || new || ' found' FROM (${REFS})`,
    fix: `UPDATE contents SET refs = r.new FROM (${REFS}) AS r WHERE contents.id = r.id`,
  },
  {
    kind: "message-size",
    select:
      `SELECT 'mailbox ' || mailbox_id || ' UID ' || uid, old || ' octets noted, ' || new || ' found' FROM (${SIZES})`,
    fix: `UPDATE messages SET size_octets = s.new FROM (${SIZES}) AS s ` +
      "WHERE messages.mailbox_id = s.mailbox_id AND messages.uid = s.uid",
  },
  {
    kind: "message-without-content",
    select:
      "SELECT 'mailbox ' || mailbox_id || ' UID ' || uid, 'content ' || content_id || ' is missing' FROM messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM contents WHERE id = messages.content_id)",
  },
  {
    kind: "message-without-mailbox",
    select: "SELECT 'mailbox ' || mailbox_id, count(*) || ' messages, but no such mailbox' FROM messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM mailboxes WHERE id = messages.mailbox_id) GROUP BY mailbox_id",
  },
  {
    kind: "mailbox-without-account",
    select:
      "SELECT 'mailbox ' || id, name || ' belongs to account ' || account_id || ', which is missing' FROM mailboxes " +
      "WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = mailboxes.account_id)",
  },
  {
    kind: "account-without-inbox",
    select: "SELECT address, 'has no INBOX' FROM accounts WHERE NOT EXISTS " +
      "(SELECT 1 FROM mailboxes WHERE account_id = accounts.id AND name = 'INBOX')",
  },
  {
    kind: "account-without-domain",
    select: "SELECT address, domain || ' is no local domain' FROM accounts WHERE NOT EXISTS " +
      "(SELECT 1 FROM domains WHERE name = accounts.domain AND kind = 'local')",
  },
  {
    kind: "alias-without-domain",
    select: "SELECT address, domain || ' is no local domain' FROM aliases WHERE NOT EXISTS " +
      "(SELECT 1 FROM domains WHERE name = aliases.domain AND kind = 'local')",
  },
  {
    kind: "address-twice",
    select:
      "SELECT address, 'is taken ' || count(*) || ' times' FROM (SELECT address FROM accounts UNION ALL " +
      "SELECT address FROM aliases UNION ALL SELECT address FROM addresses UNION ALL SELECT address FROM groups) " +
      "GROUP BY address HAVING count(*) > 1",
  },
  {
    kind: "address-without-account",
    select: "SELECT address, 'account ' || account_id || ' is missing' FROM addresses " +
      "WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = addresses.account_id)",
  },
  {
    kind: "sharing-without-mailbox",
    select: "SELECT 'mailbox ' || mailbox_id, what || ' of a mailbox that is missing' FROM " +
      "(SELECT mailbox_id, 'access list' AS what FROM acl UNION SELECT mailbox_id, 'readers' FROM seen_by) " +
      "WHERE mailbox_id NOT IN (SELECT id FROM mailboxes)",
    fix: "DELETE FROM acl WHERE mailbox_id NOT IN (SELECT id FROM mailboxes); " +
      "DELETE FROM seen_by WHERE mailbox_id NOT IN (SELECT id FROM mailboxes)",
  },
  {
    kind: "access-list",
    select:
      `SELECT 'mailbox ' || mailbox_id, identifier || ' has "' || rights || '"' FROM acl WHERE ${BAD_ENTRY}`,
    fix: `DELETE FROM acl WHERE ${BAD_ENTRY}`,
  },
  {
    kind: "reader",
    select:
      `SELECT 'mailbox ' || mailbox_id, 'account ' || account_id || ': ' || substr(uids, 1, 100) FROM seen_by WHERE ${BAD_READER}`,
    fix: `DELETE FROM seen_by WHERE ${BAD_READER}`,
  },
  {
    kind: "group-members",
    select: "SELECT address, members || ' members counted, ' || (SELECT count(*) FROM group_members " +
      "WHERE group_address = address) || ' found' FROM groups WHERE members != " +
      "(SELECT count(*) FROM group_members WHERE group_address = address)",
    fix:
      "UPDATE groups SET members = (SELECT count(*) FROM group_members WHERE group_address = groups.address)",
  },
  {
    kind: "queue-without-content",
    select: "SELECT 'queue ' || id, 'content ' || content_id || ' is missing' FROM queue_messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM contents WHERE id = queue_messages.content_id)",
  },
  {
    kind: "queue-without-recipients",
    select: "SELECT 'queue ' || id, 'has no recipient' FROM queue_messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM queue_recipients WHERE queue_id = queue_messages.id)",
  },
  {
    kind: "recipient-without-message",
    select:
      "SELECT 'queue ' || queue_id || ' recipient ' || id, recipient || ': the message is missing' FROM queue_recipients " +
      "WHERE NOT EXISTS (SELECT 1 FROM queue_messages WHERE id = queue_recipients.queue_id)",
  },
  {
    kind: "quarantine-without-content",
    select:
      "SELECT 'quarantine ' || id, 'content ' || content_id || ' is missing' FROM quarantine_messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM contents WHERE id = quarantine_messages.content_id)",
  },
  {
    kind: "quarantine-without-recipients",
    select: "SELECT 'quarantine ' || id, 'has no recipient' FROM quarantine_messages " +
      "WHERE NOT EXISTS (SELECT 1 FROM quarantine_recipients WHERE quarantine_id = quarantine_messages.id)",
  },
  {
    kind: "quarantined-recipient-without-message",
    select:
      "SELECT 'quarantine ' || quarantine_id || ' recipient ' || id, recipient || ': the message is missing' " +
      "FROM quarantine_recipients " +
      "WHERE NOT EXISTS (SELECT 1 FROM quarantine_messages WHERE id = quarantine_recipients.quarantine_id)",
  },
  {
    kind: "uid-validity",
    select: `SELECT 'counter', value || ' is less than ' || (${HIGHEST_VALIDITY}) FROM counters ` +
      `WHERE name = 'uid_validity' AND value < (${HIGHEST_VALIDITY})`,
    fix: `UPDATE counters SET value = (${HIGHEST_VALIDITY}) WHERE name = 'uid_validity'`,
  },
];

export function checkDatabase({ connection, fix, findings }: CheckContext): void {
  for (const [line] of connection.prepare("PRAGMA integrity_check(100)").raw().all()) {
    if (line !== "ok") {
      findings.add({ kind: "database", subject: "veredus.db", detail: String(line), fixed: false });
    }
  }
  for (const check of CHECKS) {
    const rows = connection.prepare(`${check.select} LIMIT ${MAX_ROWS}`).raw().all();
    const mended = fix && check.fix !== undefined && rows.length > 0;
    if (mended) connection.transaction(() => connection.exec(check.fix!));
    for (const [subject, detail] of rows) {
      findings.add({ kind: check.kind, subject: String(subject), detail: String(detail), fixed: mended });
    }
  }
  checkAliasTargets({ connection, fix, findings });
  for (const table of ["accounts", "addresses", "aliases", "domains", "groups"]) {
    findings.count(table, Number(connection.prepare(`SELECT count(*) FROM ${table}`).raw().get()?.[0]));
  }
  findings.count(
    "queued",
    Number(connection.prepare("SELECT count(*) FROM queue_messages").raw().get()?.[0]),
  );
  findings.count(
    "quarantined",
    Number(connection.prepare("SELECT count(*) FROM quarantine_messages").raw().get()?.[0]),
  );
}

/** `alias_targets` is the index of `aliases.targets` in the other direction. */
function checkAliasTargets({ connection, fix, findings }: CheckContext): void {
  const key = (target: unknown, address: unknown) => `${target}\n${address}`;
  const expected = new Set<string>();
  for (const [address, targets] of connection.prepare("SELECT address, targets FROM aliases").raw().all()) {
    for (const target of String(targets).split("\n")) if (target !== "") expected.add(key(target, address));
  }
  const found = new Set(
    connection.prepare("SELECT target, address FROM alias_targets").raw().all().map(([target, address]) =>
      key(target, address)
    ),
  );
  const wrong = expected.symmetricDifference(found);
  if (wrong.size === 0) return;
  if (fix) {
    connection.transaction(() => {
      connection.exec("DELETE FROM alias_targets");
      const insert = connection.prepare("INSERT INTO alias_targets (target, address) VALUES (?, ?)");
      for (const pair of expected) insert.run(...pair.split("\n") as [string, string]);
    });
  }
  for (const pair of wrong) {
    const [target = "", address = ""] = pair.split("\n");
    const detail = expected.has(pair) ? `${target} is not in the index` : `${target} is no target of it`;
    findings.add({ kind: "alias-targets", subject: address, detail, fixed: fix });
  }
}

/** Runs after the counters of the mailboxes are right: accounts and domains are their sums. */
export function checkUsage({ connection, fix, findings }: CheckContext): void {
  for (
    const [table, of, key] of [["accounts", ACCOUNT_USAGE, "address"], ["domains", DOMAIN_USAGE, "name"]]
  ) {
    const rows = connection.prepare(`${wrongUsage(of!)} LIMIT ${MAX_ROWS}`).raw().all();
    if (fix && rows.length > 0) {
      connection.exec(
        `UPDATE ${table} SET used_octets = u.octets, used_messages = u.messages FROM (${of}) AS u ` +
          `WHERE ${table}.${key} = u.subject`,
      );
    }
    for (const [subject, detail] of rows) {
      findings.add({ kind: "usage", subject: String(subject), detail: String(detail), fixed: fix });
    }
  }
}
