/** Reads of the quarantine: lists, one message, and those whose recipients have not been told. */
import type { SqlValue } from "./libsql.ts";
import type { BlobAddress } from "./ops.ts";
import type { Statements } from "./statements.ts";

/** A message for one recipient. */
export interface QuarantineRow {
  readonly recipientId: number;
  /** All recipients of a message share it. */
  readonly messageId: number;
  readonly recipient: string;
  readonly destination: string;
  readonly told: boolean;
  readonly sender: string;
  /** The login that submitted it. */
  readonly accountId: number | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly reason: string;
  readonly dangerous: boolean;
  readonly traceId: string;
  /** From and Subject as people read them, shortened. */
  readonly from: string;
  readonly subject: string;
  readonly headerOctets: number;
  readonly blob: BlobAddress;
}

export interface QuarantineFilter {
  readonly recipient?: string;
  readonly sender?: string;
  readonly messageId?: number;
}

export interface Quarantine {
  /** By recipient id, behind `after`. */
  list(filter: QuarantineFilter, page: { readonly after: number; readonly limit: number }): QuarantineRow[];
  /** Null when it is gone. */
  one(recipientId: number): QuarantineRow | null;
  /** Recipients that have not been told of something, in the order of their addresses, behind `after`. */
  untold(page: { readonly after: string; readonly limit: number }): string[];
  /** What one of them has not been told of, oldest first. */
  untoldOf(recipient: string, limit: number): QuarantineRow[];
  /** Something's time is over. */
  expired(now: number): boolean;
  counts(): { readonly messages: number; readonly recipients: number };
}

const COLUMNS =
  "r.id, r.quarantine_id, r.recipient, r.destination, r.told, q.sender, q.account_id, q.created_at, q.expires_at, " +
  "q.reason, q.dangerous, c.trace_id, c.sender, c.subject, c.header_octets, c.segment, c.offset, c.length";
const FROM = "FROM quarantine_recipients AS r JOIN quarantine_messages AS q ON q.id = r.quarantine_id " +
  "JOIN contents AS c ON c.id = q.content_id";
const MAX_PAGE = 1_000;

export class SqlQuarantine implements Quarantine {
  #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  list(
    filter: QuarantineFilter,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): QuarantineRow[] {
    const where = ["r.id > ?"];
    const parameters: SqlValue[] = [after];
    const add = (condition: string, value: SqlValue | undefined) => {
      if (value === undefined) return;
      where.push(condition);
      parameters.push(value);
    };
    add("r.recipient = ?", filter.recipient);
    add("q.sender = ?", filter.sender);
    add("r.quarantine_id = ?", filter.messageId);
    return this.#statements.rows(
      `SELECT ${COLUMNS} ${FROM} WHERE ${where.join(" AND ")} ORDER BY r.id LIMIT ?`,
    )
      .all(...parameters, Math.max(1, Math.min(MAX_PAGE, limit))).map(toRow);
  }

  one(recipientId: number): QuarantineRow | null {
    const row = this.#statements.rows(`SELECT ${COLUMNS} ${FROM} WHERE r.id = ?`).get(recipientId);
    return row === undefined ? null : toRow(row);
  }

  untold({ after, limit }: { readonly after: string; readonly limit: number }): string[] {
    return this.#statements.rows(
      "SELECT DISTINCT recipient FROM quarantine_recipients WHERE told = 0 AND recipient > ? ORDER BY recipient LIMIT ?",
    ).all(after, limit).map(([recipient]) => recipient as string);
  }

  untoldOf(recipient: string, limit: number): QuarantineRow[] {
    return this.#statements.rows(
      `SELECT ${COLUMNS} ${FROM} WHERE r.told = 0 AND r.recipient = ? ORDER BY r.id LIMIT ?`,
    ).all(recipient, limit).map(toRow);
  }

  expired(now: number): boolean {
    return this.#statements.rows("SELECT 1 FROM quarantine_messages WHERE expires_at <= ? LIMIT 1").get(
      now,
    ) !==
      undefined;
  }

  counts(): { messages: number; recipients: number } {
    const count = (table: string) =>
      this.#statements.rows(`SELECT count(*) FROM ${table}`).get()?.[0] as number ?? 0;
    return { messages: count("quarantine_messages"), recipients: count("quarantine_recipients") };
  }
}

function toRow(row: SqlValue[]): QuarantineRow {
  const [recipientId, messageId, recipient, destination, told, sender, accountId] = row;
  const [createdAt, expiresAt, reason, dangerous, traceId, from, subject] = row.slice(7);
  const [headerOctets, segment, offset, length] = row.slice(14) as number[];
  return {
    recipientId: recipientId as number,
    messageId: messageId as number,
    recipient: recipient as string,
    destination: destination as string,
    told: told === 1,
    sender: sender as string,
    accountId: accountId as number | null,
    createdAt: createdAt as number,
    expiresAt: expiresAt as number,
    reason: reason as string,
    dangerous: dangerous === 1,
    traceId: traceId as string,
    from: from as string,
    subject: subject as string,
    headerOctets: headerOctets!,
    blob: { segment: segment!, offset: offset!, length: length! },
  };
}
