/** Parts of a date as text (RFC 5260 4.2). Zones are minutes east of UTC. Pure. */

type Format = (local: Date, zone: number) => string;

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** The modified Julian day of 1970-01-01. */
const EPOCH_DAY = 40_587;

const two = (value: number) => String(value).padStart(2, "0");
const year = (local: Date) => String(local.getUTCFullYear()).padStart(4, "0");
const day = (local: Date) => `${year(local)}-${two(local.getUTCMonth() + 1)}-${two(local.getUTCDate())}`;
const time = (local: Date) =>
  `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
const zoneText = (zone: number, colon = "") => {
  const minutes = Math.abs(zone);
  return `${zone < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}${colon}${two(minutes % 60)}`;
};

export const DATE_PARTS: ReadonlyMap<string, Format> = new Map<string, Format>([
  ["year", year],
  ["month", (local) => two(local.getUTCMonth() + 1)],
  ["day", (local) => two(local.getUTCDate())],
  ["date", day],
  ["julian", (local) => String(EPOCH_DAY + Math.floor(local.getTime() / 86_400_000))],
  ["hour", (local) => two(local.getUTCHours())],
  ["minute", (local) => two(local.getUTCMinutes())],
  ["second", (local) => two(local.getUTCSeconds())],
  ["time", time],
  ["iso8601", (local, zone) => `${day(local)}T${time(local)}${zoneText(zone, ":")}`],
  [
    "std11",
    (local, zone) =>
      `${DAYS[local.getUTCDay()]}, ${two(local.getUTCDate())} ${MONTHS[local.getUTCMonth()]} ${
        year(local)
      } ` +
      `${time(local)} ${zoneText(zone)}`,
  ],
  ["zone", (_, zone) => zoneText(zone)],
  ["weekday", (local) => String(local.getUTCDay())],
]);

export function datePart(at: number, part: string, zone: number): string {
  return DATE_PARTS.get(part)?.(new Date(at + zone * 60_000), zone) ?? "";
}

/** The zone at the end of a date, or one that stands alone; null where there is none in digits. */
export function zoneMinutesOf(text: string): number | null {
  const match = /([+-])(\d{2})([0-5]\d)\s*(?:\([^()]*\)\s*)?$/.exec(text.trim());
  if (match === null) return null;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === "-" ? -minutes : minutes;
}
