/** Regular expressions of operators: re2js, whose time grows in a straight line with the text; loaded where one is used. */

/** Compiles an expression, without regard to case; throws where it is none (the configuration was checked before). */
export type PatternEngine = (source: string) => (text: string) => boolean;

export async function loadPatternEngine(): Promise<PatternEngine> {
  const { RE2JS } = await import("re2js");
  return (source) => {
    const expression = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
    return (text) => expression.matcher(text).find();
  };
}
