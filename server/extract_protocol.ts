/** What the server and the process that takes text out of attachments say to each other, each a frame (frames.ts). */
import type { Extraction } from "../search/extract/extraction.ts";
import type { FileToRead } from "../search/text_extractor.ts";

/** What stands before the octets of a file: characters, then milliseconds, four octets each. */
const HEAD = 8;

/** From the process, for each file both. `ready`: from here on it is the file's fault if nothing more comes. */
export type ExtractLine = { readonly ready: true } | ExtractAnswer;
export type ExtractAnswer = Extraction & { readonly usedMs: number };

export function packFile({ octets, characters, timeMs }: FileToRead): Uint8Array {
  const request = new Uint8Array(HEAD + octets.length);
  const head = new DataView(request.buffer);
  head.setUint32(0, characters);
  head.setUint32(4, timeMs);
  request.set(octets, HEAD);
  return request;
}

export function unpackFile(request: Uint8Array<ArrayBuffer>): FileToRead {
  const head = new DataView(request.buffer, request.byteOffset);
  return { octets: request.subarray(HEAD), characters: head.getUint32(0), timeMs: head.getUint32(4) };
}
