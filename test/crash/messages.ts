/** Messages whose octets follow from their marker alone, so that the checker needs to keep no copies. */
import { Random } from "./random.ts";

const LINE = "The quick brown fox jumps over the lazy dog, 0123456789 times or more.";

/** CRLF lines; mostly small, some past the size at which a message gets a segment of its own. */
export function messageOf(marker: string): string {
  const random = new Random(hash(marker));
  const lines = random.chance(0.03) ? random.between(4_000, 9_000) : random.between(1, 80);
  const body: string[] = [];
  for (let i = 0; i < lines; i++) {
    body.push(random.chance(0.1) ? `.${LINE.slice(0, random.between(0, 60))}` : LINE);
  }
  return `From: Crash <alice@example.test>\r\nTo: someone@example.test\r\nSubject: crash run ${marker}\r\n` +
    `Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${marker}@crash.test>\r\nX-Crash: ${marker}\r\n\r\n` +
    body.join("\r\n") + "\r\n";
}

/** The marker of a stored message, or null when its octets behind the trace header are not those of its marker. */
export function markerOf(stored: string): string | null {
  const marker = /^X-Crash: (\S+)\r$/m.exec(stored)?.[1];
  return marker !== undefined && stored.endsWith(messageOf(marker)) ? marker : null;
}

function hash(text: string): number {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return value >>> 0;
}
