/**
 * How texts compare without case: `i;ascii-casemap` (RFC 4790 9.2) and `i;unicode-casemap` (RFC 5051), as keys. Equal keys
 * are equal texts, and a text contains another when its key contains that one's.
 *
 * The upper case is the simple one of a character, which is one character: "ß" stays what it is. Hot: searches fold every
 * text they read; runs without such characters go through the runtime whole. Pure.
 */

// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;
// deno-lint-ignore no-control-regex
const BEYOND_ASCII = /[^\x00-\x7f]+/g;
const LOWER = /[a-z]+/g;

/** Characters whose simple title case (UnicodeData.txt) is not their upper case here. */
const ODD =
  "\\u00df\\u0149\\u01c4-\\u01cc\\u01f0-\\u01f3\\u0390\\u03b0\\u0587\\u10d0-\\u10fa\\u10fd-\\u10ff" +
  "\\u1e96-\\u1e9a\\u1f50\\u1f52\\u1f54\\u1f56\\u1f80-\\u1faf\\u1fb2-\\u1fb4\\u1fb6\\u1fb7\\u1fbc\\u1fc2-\\u1fc4\\u1fc6" +
  "\\u1fc7\\u1fcc\\u1fd2\\u1fd3\\u1fd6\\u1fd7\\u1fe2-\\u1fe4\\u1fe6\\u1fe7\\u1ff2-\\u1ff4\\u1ff6\\u1ff7\\u1ffc" +
  "\\ufb00-\\ufb06\\ufb13-\\ufb17";
const HAS_ODD = new RegExp(`[${ODD}]`);
const RUNS = new RegExp(`[${ODD}]+|[^${ODD}]+`, "g");

/** Those of them that have a title case of one character: digraphs, and Greek with iota below. */
const TITLE: ReadonlyMap<string, string> = new Map([
  ...["\u01c4\u01c5\u01c6", "\u01c7\u01c8\u01c9", "\u01ca\u01cb\u01cc", "\u01f1\u01f2\u01f3"].flatMap((
    same,
  ) => [...same].map((one): [string, string] => [one, same[1]!])),
  ...[0x1f80, 0x1f90, 0x1fa0].flatMap((first) =>
    Array.from({ length: 8 }, (_, at): [string, string] => [
      String.fromCharCode(first + at),
      String.fromCharCode(first + 8 + at),
    ])
  ),
  ["\u1fb3", "\u1fbc"],
  ["\u1fc3", "\u1fcc"],
  ["\u1ff3", "\u1ffc"],
]);

export function asciiCasemap(text: string): string {
  return NOT_ASCII.test(text) ? text.replace(LOWER, (letters) => letters.toUpperCase()) : text.toUpperCase();
}

export function unicodeCasemap(text: string): string {
  if (!NOT_ASCII.test(text)) return text.toUpperCase();
  const upper = HAS_ODD.test(text) ? text.replace(RUNS, titled) : text.toUpperCase();
  return upper.replace(BEYOND_ASCII, decomposed);
}

/** Short runs of other than ASCII, decomposed: a language has few of them. */
const known = new Map<string, string>();
const MAX_KNOWN = 4_096;
const SHORT = 4;

function decomposed(run: string): string {
  if (run.length > SHORT) return run.normalize("NFKD");
  let text = known.get(run);
  if (text === undefined) {
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(run, text = run.normalize("NFKD"));
  }
  return text;
}

function titled(run: string): string {
  if (!HAS_ODD.test(run)) return run.toUpperCase();
  let text = "";
  for (const character of run) text += TITLE.get(character) ?? character;
  return text;
}

const BEYOND_SURROGATES = /[\ud800-\uffff]/;

/** A key that strings compare by in the order of their code points, which is that of UTF-8 and not of UTF-16. */
export function codePointOrder(text: string): string {
  if (!BEYOND_SURROGATES.test(text)) return text;
  let key = "";
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    key += String.fromCharCode(unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);
  }
  return key;
}
