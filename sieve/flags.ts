/** Lists of flags (RFC 5232 2.): words of strings, each once in any case, in the order they came. */
import type { Run } from "./run.ts";

const SYSTEM: ReadonlyMap<string, string> = new Map(
  ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"].map((flag) => [flag.toLowerCase(), flag]),
);
/** atom of RFC 9051 9, as a keyword. */
// deno-lint-ignore no-control-regex
const KEYWORD = /^[^\x00-\x20\x7f-\uffff(){%*"\\\]]+$/;
const MAX_FLAGS = 100;

/** What is no flag is left out (RFC 5232 2.: an implementation may ignore it). */
export function splitFlags(texts: readonly string[]): string[] {
  const flags = new Map<string, string>();
  for (const text of texts) {
    for (const word of text.split(" ")) {
      const folded = word.toLowerCase();
      const flag = SYSTEM.get(folded) ?? (KEYWORD.test(word) ? word : null);
      if (flag !== null && !flags.has(folded) && flags.size < MAX_FLAGS) flags.set(folded, flag);
    }
  }
  return [...flags.values()];
}

export function flagsOf({ flags }: Run): readonly string[] {
  return flags ?? [];
}
