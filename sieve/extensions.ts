/**
 * The extensions that scripts may require, which is also what ManageSieve advertises. Pure.
 */
import { COMPARATORS } from "./comparator.ts";

/** Extensions that need others, which they bring along. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = {
  "vacation-seconds": ["vacation"],
  "spamtestplus": ["spamtest"],
};

const NAMES = [
  "body", // RFC 5173
  "copy", // RFC 3894
  "date", // RFC 5260
  "duplicate", // RFC 7352
  "editheader", // RFC 5293
  "encoded-character", // RFC 5228
  "enotify", // RFC 5435, RFC 5436
  "envelope", // RFC 5228
  "environment", // RFC 5183
  "ereject", // RFC 5429
  "extlists", // RFC 6134
  "extracttext", // RFC 5703
  "fcc", // RFC 8580
  "fileinto", // RFC 5228
  "foreverypart", // RFC 5703
  "ihave", // RFC 5463
  "imap4flags", // RFC 5232
  "imapsieve", // RFC 6785
  "include", // RFC 6609
  "index", // RFC 5260
  "mailbox", // RFC 5490
  "mailboxid", // RFC 9042
  "mboxmetadata", // RFC 5490
  "mime", // RFC 5703
  "redirect-dsn", // RFC 6009
  "regex", // draft-ietf-sieve-regex
  "reject", // RFC 5429
  "relational", // RFC 5231
  "servermetadata", // RFC 5490
  "spamtest", // RFC 5235
  "spamtestplus", // RFC 5235
  "special-use", // RFC 8579
  "subaddress", // RFC 5233
  "vacation", // RFC 5230
  "vacation-seconds", // RFC 6131
  "variables", // RFC 5229
  "virustest", // RFC 5235
];

export const EXTENSIONS: ReadonlySet<string> = new Set([
  ...NAMES,
  ...[...COMPARATORS.keys()].map((name) => `comparator-${name}`),
]);

/** The extension and those it brings along; null when it is not known. */
export function withImplied(extension: string): readonly string[] | null {
  return EXTENSIONS.has(extension) ? [extension, ...(IMPLIED[extension] ?? [])] : null;
}

/** Methods of `notify` (RFC 5435 3.), for the NOTIFY capability of ManageSieve. */
export const NOTIFY_METHODS: readonly string[] = ["mailto"];
