/** Text of attached files without the process that takes it out, and messages with such files. */
import { encode } from "../../bytes/decode.ts";
import type { IndexerOptions } from "../../search/indexer.ts";
import type { Extracted, ExtractOutcome, FileToRead, TextExtractor } from "../../search/text_extractor.ts";

export const ATTACHMENT_LIMITS = { fileOctets: 10_000, characters: 100, timeMs: 1_000 };

/** Takes what follows "%PDF-" for the text, and does what the text says. */
export class FakeExtractor implements TextExtractor {
  readonly files: string[] = [];
  fault: Error | null = null;
  /** Awaited by each file. */
  gate: Promise<void> = Promise.resolve();

  async extract({ octets, characters }: FileToRead): Promise<Extracted> {
    if (this.fault !== null) throw this.fault;
    const text = new TextDecoder().decode(octets).replace(/^%PDF-/, "").trim();
    this.files.push(text);
    await this.gate;
    const outcome = (/^!(\S+)/.exec(text)?.[1] ?? "extracted") as ExtractOutcome;
    const usedMs = outcome === "time" ? 2_000 : 1;
    return { outcome, text: outcome === "extracted" ? text.slice(0, characters) : "", fault: "", usedMs };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function withFiles(extractor: TextExtractor): IndexerOptions["attachments"] {
  return { extractor, limits: ATTACHMENT_LIMITS };
}

/** A message with attached "PDF" files of these texts. */
export function mail(body: string, ...files: readonly string[]): string {
  const parts = files.map((file) =>
    `--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n${
      encode(`%PDF-${file}`).toBase64()
    }\r\n`
  );
  return `Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n${body}\r\n` +
    `${parts.join("")}--b--\r\n`;
}
