/** Which files text is looked for in: by what the mail says of an attachment, then by its first octets. Pure. */
import { latin1 } from "../../bytes/decode.ts";

const TYPES: ReadonlySet<string> = new Set([
  "APPLICATION/PDF",
  "APPLICATION/X-PDF",
  "APPLICATION/RTF",
  "TEXT/RTF",
  "APPLICATION/MSWORD", // many send RTF and the newer forms so
]);
/** ECMA-376 and ISO 26300; their macro forms are `application/vnd.ms-word.document.macroEnabled.12` and the like. */
const OFFICE_TYPES =
  /^APPLICATION\/VND\.(?:OPENXMLFORMATS-OFFICEDOCUMENT\.|OASIS\.OPENDOCUMENT\.(?:TEXT|SPREADSHEET|PRESENTATION)|MS-(?:WORD|EXCEL|POWERPOINT)\b)/;
const NAMES = /\.(?:pdf|rtf|do[ct][xm]|xl[st][xm]|pp[st][xm]|pot[xm]|o[td][tsp])\s*$/i;

/** Whether an attachment of this type (upper case) and name (null: none) is worth a look. */
export function mayHaveText(contentType: string, name: string | null): boolean {
  return TYPES.has(contentType) || OFFICE_TYPES.test(contentType) || (name !== null && NAMES.test(name));
}

export type FileKind = "pdf" | "zip" | "rtf" | "ole" | "other";

/** PDF readers take a header anywhere in the first kilobyte (ISO 32000-1, annex H.3). */
const HEAD_OCTETS = 1_024;

export function fileKind(octets: Uint8Array): FileKind {
  const head = latin1(octets, 0, Math.min(octets.length, HEAD_OCTETS));
  if (head.startsWith("PK\x03\x04")) return "zip";
  if (head.startsWith("{\\rtf")) return "rtf";
  if (head.startsWith("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) return "ole";
  return head.includes("%PDF-") ? "pdf" : "other";
}
