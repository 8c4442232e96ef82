/** date-time of INTERNALDATE (RFC 3501 9), always in UTC. Pure; hot: the day is formatted once per day. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = 86_400_000;

let cachedDay = NaN;
let cachedText = "";

/** `"17-Jul-1996 02:44:25 +0000"` with its quotes, from milliseconds since the epoch. */
export function formatDateTime(time: number): string {
  const day = Math.floor(time / DAY);
  if (day !== cachedDay) {
    const date = new Date(time);
    const year = String(Math.min(Math.max(date.getUTCFullYear(), 0), 9999)).padStart(4, "0");
    cachedText = `"${String(date.getUTCDate()).padStart(2, " ")}-${MONTHS[date.getUTCMonth()]}-${year} `;
    cachedDay = day;
  }
  const seconds = Math.floor((time - day * DAY) / 1000);
  const hour = Math.floor(seconds / 3600), minute = Math.floor(seconds / 60) % 60;
  return `${cachedText}${two(hour)}:${two(minute)}:${two(seconds % 60)} +0000"`;
}

function two(value: number): string {
  return value < 10 ? "0" + value : String(value);
}
