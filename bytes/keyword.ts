/**
 * Four-letter verbs as one int32, folded to upper case: SMTP and POP3 dispatch by `switch` over integers.
 *
 * The fold is `& 0xdf`, which also maps non-letters (`{` to `[`): the caller has seen that all four octets
 * are letters and that a delimiter follows.
 */

/** Packs the four octets at `at`; they must be letters. */
export function packAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0xdf) << 24) | ((bytes[at + 1]! & 0xdf) << 16) | ((bytes[at + 2]! & 0xdf) << 8) |
    (bytes[at + 3]! & 0xdf);
}

/** Packs a constant such as `pack("RCPT")`. */
export function pack(word: string): number {
  if (!/^[A-Z]{4}$/.test(word)) throw new Error(`a packed keyword has four capital letters, not "${word}"`);
  return (word.charCodeAt(0) << 24) | (word.charCodeAt(1) << 16) | (word.charCodeAt(2) << 8) |
    word.charCodeAt(3);
}
