/**
 * Rights of access lists on the wire (RFC 4314 2.1, 7): letters, with "c" and "d" of RFC 2086 for groups of them. Pure.
 */

/** In the order that we write them. */
export const RIGHTS = "lrswipkxtea";
/** What the obsolete letters stand for (2.1.1): RFC 2086 servers differed; we are of those whose "c" makes and removes. */
const CREATE = "kx";
const DELETE = "te";

/** The standard letters of a list; null when one is no right. */
export function parseRights(text: string): string | null {
  let letters = "";
  for (const letter of text) {
    if (letter === "c") letters += CREATE;
    else if (letter === "d") letters += DELETE;
    else if (RIGHTS.includes(letter)) letters += letter;
    else return null;
  }
  return [...RIGHTS].filter((right) => letters.includes(right)).join("");
}

/** With "c" and "d" where a right of theirs is there, for clients that know no others (2.1.1). */
export function formatRights(rights: string): string {
  const has = (any: string) => [...any].some((right) => rights.includes(right));
  return rights + (has(CREATE) ? "c" : "") + (has(DELETE) ? "d" : "");
}

export type RightsChange = { readonly mode: "replace" | "add" | "remove"; readonly rights: string };

/** mod-rights; null when a letter is no right. */
export function parseRightsChange(text: string): RightsChange | null {
  const mode = text.startsWith("+") ? "add" : text.startsWith("-") ? "remove" : "replace";
  const rights = parseRights(mode === "replace" ? text : text.slice(1));
  return rights === null ? null : { mode, rights };
}
