/**
 * Names below another, in SQL. Octets are compared: a length would be one of code points there and of UTF-16 here, and names
 * with characters beyond U+FFFF would lose what is below them.
 */

/** Holds for a name below the one whose bounds are bound to it. */
export const BELOW = "(name > ? AND name < ?)";

/** The separator of levels is "/", and the character behind it "0". */
export function boundsBelow(name: string): [string, string] {
  return [`${name}/`, `${name}0`];
}
