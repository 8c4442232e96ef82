/**
 * What HTML shows, and what it hides from whom. One pass in a straight line of the text, whatever it holds; pure.
 *
 * No rendering: styles are looked at where they stand (style attributes, font, bgcolor), which is what mail uses.
 */
import { withoutEntities } from "../../message/html_text.ts";

export interface Anchor {
  readonly target: string;
  readonly text: string;
}

export interface HtmlFacts {
  /** What a reader reads. */
  readonly text: string;
  /** What stands there and cannot be seen. */
  readonly hidden: string;
  readonly anchors: readonly Anchor[];
  /** Sources of images. */
  readonly images: readonly string[];
  /** Names of elements and what of their attributes tells one author from another, for the learner. */
  readonly markup: readonly string[];
  readonly tags: number;
  /** Elements that HTML does not know. */
  readonly unknownTags: number;
  readonly comments: number;
  /** Comments and unknown tags within a word. */
  readonly splitWords: number;
  readonly forms: number;
  readonly scripts: number;
  readonly frames: number;
  readonly refresh: boolean;
}

interface Open {
  readonly name: string;
  readonly hides: boolean;
}

const KNOWN = new Set(
  ("a abbr acronym address applet area article aside b base basefont bdo big blink blockquote body br button caption " +
    "center cite code col colgroup dd del dfn dir div dl dt em embed fieldset font footer form frame frameset h1 h2 h3 h4 h5 h6 " +
    "head header hr html i iframe img input ins kbd label layer legend li link map marquee menu meta nobr noframes noscript " +
    "object ol optgroup option p param picture pre q s samp script section select small source span strike strong style sub " +
    "sup table tbody td textarea tfoot th thead title tr tt u ul var video wbr xml v:shape v:imagedata o:p o:smarttagtype st1")
    .split(" "),
);
const VOID = new Set(
  "area base basefont br col embed frame hr img input link meta param source wbr".split(" "),
);
const INLINE = new Set(
  "a abbr acronym b big blink em font i nobr s small span strike strong sub sup tt u wbr".split(" "),
);
const ATTRIBUTE = /([a-z][a-z0-9:_-]*)\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+)/gi;
const HIDING =
  /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0*(?:\.\d+|[01])\s*(?:px|pt|em|%)?\s*(?:;|$|!)|mso-hide\s*:\s*all|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)/i;
const MAX_OPEN = 200;
const MAX_ANCHORS = 500;
const MAX_IMAGES = 200;
const MAX_MARKUP = 4_000;
const MAX_TAG = 8_000;

const COLOURS: Readonly<Record<string, string>> = {
  white: "#ffffff",
  black: "#000000",
  red: "#ff0000",
  blue: "#0000ff",
  yellow: "#ffff00",
  green: "#008000",
  silver: "#c0c0c0",
  gray: "#808080",
};

export function readHtml(html: string): HtmlFacts {
  return new HtmlReader(html).read();
}

class HtmlReader {
  #html: string;
  #text: string[] = [];
  #hidden: string[] = [];
  #anchors: Anchor[] = [];
  #images: string[] = [];
  #markup: string[] = [];
  #open: Open[] = [];
  #hiding = 0;
  #anchor: { target: string; text: string } | null = null;
  #background = "#ffffff";
  #tags = 0;
  #unknown = 0;
  #comments = 0;
  #split = 0;
  #forms = 0;
  #scripts = 0;
  #frames = 0;
  #refresh = false;

  constructor(html: string) {
    this.#html = html;
  }

  read(): HtmlFacts {
    const html = this.#html;
    let at = 0;
    while (at < html.length) {
      const open = html.indexOf("<", at);
      const end = open < 0 ? html.length : open;
      if (end > at) this.#shown(withoutEntities(html.slice(at, end)));
      if (open < 0) break;
      at = this.#markupAt(open);
    }
    this.#endAnchor();
    return {
      text: this.#text.join(""),
      hidden: this.#hidden.join(""),
      anchors: this.#anchors,
      images: this.#images,
      markup: this.#markup,
      tags: this.#tags,
      unknownTags: this.#unknown,
      comments: this.#comments,
      splitWords: this.#split,
      forms: this.#forms,
      scripts: this.#scripts,
      frames: this.#frames,
      refresh: this.#refresh,
    };
  }

  #shown(text: string): void {
    (this.#hiding > 0 ? this.#hidden : this.#text).push(text);
    if (this.#anchor !== null && this.#anchor.text.length < 500) this.#anchor.text += text;
  }

  #gap(): void {
    this.#shown(" ");
  }

  /** Handles the tag or comment at `open`; the offset behind it. */
  #markupAt(open: number): number {
    const html = this.#html;
    if (html.startsWith("<!", open)) {
      const comment = html.startsWith("<!--", open);
      const mark = comment ? "-->" : ">";
      const found = html.indexOf(mark, open + 2);
      const end = found < 0 ? html.length : found + mark.length;
      this.#comments++;
      if (isWord(html.charCodeAt(open - 1)) && isWord(html.charCodeAt(end))) this.#split++;
      return end;
    }
    const end = endOfTag(html, open);
    const match = /^<(\/?)([a-z][a-z0-9:]*)/i.exec(html.slice(open, Math.min(end, open + 40)));
    if (match === null) {
      if (/^<[\/?]?[a-z0-9$%#]/i.test(html.slice(open, open + 3))) {
        this.#unknown++;
        return end;
      }
      this.#shown("<");
      return open + 1;
    }
    const name = match[2]!.toLowerCase();
    this.#tags++;
    if (!KNOWN.has(name) && !/^(o|v|w|st1|m):/.test(name)) {
      this.#unknown++;
      if (isWord(html.charCodeAt(open - 1)) && isWord(html.charCodeAt(end))) this.#split++;
      return end;
    }
    if (!INLINE.has(name)) this.#gap();
    if (match[1] === "/") {
      this.#close(name);
      return end;
    }
    const attributes = attributesOf(html.slice(open + match[0].length, Math.min(end, open + MAX_TAG)));
    this.#begin(name, attributes);
    if (name === "script" || name === "style" || name === "title") return this.#behindContent(name, end);
    return end;
  }

  #behindContent(name: string, from: number): number {
    const close = new RegExp(`</${name}`, "i");
    const rest = this.#html.slice(from);
    const found = close.exec(rest);
    if (name === "title") {
      const title = rest.slice(0, Math.min(found?.index ?? 200, 500));
      for (const word of title.split(/\s+/)) this.#mark(`title ${word.toLowerCase().slice(0, 40)}`);
    }
    return found === null ? this.#html.length : from + found.index;
  }

  #begin(name: string, attributes: ReadonlyMap<string, string>): void {
    switch (name) {
      case "a":
      case "area": {
        this.#endAnchor();
        const target = attributes.get("href");
        if (target !== undefined) this.#anchor = { target: withoutEntities(target), text: "" };
        if (name === "area") this.#endAnchor();
        break;
      }
      case "img": {
        const source = attributes.get("src");
        if (source !== undefined && this.#images.length < MAX_IMAGES) {
          this.#images.push(withoutEntities(source));
        }
        break;
      }
      case "body": {
        const colour = colourOf(attributes.get("bgcolor"));
        if (colour !== "") this.#background = colour;
        break;
      }
      case "form":
        this.#forms++;
        break;
      case "script":
        this.#scripts++;
        break;
      case "iframe":
      case "frame":
      case "layer":
        this.#frames++;
        break;
      case "meta":
        if (/refresh/i.test(attributes.get("http-equiv") ?? "")) this.#refresh = true;
        break;
    }
    this.#mark(name);
    for (const [attribute, value] of attributes) {
      if (attribute !== "href" && attribute !== "src") {
        this.#mark(`${name} ${attribute} ${value.toLowerCase().slice(0, 40)}`);
      }
    }
    if (VOID.has(name) || this.#open.length >= MAX_OPEN) return;
    const hides = this.#hides(name, attributes);
    this.#open.push({ name, hides });
    if (hides) this.#hiding++;
  }

  #mark(text: string): void {
    if (this.#markup.length < MAX_MARKUP) this.#markup.push(text);
  }

  #hides(name: string, attributes: ReadonlyMap<string, string>): boolean {
    if (attributes.size === 0) return false;
    const style = attributes.get("style");
    if (style !== undefined && HIDING.test(style)) return true;
    const colour = name === "font" ? colourOf(attributes.get("color")) : "";
    return colour !== "" && colour === this.#background && this.#cellless();
  }

  /** Not within a cell or row, whose own background is not followed. */
  #cellless(): boolean {
    return !this.#open.some(({ name }) => name === "td" || name === "tr" || name === "table");
  }

  #close(name: string): void {
    if (name === "a") this.#endAnchor();
    for (let i = this.#open.length - 1, steps = 0; i >= 0 && steps < 20; i--, steps++) {
      if (this.#open[i]!.name !== name) continue;
      for (const { hides } of this.#open.splice(i)) if (hides) this.#hiding--;
      return;
    }
  }

  #endAnchor(): void {
    const anchor = this.#anchor;
    this.#anchor = null;
    if (anchor === null || this.#anchors.length >= MAX_ANCHORS) return;
    this.#anchors.push({ target: anchor.target, text: anchor.text.trim() });
  }
}

/** Behind the ">" of the tag at `open`; quotes are respected where they close. */
function endOfTag(html: string, open: number): number {
  const simple = html.indexOf(">", open);
  if (simple < 0) return html.length;
  const tag = html.slice(open, simple);
  if (!tag.includes('"')) return simple + 1;
  let quotes = 0;
  for (let i = 0; i < tag.length; i++) if (tag.charCodeAt(i) === 0x22) quotes++;
  if (quotes % 2 === 0) return simple + 1;
  const quote = html.indexOf('"', simple);
  if (quote < 0 || quote - open > MAX_TAG) return simple + 1;
  const end = html.indexOf(">", quote);
  return end < 0 ? html.length : end + 1;
}

function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  if (!text.includes("=")) return attributes;
  for (const [, name = "", value = ""] of text.matchAll(ATTRIBUTE)) {
    const plain = value.startsWith('"') || value.startsWith("'") ? value.slice(1, -1) : value;
    if (attributes.size < 50) attributes.set(name.toLowerCase(), plain.trim());
  }
  return attributes;
}

function colourOf(value: string | undefined): string {
  if (value === undefined) return "";
  const plain = value.toLowerCase();
  const named = COLOURS[plain] ?? plain;
  return /^[0-9a-f]{6}$/.test(named) ? `#${named}` : named;
}

function isWord(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);
}
