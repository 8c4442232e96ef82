/**
 * Parts of a zip as they are inflated, in pieces, under one budget for the whole file: a bomb ends it, and is never held.
 */
import { Inflate } from "fflate";
import type { ZipEntry } from "../../bytes/zip_directory.ts";
import { FileFault } from "./extraction.ts";

/** At most 1,032 times as much comes out at once. */
const PIECE_OCTETS = 1_024;
const STORED = 0, DEFLATED = 8;

/** What may still come out of a file, octets. */
export class Expansion {
  #left: number;

  constructor(octets: number) {
    this.#left = octets;
  }

  /** Throws a FileFault when it is too much. */
  spend(octets: number): void {
    this.#left -= octets;
    if (this.#left < 0) throw new FileFault("too-large");
  }
}

/** Gives the pieces of an entry to `take` until that returns false. Throws a FileFault where it cannot be unpacked. */
export function unpack(
  zip: Uint8Array,
  entry: ZipEntry,
  { expansion, take }: { readonly expansion: Expansion; readonly take: (piece: Uint8Array) => boolean },
): void {
  if (entry.encrypted) throw new FileFault("encrypted");
  const packed = zip.subarray(entry.start, entry.end);
  let more = true;
  const pass = (piece: Uint8Array) => {
    expansion.spend(piece.length);
    if (more) more = take(piece);
  };
  if (entry.method !== STORED && entry.method !== DEFLATED) throw new FileFault("unsupported");
  const stream = entry.method === STORED ? null : new Inflate(pass);
  for (let at = 0; at < packed.length && more; at += PIECE_OCTETS) {
    const piece = packed.subarray(at, at + PIECE_OCTETS);
    if (stream === null) pass(piece);
    else stream.push(piece, at + PIECE_OCTETS >= packed.length);
  }
}
