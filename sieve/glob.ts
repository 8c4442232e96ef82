/**
 * Patterns of `:matches` (RFC 5228 2.7.1): `*` is any run of characters, `?` one, a backslash makes either plain.
 *
 * Wildcards take as little as they can (RFC 5229 3.2), the parts between stars are looked for from left to right, so the
 * work is at most the product of both lengths. Pure.
 */

/** Characters between two stars; null stands for `?`. */
type Segment = readonly (string | null)[];

export interface Glob {
  readonly segments: readonly Segment[];
  /** Characters and `?` of all of them. */
  readonly size: number;
}

export function parseGlob(pattern: string): Glob {
  const segments: (string | null)[][] = [[]];
  for (let i = 0; i < pattern.length; i++) {
    const last = segments[segments.length - 1]!;
    const character = pattern[i]!;
    if (character === "*") {
      segments.push([]);
    } else if (character === "?") last.push(null);
    else last.push(character === "\\" && i + 1 < pattern.length ? pattern[++i]! : character);
  }
  return { segments, size: segments.reduce((sum, { length }) => sum + length, 0) };
}

/**
 * What each wildcard stands for, in `original` (as long as `text`, which is folded as the pattern is); null without a
 * match.
 */
export function matchGlob({ segments }: Glob, text: string, original = text): string[] | null {
  const captures: string[] = [];
  const first = segments[0]!;
  let at = matchSegment(first, text, 0);
  if (at < 0) return null;
  capture(first, { original, from: 0 }, captures);
  if (segments.length === 1) return at === text.length ? captures : null;
  for (let i = 1; i < segments.length - 1; i++) {
    const found = findSegment(segments[i]!, text, at);
    if (found < 0) return null;
    captures.push(original.slice(at, found));
    capture(segments[i]!, { original, from: found }, captures);
    at = matchSegment(segments[i]!, text, found);
  }
  const last = segments[segments.length - 1]!;
  const from = startOfLast(last, text);
  if (from < at || matchSegment(last, text, from) !== text.length) return null;
  captures.push(original.slice(at, from));
  capture(last, { original, from }, captures);
  return captures;
}

/** Where the text behind the segment goes on, or -1. */
function matchSegment(segment: Segment, text: string, from: number): number {
  let at = from;
  for (const wanted of segment) {
    if (at >= text.length) return -1;
    if (wanted === null) at += widthAt(text, at);
    else if (text[at] !== wanted) return -1;
    else at++;
  }
  return at;
}

function findSegment(segment: Segment, text: string, from: number): number {
  const [first] = segment;
  for (let at = from; at <= text.length; at++) {
    if (typeof first === "string") {
      at = text.indexOf(first, at);
      if (at < 0) return -1;
    }
    if (matchSegment(segment, text, at) >= 0) return at;
  }
  return -1;
}

/** The last segment is counted from the end, character by character. */
function startOfLast(segment: Segment, text: string): number {
  let at = text.length;
  for (let i = segment.length - 1; i >= 0; i--) {
    at--;
    if (segment[i] === null && isLow(text, at) && at > 0) at--;
  }
  return at;
}

function capture(
  segment: Segment,
  { original, from }: { original: string; from: number },
  to: string[],
): void {
  let at = from;
  for (const wanted of segment) {
    const width = wanted === null ? widthAt(original, at) : 1;
    if (wanted === null) to.push(original.slice(at, at + width));
    at += width;
  }
}

/** A character beyond U+FFFF is two units long. */
function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

function isLow(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
