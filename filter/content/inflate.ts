/** Inflating with a limit: packed octets go in small pieces, so that a bomb is noticed after one of them. */
import { joined } from "../../bytes/joined.ts";
import { Gunzip, Inflate } from "fflate";

/** At most 1,032 times as much comes out at once. */
const PIECE_OCTETS = 1_024;
/** Others get their turn after so much work. */
const PAUSE_OCTETS = 512 * 1024;

export interface Inflated {
  readonly octets: Uint8Array;
  /** `cut`: there was more than the limit. `broken`: what came before is given. */
  readonly end: "whole" | "cut" | "broken";
}

/** `most` octets of what comes out. */
export async function inflate(
  packed: Uint8Array,
  { form, most }: { readonly form: "deflate" | "gzip"; readonly most: number },
): Promise<Inflated> {
  const pieces: Uint8Array[] = [];
  let octets = 0;
  const take = (piece: Uint8Array) => {
    if (octets < most) pieces.push(piece.subarray(0, most - octets));
    octets += piece.length;
  };
  const stream = form === "gzip" ? new Gunzip(take) : new Inflate(take);
  let end: Inflated["end"] = "whole";
  let pauseAt = PAUSE_OCTETS;
  for (let at = 0; at < packed.length && octets <= most; at += PIECE_OCTETS) {
    try {
      stream.push(packed.subarray(at, at + PIECE_OCTETS), at + PIECE_OCTETS >= packed.length);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      end = "broken"; // the library's only way to say so
      break;
    }
    if (octets >= pauseAt) {
      pauseAt = octets + PAUSE_OCTETS;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
  if (octets > most) end = "cut";
  return { octets: joined(pieces), end };
}
