/** What a TLS client says first (RFC 8446 4.1.2 and 5.1), made by hand. */
import { encodeLatin1 } from "../../bytes/decode.ts";

const uint16 = (value: number) => String.fromCharCode(value >> 8, value & 255);
const sized = (text: string) => uint16(text.length) + text;

/** The handshake message. `name`: whom it names; null: nobody. */
export function clientHello(name: string | null): Uint8Array {
  const serverName = name === null ? "" : uint16(0) + sized(sized(`\0${sized(name)}`));
  const versions = uint16(43) + sized("\x04\x03\x04\x03\x03");
  const body = `\x03\x03${"r".repeat(32)}\x20${"s".repeat(32)}${sized("\x13\x01\x13\x02")}\x01\0${
    sized(versions + serverName + uint16(21) + sized("\0".repeat(9)))
  }`;
  return encodeLatin1(`\x01\0${sized(body)}`);
}

/** In records of at most so many octets each. */
export function records(message: Uint8Array, most = 16_384): Uint8Array {
  const out: number[] = [];
  for (let at = 0; at < message.length; at += most) {
    const fragment = message.subarray(at, at + most);
    out.push(22, 3, 1, fragment.length >> 8, fragment.length & 255, ...fragment);
  }
  return new Uint8Array(out);
}
