/** The first address of a field of a packed ENVELOPE: what SORT goes by (RFC 5256 3, RFC 5957 3). */
import { latin1 } from "../../bytes/decode.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { envelopeOf } from "../../message/packed.ts";

/** Places in the ENVELOPE (RFC 3501 7.4.2). */
const PLACE = { from: 2, to: 5, cc: 6 } as const;

/** Its mailbox; with `display` its name, else the whole address. "" when there is none. */
export function firstAddress(packed: Uint8Array, field: keyof typeof PLACE, display: boolean): string {
  const reader = new Reader(latin1(envelopeOf(packed)));
  reader.at = 1;
  for (let skip = 0; skip < PLACE[field]; skip++) reader.skip();
  if (reader.peek() !== "(") return "";
  reader.at += 2; // the list and its first address
  const name = reader.value();
  reader.value();
  const mailbox = reader.value() ?? "";
  const host = reader.value();
  if (!display) return mailbox;
  const shown = name === null ? "" : decodeHeaderText(name);
  return shown !== "" ? shown : host === null ? mailbox : `${mailbox}@${host}`;
}

/** Over text that we wrote ourselves. */
class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  peek(): string {
    if (this.#text[this.at] === " ") this.at++;
    return this.#text[this.at] ?? "";
  }

  /** nstring. */
  value(): string | null {
    const text = this.#text;
    const first = this.peek();
    if (first === '"') {
      let value = "";
      for (this.at++; this.at < text.length && text[this.at] !== '"'; this.at++) {
        if (text[this.at] === "\\") this.at++;
        value += text[this.at] ?? "";
      }
      this.at++;
      return value;
    }
    if (first === "{") {
      const end = text.indexOf("}", this.at);
      const from = end + 3;
      this.at = from + Number(text.slice(this.at + 1, end));
      return text.slice(from, this.at);
    }
    this.at += 3; // NIL
    return null;
  }

  /** A string, NIL or a list with all it holds. */
  skip(): void {
    if (this.peek() !== "(") {
      this.value();
      return;
    }
    let depth = 0;
    do {
      const next = this.peek();
      if (next === "(") depth++, this.at++;
      else if (next === ")") depth--, this.at++;
      else this.value();
    } while (depth > 0 && this.at < this.#text.length);
  }
}
