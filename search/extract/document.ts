/** Text of a file that is not a PDF: office files, RTF. Small and quick beside pdf.ts, hence apart from it. */
import { Buffer } from "node:buffer";
import { extractBy, type Extraction, FileFault } from "./extraction.ts";
import { fileKind } from "./file_kind.ts";
import { officeText } from "./office.ts";
import { rtfText } from "./rtf.ts";

/** A stream of a compound file that holds an encrypted Office Open XML file (MS-OFFCRYPTO 2.3.4.5). */
const ENCRYPTED_PACKAGE = Buffer.from("EncryptedPackage", "utf16le");

/** At most so many characters. */
export async function documentText(octets: Uint8Array, characters: number): Promise<Extraction> {
  return await extractBy((sink) => {
    switch (fileKind(octets)) {
      case "zip":
        return officeText(octets, sink);
      case "rtf":
        return rtfText(octets, sink);
      case "ole":
        throw new FileFault(
          Buffer.from(octets.buffer, octets.byteOffset, octets.length).includes(ENCRYPTED_PACKAGE)
            ? "encrypted"
            : "unsupported",
        );
      default:
        throw new FileFault("unsupported");
    }
  }, characters);
}
