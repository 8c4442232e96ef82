/** The text of TXT records: their strings joined, an octet a character (RFC 1035 3.3.14). Pure. */
import type { Answer } from "./resolver.ts";

export function txtTexts({ records }: Answer<"TXT">): string[] {
  return records.map(({ strings }) => strings.map((octets) => String.fromCharCode(...octets)).join(""));
}
