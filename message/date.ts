/** date-time of RFC 5322 3.3, with the obsolete forms of 4.3; times are milliseconds since the epoch. */
import { withoutComments } from "./comment.ts";

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const NAMED = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** Hours of the zones that have names; military letters mean nothing reliable (4.3) and count as UTC. */
const ZONES: Record<string, number> = {
  ut: 0,
  gmt: 0,
  utc: 0,
  est: -5,
  edt: -4,
  cst: -6,
  cdt: -5,
  mst: -7,
  mdt: -6,
  pst: -8,
  pdt: -7,
};
const DATE_TIME =
  /^(?:[a-z]{3,9}\s*,?\s*)?(\d{1,2})[\s-]+([a-z]{3})[a-z]*[\s,-]+(\d{2,4})[\s,]+(\d{1,2})\s*[:.]\s*(\d{2})(?:\s*[:.]\s*(\d{2}))?(?:\.\d+)?\s*([+-]\s*\d{4}|[a-z]{1,5})?/i;

/** Null when the text is no date. Two-digit years: 00 to 49 are 20xx, the rest 19xx (4.3). */
export function parseDate(text: string): number | null {
  const match = DATE_TIME.exec(withoutComments(text, " ").trim());
  if (match === null) return null;
  const [, day, month = "", yearText = "", hour, minute, second = "0", zone = "+0000"] = match;
  const monthIndex = MONTHS.indexOf(month.toLowerCase());
  let year = Number(yearText);
  if (yearText.length === 2) year += year < 50 ? 2000 : 1900;
  else if (yearText.length === 3) year += 1900;
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)];
  if (monthIndex < 0 || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return null;
  const time = Date.UTC(year, monthIndex, d, h, m, s) - zoneMinutes(zone) * 60_000;
  return Number.isFinite(time) ? time : null;
}

function zoneMinutes(zone: string): number {
  const numeric = /^([+-])\s*(\d{2})(\d{2})$/.exec(zone);
  if (numeric === null) return (ZONES[zone.toLowerCase()] ?? 0) * 60;
  const minutes = Number(numeric[2]) * 60 + Number(numeric[3]);
  return numeric[1] === "-" ? -minutes : minutes;
}

let cachedSecond = NaN;
let cachedText = "";

/** `Mon, 23 Nov 2026 20:09:29 +0000`: always in UTC, so that it needs no time zone. Hot: once per delivery. */
export function formatDate(time: number): string {
  const second = Math.floor(time / 1000);
  if (second === cachedSecond) return cachedText;
  const date = new Date(time);
  const two = (value: number) => value < 10 ? `0${value}` : `${value}`;
  cachedSecond = second;
  cachedText =
    `${DAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${NAMED[date.getUTCMonth()]} ${date.getUTCFullYear()} ` +
    `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
  return cachedText;
}
