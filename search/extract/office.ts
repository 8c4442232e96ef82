/**
 * Text of office files: Office Open XML (ECMA-376: documents, sheets, slides, and their templates and macro forms) and
 * OpenDocument (ISO 26300: text, sheets, slides). Both are zips of XML.
 *
 * Taken are the text of all pages with headers, footers, notes and comments, texts and numbers of cells, and title,
 * subject, keywords, description and author. Not what is embedded: other documents, pictures, macros.
 */
import { zipEntries, type ZipEntry } from "../../bytes/zip_directory.ts";
import { FileFault, type TextSink } from "./extraction.ts";
import { type XmlEvents, XmlText } from "./xml_text.ts";
import { Expansion, unpack } from "./zipped.ts";

/** Entries of a file that are looked at by name. */
const MAX_ENTRIES = 10_000;
/** Parts of a file that are read: a presentation has two or three a slide. */
const MAX_PARTS = 2_000;
/** All parts of a file together, inflated. */
const MAX_EXPANDED_OCTETS = 64 * 1024 * 1024;

const PARTS: readonly (readonly [name: RegExp, read: (sink: TextSink) => XmlEvents])[] = [
  [/^word\/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml$/, openXml],
  [/^xl\/(?:sharedStrings|(?:comments\/)?comments?\d*|worksheets\/sheet\d+)\.xml$/, openXml],
  [/^ppt\/(?:slides\/slide|notesSlides\/notesSlide|comments\/\w+)\d*\.xml$/, openXml],
  [/^(?:docProps\/core|meta)\.xml$/, properties],
  [/^(?:content|styles)\.xml$/, openDocument],
];
const MANIFEST = "META-INF/manifest.xml";

/** Throws a FileFault where there is no text to be had. */
export function officeText(octets: Uint8Array, sink: TextSink): void {
  const { entries } = zipEntries(octets, MAX_ENTRIES);
  const expansion = new Expansion(MAX_EXPANDED_OCTETS);
  const manifest = entries.find(({ name }) => name === MANIFEST);
  if (manifest !== undefined) refuseEncrypted(octets, manifest, expansion);
  let parts = 0;
  for (const entry of entries) {
    const read = PARTS.find(([name]) => name.test(entry.name))?.[1];
    if (read === undefined) continue;
    if (++parts > MAX_PARTS || sink.full) return;
    readPart(octets, entry, { sink, expansion, xml: new XmlText(read(sink)) });
    sink.add("\n");
  }
  if (parts === 0) throw new FileFault("unsupported");
}

function readPart(
  octets: Uint8Array,
  entry: ZipEntry,
  { sink, expansion, xml }: {
    readonly sink: TextSink;
    readonly expansion: Expansion;
    readonly xml: XmlText;
  },
): void {
  let decoder: TextDecoder | null = null;
  unpack(octets, entry, {
    expansion,
    take(piece) {
      decoder ??= new TextDecoder(encodingOf(piece));
      xml.push(decoder.decode(piece, { stream: true }));
      return !sink.full;
    },
  });
}

/** XML is in UTF-8 unless it begins with the mark of UTF-16 (XML 1.0, 4.3.3). */
function encodingOf(piece: Uint8Array): string {
  if (piece[0] === 0xff && piece[1] === 0xfe) return "utf-16le";
  return piece[0] === 0xfe && piece[1] === 0xff ? "utf-16be" : "utf-8";
}

/** OpenDocument 1.2 part 3, 3.4: the manifest names each part that is encrypted. */
function refuseEncrypted(octets: Uint8Array, manifest: ZipEntry, expansion: Expansion): void {
  const events = {
    open(name: string) {
      if (name === "encryption-data") throw new FileFault("encrypted");
    },
    close() {},
    text() {},
  };
  const xml = new XmlText(events), decoder = new TextDecoder();
  unpack(octets, manifest, {
    expansion,
    take(piece) {
      xml.push(decoder.decode(piece, { stream: true }));
      return true;
    },
  });
}

/** Elements that part what is before them from what is behind. */
const BREAKS: ReadonlySet<string> = new Set(["p", "h", "si", "c", "br", "cr", "tab", "s", "line-break"]);
/** Elements of OpenDocument whose text is not on a page. */
const UNSEEN: ReadonlySet<string> = new Set(["tracked-changes", "script", "creator", "date"]);

/** A cell whose value is the number of a shared string, or of something else that is no text of it (18.18.11). */
const NUMBERED = /\st\s*=\s*["'](?:s|b|e)["']/;

/** Text is in `t` (17.3.3.31, 18.4.12, 21.1.2.3.11), values of cells (18.3.1.4) in `v`. */
function openXml(sink: TextSink): XmlEvents {
  let within = false, numbered = false;
  return {
    open(name, attributes) {
      if (name === "c") numbered = NUMBERED.test(attributes);
      within = name === "t" || (name === "v" && !numbered);
      if (BREAKS.has(name)) sink.add("\n");
    },
    close(name) {
      within = false;
      if (BREAKS.has(name)) sink.add("\n");
    },
    text(text) {
      if (within) sink.add(text);
    },
  };
}

function openDocument(sink: TextSink): XmlEvents {
  let pages = 0, unseen = 0;
  return {
    open(name) {
      if (name === "body" || name === "master-styles") pages++;
      if (UNSEEN.has(name)) unseen++;
      if (BREAKS.has(name)) sink.add("\n");
    },
    close(name) {
      if (name === "body" || name === "master-styles") pages--;
      if (UNSEEN.has(name)) unseen--;
      if (BREAKS.has(name)) sink.add("\n");
    },
    text(text) {
      if (pages > 0 && unseen <= 0) sink.add(text);
    },
  };
}

const PROPERTIES: ReadonlySet<string> = new Set([
  "title",
  "subject",
  "description",
  "keywords",
  "keyword",
  "creator",
  "initial-creator",
]);

function properties(sink: TextSink): XmlEvents {
  let within = false;
  return {
    open: (name) => void (within = PROPERTIES.has(name)),
    close() {
      if (within) sink.add("\n");
      within = false;
    },
    text(text) {
      if (within) sink.add(text);
    },
  };
}
