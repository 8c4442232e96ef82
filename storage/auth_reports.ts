/** Reads of aggregate reports that came in, and of what we saw of other domains for those that we send. */
import type { ObservedRow, ReportKind } from "./ops.ts";
import type { Statements } from "./statements.ts";

/** One row of one report. */
export interface ReportLine {
  readonly id: number;
  readonly position: number;
  readonly kind: ReportKind;
  readonly domain: string;
  readonly organization: string;
  readonly sender: string;
  readonly reportId: string;
  readonly beginAt: number;
  readonly endAt: number;
  readonly policy: string;
  readonly source: string;
  readonly count: number;
  readonly result: string;
  readonly detail: string;
}

export interface ReportFilter {
  readonly kind?: ReportKind;
  readonly domain?: string;
  readonly source?: string;
  readonly result?: string;
}

export interface AuthReports {
  /** Newest reports first; `before` is the id and position of the last line of the page before. */
  lines(
    filter: ReportFilter,
    page: { readonly before: { readonly id: number; readonly position: number }; readonly limit: number },
  ): ReportLine[];
  /** Days and policy domains seen before `day`, oldest first. */
  observedBefore(
    kind: ReportKind,
    day: number,
    limit: number,
  ): { readonly day: number; readonly policyDomain: string }[];
  /** Rows of one day and policy domain, the most frequent first. */
  observed(
    kind: ReportKind,
    of: { readonly day: number; readonly policyDomain: string },
    limit: number,
  ): ObservedRow[];
}

const LINE =
  "r.id, l.position, r.kind, r.domain, r.organization, r.sender, r.report_id, r.begin_at, r.end_at, " +
  "r.policy, l.source, l.count, l.result, l.detail";

export class SqlAuthReports implements AuthReports {
  #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  lines(
    { kind, domain, source, result }: ReportFilter,
    { before, limit }: {
      readonly before: { readonly id: number; readonly position: number };
      readonly limit: number;
    },
  ): ReportLine[] {
    return this.#statements.rows(
      `SELECT ${LINE} FROM auth_reports r JOIN auth_report_rows l ON l.report_id = r.id ` +
        "WHERE (r.id < ? OR (r.id = ? AND l.position > ?)) AND (? = '' OR r.kind = ?) AND (? = '' OR r.domain = ?) " +
        "AND (? = '' OR l.source = ?) AND (? = '' OR l.result = ?) ORDER BY r.id DESC, l.position LIMIT ?",
    ).all(
      ...[before.id, before.id, before.position],
      ...[kind, domain, source, result].flatMap((value) => [value ?? "", value ?? ""]),
      limit,
    ).map((row) => ({
      id: row[0] as number,
      position: row[1] as number,
      kind: row[2] as ReportKind,
      domain: row[3] as string,
      organization: row[4] as string,
      sender: row[5] as string,
      reportId: row[6] as string,
      beginAt: row[7] as number,
      endAt: row[8] as number,
      policy: row[9] as string,
      source: row[10] as string,
      count: row[11] as number,
      result: row[12] as string,
      detail: row[13] as string,
    }));
  }

  observedBefore(
    kind: ReportKind,
    day: number,
    limit: number,
  ): { readonly day: number; readonly policyDomain: string }[] {
    return this.#statements.rows(
      "SELECT DISTINCT day, policy_domain FROM observed WHERE kind = ? AND day < ? ORDER BY day, policy_domain LIMIT ?",
    ).all(kind, day, limit).map((row) => ({ day: row[0] as number, policyDomain: row[1] as string }));
  }

  observed(
    kind: ReportKind,
    { day, policyDomain }: { readonly day: number; readonly policyDomain: string },
    limit: number,
  ): ObservedRow[] {
    return this.#statements.rows(
      "SELECT row, count FROM observed WHERE kind = ? AND day = ? AND policy_domain = ? ORDER BY count DESC LIMIT ?",
    ).all(kind, day, policyDomain, limit).map((row) => ({
      day,
      policyDomain,
      row: row[0] as string,
      count: row[1] as number,
    }));
  }
}
