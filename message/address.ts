/**
 * Address lists of header fields (RFC 5322 3.4, obsolete forms of 4.4), read as leniently as real mail needs.
 *
 * Values are strings with one character per octet. Names keep their encoded words. Limit: {@linkcode MAX_ADDRESSES}
 * per field; the rest is left out.
 */

export const MAX_ADDRESSES = 10_000;

export type AddressItem =
  /** `localPart` is unquoted; `domain` is "" when the text had none. */
  | {
    readonly kind: "mailbox";
    readonly name: string | null;
    readonly localPart: string;
    readonly domain: string;
  }
  | { readonly kind: "group-start"; readonly name: string }
  | { readonly kind: "group-end" };

type Token =
  | { readonly kind: "word"; readonly text: string; readonly spaced: boolean }
  | { readonly kind: "special"; readonly text: string; readonly spaced: boolean }
  | { readonly kind: "comment"; readonly text: string };
/** `spaced`: white space or a comment stands in front. */
type PhraseToken = Exclude<Token, { kind: "comment" }>;

const SPECIALS = "<>@,;:.";

export function parseAddressList(value: string): AddressItem[] {
  const items: AddressItem[] = [];
  const tokens = tokenize(value);
  let words: PhraseToken[] = [];
  let angle: PhraseToken[] | null = null;
  let inAngle = false;
  let inGroup = false;
  let comment: string | null = null;
  const finish = () => {
    const item = toMailbox(words, angle, comment);
    if (item !== null && items.length < MAX_ADDRESSES) items.push(item);
    words = [];
    angle = null;
    inAngle = false;
    comment = null;
  };
  for (const token of tokens) {
    if (token.kind === "comment") comment ??= token.text;
    else if (inAngle) {
      if (token.kind === "special" && token.text === ">") inAngle = false;
      else if (token.kind === "special" && token.text === ",") {
        if ((angle ?? []).some((part) => part.text === "@") && !(angle ?? [])[0]?.text.startsWith("@")) {
          finish();
        } else angle?.push(token);
      } else angle?.push(token);
    } else if (token.kind === "word") words.push(token);
    else if (token.text === "<") {
      angle = [];
      inAngle = true;
    } else if (token.text === ",") finish();
    else if (token.text === ":" && !inGroup && angle === null && !words.some((word) => word.text === "@")) {
      items.push({ kind: "group-start", name: phrase(words) });
      words = [];
      inGroup = true;
    } else if (token.text === ";") {
      finish();
      if (inGroup) items.push({ kind: "group-end" });
      inGroup = false;
    } else if (token.text !== ">") words.push(token);
  }
  finish();
  if (inGroup) items.push({ kind: "group-end" });
  return items;
}

/** Plain `local@domain` forms of every mailbox of a list, groups opened. */
export function addressesOf(value: string): string[] {
  return parseAddressList(value).flatMap((item) =>
    item.kind === "mailbox" ? [`${item.localPart}@${item.domain}`] : []
  );
}

function toMailbox(
  words: PhraseToken[],
  angle: PhraseToken[] | null,
  comment: string | null,
): AddressItem | null {
  if (angle !== null) {
    // A route (4.4) ends at its colon.
    const colon = angle.findLastIndex((token) => token.kind === "special" && token.text === ":");
    const { localPart, domain } = addrSpec(angle.slice(colon + 1));
    const name = phrase(words);
    if (localPart === "" && domain === "" && name === "") return null;
    return { kind: "mailbox", name: name !== "" ? name : comment, localPart, domain };
  }
  if (words.length === 0) return null;
  return { kind: "mailbox", name: comment, ...addrSpec(words) };
}

function addrSpec(tokens: PhraseToken[]): { localPart: string; domain: string } {
  const at = tokens.findLastIndex((token) => token.kind === "special" && token.text === "@");
  if (at < 0) return { localPart: phrase(tokens), domain: "" };
  const glue = (parts: PhraseToken[]) => parts.map((part) => part.text).join("");
  return { localPart: glue(tokens.slice(0, at)), domain: glue(tokens.slice(at + 1)) };
}

/** Words with a space between them; an address or an abbreviation in place of a name is as it was written. */
function phrase(tokens: PhraseToken[]): string {
  let text = "";
  let glues = true;
  for (const token of tokens) {
    const special = token.kind === "special";
    text += text === "" || (!token.spaced && (special || glues)) ? token.text : ` ${token.text}`;
    glues = special;
  }
  return text.trim();
}

function tokenize(value: string): Token[] {
  const tokens: Token[] = [];
  const n = value.length;
  let i = 0;
  while (i < n) {
    const character = value[i]!;
    const spaced = i > 0 && " \t\r\n)".includes(value[i - 1]!);
    if (character === " " || character === "\t" || character === "\r" || character === "\n") i++;
    else if (character === "(") {
      const [text, next] = comment(value, i);
      tokens.push({ kind: "comment", text });
      i = next;
    } else if (character === '"') {
      const [text, next] = quoted(value, i);
      tokens.push({ kind: "word", text, spaced });
      i = next;
    } else if (character === "[") {
      const close = value.indexOf("]", i);
      const next = close < 0 ? n : close + 1;
      tokens.push({ kind: "word", text: value.slice(i, next), spaced });
      i = next;
    } else if (SPECIALS.includes(character)) {
      tokens.push({ kind: "special", text: character, spaced });
      i++;
    } else {
      let next = i + 1;
      while (next < n && !' \t\r\n("[<>@,;:.'.includes(value[next]!)) next++;
      tokens.push({ kind: "word", text: value.slice(i, next), spaced });
      i = next;
    }
  }
  return tokens;
}

/** A comment with nested ones inside; its text without the outer parentheses. */
function comment(value: string, start: number): [string, number] {
  let depth = 0;
  let text = "";
  let i = start;
  for (; i < value.length; i++) {
    const character = value[i]!;
    if (character === "\\" && i + 1 < value.length) text += value[++i];
    else if (character === "(" && depth++ > 0) text += character;
    else if (character === ")") {
      if (--depth === 0) return [text.trim(), i + 1];
      text += character;
    } else if (character !== "(") text += character;
  }
  return [text.trim(), i];
}

function quoted(value: string, start: number): [string, number] {
  let text = "";
  let i = start + 1;
  for (; i < value.length; i++) {
    const character = value[i]!;
    if (character === "\\" && i + 1 < value.length) text += value[++i];
    else if (character === '"') return [text, i + 1];
    else text += character;
  }
  return [text, i];
}
