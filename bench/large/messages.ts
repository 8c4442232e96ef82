/** The messages of large mailboxes: the same ones for each server, 4 kB each, made from their number. */
import { FLAG_ANSWERED, FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";

export const SIZE_OCTETS = 4096;
/** The first message's date; each next one is a minute later. */
const START_MS = Date.UTC(2024, 0, 1);
const MINUTE_MS = 60_000;
/** In one message of ten thousand, in every one, and in none. */
export const RARE = "quetzalcoatl", COMMON = "meeting", MISSING = "xylophonist";
const RARE_EVERY = 10_000, RARE_AT = 4_321;
const WORDS = "the report about our next plan for you with new house garden letter travel music winter".split(
  " ",
);
/** Messages of one thread. */
const THREAD = 5;

export interface LargeMessage {
  readonly octets: Uint8Array<ArrayBuffer>;
  /** Bits of storage/changes.ts. */
  readonly flags: number;
  readonly internalDate: number;
}

const encoder = new TextEncoder();

/** Bits of storage/changes.ts. */
export function flagsOf(number: number): number {
  return (number % 3 > 0 ? FLAG_SEEN : 0) | (number % 10 === 0 ? FLAG_FLAGGED : 0) |
    (number % 7 === 0 ? FLAG_ANSWERED : 0);
}

/** Milliseconds since the epoch. */
export function internalDateOf(number: number): number {
  return START_MS + number * MINUTE_MS;
}

export function largeMessage(number: number): LargeMessage {
  const thread = Math.floor(number / THREAD), place = number % THREAD;
  const id = (at: number) => `<${thread}.${at}@sender.example>`;
  const internalDate = internalDateOf(number);
  const references = Array.from({ length: place }, (_, at) => id(at));
  const lines = [
    `From: "Sender ${number % 97}" <s${number % 97}@sender.example>`,
    `To: u@example.test`,
    `Subject: ${place > 0 ? "Re: " : ""}${word(thread)} ${word(thread * 7)} ${thread % 1000}`,
    `Date: ${new Date(internalDate).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: ${id(place)}`,
    ...(place > 0 ? [`In-Reply-To: ${references.at(-1)}`, `References: ${references.join(" ")}`] : []),
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "",
    `The ${COMMON} of ${word(number)} ${number}.`,
  ];
  if (number % RARE_EVERY === RARE_AT) lines.push(`And ${RARE} was there.`);
  let text = lines.join("\r\n") + "\r\n";
  for (let line = 0; text.length < SIZE_OCTETS - 80; line++) {
    text += Array.from({ length: 10 }, (_, at) => word(number * 31 + line * 11 + at * 5)).join(" ") + "\r\n";
  }
  const octets = encoder.encode(text.padEnd(SIZE_OCTETS - 2, "x") + "\r\n");
  return { octets, flags: flagsOf(number), internalDate };
}

function word(number: number): string {
  return WORDS[(number * 2_654_435_761 >>> 7) % WORDS.length]!;
}
