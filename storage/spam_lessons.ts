/** Reads of what the spam filter has learnt and is to learn. Each is one look-up by key, or one page. */
import type { LessonKind } from "./schema.ts";
import type { BlobAddress } from "./ops.ts";
import type { Statements } from "./statements.ts";

export interface Wish {
  readonly id: number;
  readonly accountId: number;
  readonly kind: LessonKind;
  /** Null: the message is gone. */
  readonly blob: BlobAddress | null;
  readonly prefix: Uint8Array;
}

export interface JournalRow {
  readonly id: number;
  readonly accountId: number;
  readonly spam: number;
  readonly ham: number;
  readonly tokens: Uint8Array;
}

export interface LessonCounts {
  readonly spam: number;
  readonly ham: number;
  readonly waiting: number;
}

export interface SpamLessons {
  /** The oldest first. */
  wishes(limit: number): Wish[];
  /** Account 0 is the shared one. */
  knowledge(accountId: number): { readonly upTo: number; readonly octets: Uint8Array } | null;
  /** Where the knowledge ends that {@linkcode knowledge} gives, without reading it; 0 where there is none. */
  foldedUpTo(accountId: number): number;
  /** Rows after `after`, of one account, or of all for account 0. */
  journal(accountId: number, page: { readonly after: number; readonly limit: number }): JournalRow[];
  /** Nobody has said anything about mail, or all of it was forgotten. */
  nothing(): boolean;
  /** Accounts with rows that are not folded, and how many. */
  unfolded(): { readonly accountId: number; readonly rows: number }[];
  lesson(accountId: number, key: string): LessonKind | null;
  /** What was taught; account 0 counts all. */
  counts(accountId: number): LessonCounts;
}

export class SqlSpamLessons implements SpamLessons {
  #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  wishes(limit: number): Wish[] {
    return this.#statements.rows(
      "SELECT w.id, w.account_id, w.kind, w.prefix, c.segment, c.offset, c.length FROM spam_wishes AS w " +
        "LEFT JOIN contents AS c ON c.id = w.content_id ORDER BY w.id LIMIT ?",
    ).all(limit).map(([id, accountId, kind, prefix, segment, offset, length]) => ({
      id: id as number,
      accountId: accountId as number,
      kind: kind as LessonKind,
      prefix: prefix as Uint8Array,
      blob: segment === null
        ? null
        : { segment: segment as number, offset: offset as number, length: length as number },
    }));
  }

  knowledge(accountId: number): { readonly upTo: number; readonly octets: Uint8Array } | null {
    const row = this.#statements.rows("SELECT up_to, octets FROM spam_knowledge WHERE account_id = ?")
      .get(accountId);
    return row === undefined ? null : { upTo: row[0] as number, octets: row[1] as Uint8Array };
  }

  foldedUpTo(accountId: number): number {
    const row = this.#statements.rows("SELECT up_to FROM spam_knowledge WHERE account_id = ?").get(accountId);
    return row === undefined ? 0 : Number(row[0]);
  }

  journal(
    accountId: number,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): JournalRow[] {
    const columns = "SELECT id, account_id, spam, ham, tokens FROM spam_journal WHERE";
    const rows = accountId === 0
      ? this.#statements.rows(`${columns} id > ? ORDER BY id LIMIT ?`).all(after, limit)
      : this.#statements.rows(`${columns} account_id = ? AND id > ? ORDER BY id LIMIT ?`)
        .all(accountId, after, limit);
    return rows.map(([id, account, spam, ham, tokens]) => ({
      id: id as number,
      accountId: account as number,
      spam: spam as number,
      ham: ham as number,
      tokens: tokens as Uint8Array,
    }));
  }

  nothing(): boolean {
    const [some] = this.#statements.rows(
      "SELECT EXISTS (SELECT 1 FROM spam_wishes) OR EXISTS (SELECT 1 FROM spam_journal) OR " +
        "EXISTS (SELECT 1 FROM spam_knowledge)",
    ).get() as [number];
    return some === 0;
  }

  unfolded(): { readonly accountId: number; readonly rows: number }[] {
    return this.#statements.rows(
      "SELECT account_id, count(*) FROM spam_journal AS j WHERE id > " +
        "coalesce((SELECT up_to FROM spam_knowledge AS k WHERE k.account_id = j.account_id), 0) GROUP BY account_id",
    ).all().map(([accountId, rows]) => ({ accountId: accountId as number, rows: rows as number }));
  }

  lesson(accountId: number, key: string): LessonKind | null {
    const row = this.#statements.rows("SELECT kind FROM spam_lessons WHERE account_id = ? AND key = ?")
      .get(accountId, key);
    return row === undefined ? null : row[0] as LessonKind;
  }

  counts(accountId: number): LessonCounts {
    const of = accountId === 0 ? "" : " WHERE account_id = ?";
    const parameters = accountId === 0 ? [] : [accountId];
    const rows = this.#statements.rows(`SELECT kind = 'spam', count(*) FROM spam_lessons${of} GROUP BY 1`)
      .all(...parameters);
    const [waiting] = this.#statements.rows(`SELECT count(*) FROM spam_wishes${of}`).get(...parameters) as [
      number,
    ];
    const count = (spam: number) => rows.find(([kind]) => kind === spam)?.[1] as number | undefined ?? 0;
    return { spam: count(1), ham: count(0), waiting };
  }
}
