/** Comparators of SEARCH, SORT and THREAD, and how a client chooses among them (RFC 5255 4, RFC 4790 3.2). Pure. */
import { asciiCasemap, unicodeCasemap } from "../../bytes/casemap.ts";
import { formatString } from "./format/string.ts";

export type ComparatorName = "i;unicode-casemap" | "i;ascii-casemap";

/** What every session begins with (4.4). */
export const DEFAULT_COMPARATOR: ComparatorName = "i;unicode-casemap";

/** The default comes first: it is what a wildcard means where it can. */
export const CASEMAPS: ReadonlyMap<ComparatorName, (text: string) => string> = new Map([
  [DEFAULT_COMPARATOR, unicodeCasemap],
  ["i;ascii-casemap", asciiCasemap],
]);

/** collation-order, or "default". */
const ORDER = /^(?:default|[+-]?(?:\*|[A-Za-z]\*?)(?:[A-Za-z0-9\-;=.]\*?)*)$/i;
const MAX_ORDER = 254;

export function isCollationOrder(text: string): boolean {
  return text.length <= MAX_ORDER && ORDER.test(text);
}

/** Those that one of the orders means, that of the first order that means any at the front; none are turned round. */
export function matchingComparators(orders: readonly string[]): ComparatorName[] {
  const found = new Set<ComparatorName>();
  for (const order of orders) {
    if (order.toLowerCase() === "default") found.add(DEFAULT_COMPARATOR);
    else if (!order.startsWith("-")) {
      const pieces = order.replace(/^\+/, "").toLowerCase().split("*");
      for (const name of CASEMAPS.keys()) if (matches(name, pieces)) found.add(name);
    }
  }
  return [...found];
}

/** Pieces between the wildcards, in order. */
function matches(name: string, pieces: readonly string[]): boolean {
  if (pieces.length === 1) return name === pieces[0];
  const first = pieces[0]!, last = pieces.at(-1)!;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) {
    return false;
  }
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= name.length - last.length;
}

/** `* COMPARATOR`; `matching` are told when there are several (4.8). */
export function formatComparator(active: ComparatorName, matching: readonly ComparatorName[]): string {
  const list = matching.length > 1 ? ` (${matching.map((name) => formatString(name)).join(" ")})` : "";
  return `* COMPARATOR ${formatString(active)}${list}\r\n`;
}
