/**
 * The inside of a Worker that takes text out of files (extract_document_worker.ts, extract_pdf_worker.ts): no permissions,
 * and nothing of the server's but the octets of one file at a time.
 */
import type { Extraction } from "../search/extract/extraction.ts";

/** To the Worker; `octets` are its own from then on. */
export interface ExtractRequest {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly characters: number;
}

interface Scope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ExtractRequest>) => void): void;
}

/** Says "loaded" first, then answers each request with an Extraction. */
export function serveExtraction(
  extract: (octets: Uint8Array, characters: number) => Promise<Extraction>,
): void {
  // Standard output is for frames: what a library says of a file there could pass for one.
  for (
    const name of ["log", "info", "debug", "dir", "dirxml", "table", "group", "count", "timeEnd"] as const
  ) {
    console[name] = console.error;
  }
  const scope = globalThis as unknown as Scope;
  scope.addEventListener("message", ({ data: { octets, characters } }) => {
    extract(octets, characters).then((extraction) => scope.postMessage(extraction));
  });
  scope.postMessage("loaded");
}
