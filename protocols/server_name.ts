/**
 * The server name in what a TLS client says first (RFC 6066 3), before the handshake is begun with it.
 *
 * Plaintext records (RFC 8446 5.1) are put together until the ClientHello (4.1.2) in them is whole. What is no ClientHello
 * names nobody: the TLS layer will say what is wrong with it. Works on any cutting of the octets. Pure. Limit:
 * {@linkcode HELLO_OCTETS}.
 */
import { latin1 } from "../bytes/decode.ts";

/** Octets of a ClientHello that are looked at; the longest hellos of today, with post-quantum keys, have 2 kB. */
export const HELLO_OCTETS = 16_384;

const HANDSHAKE_RECORD = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, HOST_NAME = 0;
const RECORD_HEAD = 5, HELLO_HEAD = 4;
/** The version and random octets at the beginning of a ClientHello. */
const FIXED_OCTETS = 34;

export class ServerNameReader {
  /** Null: the next octets decide. "": the client names nobody. */
  name: string | null = null;
  readonly #head = new Uint8Array(RECORD_HEAD);
  #headLength = 0;
  /** Octets of the record still to come. */
  #left = 0;
  #hello = new Uint8Array(1_024);
  #length = 0;

  push(bytes: Uint8Array): string | null {
    for (let at = 0; at < bytes.length && this.name === null;) {
      if (this.#left === 0) {
        this.#head[this.#headLength++] = bytes[at++]!;
        if (this.#headLength === RECORD_HEAD) this.#beginRecord();
        continue;
      }
      const end = Math.min(bytes.length, at + this.#left);
      this.#left -= end - at;
      this.#add(bytes.subarray(at, end));
      at = end;
    }
    return this.name;
  }

  #beginRecord(): void {
    this.#headLength = 0;
    this.#left = uint16(this.#head, 3);
    // An empty record of a handshake is not allowed.
    if (this.#head[0] !== HANDSHAKE_RECORD || this.#left === 0) this.name = "";
  }

  #add(fragment: Uint8Array): void {
    const length = this.#length + fragment.length;
    if (length > this.#hello.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#hello.length));
      grown.set(this.#hello.subarray(0, this.#length));
      this.#hello = grown;
    }
    this.#hello.set(fragment, this.#length);
    this.#length = length;
    if (this.#hello[0] !== CLIENT_HELLO) this.name = "";
    if (length < HELLO_HEAD) return;
    const whole = HELLO_HEAD + (this.#hello[1]! << 16 | uint16(this.#hello, 2));
    if (whole > HELLO_OCTETS) this.name = "";
    else if (length >= whole) this.name ??= nameOf(this.#hello.subarray(HELLO_HEAD, whole));
  }
}

/** Of the body of a ClientHello. */
function nameOf(hello: Uint8Array): string {
  // Behind the session id, the cipher suites and the compression methods are the extensions.
  let at = FIXED_OCTETS;
  at += 1 + (hello[at] ?? 0);
  at += 2 + uint16(hello, at);
  at += 1 + (hello[at] ?? 0);
  const end = Math.min(hello.length, at + 2 + uint16(hello, at));
  for (at += 2; at + 4 <= end; at += 4 + uint16(hello, at + 2)) {
    if (uint16(hello, at) !== SERVER_NAME) continue;
    return firstName(hello.subarray(at + 4, Math.min(end, at + 4 + uint16(hello, at + 2))));
  }
  return "";
}

/** A list of names holds one of each type, and there is one type (RFC 6066 3). */
function firstName(list: Uint8Array): string {
  const end = 5 + uint16(list, 3);
  return list[2] === HOST_NAME && end <= list.length ? latin1(list, 5, end) : "";
}

/** What is not there counts as zeros. */
function uint16(octets: Uint8Array, at: number): number {
  return (octets[at] ?? 0) << 8 | (octets[at + 1] ?? 0);
}
