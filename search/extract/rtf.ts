/**
 * Text of RTF (Rich Text Format 1.9.1): control words are passed over, and groups that hold no text of a page.
 *
 * Characters are in the code page of the file (`\ansicpg`), or Unicode (`\u`) with something for older readers behind.
 */
import { latin1 } from "../../bytes/decode.ts";
import { decodeCharset } from "../../message/charset.ts";
import { FileFault, type TextSink } from "./extraction.ts";

const MAX_DEPTH = 1_000;
/** A control word or symbol, and a run of octets without meaning; sticky. */
const TOKEN = /\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-f]{2})|\\([\s\S])|[{}]|[^\\{}]+/giy;

/** Groups without text that is read; `\*` marks further ones. */
const UNSEEN: ReadonlySet<string> = new Set([
  ...["fonttbl", "colortbl", "stylesheet", "listtable", "listoverridetable", "revtbl", "rsidtbl", "filetbl"],
  ...["pict", "object", "themedata", "colorschememapping", "datastore", "latentstyles", "generator"],
  ...["xmlnstbl", "mmathpr", "fldinst", "info"],
]);
const CHARACTERS: ReadonlyMap<string, string> = new Map([
  ...["par", "line", "tab", "cell", "row", "sect", "page", "column"].map((word) => [word, "\n"] as const),
  ["emdash", "\u2014"],
  ["endash", "\u2013"],
  ["lquote", "\u2018"],
  ["rquote", "\u2019"],
  ["ldblquote", "\u201c"],
  ["rdblquote", "\u201d"],
  ["bullet", "\u2022"],
]);

interface Group {
  unseen: boolean;
  /** Characters behind `\u` that stand for it. */
  fallback: number;
}

export function rtfText(octets: Uint8Array, sink: TextSink): void {
  const reader = new RtfReader(sink);
  // One character an octet: the grammar is ASCII.
  const text = latin1(octets);
  const token = new RegExp(TOKEN);
  for (let at = 0; at < text.length && !sink.full; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) break; // a backslash is the last octet
    const [whole, word, number, hex, symbol] = match;
    if (word !== undefined) {
      if (word === "bin") token.lastIndex += Math.max(0, Number(number ?? 0)); // so many octets of anything
      else reader.word(word.toLowerCase(), number === undefined ? null : Number(number));
    } else if (hex !== undefined) reader.octets(String.fromCharCode(parseInt(hex, 16)));
    else if (symbol !== undefined) reader.symbol(symbol);
    else if (whole === "{") reader.begin();
    else if (whole === "}") reader.end();
    else reader.octets(whole.replace(/[\r\n]/g, ""));
  }
  reader.flush();
}

class RtfReader {
  #sink: TextSink;
  #groups: Group[];
  #group: Group;
  #charset: string;
  /** Octets of the code page that were not decoded yet. */
  #pending: string;
  /** Of what comes next so many characters are not said again. */
  #skip: number;

  constructor(sink: TextSink) {
    this.#sink = sink;
    this.#groups = [];
    this.#group = { unseen: false, fallback: 1 };
    this.#charset = "windows-1252";
    this.#pending = "";
    this.#skip = 0;
  }

  begin(): void {
    if (this.#groups.length >= MAX_DEPTH) throw new FileFault("damaged");
    this.flush();
    this.#groups.push(this.#group);
    this.#group = { ...this.#group };
    this.#skip = 0;
  }

  end(): void {
    this.flush();
    this.#group = this.#groups.pop() ?? this.#group;
    this.#skip = 0;
  }

  word(word: string, number: number | null): void {
    const character = CHARACTERS.get(word);
    if (UNSEEN.has(word)) this.#group.unseen = true;
    else if (word === "ansicpg" && number !== null) this.#charset = charsetOf(number);
    else if (word === "uc") this.#group.fallback = Math.min(Math.max(0, number ?? 1), 16);
    else if (word === "u" && number !== null) {
      this.#put(String.fromCharCode(number & 0xffff));
      this.#skip = this.#group.fallback;
    } else if (character !== undefined) this.#put(character);
  }

  symbol(symbol: string): void {
    if (symbol === "*") this.#group.unseen = true;
    else if (symbol === "~") this.#put(" ");
    else if (symbol === "_") this.#put("-");
    else if (symbol === "\r" || symbol === "\n") this.#put("\n");
    else if (symbol === "\\" || symbol === "{" || symbol === "}") this.octets(symbol);
  }

  octets(octets: string): void {
    const skipped = Math.min(this.#skip, octets.length);
    this.#skip -= skipped;
    if (!this.#group.unseen) this.#pending += octets.slice(skipped);
  }

  flush(): void {
    if (this.#pending === "") return;
    const octets = Uint8Array.from(this.#pending, (character) => character.charCodeAt(0));
    this.#pending = "";
    this.#sink.add(decodeCharset(octets, this.#charset) ?? latin1(octets));
  }

  #put(text: string): void {
    this.flush();
    if (!this.#group.unseen) this.#sink.add(text);
  }
}

/** Of a code page of Windows. */
function charsetOf(codePage: number): string {
  switch (codePage) {
    case 932:
      return "shift_jis";
    case 936:
      return "gbk";
    case 949:
      return "euc-kr";
    case 950:
      return "big5";
    case 874:
      return "windows-874";
    case 65001:
      return "utf-8";
    default:
      return codePage >= 1250 && codePage <= 1258 ? `windows-${codePage}` : "windows-1252";
  }
}
