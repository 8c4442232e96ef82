/**
 * Domain names as text: lower case, labels joined by dots, no final dot, "." for the root.
 *
 * RFC 1035 3.1 and 5.1. A label may hold any octet: a dot or backslash inside one is written `\.` and `\\`, what is
 * not printable ASCII `\DDD`. So text and wire form say the same, and equal names are equal strings
 * (RFC 4343: only ASCII letters fold). Pure. Limits: 63 octets a label, 255 a name with its length octets.
 */
import { BACKSLASH, DOT, isDigit, lower } from "../bytes/ascii.ts";

export const MAX_LABEL_OCTETS = 63;
export const MAX_NAME_OCTETS = 255;

/** The text of one octet inside a label. */
export function octetText(octet: number): string {
  if (octet === DOT || octet === BACKSLASH) return `\\${String.fromCharCode(octet)}`;
  if (octet > 0x20 && octet < 0x7f) return String.fromCharCode(octet);
  return `\\${String(octet).padStart(3, "0")}`;
}

/** The labels of a name in text form as octets, the case kept; null when it is none. The root has no labels. */
export function nameLabels(text: string): number[][] | null {
  if (text === ".") return [];
  const labels: number[][] = [];
  let label: number[] = [];
  let size = 1; // the root's length octet
  for (let at = 0; at < text.length; at++) {
    let octet = text.charCodeAt(at);
    if (octet === DOT) {
      if (label.length === 0) return null;
      labels.push(label);
      size += label.length + 1;
      label = [];
      continue;
    }
    if (octet === BACKSLASH) {
      octet = text.charCodeAt(++at);
      if (isDigit(octet)) {
        const digits = text.slice(at, at + 3);
        if (!/^[0-9]{3}$/.test(digits)) return null;
        octet = Number(digits);
        at += 2;
      }
    }
    // NaN, behind a backslash that ends the text, is no octet either.
    if (!(octet <= 0xff) || label.length === MAX_LABEL_OCTETS) return null;
    label.push(octet);
    if (size + label.length + 1 > MAX_NAME_OCTETS) return null;
  }
  if (label.length > 0) labels.push(label);
  return labels.length === 0 ? null : labels;
}

/** A name as it comes from a user or a peer in the one form used here; null when it is none. */
export function canonicalName(text: string): string | null {
  const labels = nameLabels(text);
  if (labels === null) return null;
  if (labels.length === 0) return ".";
  return labels.map((label) => label.map((octet) => octetText(lower(octet))).join("")).join(".");
}

/** True when `name` is `ancestor` or below it; both canonical. */
export function isWithin(name: string, ancestor: string): boolean {
  if (ancestor === "." || name === ancestor) return true;
  if (!name.endsWith(`.${ancestor}`)) return false;
  // An escaped dot belongs to a label: an odd number of backslashes stands before it.
  let backslashes = 0;
  for (let at = name.length - ancestor.length - 2; at >= 0 && name.charCodeAt(at) === BACKSLASH; at--) {
    backslashes++;
  }
  return backslashes % 2 === 0;
}
