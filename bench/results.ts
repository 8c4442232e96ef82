/** The section of RESULTS.md and the charts that `--write` replaces; what stands around it is written by hand. */
import { fileURLToPath } from "node:url";
import { describe, type Machine } from "./machine.ts";
import { svg } from "./plot.ts";
import { cells, COLUMNS, type Row } from "./row.ts";

const CHARTS = new URL("results/", import.meta.url);
const FILE = fileURLToPath(new URL("RESULTS.md", import.meta.url));
const LOAD = { begin: "<!-- load: written by deno task bench --write -->", end: "<!-- load: end -->" };
const LARGE = { begin: "<!-- large: written by bench/large.ts --write -->", end: "<!-- large: end -->" };

interface Facts {
  readonly machine: Machine;
  readonly command: string;
}

export function writeResults(rows: readonly Row[], facts: Facts): void {
  writeSection(LOAD, [
    "## Load, side by side with Postfix + Dovecot",
    "",
    ...head(facts),
    "Both servers run beside each other and are driven in turns by the same generator (`load/`, one blocking thread a",
    "connection, on the same cores). Veredus is the program of its executable (`deno task bundle`) under this Deno, as",
    "`veredus start` starts it: default policy, logs and metrics on.",
    "The peer is Postfix + Dovecot (`peers/postfix_dovecot.sh`) unless the line names Haraka (`peers/haraka.sh`). 20",
    'connections deliver 4 kB messages; "to the mailbox" counts until IMAP shows them all. "Policy on" and "every check on" are',
    "`checked_server.ts`; the peer checks nothing there, unless the line names rspamd (`peers/rspamd.sh`: its milter, with",
    "Redis). Whole-mailbox figures count messages, the others operations. In parentheses: processor time of the server for",
    "each.",
    "",
    ...table(rows),
  ]);
  writeCharts(rows);
}

function writeCharts(rows: readonly Row[]): void {
  for (const { chart } of rows) {
    if (chart !== undefined) Deno.writeTextFileSync(new URL(`${chart.name}.svg`, CHARTS), svg(chart));
  }
}

/** Of the run on large mailboxes. */
export function writeLarge(rows: readonly Row[], facts: Facts): void {
  writeSection(LARGE, [
    "## Large mailboxes, side by side with Dovecot",
    "",
    ...head(facts),
    "The same messages of 4 kB in both (`large/messages.ts`), one connection, one command at a time, on each server behind as many",
    "that are not counted as take a second, at most 20: what is measured is a server that runs, and not one that was just",
    "started. Notes: until the tagged line, and in parentheses the processor time of the server; the middle of the times.",
    "SEARCH by flags and POP3 are asked by the generator of the load, because their answers take no longer than the way.",
    "",
    ...table(rows),
  ]);
  writeCharts(rows);
}

function head({ machine, command }: Facts): string[] {
  return [`\`${command}\` on ${new Date().toISOString().slice(0, 10)}; ${describe(machine)}.`, ""];
}

function table(rows: readonly Row[]): string[] {
  return [
    line(COLUMNS),
    line(COLUMNS.map((_, at) => at >= 2 && at <= 4 ? "--:" : "---")),
    ...rows.map((row) => line(cells(row))),
  ];
}

/** In the place of the section with these marks, or at the end. */
function writeSection(
  marks: { readonly begin: string; readonly end: string },
  lines: readonly string[],
): void {
  let text: string;
  try {
    text = Deno.readTextFileSync(FILE);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    text = "# Results\n";
  }
  const section = [marks.begin, ...lines, marks.end].join("\n");
  const begin = text.indexOf(marks.begin), end = text.indexOf(marks.end);
  const next = begin < 0 || end < begin
    ? `${text.trimEnd()}\n\n${section}\n`
    : text.slice(0, begin) + section + text.slice(end + marks.end.length);
  Deno.writeTextFileSync(FILE, next);
}

function line(columns: readonly string[]): string {
  return `| ${columns.join(" | ")} |`;
}
