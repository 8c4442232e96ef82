/**
 * What a reader sees of HTML, roughly: tags and comments are gaps, style and script are left out, entities are undone.
 *
 * For finding words, not for showing. One pass over the text, in a straight line of its length whatever it holds. Pure.
 */

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
};
/** Elements whose content nobody reads. */
const HIDDEN = ["style", "script"] as const;
/** Tags inside a word: `<b>V</b>eredus` is one. */
const INLINE = /^\/?(a|b|em|font|i|span|strong|sub|sup|u)[\s/>]/i;

export function htmlText(html: string): string {
  // For finding the ends of hidden elements without case; the length must not change.
  const folded = html.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  let text = "";
  let at = 0;
  for (;;) {
    const open = html.indexOf("<", at);
    if (open < 0) return text + withoutEntities(html.slice(at));
    text += withoutEntities(html.slice(at, open));
    if (html.startsWith("<!--", open)) {
      at = behind(html, "-->", open + 4);
    } else {
      const hidden = HIDDEN.find((name) =>
        folded.startsWith(name, open + 1) && /[\s/>]/.test(html.charAt(open + 1 + name.length))
      );
      at = hidden === undefined ? open : atOrEnd(folded, `</${hidden}`, open + 1);
      at = at >= html.length ? html.length : behind(html, ">", at);
    }
    if (!INLINE.test(html.slice(open + 1, open + 10))) text += " ";
  }
}

/** Behind the next `mark`, or at the end of the text. */
function behind(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found + mark.length;
}

/** At the next `mark`, or at the end of the text. */
function atOrEnd(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found;
}

/** Entities undone. */
export function withoutEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,6});/gi, (whole, name: string) => {
    if (name[0] !== "#") return ENTITIES[name.toLowerCase()] ?? whole;
    const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : " ";
  });
}
