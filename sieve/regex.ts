/**
 * Expressions of `:regex` (draft-ietf-sieve-regex), run by an engine whose time grows in a straight line with the text.
 *
 * Longest match, as POSIX has it. Back-references cannot be had in such an engine and are refused with their place. The
 * engine is loaded by the first script that asks for it.
 */

export interface RegexEngine {
  /** A compiled expression, or what is wrong with it and where in the text of the expression. */
  compile(pattern: string, options: { readonly foldsCase: boolean }): Expression | RegexFault;
}

export interface RegexFault {
  readonly offset: number;
  readonly text: string;
}

/** The match and its groups, "" where a group took no part; null without a match. */
export type Expression = (text: string) => string[] | null;

/** Groups that become match variables. */
const MAX_GROUPS = 32;
const BACK_REFERENCE = /\\(?:\\|[1-9]|.)/gs;

export async function loadRegexEngine(): Promise<RegexEngine> {
  const { RE2JS } = await import("re2js");
  return {
    compile(pattern, { foldsCase }) {
      for (const match of pattern.matchAll(BACK_REFERENCE)) {
        if (/^\\[1-9]$/.test(match[0])) {
          return { offset: match.index, text: `back-references like ${match[0]} are not supported` };
        }
      }
      try {
        const flags = RE2JS.LONGEST_MATCH | (foldsCase ? RE2JS.CASE_INSENSITIVE : 0);
        const compiled = RE2JS.compile(pattern, flags);
        return (text) => {
          const matcher = compiled.matcher(text);
          if (!matcher.find()) return null;
          const groups = Math.min(matcher.groupCount(), MAX_GROUPS);
          return Array.from({ length: groups + 1 }, (_, i) => matcher.group(i) ?? "");
        };
      } catch (error) {
        // The engine throws on what it cannot read; that is the script's fault.
        return {
          offset: 0,
          text: `no expression: ${error instanceof Error ? error.message : String(error)}`,
        };
      }
    },
  };
}

export function isRegexFault(result: Expression | RegexFault): result is RegexFault {
  return typeof result !== "function";
}
