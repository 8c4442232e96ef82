/** Reads of the outbound queue: what is due, one message, and the operator's lists. */
import type { SqlValue } from "./libsql.ts";
import type { BlobAddress, QueueEnvelope, QueueTls } from "./ops.ts";
import type { Statements } from "./statements.ts";

export interface DueRecipient {
  readonly recipientId: number;
  readonly queueId: number;
  readonly recipient: string;
  readonly destination: string;
  readonly notify: string;
  readonly originalRecipient: string;
  readonly attempts: number;
  readonly delayNotified: boolean;
  readonly nextAttemptAt: number;
}

/** With what fairness needs of its message. */
export interface DueRow extends DueRecipient {
  readonly sender: string;
  readonly priority: number;
}

/** What a webhook is to be told. */
export interface QueueEvent {
  readonly id: number;
  readonly hook: string;
  readonly body: string;
  readonly createdAt: number;
  readonly attempts: number;
}

/** A place in the order of what is due. */
export interface DuePosition {
  readonly nextAttemptAt: number;
  readonly recipientId: number;
}

export interface QueuedMessage extends QueueEnvelope {
  readonly queueId: number;
  readonly traceId: string;
  readonly blob: BlobAddress;
  readonly headerOctets: number;
  readonly tls: QueueTls;
  readonly priority: number;
}

/** A row of administrative queue lists. */
export interface QueueListRow extends DueRecipient {
  readonly traceId: string;
  readonly sender: string;
  readonly state: "queued" | "held";
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastReply: string;
  readonly sizeOctets: number;
}

export interface QueueFilter {
  readonly sender?: string;
  readonly recipient?: string;
  readonly destination?: string;
  readonly state?: "queued" | "held";
  readonly queueId?: number;
}

export interface Queue {
  /**
   * Recipients due at `now` that are not held, oldest due first, skipping destinations in `busy` and what does not lie
   * behind `after`.
   */
  due(
    now: number,
    options: { limit: number; busy: readonly string[]; after?: DuePosition },
  ): DueRow[];
  /** Those of one destination, the oldest due first, or the newest first. */
  dueOf(
    destination: string,
    now: number,
    options: { readonly limit: number; readonly newest: boolean },
  ): DueRow[];
  /** Destinations that have recipients, in the order of their names, behind `after`. */
  destinations(page: { readonly after: string; readonly limit: number }): string[];
  /** Events for webhooks that are due, oldest due first. */
  dueEvents(now: number, limit: number): QueueEvent[];
  /** When the first event is due; null when there is none. */
  nextEventAt(): number | null;
  /** When the next one that is not due yet at `after` becomes due; null when there is none. */
  nextDueAt(after: number): number | null;
  /** Of these recipients, those that are there and not held. */
  waiting(recipientIds: readonly number[]): number[];
  /** Recipients of these destinations that wait for another attempt (up to 10,000). */
  waitingFor(destinations: readonly string[]): number[];
  /** Recipients of a destination whose next attempt is behind `after` and whose last one ended in the network (4.4.x). */
  unreached(destination: string, after: number, limit: number): number[];
  /** Those of the given recipients that are still in the queue, held ones too. */
  recipients(ids: readonly number[]): DueRecipient[];
  message(queueId: number): QueuedMessage | null;
  list(filter: QueueFilter, page: { afterRecipientId: number; limit: number }): QueueListRow[];
  counts(): { queued: number; held: number; oldestCreatedAt: number | null };
}

const RECIPIENT =
  "r.id, r.queue_id, r.recipient, r.destination, r.notify, r.original_recipient, r.attempts, r.delay_notified, " +
  "r.next_attempt_at";
const DUE = `SELECT ${RECIPIENT}, q.sender, q.priority FROM queue_recipients AS r ` +
  "CROSS JOIN queue_messages AS q ON q.id = r.queue_id ";
const MAX_PAGE = 1_000;
/** Before everything. */
const START: DuePosition = { nextAttemptAt: -1, recipientId: -1 };
const MAX_WAITING = 10_000;

export class SqlQueue implements Queue {
  #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  due(
    now: number,
    options: { limit: number; busy: readonly string[]; after?: DuePosition },
  ): DueRow[] {
    const { nextAttemptAt, recipientId } = options.after ?? START;
    return this.#statements.rows(
      `${DUE}WHERE r.held = 0 AND r.next_attempt_at <= ? ` +
        "AND (r.next_attempt_at, r.id) > (?, ?) " +
        "AND r.destination NOT IN (SELECT value FROM json_each(?)) ORDER BY r.next_attempt_at, r.id LIMIT ?",
    ).all(now, nextAttemptAt, recipientId, JSON.stringify(options.busy), options.limit).map(toDue);
  }

  dueOf(destination: string, now: number, options: { limit: number; newest: boolean }): DueRow[] {
    return this.#statements.rows(
      `${DUE}WHERE r.destination = ? AND r.held = 0 AND r.next_attempt_at <= ? ` +
        `ORDER BY r.next_attempt_at ${options.newest ? "DESC" : "ASC"} LIMIT ?`,
    ).all(destination, now, options.limit).map(toDue);
  }

  /** Jumps from name to name in the index. */
  destinations({ after, limit }: { after: string; limit: number }): string[] {
    return this.#statements.rows(
      "WITH RECURSIVE d(name) AS (SELECT min(destination) FROM queue_recipients WHERE destination > ? UNION ALL " +
        "SELECT (SELECT min(destination) FROM queue_recipients WHERE destination > d.name) FROM d " +
        "WHERE d.name IS NOT NULL LIMIT ?) SELECT name FROM d WHERE name IS NOT NULL",
    ).all(after, limit).map(([name]) => name as string);
  }

  dueEvents(now: number, limit: number): QueueEvent[] {
    return this.#statements.rows(
      "SELECT id, hook, body, created_at, attempts FROM queue_events WHERE next_attempt_at <= ? " +
        "ORDER BY next_attempt_at, id LIMIT ?",
    ).all(now, limit).map(([id, hook, body, createdAt, attempts]) => ({
      id: id as number,
      hook: hook as string,
      body: body as string,
      createdAt: createdAt as number,
      attempts: attempts as number,
    }));
  }

  nextEventAt(): number | null {
    const row = this.#statements.rows("SELECT min(next_attempt_at) FROM queue_events").get();
    return row?.[0] == null ? null : row[0] as number;
  }

  nextDueAt(after: number): number | null {
    const row = this.#statements.rows(
      "SELECT next_attempt_at FROM queue_recipients WHERE held = 0 AND next_attempt_at > ? " +
        "ORDER BY next_attempt_at LIMIT 1",
    ).get(after);
    return row === undefined ? null : row[0] as number;
  }

  /** One by one by their keys: for most messages that is one, and a look at a single row costs less than a list. */
  waiting(recipientIds: readonly number[]): number[] {
    const statement = this.#statements.rows("SELECT 1 FROM queue_recipients WHERE id = ? AND held = 0");
    return recipientIds.filter((id) => statement.get(id) !== undefined);
  }

  waitingFor(domains: readonly string[]): number[] {
    return this.#statements.rows(
      "SELECT r.id FROM json_each(?) AS j CROSS JOIN queue_recipients AS r ON r.destination = j.value " +
        "WHERE r.held = 0 AND r.attempts > 0 ORDER BY r.next_attempt_at LIMIT ?",
    ).all(JSON.stringify(domains), MAX_WAITING).map(([id]) => id as number);
  }

  unreached(destination: string, after: number, limit: number): number[] {
    return this.#statements.rows(
      "SELECT id FROM queue_recipients WHERE destination = ? AND held = 0 AND next_attempt_at > ? AND attempts > 0 " +
        "AND last_reply LIKE '4.4.%' ORDER BY next_attempt_at LIMIT ?",
    ).all(destination, after, limit).map(([id]) => id as number);
  }

  recipients(ids: readonly number[]): DueRecipient[] {
    return this.#statements.rows(
      `SELECT ${RECIPIENT} FROM json_each(?) AS j CROSS JOIN queue_recipients AS r ON r.id = j.value ORDER BY r.id LIMIT ?`,
    ).all(JSON.stringify(ids), MAX_WAITING).map(toRecipient);
  }

  message(queueId: number): QueuedMessage | null {
    const row = this.#statements.rows(
      "SELECT q.id, c.trace_id, q.sender, q.account_id, q.envelope_id, q.ret, q.eight_bit, q.smtputf8, q.created_at, " +
        "q.expires_at, c.segment, c.offset, c.length, c.header_octets, q.tls, q.priority FROM queue_messages AS q " +
        "JOIN contents AS c ON c.id = q.content_id WHERE q.id = ?",
    ).get(queueId);
    if (row === undefined) return null;
    return {
      queueId: row[0] as number,
      traceId: row[1] as string,
      sender: row[2] as string,
      accountId: row[3] as number | null,
      envelopeId: row[4] as string,
      ret: row[5] as "" | "FULL" | "HDRS",
      eightBit: row[6] === 1,
      smtputf8: row[7] === 1,
      createdAt: row[8] as number,
      expiresAt: row[9] as number,
      blob: { segment: row[10] as number, offset: row[11] as number, length: row[12] as number },
      headerOctets: row[13] as number,
      tls: row[14] as QueueTls,
      priority: row[15] as number,
    };
  }

  list(filter: QueueFilter, page: { afterRecipientId: number; limit: number }): QueueListRow[] {
    const where: string[] = ["r.id > ?"];
    const parameters: SqlValue[] = [page.afterRecipientId];
    const add = (condition: string, value: SqlValue | undefined) => {
      if (value === undefined) return;
      where.push(condition);
      parameters.push(value);
    };
    add("q.sender = ?", filter.sender);
    add("r.recipient = ?", filter.recipient);
    add("r.destination = ?", filter.destination);
    add("r.held = ?", filter.state === undefined ? undefined : filter.state === "held" ? 1 : 0);
    add("r.queue_id = ?", filter.queueId);
    return this.#statements.rows(
      `SELECT ${RECIPIENT}, c.trace_id, q.sender, r.held, q.created_at, q.expires_at, r.last_reply, c.length ` +
        "FROM queue_recipients AS r JOIN queue_messages AS q ON q.id = r.queue_id JOIN contents AS c ON c.id = q.content_id " +
        `WHERE ${where.join(" AND ")} ORDER BY r.id LIMIT ?`,
    ).all(...parameters, Math.max(1, Math.min(MAX_PAGE, page.limit))).map((row) => ({
      ...toRecipient(row),
      traceId: row[9] as string,
      sender: row[10] as string,
      state: row[11] === 1 ? "held" : "queued",
      createdAt: row[12] as number,
      expiresAt: row[13] as number,
      lastReply: row[14] as string,
      sizeOctets: row[15] as number,
    }));
  }

  counts(): { queued: number; held: number; oldestCreatedAt: number | null } {
    const [held = 0, all = 0] =
      (this.#statements.rows("SELECT coalesce(sum(held), 0), count(*) FROM queue_recipients")
        .get() ?? []) as number[];
    const [oldest] = this.#statements.rows("SELECT min(created_at) FROM queue_messages").get() ?? [null];
    return { queued: all - held, held, oldestCreatedAt: oldest as number | null };
  }
}

function toDue(row: SqlValue[]): DueRow {
  return { ...toRecipient(row), sender: row[9] as string, priority: row[10] as number };
}

function toRecipient(row: SqlValue[]): DueRecipient {
  return {
    recipientId: row[0] as number,
    queueId: row[1] as number,
    recipient: row[2] as string,
    destination: row[3] as string,
    notify: row[4] as string,
    originalRecipient: row[5] as string,
    attempts: row[6] as number,
    delayNotified: row[7] === 1,
    nextAttemptAt: row[8] as number,
  };
}
