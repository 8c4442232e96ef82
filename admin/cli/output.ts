/** What commands print: tables and fields for people, JSON for programs. */

/** A value in a table; no line end of a stranger's may forge a row. */
export function cell(value: unknown): string {
  if (value === null || value === undefined || value === "") return "-";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.map(cell).join(", ");
  const text = String(value);
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, " ");
}

export type Column<T> = readonly [title: string, value: (row: T) => unknown];

/** Columns as wide as their widest cell. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = [
    columns.map(([title]) => title),
    ...rows.map((row) => columns.map(([, value]) => cell(value(row)))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]!.length)));
  return cells.map((line) => line.map((text, at) => text.padEnd(widths[at]!)).join("  ").trimEnd()).join(
    "\n",
  );
}

/** One thing, a field a line. */
export function fields(row: object): string {
  const entries = Object.entries(row);
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}`).join("\n");
}

/** Octets for people, to three digits. */
export function size(octets: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = octets;
  while (value >= 1_000 && at < units.length - 1) {
    value /= 1_000;
    at++;
  }
  return `${at === 0 ? value : value.toPrecision(3)} ${units[at]}`;
}

/** Local time to the second. */
export function when(time: string | null): string {
  return time === null ? "-" : new Date(time).toLocaleString("sv-SE");
}
