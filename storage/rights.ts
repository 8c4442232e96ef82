/**
 * Rights on mailboxes (RFC 4314 2.1) as text: letters in one order, each at most once.
 *
 * An access list names identifiers: the address of an account or of a group, `@domain` for all accounts of a domain,
 * `authenticated` for every login, `anyone` for strangers too. Behind a dash what they name is taken away again, last.
 * Who owns a mailbox has every right, whatever the list says.
 */

/** The order of the letters. */
export const ALL_RIGHTS = "lrswipkxtea";
export const NO_RIGHTS = "";

/** With whom an account can share: nobody, those of its domain, everybody here. */
export type SharingScope = "off" | "domain" | "server";

/** In order, each once; letters that are no right are left out. */
export function orderedRights(letters: string): string {
  let text = "";
  for (const right of ALL_RIGHTS) if (letters.includes(right)) text += right;
  return text;
}

export function withoutRights(rights: string, taken: string): string {
  let text = "";
  for (const right of rights) if (!taken.includes(right)) text += right;
  return text;
}

/** What entries that all mean one reader come to. */
export function combineRights(
  entries: Iterable<{ readonly identifier: string; readonly rights: string }>,
): string {
  let given = "", taken = "";
  for (const { identifier, rights } of entries) {
    if (identifier.startsWith("-")) taken += rights;
    else given += rights;
  }
  return orderedRights(withoutRights(given, taken));
}
