/**
 * Fuzzing what takes text out of attached files: zips of XML, RTF, and PDF.
 *
 * Whatever a file holds there is an outcome and at most as much text as asked for, well-formed. XML reads the same however it is
 * cut.
 */
import assert from "node:assert/strict";
import { zipSync } from "fflate";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { documentText } from "../../search/extract/document.ts";
import { type Extraction, FileFault } from "../../search/extract/extraction.ts";
import { pdfText } from "../../search/extract/pdf.ts";
import { XmlText } from "../../search/extract/xml_text.ts";
import { pdfSaying } from "../search/pdf_file.ts";
import { cutsOf, Finding, fuzz, mutate, pieces, Random } from "./fuzzing.ts";

const CHARACTERS = 500;
const XML = '<?xml version="1.0"?><w:document a="b>" ><w:p><w:t>one &amp; two</w:t><w:tab/></w:p>' +
  "<!-- c --><w:p><w:t><![CDATA[three]]></w:t>&#x41;</w:p></w:document>";
const DOCUMENTS = [
  latin1(zipSync({ "word/document.xml": encode(XML) }, { level: 0 })),
  latin1(zipSync({ "word/document.xml": encode(XML), "docProps/core.xml": encode(XML) })),
  latin1(zipSync({ "content.xml": encode(`<body>${XML}</body>`), "META-INF/manifest.xml": encode("<a/>") })),
  "{\\rtf1\\ansi\\ansicpg1251{\\fonttbl{\\f0 X;}}\\uc2 a\\u-4000??b\\'e4\\par{\\*\\x y}\\bin3 {}}\\emdash}",
];
const TOKENS = [
  ...[
    "PK\x03\x04",
    "PK\x01\x02",
    "\xff\xff\xff\xff",
    "<",
    ">",
    "</",
    "<![CDATA[",
    "]]>",
    "<!--",
    "&",
    "&#",
    '"',
  ],
  ...["{", "}", "\\bin9 ", "\\u", "\\'", "\\*", "\\uc0", "<w:t>", "\xff\xfe"],
];
const PDFS = [latin1(pdfSaying("hello"))];
const PDF_TOKENS = [
  ...[
    "<<",
    ">>",
    "[",
    "]",
    "(",
    ")",
    "stream\n",
    "endstream",
    "endobj",
    "1 0 R",
    "3 0 R",
    "/Kids",
    "/Prev 9",
  ],
  ...[
    "/Type /ObjStm",
    "/Filter /LZWDecode",
    "/Filter /ASCII85Decode",
    "/Encrypt 4 0 R",
    "99999999999",
    "-1",
    " Tj ",
    " Do ",
  ],
];

/** Markup by itself: what is read of a zip is mostly that. */
export function fuzzXmlText(seed: number, runs: number): void {
  const make = (random: Random) => encodeLatin1(mutate(random, XML, { tokens: TOKENS, maxChanges: 6 }));
  fuzz({ make, check: checkXmlText }, seed, runs);
}

export function checkXmlText(input: Uint8Array): void {
  const read = (parts: readonly Uint8Array[]) => {
    let said = "";
    const reader = new XmlText({
      open: (name) => void (said += `<${name}>`),
      close: (name) => void (said += `</${name}>`),
      text: (text) => void (said += text),
    });
    try {
      for (const part of parts) reader.push(latin1(part));
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      said += "!";
    }
    return said;
  };
  const whole = read([input]);
  for (const cuts of [cutsOf(input, 3), Array.from(input, (_, i) => i + 1)]) {
    // What is cut within its last entity or tag is not told: both end there.
    const cut = read(pieces(input, cuts));
    assert.ok(whole.startsWith(cut) || cut.startsWith(whole), `${cut}\n${whole}`);
  }
}

export async function fuzzDocument(seed: number, runs: number): Promise<void> {
  await fuzzFiles({ seeds: DOCUMENTS, tokens: TOKENS, check: checkDocument }, seed, runs);
}

export async function checkDocument(input: Uint8Array): Promise<void> {
  checkExtraction(await documentText(input, CHARACTERS));
}

export async function fuzzPdf(seed: number, runs: number): Promise<void> {
  await fuzzFiles({ seeds: PDFS, tokens: PDF_TOKENS, check: checkPdf }, seed, runs);
}

export async function checkPdf(input: Uint8Array): Promise<void> {
  checkExtraction(await pdfText(input.slice(), CHARACTERS));
}

function checkExtraction({ outcome, text }: Extraction): void {
  assert.ok(text.length <= CHARACTERS && text.isWellFormed());
  assert.equal(outcome === "extracted", text !== "");
}

async function fuzzFiles(
  target: {
    readonly seeds: readonly string[];
    readonly tokens: readonly string[];
    readonly check: (input: Uint8Array) => Promise<void>;
  },
  seed: number,
  runs: number,
): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = encodeLatin1(
      mutate(random, random.pick(target.seeds), { tokens: target.tokens, maxChanges: 8 }),
    );
    try {
      await target.check(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}
