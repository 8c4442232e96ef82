/** Small PDF files around a content stream. */
import { joined } from "../../bytes/joined.ts";
import { Zlib, zlibSync } from "fflate";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";

/** One page in Helvetica. */
export function pdfOf(
  content: string | Uint8Array,
  options: { readonly deflated?: boolean } = {},
): Uint8Array<ArrayBuffer> {
  const plain = typeof content === "string" ? encodeLatin1(content) : content;
  return options.deflated === true ? aroundStream(zlibSync(plain), true) : aroundStream(plain, false);
}

/** A page of so many megabytes of blanks, packed. */
export function pdfBomb(megabytes: number): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  const packer = new Zlib({ level: 6 }, (piece) => void pieces.push(piece));
  const blanks = new Uint8Array(1024 * 1024).fill(0x20);
  for (let i = 1; i <= megabytes; i++) packer.push(blanks, i === megabytes);
  return aroundStream(joined(pieces), true);
}

function aroundStream(octets: Uint8Array, deflated: boolean): Uint8Array<ArrayBuffer> {
  const stream = latin1(octets);
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R " +
    "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
    `<< /Length ${stream.length}${deflated ? " /Filter /FlateDecode" : ""} >>\nstream\n${stream}\nendstream`,
  ];
  let file = "%PDF-1.4\n";
  const offsets = objects.map((object, i) => {
    const offset = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const xref = file.length;
  const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}` +
    `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return encodeLatin1(file);
}

/** A page that says this, in ASCII without parentheses. */
export function pdfSaying(text: string): Uint8Array<ArrayBuffer> {
  return pdfOf(`BT /F1 12 Tf 72 720 Td (${text}) Tj ET`);
}
