/** Where the text of attachments comes from; in a server a process of its own (server/extract_process.ts). */
import type { FileOutcome } from "./extract/extraction.ts";

/** `time`: not done within it. `crashed`: its reader died of it, mostly for want of memory. */
export type ExtractOutcome = FileOutcome | "time" | "crashed";

export interface Extracted {
  readonly outcome: ExtractOutcome;
  /** "" unless `extracted`. */
  readonly text: string;
  /** For the log, else "". */
  readonly fault: string;
  /** Processor time, milliseconds. */
  readonly usedMs: number;
}

export interface FileToRead {
  readonly octets: Uint8Array;
  /** The most that is taken of its text. */
  readonly characters: number;
  /** Processor time it may take. */
  readonly timeMs: number;
}

export interface TextExtractor {
  /** One file at a time. Rejects with an {@linkcode ExtractorFault} where the file is not to blame. */
  extract(file: FileToRead): Promise<Extracted>;
  close(): Promise<void>;
}

/** There is no extractor just now; another try may find one. */
export class ExtractorFault extends Error {
  override readonly name = "ExtractorFault";
  readonly temporary = true;
}
