/** BODYSTRUCTURE as a client reads it: the numbers of all parts (RFC 3501 6.4.5), from the octets of the response alone. */
import { latin1 } from "../../bytes/decode.ts";
import type { ImapResponse } from "./imap_client.ts";

type Value = string | null | readonly Value[];

/** A part that FETCH can name. */
export interface NumberedPart {
  readonly number: string;
  /** Lower case, as in "text/plain". */
  readonly type: string;
  readonly isMessage: boolean;
  readonly isLeaf: boolean;
  /** Octets of the body, null for a multipart. */
  readonly octets: number | null;
}

export function numberedParts(response: ImapResponse): NumberedPart[] {
  const at = response.line.indexOf("BODYSTRUCTURE ") + "BODYSTRUCTURE ".length;
  const root = new Reader(response.line, at, response.literals.map((octets) => latin1(octets))).value();
  return partsOf(root as readonly Value[], "");
}

/** Of a message: its multipart has no number of its own. */
function partsOf(body: readonly Value[], prefix: string): NumberedPart[] {
  return Array.isArray(body[0]) ? children(body, prefix) : part(body, `${prefix}1`);
}

function children(body: readonly Value[], prefix: string): NumberedPart[] {
  const parts = body.slice(0, body.findIndex((value) => !Array.isArray(value)));
  return parts.flatMap((child, i) => part(child as readonly Value[], `${prefix}${i + 1}`));
}

function part(body: readonly Value[], number: string): NumberedPart[] {
  if (Array.isArray(body[0])) {
    const subtype = body.find((value) => typeof value === "string") as string;
    const type = `multipart/${subtype.toLowerCase()}`;
    return [{ number, type, isMessage: false, isLeaf: false, octets: null }, ...children(body, `${number}.`)];
  }
  const type = `${body[0]}/${body[1]}`.toLowerCase();
  // RFC 3501 7.4.2: ENVELOPE and structure of the message stand behind the size.
  const inner = type === "message/rfc822" && Array.isArray(body[8]) ? body[8] as readonly Value[] : null;
  const own = { number, type, isMessage: inner !== null, isLeaf: inner === null, octets: Number(body[6]) };
  return inner === null ? [own] : [own, ...partsOf(inner, `${number}.`)];
}

class Reader {
  #text: string;
  #at: number;
  #literals: string[];

  constructor(text: string, at: number, literals: string[]) {
    this.#text = text;
    this.#at = at;
    this.#literals = literals;
  }

  value(): Value {
    if (this.#text[this.#at] === "(") {
      const list: Value[] = [];
      for (this.#at++; this.#text[this.#at] !== ")";) {
        if (this.#text[this.#at] === " ") this.#at++;
        else list.push(this.value());
      }
      this.#at++;
      return list;
    }
    const token = /"((?:[^"\\]|\\.)*)"|\{\d+\}|[^ ()]+/y;
    token.lastIndex = this.#at;
    const found = token.exec(this.#text);
    if (found === null) throw new Error(`no BODYSTRUCTURE at ${this.#at}: ${this.#text}`);
    this.#at = token.lastIndex;
    if (found[1] !== undefined) return found[1].replace(/\\(.)/g, "$1");
    if (found[0].startsWith("{")) return this.#literals.shift()!;
    return found[0] === "NIL" ? null : found[0];
  }
}
