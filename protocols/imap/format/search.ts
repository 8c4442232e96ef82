/** SEARCH responses (RFC 3501 7.2.5): numbers on one line. Pure. */

/** The line in pieces of bounded size, so that a million hits are never one string. */
export function* formatSearch(numbers: readonly number[], perPiece = 4_000): Generator<string> {
  yield "* SEARCH";
  for (let i = 0; i < numbers.length; i += perPiece) yield " " + numbers.slice(i, i + perPiece).join(" ");
  yield "\r\n";
}
