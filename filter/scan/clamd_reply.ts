/**
 * Replies of clamd (clamd(8)) to INSTREAM inside IDSESSION: `1: stream: OK`, `1: stream: NAME FOUND`, `... ERROR`. Pure.
 */
import { CLEAN, hit, ScanFault, type ScanResult } from "./result.ts";

/** What is longer is no reply. */
export const MAX_REPLY_OCTETS = 4_096;

/** Throws ScanFault where clamd says it could not. */
export function parseClamdReply(text: string, markOnly: readonly string[]): ScanResult {
  const line = text.replace(/^\d+: /, "").trim();
  const found = /^(?:[^:]*: )?(.+) FOUND$/s.exec(line);
  if (found !== null) return hit(found[1]!.replace(/\([0-9a-f]{32}:\d+\)$/, ""), markOnly);
  if (/^(?:[^:]*: )?OK$/.test(line)) return CLEAN;
  if (/size limit exceeded/i.test(line)) {
    return { kind: "not-scanned", why: "larger than the scanner takes" };
  }
  if (line === "") throw new ScanFault("an empty reply");
  throw new ScanFault("the scanner could not", { cause: line }); // it may name files of its host
}
