/**
 * Who may do what with the mailboxes of others: reads of the access lists (RFC 4314), and of what each has seen there.
 *
 * The identifiers that mean an account are kept until the directory changes: its address, its domain, the groups it is a
 * member of by any of its own addresses (groups in groups are not followed).
 */
import type { Account, Directory } from "./directory_view.ts";
import { type Mailbox, MAILBOX_COLUMNS, toMailbox } from "./mailboxes.ts";
import { domainOf } from "./address_form.ts";
import type { UidRanges } from "./ops.ts";
import { ALL_RIGHTS, combineRights, NO_RIGHTS, type SharingScope } from "./rights.ts";
import type { Statements } from "./statements.ts";

export interface AclEntry {
  readonly identifier: string;
  readonly rights: string;
}

/** A mailbox of another account, and the rights on it. */
export interface Granted {
  readonly mailbox: Mailbox;
  readonly owner: Pick<Account, "address" | "shared">;
  readonly rights: string;
}

/** Access lists (RFC 4314). Rights are letters in the order of storage/rights.ts, "" for none. */
export interface Access {
  /** All of an account's own mailboxes. `reader` null: a stranger. */
  rights(reader: Account | null, mailbox: Mailbox, scope: SharingScope): string;
  /** Mailboxes of others, or of one other, on which there is any right, by owner and name. */
  granted(reader: Account, scope: SharingScope, ownerId?: number | null): Granted[];
  /** The list as it is kept, without the owner. */
  acl(mailboxId: number): AclEntry[];
  /** What a reader has seen in a mailbox that is not his own. */
  seen(mailboxId: number, readerId: number): { readonly modSeq: number; readonly uids: UidRanges };
  /** How many messages of it he has not. */
  unseen(mailbox: Mailbox, readerId: number): number;
}

const MAX_CACHED = 10_000;
const MAX_ROWS = 30_000;
const MAX_GROUPS = 1_000;

/** Identifiers that mean strangers too. */
const STRANGERS = JSON.stringify(["anyone", "-anyone"]);

export class SqlAccess implements Access {
  #statements: Statements;
  #directory: Pick<Directory, "accountById">;
  /** JSON, each with a dash before it too. */
  #identifiers = new Map<number, string>();

  constructor(statements: Statements, directory: Pick<Directory, "accountById">) {
    this.#statements = statements;
    this.#directory = directory;
  }

  /** On every "directory" change. */
  invalidate(): void {
    this.#identifiers.clear();
  }

  rights(reader: Account | null, mailbox: Mailbox, scope: SharingScope): string {
    if (reader?.id === mailbox.accountId) return ALL_RIGHTS;
    if (scope === "off") return NO_RIGHTS;
    if (scope === "domain" && reader !== null) {
      const owner = this.#directory.accountById(mailbox.accountId);
      if (owner === null || domainOf(owner.address) !== domainOf(reader.address)) return NO_RIGHTS;
    }
    const rows = this.#statements.rows(
      "SELECT identifier, rights FROM acl WHERE mailbox_id = ? AND identifier IN (SELECT value FROM json_each(?))",
    ).all(mailbox.id, reader === null ? STRANGERS : this.#identifiersOf(reader));
    return rows.length === 0 ? NO_RIGHTS : combineRights(rows.map(toEntry));
  }

  granted(reader: Account, scope: SharingScope, ownerId: number | null = null): Granted[] {
    if (scope === "off") return [];
    const rows = this.#statements.rows(
      `SELECT ${MAILBOX_COLUMNS.split(", ").map((name) => `m.${name}`).join(", ")}, a.address, a.shared, ` +
        "c.identifier, c.rights FROM json_each(?) AS i CROSS JOIN acl AS c ON c.identifier = i.value " +
        "JOIN mailboxes AS m ON m.id = c.mailbox_id JOIN accounts AS a ON a.id = m.account_id " +
        "WHERE m.account_id != ? AND (? = '' OR a.domain = ?) AND (? = 0 OR m.account_id = ?) " +
        "ORDER BY a.shared, a.address, m.name LIMIT ?",
    ).all(
      this.#identifiersOf(reader),
      reader.id,
      scope === "domain" ? domainOf(reader.address) : "",
      domainOf(reader.address),
      ownerId ?? 0,
      ownerId ?? 0,
      MAX_ROWS,
    );
    const found: Granted[] = [];
    for (const [, ofOne] of Map.groupBy(rows, (row) => row[0] as number)) {
      const [first] = ofOne;
      const [address, shared] = first!.slice(-4) as [string, number];
      const rights = combineRights(ofOne.map((row) => toEntry(row.slice(-2))));
      if (rights === NO_RIGHTS) continue;
      found.push({ mailbox: toMailbox(first!), owner: { address, shared: shared === 1 }, rights });
    }
    return found;
  }

  acl(mailboxId: number): AclEntry[] {
    return this.#statements.rows(
      "SELECT identifier, rights FROM acl WHERE mailbox_id = ? ORDER BY identifier LIMIT ?",
    ).all(mailboxId, MAX_ROWS).map(toEntry);
  }

  seen(mailboxId: number, readerId: number): { readonly modSeq: number; readonly uids: UidRanges } {
    const row = this.#statements.rows(
      "SELECT modseq, uids FROM seen_by WHERE mailbox_id = ? AND account_id = ?",
    ).get(mailboxId, readerId);
    if (row === undefined) return { modSeq: 0, uids: [] };
    return { modSeq: row[0] as number, uids: JSON.parse(String(row[1])) as UidRanges };
  }

  unseen(mailbox: Mailbox, readerId: number): number {
    const { uids } = this.seen(mailbox.id, readerId);
    if (uids.length === 0 || mailbox.messages === 0) return mailbox.messages;
    // Mostly nearly all are seen, or nearly none: count those that are fewer by their numbers.
    const between: [number, number][] = [];
    let next = 1, width = 0;
    for (const [from, to] of uids) {
      if (from > next) between.push([next, from - 1]);
      width += to - from + 1;
      next = to + 1;
    }
    if (next < mailbox.uidNext) between.push([next, mailbox.uidNext - 1]);
    const fewer = width * 2 < mailbox.uidNext;
    const [count] = this.#statements.rows(
      "SELECT count(*) FROM json_each(?) AS r CROSS JOIN messages AS m ON m.mailbox_id = ? AND " +
        "m.uid BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]')",
    ).get(JSON.stringify(fewer ? uids : between), mailbox.id) as [number];
    return fewer ? Math.max(0, mailbox.messages - count) : count;
  }

  #identifiersOf({ id, address }: Account): string {
    const known = this.#identifiers.get(id);
    if (known !== undefined) return known;
    const groups = this.#statements.rows(
      "SELECT DISTINCT group_address FROM group_members WHERE member = ? OR member IN " +
        "(SELECT address FROM addresses WHERE account_id = ? AND kind = 'own' AND enabled = 1) LIMIT ?",
    ).all(address, id, MAX_GROUPS).map((row) => row[0] as string);
    const names = ["anyone", "authenticated", address, `@${domainOf(address)}`, ...groups];
    const identifiers = JSON.stringify([...names, ...names.map((name) => `-${name}`)]);
    if (this.#identifiers.size >= MAX_CACHED) this.#identifiers.clear();
    this.#identifiers.set(id, identifiers);
    return identifiers;
  }
}

function toEntry(row: unknown[]): AclEntry {
  return { identifier: row[0] as string, rights: row[1] as string };
}
