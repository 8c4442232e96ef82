/**
 * A header block as field spans: where each name and value lies, nothing copied until a value is asked for.
 *
 * RFC 5322 2.2 and 3.6.8. Lines end with CRLF or LF; a line without a colon that is no continuation is junk and becomes
 * part of no field. The block ends at the first empty line.
 */
import { CR, isWsp, LF, SP, TAB } from "../bytes/ascii.ts";
import { latin1 } from "../bytes/decode.ts";

export interface FieldSpan {
  /** Name in lower case. */
  readonly name: string;
  /** First octet of the field's first line. */
  readonly start: number;
  /** First octet behind the colon. */
  readonly value: number;
  /** Behind the line end of the field's last line. */
  readonly end: number;
}

/** The fields of `[start, end)` in order. An empty line, if there is one, ends the block. */
export function scanFields(bytes: Uint8Array, start: number, end: number): FieldSpan[] {
  const fields: FieldSpan[] = [];
  // Looking for a character in a string, and cutting it up, costs a quarter of the same in an array.
  const text = latin1(bytes, start, end);
  const size = text.length;
  let colon = -1;
  for (let at = 0; at < size;) {
    const first = text.charCodeAt(at);
    if (first === LF || (first === CR && text.charCodeAt(at + 1) === LF)) break;
    const lf = indexOrEnd(text, "\n", at);
    if (colon < at) colon = indexOrEnd(text, ":", at);
    const fieldEnd = endOfLines(text, lf);
    if (colon > at && colon < lf) {
      let nameEnd = colon;
      while (nameEnd > at && isWsp(text.charCodeAt(nameEnd - 1))) nameEnd--; // obsolete: white space before the colon
      fields.push({
        name: text.slice(at, nameEnd).toLowerCase(),
        start: start + at,
        value: start + colon + 1,
        end: start + fieldEnd,
      });
    }
    at = fieldEnd;
  }
  return fields;
}

/** Behind the line that ends with `lf`, and the continuations that follow it. */
function endOfLines(text: string, lf: number): number {
  while (isWsp(text.charCodeAt(lf + 1))) lf = indexOrEnd(text, "\n", lf + 1);
  return Math.min(lf + 1, text.length);
}

function indexOrEnd(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? text.length : at;
}

/** Offset behind the last line of the field that starts at `at`. */
export function endOfField(bytes: Uint8Array, at: number, end: number): number {
  for (;;) {
    const lf = bytes.indexOf(LF, at);
    if (lf < 0 || lf >= end) return end;
    at = lf + 1;
    if (at >= end || (bytes[at] !== SP && bytes[at] !== TAB)) return at;
  }
}

/** A field's value, unfolded and trimmed, one character per octet; NUL and stray line ends become spaces. */
export function fieldValue(bytes: Uint8Array, field: FieldSpan): string {
  const text = latin1(bytes, field.value, field.end);
  return valueText(text, 0, text.length);
}

/** The same from a text with a character for each octet, of which `[start, end)` is the value. */
export function valueText(text: string, start: number, end: number): string {
  // Without its own line end a value of one line needs no unfolding.
  while (end > start && isLineEnd(text.charCodeAt(end - 1))) end--;
  while (start < end && isWsp(text.charCodeAt(start))) start++;
  return unfold(text.slice(start, end));
}

function isLineEnd(code: number): boolean {
  return code === LF || code === CR;
}

export function unfold(text: string): string {
  return (/[\r\n\0]/.test(text) ? text.replace(/\r?\n(?=[ \t])/g, "").replace(/[\r\n\0]+/g, " ") : text)
    .trim();
}
