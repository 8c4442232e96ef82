/**
 * Octets of a script to tokens (RFC 5228 8.1).
 *
 * Scripts are UTF-8 (2.1). Lines end with CRLF; LF alone is taken too, as editors write it. White space and comments go.
 * Numbers are at most 2^53 - 1 after their quantifier (2.4.1 asks for 2^31 - 1). The first fault ends the tokens.
 */

export type Token =
  | { readonly kind: "identifier" | "tag"; readonly text: string; readonly at: number }
  | { readonly kind: "string"; readonly text: string; readonly at: number }
  | { readonly kind: "number"; readonly value: number; readonly at: number }
  | { readonly kind: Punctuation; readonly at: number }
  | { readonly kind: "end"; readonly at: number }
  | { readonly kind: "fault"; readonly text: string; readonly at: number };

export type Punctuation = "(" | ")" | "," | ";" | "[" | "]" | "{" | "}";

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /([0-9]+)([KMGkmg]?)(?![A-Za-z0-9_])/y;
const QUANTIFIERS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const MULTI_LINE = /text:[ \t]*(?:#[^\r\n]*)?\r?\n/iy;

export class Lexer {
  readonly source: string;
  #at = 0;

  constructor(source: string) {
    this.source = source;
  }

  next(): Token {
    const fault = this.#skip();
    if (fault !== null) return fault;
    const { source } = this;
    const at = this.#at;
    if (at >= source.length) return { kind: "end", at };
    const character = source[at]!;
    switch (character) {
      case "(":
      case ")":
      case ",":
      case ";":
      case "[":
      case "]":
      case "{":
      case "}":
        this.#at++;
        return { kind: character, at };
      case '"':
        return this.#quoted(at);
      case ":": {
        const name = this.#match(IDENTIFIER, at + 1);
        if (name === null) return { kind: "fault", text: "a tag needs a name behind its colon", at };
        return { kind: "tag", text: name[0].toLowerCase(), at };
      }
    }
    const multiLine = this.#match(MULTI_LINE, at);
    if (multiLine !== null) return this.#multiLine(at);
    const word = this.#match(IDENTIFIER, at);
    if (word !== null) return { kind: "identifier", text: word[0].toLowerCase(), at };
    const number = this.#match(NUMBER, at);
    if (number !== null) {
      const value = Number(number[1]) * QUANTIFIERS[number[2]!.toUpperCase()]!;
      if (!Number.isSafeInteger(value)) return { kind: "fault", text: "the number is too large", at };
      return { kind: "number", value, at };
    }
    return {
      kind: "fault",
      text: `unexpected ${JSON.stringify(String.fromCodePoint(source.codePointAt(at)!))}`,
      at,
    };
  }

  #match(expression: RegExp, at: number): RegExpExecArray | null {
    expression.lastIndex = at;
    const match = expression.exec(this.source);
    if (match !== null) this.#at = at + match[0].length;
    return match;
  }

  /** White space and comments; a comment without its end is a fault. */
  #skip(): Token | null {
    const { source } = this;
    for (;;) {
      const character = source[this.#at];
      if (character === " " || character === "\t" || character === "\r" || character === "\n") this.#at++;
      else if (character === "#") {
        const end = source.indexOf("\n", this.#at);
        this.#at = end < 0 ? source.length : end + 1;
      } else if (character === "/" && source[this.#at + 1] === "*") {
        const end = source.indexOf("*/", this.#at + 2);
        if (end < 0) return { kind: "fault", text: "the comment has no end", at: this.#at };
        this.#at = end + 2;
      } else return null;
    }
  }

  #quoted(at: number): Token {
    const { source } = this;
    let text = "";
    let from = at + 1;
    for (let i = from;; i++) {
      const character = source[i];
      if (character === undefined) return { kind: "fault", text: "the string has no end", at };
      if (character === '"') {
        this.#at = i + 1;
        return { kind: "string", text: text + source.slice(from, i), at };
      }
      if (character !== "\\") continue;
      // 2.4.2: a backslash before another character than these two is ignored.
      text += source.slice(from, i);
      from = i + 1;
      i++;
    }
  }

  /** 2.4.2: up to a line with a lone dot; a dot in front of others is undone. */
  #multiLine(at: number): Token {
    const { source } = this;
    let text = "";
    for (let line = this.#at;;) {
      if (line >= source.length) return { kind: "fault", text: "the text has no line with a lone dot", at };
      const lf = source.indexOf("\n", line);
      const end = lf < 0 ? source.length : lf + 1;
      const written = source.slice(line, end);
      if (/^\.\r?\n?$/.test(written)) {
        this.#at = end;
        return { kind: "string", text, at };
      }
      text += written.startsWith(".") ? written.slice(1) : written;
      line = end;
    }
  }
}
