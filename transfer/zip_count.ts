/**
 * How many messages a zip has, by the directory at its end (APPNOTE 4.3.12, 4.3.14 to 4.3.16), without reading the rest.
 *
 * For a bar only: what is brought is what stands in the archive. Memory: the directory, at most {@linkcode MAX_DIRECTORY_OCTETS}.
 */
import { latin1 } from "../bytes/decode.ts";

const END = 0x06054b50, END_OCTETS = 22;
const WIDE_LOCATOR = 0x07064b50, WIDE_LOCATOR_OCTETS = 20, WIDE_END = 0x06064b50, WIDE_END_OCTETS = 56;
const CENTRAL = 0x02014b50, CENTRAL_OCTETS = 46;
const MAX_COMMENT_OCTETS = 65_535;
const MAX_DIRECTORY_OCTETS = 128 * 1024 * 1024;

/** 0 where the directory cannot be found or is too large. */
export function messagesInZip(path: string): number {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  const from = Math.max(0, size - MAX_COMMENT_OCTETS - END_OCTETS - WIDE_LOCATOR_OCTETS - WIDE_END_OCTETS);
  const tail = readAt(file, from, size - from);
  const directory = directoryIn(tail);
  if (directory === null || directory.octets > MAX_DIRECTORY_OCTETS) return 0;
  const start = from + directory.end - directory.octets;
  return start < 0 ? 0 : countOf(readAt(file, start, directory.octets));
}

/** Where the directory ends, counted from the beginning of `tail`, and its size. */
function directoryIn(tail: DataView): { readonly end: number; readonly octets: number } | null {
  let end = tail.byteLength - END_OCTETS;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) return null;
  const wide = end - WIDE_LOCATOR_OCTETS - WIDE_END_OCTETS;
  return wide >= 0 && tail.getUint32(end - WIDE_LOCATOR_OCTETS, true) === WIDE_LOCATOR &&
      tail.getUint32(wide, true) === WIDE_END
    ? { end: wide, octets: Number(tail.getBigUint64(wide + 40, true)) }
    : { end, octets: tail.getUint32(end + 12, true) };
}

function countOf(directory: DataView): number {
  let count = 0;
  for (
    let at = 0;
    at + CENTRAL_OCTETS <= directory.byteLength && directory.getUint32(at, true) === CENTRAL;
  ) {
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.getUint16(at + field, true)) as [
      number,
      number,
      number,
    ];
    const end = Math.min(directory.byteLength, at + CENTRAL_OCTETS + name);
    const octets = new Uint8Array(directory.buffer, directory.byteOffset, directory.byteLength);
    if (isMessage(latin1(octets, Math.max(at + CENTRAL_OCTETS, end - 4), end))) count++;
    at += CENTRAL_OCTETS + name + extra + comment;
  }
  return count;
}

/** By its name. */
export function isMessage(name: string): boolean {
  return /\.eml$/i.test(name);
}

function readAt(file: Deno.FsFile, at: number, octets: number): DataView {
  const bytes = new Uint8Array(octets);
  file.seekSync(at, Deno.SeekMode.Start);
  let filled = 0;
  for (let count: number | null = 1; filled < octets && count !== null; filled += count ?? 0) {
    count = file.readSync(bytes.subarray(filled));
  }
  return new DataView(bytes.buffer, 0, filled);
}
