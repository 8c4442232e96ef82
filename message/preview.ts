/** A short text of what a message says, for lists (RFC 8970 4): white space folded, markup and quotes left out. */

const PREVIEW_CHARACTERS = 200;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** What a text that is neither quotes nor white space fills the preview with. */
const USUALLY_ENOUGH = 1.25 * PREVIEW_CHARACTERS;

export function preview(text: string, html: boolean): string {
  if (html) return shortened(folded(withoutMarkup(text)));
  const first = folded(withoutQuotes(text.slice(0, USUALLY_ENOUGH)));
  return shortened(first.length > PREVIEW_CHARACTERS ? first : folded(withoutQuotes(text)));
}

function withoutQuotes(text: string): string {
  return text.includes(">") ? text.replace(/^>.*$/gm, "") : text;
}

function folded(text: string): string {
  return text.replace(/\s\s+|[^\S ]/g, " ").trim();
}

function shortened(folded: string): string {
  if (folded.length <= PREVIEW_CHARACTERS) return folded.toWellFormed();
  return folded.slice(0, PREVIEW_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "").trimEnd().toWellFormed();
}

/** Text without tags, comments, styles and scripts, entities decoded; white space as it falls. */
export function withoutMarkup(html: string): string {
  return html.replace(/<(style|script|head|title)\b[^>]*>[\s\S]*?(<\/\1\s*>|$)/gi, " ").replace(
    /<!--[\s\S]*?(-->|$)/g,
    " ",
  )
    .replace(/<[^>]*(>|$)/g, " ").replace(
      /&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,6});/gi,
      (whole, name: string) => {
        if (name[0] !== "#") return ENTITIES[name.toLowerCase()] ?? whole;
        const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
        return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : " ";
      },
    );
}
