/** One line of the result table, its budget, and how both are written. */
import type { Chart } from "./plot.ts";

export type Budget =
  /** So many times the peer. */
  | { readonly kind: "ratio"; readonly least: number; readonly aim?: number }
  /** Below this, whatever the peer does. */
  | { readonly kind: "below"; readonly most: number }
  /** At least this. */
  | { readonly kind: "least"; readonly least: number };

export interface Row {
  /** What `--only` takes. */
  readonly figure: string;
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** Postfix + Dovecot's, unless the line names another. */
  readonly peer: number | null;
  readonly budget: Budget | null;
  /** Latencies and the like. */
  readonly note: string;
  /** Kept in `results/` beside the table. */
  readonly chart?: Chart;
}

function ratioOf(row: Row): number | null {
  return row.peer === null || row.peer === 0 ? null : row.ours / row.peer;
}

/** Null when there is no budget, or no peer to compare with. */
export function met(row: Row): boolean | null {
  if (row.budget === null) return null;
  if (row.budget.kind === "below") return row.ours < row.budget.most;
  if (row.budget.kind === "least") return row.ours >= row.budget.least;
  const ratio = ratioOf(row);
  return ratio === null ? null : ratio >= row.budget.least;
}

export function number(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
}

function budgetText(budget: Budget | null, unit: string): string {
  if (budget === null) return "";
  if (budget.kind === "below") return `< ${number(budget.most).replace(/\.0+$/, "")} ${unit}`;
  if (budget.kind === "least") return `>= ${number(budget.least).replace(/\.0+$/, "")} ${unit}`;
  return `>= ${budget.least}x${budget.aim === undefined ? "" : ` (aim ${budget.aim})`}`;
}

export const COLUMNS = ["figure", "unit", "Veredus", "peer", "ratio", "budget", "", "p50 / p99"];

export function cells(row: Row): string[] {
  const ratio = ratioOf(row), within = met(row);
  return [
    row.what,
    row.unit,
    number(row.ours),
    row.peer === null ? "" : number(row.peer),
    ratio === null ? "" : `${ratio.toFixed(2)}x`,
    budgetText(row.budget, row.unit),
    within === null ? "" : within ? "met" : "not met",
    row.note,
  ];
}
