/**
 * The markup of an XML document as it comes in pieces: names of elements and the text between, nothing is kept.
 *
 * Enough of XML for the parts of office files, whose makers write it well: names lose their prefix, attributes are not
 * looked at. A document type declaration is refused, as OPC (ECMA-376-2 8.1.4) does: no entity is ever expanded but the five of
 * XML and numbers. Memory: one tag of at most {@linkcode MAX_TAG} characters.
 */
import { FileFault } from "./extraction.ts";

/** What is told of a document, in its order. */
export interface XmlEvents {
  /** `attributes` as they stand in the tag. */
  open(name: string, attributes: string): void;
  /** Also told of an element without content. */
  close(name: string): void;
  text(text: string): void;
}

const MAX_TAG = 64 * 1024;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["apos", "'"],
  ["gt", ">"],
  ["lt", "<"],
  ["quot", '"'],
]);
const ENTITY = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi;

/** Markup that is not an element: how it begins and ends. */
const PASSED_OVER = [["<!--", "-->"], ["<?", "?>"]] as const;
const CDATA = "<![CDATA[", CDATA_END = "]]>";

export class XmlText {
  #events: XmlEvents;
  /** What is not decided yet. */
  #rest: string;
  /** What is passed over ends so; null outside. */
  #until: string | null;
  #inCdata: boolean;

  constructor(events: XmlEvents) {
    this.#events = events;
    this.#rest = "";
    this.#until = null;
    this.#inCdata = false;
  }

  /** Throws a FileFault where it is no XML that is read here. */
  push(piece: string): void {
    const text = this.#rest + piece;
    let at = 0;
    for (;;) {
      const next = this.#step(text, at);
      if (next === null) break;
      at = next;
    }
    this.#rest = text.slice(at);
    if (this.#rest.length > MAX_TAG) throw new FileFault("damaged");
  }

  /** Behind what stands at `at`; null where the next piece is needed. */
  #step(text: string, at: number): number | null {
    if (this.#until !== null) return this.#passOver(text, at, this.#until);
    if (this.#inCdata) return this.#cdata(text, at);
    const open = text.indexOf("<", at);
    if (open < 0) {
      // An entity may be cut in two.
      const cut = Math.max(text.lastIndexOf("&"), at);
      const end = text.length - cut > 10 || text[cut] !== "&" ? text.length : cut;
      if (end > at) this.#events.text(unescaped(text.slice(at, end)));
      return end > at ? end : null;
    }
    if (open > at) this.#events.text(unescaped(text.slice(at, open)));
    return this.#markup(text, open) ?? (open > at ? open : null);
  }

  #markup(text: string, at: number): number | null {
    const next = text[at + 1];
    if (next === undefined) return null;
    if (next === "!" || next === "?") return this.#declaration(text, at);
    const end = tagEnd(text, at + 1);
    if (end < 0) return null;
    if (next === "/") this.#events.close(nameAt(text, at + 2));
    else {
      const name = nameAt(text, at + 1);
      this.#events.open(name, text.slice(at + 1, end));
      if (text[end - 1] === "/") this.#events.close(name);
    }
    return end + 1;
  }

  #declaration(text: string, at: number): number | null {
    if (text.startsWith(CDATA, at)) {
      this.#inCdata = true;
      return at + CDATA.length;
    }
    for (const [begin, end] of PASSED_OVER) {
      if (!text.startsWith(begin, at)) continue;
      this.#until = end;
      return at + begin.length;
    }
    if (text.length - at < CDATA.length) return null;
    throw new FileFault("damaged");
  }

  #passOver(text: string, at: number, until: string): number | null {
    const end = text.indexOf(until, at);
    if (end >= 0) {
      this.#until = null;
      return end + until.length;
    }
    const kept = Math.max(at, text.length - until.length + 1);
    return kept > at ? kept : null;
  }

  #cdata(text: string, at: number): number | null {
    const end = text.indexOf(CDATA_END, at);
    if (end >= 0) {
      this.#events.text(text.slice(at, end));
      this.#inCdata = false;
      return end + CDATA_END.length;
    }
    const kept = Math.max(at, text.length - CDATA_END.length + 1);
    if (kept > at) this.#events.text(text.slice(at, kept));
    return kept > at ? kept : null;
  }
}

/** The ">" that ends a tag; values of attributes may hold others. */
function tagEnd(text: string, at: number): number {
  for (; at < text.length; at++) {
    const character = text[at];
    if (character === ">") return at;
    if (character !== '"' && character !== "'") continue;
    at = text.indexOf(character, at + 1);
    if (at < 0) return -1;
  }
  return -1;
}

/** Without its prefix. */
function nameAt(text: string, at: number): string {
  const [name = ""] = /^[^\s/>]*/.exec(text.slice(at, at + 200)) ?? [];
  return name.slice(name.indexOf(":") + 1);
}

function unescaped(text: string): string {
  return text.includes("&")
    ? text.replace(ENTITY, (_, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return ENTITIES.get(name) ?? "";
      const code = decimal !== undefined ? Number(decimal) : parseInt(hex!, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : "";
    })
    : text;
}
