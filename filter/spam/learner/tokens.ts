/**
 * What the learner knows a message by: numbers that stand for its words, pairs of words, header fields and markup.
 *
 * A token is a hash of 32 bits: nothing of a message can be read back from what was learnt. Each counts once a message.
 * Bounded by what {@linkcode Mail} lets through and by {@linkcode MAX_TOKENS}. Pure. Hot: bench/filter/.
 */
import { decodeHeaderText } from "../../../message/encoded_word.ts";
import type { Link } from "../link.ts";
import type { Field, Mail } from "../mail.ts";

export const MAX_TOKENS = 6_000;
const MIN_WORD = 2;
const MAX_WORD = 40;

/** Kinds of tokens: the same word in another place is another token. */
const BODY = 1;
const PAIR = 2;
const SUBJECT = 3;
const NAME = 4;
const ORDER = 5;
const MARKUP = 7;
const HOST = 8;
const LEAF = 9;
const HIDDEN = 10;
const SHAPE = 11;

/** Fields that our side or a filter before us has written, or that differ in each message. */
const SKIPPED =
  /^(x-spam|authentication-results|arc-|dkim-|delivered-to|x-veredus|x-original-to|x-envelope|x-uid|x-keywords|status|x-status|lines|content-length)/;
/** Fields whose words are looked at. */
const WORDS: ReadonlySet<string> = new Set([
  ..."from to cc reply-to return-path sender x-mailer user-agent content-type list-id organization".split(
    " ",
  ),
  ..."mime-version content-transfer-encoding importance x-priority precedence errors-to x-mimeole".split(" "),
  ..."content-disposition in-reply-to references received message-id x-sender".split(" "),
]);

export function tokensOf(mail: Mail): Uint32Array<ArrayBuffer> {
  const tokens = new TokenSet();
  headerTokens(tokens, mail.fields);
  words(tokens, mail.subject, SUBJECT);
  for (const text of mail.plain) words(tokens, text, BODY);
  for (const { text, hidden, markup } of mail.html) {
    words(tokens, text, BODY);
    words(tokens, hidden, HIDDEN);
    for (const mark of markup) tokens.add(hashOf(mark, MARKUP));
  }
  for (const link of mail.links) linkTokens(tokens, link);
  for (const { type, charset, encoding, name } of mail.leaves) {
    tokens.add(hashOf(`${type} ${charset} ${encoding}`, LEAF));
    const dot = name.lastIndexOf(".");
    if (dot >= 0) tokens.add(hashOf(name.slice(dot).toLowerCase(), LEAF));
  }
  return tokens.values();
}

function headerTokens(tokens: TokenSet, fields: readonly Field[]): void {
  let before = 0;
  for (const { name, written, value } of fields) {
    if (SKIPPED.test(name)) continue;
    tokens.add(hashOf(written, NAME));
    const here = hashOf(name, NAME);
    tokens.add(mix(before, here, ORDER));
    before = here;
    if (name === "date") tokens.add(hashOf(/[+-]\d{4}|[A-Z]{3,4}$/.exec(value)?.[0] ?? "none", here));
    else if (name === "message-id") {
      tokens.add(hashOf(shapeOf(value), SHAPE));
      words(tokens, value.slice(value.indexOf("@") + 1), here);
    } else if (name === "received") {
      words(tokens, value.slice(0, 300).replace(/;.*| id .*| with .*|\bfor .*/s, ""), here);
    } else if (WORDS.has(name)) words(tokens, decodeHeaderText(value.slice(0, 1_000)), here);
  }
}

/** Letters as a, capitals as A, digits as 0, runs as one: how a program makes its ids. */
function shapeOf(value: string): string {
  return value.slice(0, 100).replace(/[a-z]+/g, "a").replace(/[A-Z]+/g, "A").replace(/\d+/g, "0");
}

function linkTokens(tokens: TokenSet, { scheme, host, path, port }: Link): void {
  tokens.add(hashOf(scheme, HOST));
  if (port !== "") tokens.add(hashOf(`:${port}`, HOST));
  if (scheme === "mailto") return words(tokens, path, HOST);
  for (let at = 0; at >= 0 && at < host.length;) {
    tokens.add(hashOf(host.slice(at), HOST));
    const dot = host.indexOf(".", at);
    at = dot < 0 ? -1 : dot + 1;
  }
  words(tokens, path.slice(0, 200), HOST);
}

/** One- and two-word tokens of a text. Scripts without spaces count each character as a word. */
function words(tokens: TokenSet, text: string, kind: number): void {
  let before = 0;
  let hash = start(kind);
  let length = 0;
  let capitals = 0;
  const end = text.length;
  for (let i = 0; i <= end; i++) {
    let code = i < end ? text.charCodeAt(i) : 0x20;
    const single = code >= 0x2e80 && (code <= 0x9fff || (code >= 0xac00 && code <= 0xd7af));
    if (!single && isWordCode(code)) {
      if (code >= 0x41 && code <= 0x5a) {
        code += 0x20;
        capitals++;
      }
      hash = Math.imul(hash ^ code, 0x01000193);
      length++;
      continue;
    }
    if (length >= MIN_WORD && length <= MAX_WORD) {
      const word = finish(hash);
      tokens.add(word);
      if (capitals === length && length > 3) tokens.add(mix(word, 0x43, kind));
      if (before !== 0) tokens.add(mix(before, word, kind + PAIR * 0x100));
      before = word;
    }
    if (length > 0) {
      hash = start(kind);
      length = 0;
      capitals = 0;
    }
    if (single) {
      const word = finish(Math.imul(hash ^ code, 0x01000193));
      if (before !== 0) tokens.add(mix(before, word, kind + PAIR * 0x100));
      before = word;
    }
  }
}

/** Letters, digits, and what ties them together: apostrophe, hyphen, dollar, exclamation mark, percent, underscore, dot within. */
const WORD_CODES = new Uint8Array(128);
for (const code of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$'!%_-") {
  WORD_CODES[code.charCodeAt(0)] = 1;
}

function isWordCode(code: number): boolean {
  return code < 128 ? WORD_CODES[code] === 1 : code > 0xa0 && !(code >= 0x2000 && code <= 0x206f);
}

function start(kind: number): number {
  return Math.imul(0x811c9dc5 ^ kind, 0x01000193);
}

function finish(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(a: number, b: number, kind: number): number {
  return finish(Math.imul(a, 0x9e3779b1) ^ (b + kind));
}

export function hashOf(text: string, kind: number): number {
  let hash = start(kind);
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return finish(hash);
}

/** The hash of the text that these UTF-16 codes are, as {@linkcode hashOf} has it. */
export function hashOfSpan(
  codes: Uint16Array,
  { start: from, end, kind }: { readonly start: number; readonly end: number; readonly kind: number },
): number {
  let hash = start(kind);
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ codes[i]!, 0x01000193);
  return finish(hash);
}

/** Distinct numbers in the order they came; 0 stands for none and is never one. */
class TokenSet {
  #table = new Uint32Array(4_096);
  #values = new Uint32Array(1_024);
  #count = 0;

  add(token: number): void {
    if (token === 0 || this.#count >= MAX_TOKENS) return;
    const mask = this.#table.length - 1;
    let at = token & mask;
    for (;;) {
      const known = this.#table[at]!;
      if (known === token) return;
      if (known === 0) break;
      at = (at + 1) & mask;
    }
    this.#table[at] = token;
    if (this.#count === this.#values.length) {
      const more = new Uint32Array(this.#values.length * 2);
      more.set(this.#values);
      this.#values = more;
    }
    this.#values[this.#count++] = token;
    if (this.#count * 2 > this.#table.length) this.#grow();
  }

  values(): Uint32Array<ArrayBuffer> {
    return this.#values.slice(0, this.#count);
  }

  #grow(): void {
    const table = new Uint32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let i = 0; i < this.#count; i++) {
      let at = this.#values[i]! & mask;
      while (table[at] !== 0) at = (at + 1) & mask;
      table[at] = this.#values[i]!;
    }
    this.#table = table;
  }
}
