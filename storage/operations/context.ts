/** What every write operation works with: the writer's connection and the changes its group will announce. */
import type { Change } from "../changes.ts";
import type { Connection, RawStatement, Statement } from "../libsql.ts";
import type { UidRanges, WriteFault, WriteResult } from "../ops.ts";

export interface UsageDelta {
  readonly accountId: number;
  readonly octets: number;
  readonly messages: number;
}

/** What a delivery adds, with the domain of the account. */
export interface NotedUsage extends UsageDelta {
  readonly domain: string | null;
}

export class OperationContext {
  readonly connection: Connection;
  /** Changes of the group so far; an operation that fails takes its own back. */
  readonly changes: Change[] = [];
  readonly clock: () => number;
  /** What deliveries of this group added to accounts; written at its end, once for each account (usage.ts). */
  readonly usage: NotedUsage[] = [];
  #statements = new Map<string, Statement>();

  constructor(connection: Connection, clock: () => number) {
    this.connection = connection;
    this.clock = clock;
  }

  /** The statement, prepared once. */
  sql(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.connection.prepare(text));
    return statement;
  }

  /** The statement with rows as arrays, prepared once. */
  rows(text: string): RawStatement {
    return this.sql(text).raw();
  }
}

export const DONE: WriteResult = { ok: true, kind: "done" };

export function refuse(fault: WriteFault, detail: string): WriteResult {
  return { ok: false, fault, detail };
}

/**
 * A condition on `uid` (after `mailbox_id = ?`) for the ranges, and its parameters: BETWEEN for one range, a join
 * against JSON for many, so that the statement's text does not depend on their number.
 */
export function uidCondition(
  mailboxId: number,
  uids: UidRanges,
): { where: string; parameters: (number | string)[] } {
  const [only] = uids;
  if (uids.length === 1 && only !== undefined) {
    return { where: "mailbox_id = ? AND uid BETWEEN ? AND ?", parameters: [mailboxId, only[0], only[1]] };
  }
  return {
    where: "mailbox_id = ? AND uid IN (SELECT m.uid FROM json_each(?) AS r CROSS JOIN messages AS m " +
      "WHERE m.mailbox_id = ? AND m.uid BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]'))",
    parameters: [mailboxId, JSON.stringify(uids), mailboxId],
  };
}
