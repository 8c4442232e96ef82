/**
 * Mailbox names: from the wire to the store's form and back.
 *
 * RFC 3501 5.1. The store's form is UTF-8 with "/" between levels, and "INBOX" in capitals, alone or as the first
 * level (children of INBOX are allowed). On the wire names are modified UTF-7; raw UTF-8 is taken too (RFC 6855
 * clients that forget to ENABLE). Pure. Limits: {@linkcode MAX_NAME_OCTETS}, {@linkcode MAX_LEVELS}.
 */
import { encode, isAscii, latin1, utf8OrNull } from "../../bytes/decode.ts";
import { decodeUtf7, encodeUtf7 } from "./utf7.ts";

export const SEPARATOR = "/";
/** Octets of a whole name in UTF-8. */
export const MAX_NAME_OCTETS = 1_024;
/** Octets of one level: what file systems take, so that names survive an export to Maildir. */
export const MAX_LEVEL_OCTETS = 250;
export const MAX_LEVELS = 32;

/**
 * The name as the store knows it, or null when the octets are neither modified UTF-7 nor UTF-8. `utf8Only`: the client
 * has enabled UTF-8 and writes an ampersand as it is (RFC 6855 3, RFC 9051 5.1).
 */
export function decodeMailboxName(octets: Uint8Array, utf8Only = false): string | null {
  const name = !utf8Only && isAscii(octets) ? decodeUtf7(latin1(octets)) : utf8OrNull(octets);
  return name === null ? null : foldInbox(name);
}

/** INBOX in any case is "INBOX", also as the first level of a longer name. */
export function foldInbox(name: string): string {
  if (name.length < 5 || (name.length > 5 && name[5] !== SEPARATOR)) return name;
  return name.slice(0, 5).toUpperCase() === "INBOX" ? "INBOX" + name.slice(5) : name;
}

/** A name as new mailboxes have it, in whatever way the client composes characters (RFC 9051 5.1, RFC 5198 3). */
export function composed(name: string): string {
  return name.normalize("NFC");
}

/** The name on the wire: modified UTF-7, or UTF-8 for a client that enabled it. */
export function encodeMailboxName(name: string, utf8: boolean): string {
  return utf8 ? name : encodeUtf7(name);
}

/**
 * Why a new mailbox may not have this name, as text for the reply; null when it may. One trailing separator is
 * allowed in CREATE (RFC 3501 6.3.3) and must be cut off before.
 */
export function mailboxNameFault(name: string): string | null {
  if (name === "") return "A mailbox name must not be empty";
  if (encode(name).length > MAX_NAME_OCTETS) return "The mailbox name is too long";
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]/.test(name)) {
    return "Control characters do not fit in a mailbox name";
  }
  if (/[*%]/.test(name)) return "Wildcards do not fit in a mailbox name";
  const levels = name.split(SEPARATOR);
  if (levels.length > MAX_LEVELS) return "The mailbox name has too many levels";
  for (const level of levels) {
    if (level === "") return "A level of the mailbox name is empty";
    if (level === "." || level === "..") return "A level of the mailbox name is not allowed";
    if (encode(level).length > MAX_LEVEL_OCTETS) return "A level of the mailbox name is too long";
  }
  return null;
}
