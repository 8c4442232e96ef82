/**
 * The Authentication-Results field (RFC 8601): written for our readers, and read from mail that comes with one.
 *
 * Values that peers chose are cleaned or quoted, so that none can end a result and begin another. The reader is as strict
 * as it must be to find whose field it is; what it cannot read has no owner.
 */

/** One method and what it found; `properties` as in `smtp.mailfrom`. */
export interface MethodResult {
  readonly method: string;
  readonly result: string;
  /** In words, becomes a comment; "" for none. */
  readonly comment: string;
  readonly properties: readonly (readonly [name: string, value: string])[];
}

const LINE_OCTETS = 78;
const MAX_VALUE = 400;
const NOT_PRINTABLE = /[^\x20-\x7e\x80-\uffff]+/g;
/** RFC 2045 tokens with what addresses and domains have (RFC 8601 2.2 pvalue). */
const PLAIN = /^[A-Za-z0-9!#$%&'*+\-.^_`{|}~@/]+$/;

/** The value, folded: our name, then each result on a line of its own; `none` where there is no result. */
export function resultsValue(authservId: string, results: readonly MethodResult[]): string {
  if (results.length === 0) return `${authservId}; none`;
  return `${authservId};\r\n\t${results.map(resultText).join(";\r\n\t")}`;
}

export function resultsField(authservId: string, results: readonly MethodResult[]): string {
  return `Authentication-Results: ${resultsValue(authservId, results)}\r\n`;
}

function resultText({ method, result, comment, properties }: MethodResult): string {
  const parts = [`${method}=${result}`];
  if (comment !== "") parts.push(`(${commentText(comment)})`);
  for (const [name, value] of properties) if (value !== "") parts.push(`${name}=${valueText(value)}`);
  let line = "";
  let text = "";
  for (const part of parts) {
    if (line !== "" && line.length + 1 + part.length > LINE_OCTETS - 8) {
      text += `${line}\r\n\t `;
      line = part;
    } else line = line === "" ? part : `${line} ${part}`;
  }
  return text + line;
}

function commentText(text: string): string {
  return text.replace(NOT_PRINTABLE, " ").replace(/[()\\;]/g, " ").trim().slice(0, MAX_VALUE);
}

function valueText(value: string): string {
  const clean = value.replace(NOT_PRINTABLE, "").slice(0, MAX_VALUE);
  return PLAIN.test(clean) ? clean : `"${clean.replace(/["\\]/g, "\\$&")}"`;
}

export interface ParsedResults {
  /** Lower case. */
  readonly authservId: string;
  readonly results: readonly Omit<MethodResult, "comment">[];
}

const MAX_RESULTS = 100;

/** Null where it cannot be read. `value` is unfolded. */
export function parseResults(value: string): ParsedResults | null {
  const words = wordsOf(value);
  if (words === null || words.length === 0) return null;
  const [head = [], ...rest] = words;
  const [authservId, version] = head;
  if (authservId === undefined || head.length > 2 || (version !== undefined && !/^\d+$/.test(version))) {
    return null;
  }
  const results: Omit<MethodResult, "comment">[] = [];
  for (const [first, ...properties] of rest.slice(0, MAX_RESULTS)) {
    const match = /^([A-Za-z0-9-]+)(?:\/\d+)?=([A-Za-z]+)$/.exec(first ?? "");
    if (match === null) continue;
    results.push({
      method: match[1]!.toLowerCase(),
      result: match[2]!.toLowerCase(),
      properties: properties.flatMap((word) => {
        const at = word.indexOf("=");
        return at < 1 ? [] : [[word.slice(0, at).toLowerCase(), word.slice(at + 1)] as const];
      }),
    });
  }
  return { authservId: authservId.toLowerCase(), results };
}

/** Words by semicolon, comments gone, quotes undone, white space around `=` removed; null where a quote never ends. */
function wordsOf(value: string): string[][] | null {
  const groups: string[][] = [[]];
  let word = "";
  let open = false; // a word of quotes may be empty
  const end = () => {
    if (word !== "" || open) groups.at(-1)!.push(word);
    word = "";
    open = false;
  };
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!;
    if (character === "(") {
      const after = commentEnd(value, at);
      if (after === null) return null;
      at = after - 1;
      if (!word.endsWith("=")) spaced(after);
    } else if (character === '"') {
      const match = /"((?:[^"\\]|\\.)*)"/sy;
      match.lastIndex = at;
      const quoted = match.exec(value);
      if (quoted === null) return null;
      word += quoted[1]!.replace(/\\(.)/gs, "$1");
      open = true;
      at = match.lastIndex - 1;
    } else if (character === ";") {
      end();
      groups.push([]);
    } else if (/\s/.test(character)) {
      if (!word.endsWith("=")) spaced(at);
    } else word += character;
  }
  end();
  return groups;

  /** White space ends a word unless "=" follows. */
  function spaced(from: number): void {
    let next = from;
    while (next < value.length && /\s/.test(value[next]!)) next++;
    if (value[next] !== "=") end();
  }
}

/** Behind the comment that begins at `at`; they nest (RFC 5322 3.2.2). */
function commentEnd(value: string, at: number): number | null {
  let depth = 0;
  for (let i = at; i < value.length; i++) {
    if (value[i] === "\\") i++;
    else if (value[i] === "(") depth++;
    else if (value[i] === ")" && --depth === 0) return i + 1;
  }
  return null;
}

/** The field claims to be ours (RFC 8601 5): it must go. Also where only its beginning can be read. */
export function claimsToBe(value: string, authservId: string): boolean {
  const parsed = parseResults(value);
  const claimed = parsed?.authservId ?? /^[\s"]*([^\s;"()]+)/.exec(value)?.[1]?.toLowerCase() ?? "";
  const ours = authservId.toLowerCase();
  return claimed.replace(/\.$/, "") === ours;
}
