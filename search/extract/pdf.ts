/**
 * Text of PDF (ISO 32000), by pdf.js: page after page, and title, author, subject and keywords.
 *
 * Pages without text are passed over, as are those that cannot be read; a document that opens without a password is
 * read though it is encrypted. Fonts that only name a character collection of Adobe's (without ToUnicode) give no text:
 * those tables are larger than all the rest.
 */
import { getDocument, type PDFDocumentProxy } from "unpdf/pdfjs";
import { extractBy, type Extraction, FileFault, type TextSink } from "./extraction.ts";

const MAX_PAGES = 5_000;

/** At most so many characters. `octets` are the library's from here on. */
export async function pdfText(octets: Uint8Array, characters: number): Promise<Extraction> {
  return await extractBy((sink) => read(octets, sink), characters);
}

async function read(octets: Uint8Array, sink: TextSink): Promise<void> {
  const task = getDocument({
    data: octets,
    // Nothing is drawn and nothing loaded from elsewhere.
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    useWasm: false,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
    enableXfa: false,
    verbosity: 0,
  });
  try {
    const document = await task.promise;
    await readProperties(document, sink);
    await readPages(document, sink);
  } catch (error) {
    throw error instanceof Error && error.name === "PasswordException" ? new FileFault("encrypted") : error;
  } finally {
    await task.destroy();
  }
}

async function readProperties(document: PDFDocumentProxy, sink: TextSink): Promise<void> {
  const { info } = await document.getMetadata();
  const values = new Map(Object.entries(info));
  for (const name of ["Title", "Author", "Subject", "Keywords"]) {
    const value = values.get(name);
    if (typeof value === "string" && value !== "") sink.add(`${value}\n`);
  }
}

async function readPages(document: PDFDocumentProxy, sink: TextSink): Promise<void> {
  let broken = 0;
  const pages = Math.min(document.numPages, MAX_PAGES);
  for (let number = 1; number <= pages && !sink.full; number++) {
    try {
      await readPage(document, number, sink);
    } catch {
      broken++; // the others may be whole
    }
  }
  if (pages > 0 && broken === pages) throw new FileFault("damaged");
}

async function readPage(document: PDFDocumentProxy, number: number, sink: TextSink): Promise<void> {
  const page = await document.getPage(number);
  const reader = page.streamTextContent().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const item of value.items) {
      if ("str" in item) sink.add(item.hasEOL ? `${item.str}\n` : item.str);
    }
    if (sink.full) {
      await reader.cancel();
      break;
    }
  }
  sink.add("\n");
  page.cleanup();
}
