/** Flag lists in responses (RFC 3501 7.2.6, 7.4.2). Pure; hot (bench/micro/imap_fetch_bench.ts). */
import { SYSTEM_FLAGS } from "../lexer.ts";

const RECENT = 1 << SYSTEM_FLAGS.length;

/** The text of every combination of system flags and \Recent, without parentheses. */
const COMBINATIONS: readonly string[] = Array.from({ length: RECENT * 2 }, (_, bits) => {
  const names = SYSTEM_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0) as string[];
  if ((bits & RECENT) !== 0) names.push("\\Recent");
  return names.join(" ");
});

/** `(\Seen $Label)`; `keywords` are separated by one space, "" for none. */
export function formatFlags(flags: number, keywords: string, recent: boolean): string {
  const system = COMBINATIONS[(flags & (RECENT - 1)) | (recent ? RECENT : 0)]!;
  if (keywords === "") return `(${system})`;
  return system === "" ? `(${keywords})` : `(${system} ${keywords})`;
}

/** What a client may change for good, as bits of the system flags. */
export interface PermanentFlags {
  readonly flags: number;
  readonly keywords: boolean;
}

/** FLAGS and PERMANENTFLAGS of SELECT. `keywords` are those in use. */
export function formatSelectFlags(keywords: readonly string[], may: PermanentFlags): string {
  const all = [...SYSTEM_FLAGS, ...keywords].join(" ");
  const permanent = [
    ...SYSTEM_FLAGS.filter((_, bit) => (may.flags & (1 << bit)) !== 0),
    ...(may.keywords ? [...keywords, "\\*"] : []),
  ].join(" ");
  return `* FLAGS (${all})\r\n* OK [PERMANENTFLAGS (${permanent})] Flags permitted\r\n`;
}
