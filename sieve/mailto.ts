/**
 * `mailto:` URIs of notify (RFC 5436 2.1, RFC 6068): recipients and the header fields that may be chosen. Pure.
 *
 * Fields that would change who sends or what it is are ignored (RFC 5436 2.3).
 */

export interface Mailto {
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string | null;
  readonly body: string | null;
}

const MAX_RECIPIENTS = 10;
const ADDRESS = /^[^\s@<>,;:"]+@[^\s@<>,;:"]+$/;

export function isMailto(uri: string): boolean {
  return parseMailto(uri) !== null;
}

/** Null when it is none, or names nobody. */
export function parseMailto(uri: string): Mailto | null {
  const match = /^mailto:([^?]*)(?:\?(.*))?$/is.exec(uri);
  if (match === null) return null;
  const to = addresses(match[1]!);
  const cc: string[] = [];
  const texts = new Map<string, string>();
  for (const pair of match[2] === undefined || match[2] === "" ? [] : match[2].split(/&(?:amp;)?/)) {
    const equals = pair.indexOf("=");
    if (equals < 0) return null;
    const name = decoded(pair.slice(0, equals))?.toLowerCase();
    const value = pair.slice(equals + 1);
    if (name === undefined) return null;
    if (name === "to" || name === "cc" || name === "bcc") {
      const more = addresses(value);
      if (more === null) return null;
      (name === "to" ? to : cc)?.push(...more);
    } else {
      const text = decoded(value);
      if (text === null) return null;
      if (!texts.has(name)) texts.set(name, text);
    }
  }
  if (to === null || to.length + cc.length === 0 || to.length + cc.length > MAX_RECIPIENTS) return null;
  return { to, cc, subject: texts.get("subject") ?? null, body: texts.get("body") ?? null };
}

function addresses(text: string): string[] | null {
  const list: string[] = [];
  for (const piece of text.split(",")) {
    if (piece === "") continue;
    const address = decoded(piece);
    if (address === null || !ADDRESS.test(address)) return null;
    list.push(address);
  }
  return list;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // a URIError is how it says "malformed"
  }
}
