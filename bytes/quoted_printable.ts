/** Quoted-printable (RFC 2045 6.7): lines of at most 76 characters, CRLF kept as line ends. */
import { CR, EQUAL, LF, SP, TAB } from "./ascii.ts";

const HEX = "0123456789ABCDEF";

/** Encodes text octets with CRLF line ends; any other CR or LF is encoded. */
export function encodeQuotedPrintable(bytes: Uint8Array): string {
  const lines: string[] = [];
  let line = "";
  for (let i = 0; i < bytes.length; i++) {
    const octet = bytes[i]!;
    if (octet === CR && bytes[i + 1] === LF) {
      lines.push(line, "\r\n");
      line = "";
      i++;
      continue;
    }
    const last = i + 1 === bytes.length || (bytes[i + 1] === CR && bytes[i + 2] === LF);
    const plain = octet >= 33 && octet <= 126 && octet !== EQUAL || (octet === SP || octet === TAB) && !last;
    const piece = plain ? String.fromCharCode(octet) : `=${HEX[octet >> 4]}${HEX[octet & 15]}`;
    if (line.length + piece.length > (last ? 76 : 75)) {
      lines.push(line, "=\r\n");
      line = "";
    }
    line += piece;
  }
  lines.push(line);
  return lines.join("");
}

/** Decodes leniently: what is no valid escape stands for itself; bare white space before a line end is dropped. */
export function decodeQuotedPrintable(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const out = new Uint8Array(end - start);
  let length = 0;
  /** Behind the last escape or soft break: white space before it stays (6.7 (3)). */
  let escaped = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    if (octet === LF) {
      const hard = length > escaped && out[length - 1] === CR;
      if (hard) length--;
      while (length > escaped && (out[length - 1] === SP || out[length - 1] === TAB)) length--;
      if (hard) out[length++] = CR;
      out[length++] = LF;
    } else if (octet !== EQUAL) out[length++] = octet;
    else {
      const high = hex(bytes[i + 1]), low = hex(bytes[i + 2]);
      if (i + 2 < end && high >= 0 && low >= 0) {
        out[length++] = high << 4 | low;
        escaped = length;
        i += 2;
        continue;
      }
      let next = i + 1;
      while (next < end && (bytes[next] === SP || bytes[next] === TAB)) next++;
      if (next >= end) break;
      escaped = length;
      if (bytes[next] === CR && bytes[next + 1] === LF) i = next + 1;
      else if (bytes[next] === LF) i = next;
      else out[length++] = octet;
    }
  }
  return out.subarray(0, length);
}

function hex(octet: number | undefined): number {
  if (octet === undefined) return -1;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const folded = octet | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}
