/**
 * Patterns of LIST and LSUB: `*` takes anything, `%` anything but the separator.
 *
 * RFC 3501 6.3.8. Linear in name times pattern, whatever the pattern holds. The first level INBOX matches in any
 * case. Pure.
 */
import { foldInbox, SEPARATOR } from "./mailbox_name.ts";

/** Reference and pattern joined as Dovecot and most others do: plainly, one after the other. */
export function joinPattern(reference: string, pattern: string): string {
  return foldInbox(reference + pattern);
}

export function listMatches(name: string, pattern: string): boolean {
  // What nearly every client asks for: one wildcard, at the end.
  const wildcard = pattern.search(/[*%]/);
  if (wildcard < 0) return name === pattern;
  if (wildcard === pattern.length - 1) {
    if (name.length < wildcard || !name.startsWith(pattern.slice(0, wildcard))) return false;
    return pattern.endsWith("*") || name.indexOf(SEPARATOR, wildcard) < 0;
  }
  return matchesSlowly(name, pattern);
}

/** Any pattern; the oracle of the fast way in the test. */
export function matchesSlowly(name: string, pattern: string): boolean {
  // reach[i]: the pattern read so far can match the first i characters of the name.
  let reach = new Uint8Array(name.length + 1);
  reach[0] = 1;
  let previous = "";
  for (const character of pattern) {
    const wild = character === "*" || character === "%";
    if (wild && character === previous) continue;
    previous = character;
    const next = new Uint8Array(name.length + 1);
    let alive = false;
    if (wild) {
      let open = false;
      for (let i = 0; i <= name.length; i++) {
        if (i > 0 && character === "%" && name[i - 1] === SEPARATOR) open = false;
        if (reach[i] === 1) open = true;
        if (open) next[i] = 1;
      }
      alive = true;
    } else {
      for (let i = 0; i < name.length; i++) {
        if (reach[i] === 1 && name.startsWith(character, i)) {
          next[i + character.length] = 1;
          alive = true;
        }
      }
    }
    if (!alive) return false;
    reach = next;
  }
  return reach[name.length] === 1;
}

/** The names above `name`, outermost first. */
export function ancestors(name: string): string[] {
  const result: string[] = [];
  for (let at = name.indexOf(SEPARATOR); at > 0; at = name.indexOf(SEPARATOR, at + 1)) {
    result.push(name.slice(0, at));
  }
  return result;
}
