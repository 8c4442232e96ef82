/** BODY[HEADER.FIELDS (...)] and its opposite: the chosen fields of a header block, whole, in order, and an empty line. */
import { CRLF } from "../bytes/ascii.ts";
import { scanFields } from "./header.ts";

/**
 * RFC 3501 6.4.5. `names` are in lower case; `not` takes all other fields. A block without any chosen field gives the
 * empty line alone.
 */
export function headerFields(
  block: Uint8Array,
  names: ReadonlySet<string>,
  options: { not: boolean },
): Uint8Array {
  const spans = scanFields(block, 0, block.length).filter((span) => names.has(span.name) !== options.not);
  const size = spans.reduce((sum, span) => sum + span.end - span.start, CRLF.length);
  const result = new Uint8Array(size);
  let at = 0;
  for (const span of spans) {
    result.set(block.subarray(span.start, span.end), at);
    at += span.end - span.start;
  }
  result.set(CRLF, at);
  return result;
}
