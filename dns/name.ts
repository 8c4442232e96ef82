/**
 * Domain names as text: lower case, labels joined by dots, no final dot, "." for the root.
 *
 * RFC 1035 3.1 and 5.1. A label may hold any octet: a dot or backslash inside one is written `\.` and `\\`, what is
 * not printable ASCII `\DDD`. So text and wire form say the same, and equal names are equal strings
 * (RFC 4343: only ASCII letters fold). Pure. Limits: 63 octets a label, 255 a name with its length octets.
 */
import { BACKSLASH, DOT, isDigit, lower } from "../bytes/ascii.ts";

const MAX_LABEL_OCTETS = 63;
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

/** What most names are: of the one form already, as {@linkcode canonicalName} would leave them. */
const PLAIN = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** A name as it comes from a user or a peer in the one form used here; null when it is none. */
export function canonicalName(text: string): string | null {
  if (text.length <= MAX_NAME_OCTETS - 2 && PLAIN.test(text)) return text;
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

/** The name without its first label; null for the root. Canonical in and out. */
export function parentName(name: string): string | null {
  if (name === ".") return null;
  for (let at = 0; at < name.length; at++) {
    const octet = name.charCodeAt(at);
    if (octet === BACKSLASH) at++;
    else if (octet === DOT) return name.slice(at + 1);
  }
  return ".";
}

/** How many labels a canonical name has; the root has none. */
export function labelCount(name: string): number {
  let count = 0;
  for (let at: string | null = name; at !== null && at !== "."; at = parentName(at)) count++;
  return count;
}

/** The last `count` labels of a canonical name. */
export function lastLabels(name: string, count: number): string {
  let rest = name;
  for (let drop = labelCount(name) - count; drop > 0; drop--) rest = parentName(rest)!;
  return count === 0 ? "." : rest;
}

/** A label before a name. */
export function childName(label: string, parent: string): string {
  return parent === "." ? label : `${label}.${parent}`;
}

/** The deepest name that both are at or below. */
export function commonAncestor(a: string, b: string): string {
  let name: string = a;
  while (!isWithin(b, name)) name = parentName(name)!;
  return name;
}

/** RFC 4034 6.1: by labels from the right, each as octets in lower case. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  const left = nameLabels(a) ?? [], right = nameLabels(b) ?? [];
  for (let back = 1; back <= left.length && back <= right.length; back++) {
    const one = left[left.length - back]!, other = right[right.length - back]!;
    for (let at = 0; at < one.length && at < other.length; at++) {
      const difference = lower(one[at]!) - lower(other[at]!);
      if (difference !== 0) return difference;
    }
    if (one.length !== other.length) return one.length - other.length;
  }
  return left.length - right.length;
}

/** The wire form of a name, never compressed, the case as it stands. Null when it is none. */
export function nameOctets(name: string): Uint8Array<ArrayBuffer> | null {
  const labels = nameLabels(name);
  if (labels === null) return null;
  const octets: number[] = [];
  for (const label of labels) octets.push(label.length, ...label);
  octets.push(0);
  return Uint8Array.from(octets);
}

/** RFC 6125 6.4.3: `*` stands for exactly one leftmost label. */
export function covers(pattern: string, name: string): boolean {
  if (pattern === name) return true;
  if (!pattern.startsWith("*.")) return false;
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot + 1) === pattern.slice(2);
}
