/** The files of a tar archive (POSIX ustar, GNU long names), without copying them. Pure. */
import { latin1, utf8OrNull } from "../../bytes/decode.ts";
import { isTarHeader, octal } from "./true_type.ts";

export interface TarEntry {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const BLOCK = 512;
const MAX_NAME = 1_000;

/** At most `limit` entries; `more` when there are others. It ends where a header is broken. */
export function tarEntries(octets: Uint8Array, limit: number): { entries: TarEntry[]; more: boolean } {
  const entries: TarEntry[] = [];
  let longName = "";
  // Headers of long names count too, so that a file of nothing else ends.
  for (let at = 0, headers = 0; isTarHeader(octets, at); headers++) {
    if (entries.length >= limit || headers >= 2 * limit) return { entries, more: true };
    const size = octal(octets, at + 124, at + 136);
    if (size === null) break;
    const start = at + BLOCK;
    const end = Math.min(octets.length, start + size);
    const type = latin1(octets, at + 156, at + 157);
    if (type === "L") longName = textOf(octets, start, Math.min(end, start + MAX_NAME));
    else {
      if (type === "0" || type === "\0" || type === "7") {
        entries.push({ name: longName === "" ? nameOf(octets, at) : longName, start, end });
      }
      longName = "";
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return { entries, more: false };
}

function nameOf(octets: Uint8Array, at: number): string {
  const name = textOf(octets, at, at + 100);
  const prefix = latin1(octets, at + 257, at + 262) === "ustar" ? textOf(octets, at + 345, at + 500) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textOf(octets: Uint8Array, start: number, end: number): string {
  const nul = octets.subarray(start, end).indexOf(0);
  const last = nul < 0 ? end : start + nul;
  return utf8OrNull(octets, start, last) ?? latin1(octets, start, last);
}
