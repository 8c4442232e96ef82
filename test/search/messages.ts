/** Messages of all kinds for tests of the search: by a seed, with texts in many scripts, encodings and parts. */
import { Buffer } from "node:buffer";

const WORDS = [
  "invoice",
  "Rechnung",
  "voice",
  "Straße",
  "naïve",
  "résumé",
  "über",
  "ΟΔΟΣ",
  "Привет",
  "東京都",
  "日本語",
  "ไทย",
  "a",
  "in",
  "the",
  "12,50",
  '"quoted"',
  "x'y",
  "100%",
  "İstanbul",
  "ﬁne",
  "🙂",
  "kalorimeter",
  "lorem",
  "ipsum",
  "<tag>",
  "&amp;",
  "back\\slash",
];

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** A whole number below `n`. */
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * n);
  }

  one<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  words(most: number): string {
    return Array.from({ length: 1 + this.below(most) }, () => this.one(WORDS)).join(
      this.one([" ", " ", "\r\n", ""]),
    );
  }
}

/** A piece of a text, or something that is nowhere. */
export function needleOf(random: Random): string {
  const text = random.words(4).replace(/\s+/g, " ");
  switch (random.below(5)) {
    case 0:
      return "nowhere" + random.below(1000);
    case 1:
      return text.toUpperCase();
    default: {
      const characters = [...text];
      const from = random.below(characters.length);
      return characters.slice(from, from + 1 + random.below(8)).join("").trim() || "the";
    }
  }
}

function encoded(text: string, random: Random): string {
  const charset = random.one(["utf-8", "utf-8", "iso-8859-1", "windows-1251"]);
  const octets = charset === "utf-8"
    ? Buffer.from(text, "utf8")
    : Buffer.from([...text].map((c) => c.codePointAt(0)! < 256 ? c : "?").join(""), "latin1");
  const head = `Content-Type: text/${random.one(["plain", "plain", "html"])}; charset=${charset}\r\n`;
  switch (random.below(3)) {
    case 0:
      return `${head}Content-Transfer-Encoding: base64\r\n\r\n${
        octets.toString("base64").replace(/.{76}/g, "$&\r\n")
      }`;
    case 1: {
      const quoted = [...octets].map((o) =>
        o > 126 || o === 61 ? `=${o.toString(16).toUpperCase().padStart(2, "0")}` : String.fromCharCode(o)
      );
      return `${head}Content-Transfer-Encoding: quoted-printable\r\n\r\n${quoted.join("")}`;
    }
    default:
      return `${head}Content-Transfer-Encoding: 8bit\r\n\r\n${octets.toString("latin1")}`;
  }
}

function part(random: Random, depth: number): string {
  switch (random.below(depth > 2 ? 2 : 5)) {
    case 0:
    case 1:
      return encoded(random.words(30), random);
    case 2:
      return `Content-Type: application/octet-stream; name="${
        random.one(["invoice.pdf", "=?utf-8?q?r=C3=A9sum=C3=A9.doc?=", "a.bin"])
      }"\r\n` +
        `Content-Disposition: attachment; filename*=utf-8''%C3%BCber%20${random.below(9)}.pdf\r\n` +
        "Content-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgc=";
    case 3:
      return `Content-Type: message/rfc822\r\n\r\n${message(random, depth + 1)}`;
    default: {
      const boundary = `b${depth}${random.below(1000)}`;
      const parts = Array.from(
        { length: 1 + random.below(3) },
        () => `--${boundary}\r\n${part(random, depth + 1)}\r\n`,
      );
      return `Content-Type: multipart/mixed; boundary=${boundary}\r\n\r\n${parts.join("")}--${boundary}--`;
    }
  }
}

/** Octets, one character each. */
export function message(random: Random, depth = 0): string {
  const subject = random.one([
    Buffer.from(random.words(5).replace(/\s+/g, " "), "utf8").toString("latin1"),
    `=?utf-8?b?${Buffer.from(random.words(3).replace(/\s+/g, " "), "utf8").toString("base64")}?=`,
  ]);
  return `From: ${random.one(["Alice <alice@example.test>", "bob@example.test", '"Zoë" <z@x.test>'])}\r\n` +
    `Subject: ${subject}\r\nX-Word: ${random.one(WORDS.slice(0, 3))}\r\n${part(random, depth)}`;
}
