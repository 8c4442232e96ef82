/** Parts that others could not read or relay get another encoding: binary ones, NUL, and lines that are too long of a login. */
import { BINARY_OUTSIDE_PARTS, type Reply } from "../../protocols/smtp/reply.ts";
import { reencodeBinaryParts } from "../binary_parts.ts";
import { MAX_LINE_OCTETS } from "../header_fold.ts";
import { reencodeLongLines } from "../long_lines.ts";
import { countMended } from "../reception_metrics.ts";
import type { Content } from "./content.ts";
import type { Mail } from "./mail.ts";

export function reencode({ envelope, content }: Mail): Promise<Reply | null> | null {
  if (envelope.parameters.body === "BINARYMIME" || content.holdsNul) return withoutBinary(content);
  return content.submitted && content.message.longestLineOctets > MAX_LINE_OCTETS
    ? withoutLongLines(content)
    : null;
}

async function withoutBinary(content: Content): Promise<Reply | null> {
  const reencoded = await content.rewrite(reencodeBinaryParts);
  if (reencoded === "unmendable") return BINARY_OUTSIDE_PARTS;
  if (reencoded !== null) countMended("binary");
  return null;
}

async function withoutLongLines(content: Content): Promise<null> {
  if (await content.rewrite(reencodeLongLines) !== null) countMended("long-lines");
  return null;
}
