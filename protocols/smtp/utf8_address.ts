/**
 * Addresses of the type `utf-8` in ORCPT and in reports (RFC 6533 3), in their three forms.
 *
 * utf-8-addr-xtext is ASCII and goes everywhere; utf-8-addr-unitext holds UTF-8 and escapes only what ORCPT cannot hold;
 * utf-8-address is the mailbox itself. Escapes are `\x{HEXPOINT}`. Inside this server an ORCPT is always in the first
 * form. What is called `utf-8` and is not written by these rules is handed on unchanged. Pure.
 */

/** QCHAR: printable ASCII without `\`, `+` and `=`. */
const NOT_QCHAR = /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu;
/** QUCHAR has everything beyond ASCII too. */
const NOT_QUCHAR = /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u0080-\u{10ffff}]/gu;
const UNITEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u0080-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})+$/u;
const EMBEDDED = /\\x\{([0-9A-F]{2,6})\}/g;
/** The letters and marks that may stand for themselves must not be escaped (HEXPOINT). */
const NEEDS_NO_ESCAPE = /^[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]$/;

/** utf-8-addr-xtext of a mailbox. */
export function addrXtext(mailbox: string): string {
  return mailbox.replace(NOT_QCHAR, escaped);
}

/** The address in utf-8-addr-xtext of what stands in ORCPT in any of the forms; null where it is none of them. */
export function xtextForm(encoded: string): string | null {
  const mailbox = mailboxOf(encoded);
  return mailbox === null ? null : addrXtext(mailbox);
}

/** utf-8-addr-unitext, for servers that offer SMTPUTF8. */
export function unitextForm(encoded: string): string | null {
  return mailboxOf(encoded)?.replace(NOT_QUCHAR, escaped) ?? null;
}

/** utf-8-address: the mailbox that any of the forms stands for; null where it is none of them. */
export function mailboxOf(encoded: string): string | null {
  if (!UNITEXT.test(encoded)) return null;
  let wellFormed = true;
  const mailbox = encoded.replace(EMBEDDED, (_all, hex: string) => {
    const point = parseInt(hex, 16);
    const fits = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) &&
      !NEEDS_NO_ESCAPE.test(String.fromCodePoint(point));
    wellFormed &&= fits;
    return fits ? String.fromCodePoint(point) : "";
  });
  return wellFormed ? mailbox : null;
}

function escaped(character: string): string {
  return `\\x{${character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}}`;
}
