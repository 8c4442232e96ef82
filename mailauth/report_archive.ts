/**
 * A report out of its attachment: gzip, a zip with one file, or as it is. Bombs end in null, not in memory.
 *
 * Inflating stops at {@linkcode MAX_REPORT_OCTETS}; a zip's directory is not believed, only what comes out counts.
 */
import { joined } from "../bytes/joined.ts";
import { Gunzip, Unzip, UnzipInflate } from "fflate";
import { MAX_ARCHIVE_OCTETS, MAX_REPORT_OCTETS } from "./report_limits.ts";

const PIECE_OCTETS = 16 * 1024;

/** Null where it is too large, or cannot be read. */
export function reportText(octets: Uint8Array): string | null {
  if (octets.length > MAX_ARCHIVE_OCTETS) return null;
  const whole = octets[0] === 0x1f && octets[1] === 0x8b
    ? gunzip(octets)
    : octets[0] === 0x50 && octets[1] === 0x4b
    ? unzipFirst(octets)
    : octets;
  if (whole === null) return null;
  return new TextDecoder("utf-8").decode(whole);
}

class TooLarge extends Error {}

class Sink {
  #pieces: Uint8Array[] = [];
  #octets = 0;

  take(piece: Uint8Array): void {
    this.#octets += piece.length;
    if (this.#octets > MAX_REPORT_OCTETS) throw new TooLarge();
    this.#pieces.push(piece);
  }

  whole(): Uint8Array {
    return joined(this.#pieces);
  }
}

function gunzip(octets: Uint8Array): Uint8Array | null {
  const sink = new Sink();
  return fed(new Gunzip((piece) => sink.take(piece)), octets) ? sink.whole() : null;
}

function unzipFirst(octets: Uint8Array): Uint8Array | null {
  const sink = new Sink();
  let files = 0;
  const unzip = new Unzip((file) => {
    if (++files > 1) throw new TooLarge();
    file.ondata = (error, piece) => {
      if (error !== null) throw error;
      sink.take(piece);
    };
    file.start();
  });
  unzip.register(UnzipInflate);
  return fed(unzip, octets) && files === 1 ? sink.whole() : null;
}

/** In small pieces, so that a bomb is noticed after one of them has been inflated. */
function fed(stream: { push(piece: Uint8Array, last?: boolean): void }, octets: Uint8Array): boolean {
  try {
    for (let at = 0; at < octets.length; at += PIECE_OCTETS) {
      stream.push(octets.subarray(at, at + PIECE_OCTETS), at + PIECE_OCTETS >= octets.length);
    }
    return true;
  } catch (error) {
    if (error instanceof Error) return false; // the library's only way to say that it is broken, and ours
    throw error;
  }
}
