/**
 * What a TLS client says first, read before the handshake is begun with it: it names the server it means (RFC 6066 3), and the
 * certificate is chosen by that. Limit: the time it may take, and what {@linkcode ServerNameReader} looks at.
 */
import { ServerNameReader } from "../protocols/server_name.ts";
import { closeQuietly } from "./socket_writer.ts";

export const CLOSED = "connection closed during the TLS handshake";
export const TIMED_OUT = "TLS handshake timed out";
/** Most hellos are no longer. */
const FIRST_OCTETS = 2_048;

/** What was read, and whom it names: "" is nobody. */
export interface Hello {
  readonly serverName: string;
  readonly octets: Uint8Array;
}

export const NO_HELLO: Hello = { serverName: "", octets: new Uint8Array(0) };

/** Rejects, with the connection closed, when no more comes or it lasts too long. */
export async function readHello(conn: Deno.Conn, timeoutMs: number): Promise<Hello> {
  const reader = new ServerNameReader();
  let octets = new Uint8Array(FIRST_OCTETS), length = 0, late = false;
  const timer = setTimeout(() => {
    late = true;
    closeQuietly(conn);
  }, timeoutMs);
  try {
    for (;;) {
      const count = await conn.read(octets.subarray(length));
      if (count === null) throw new Error(CLOSED);
      const serverName = reader.push(octets.subarray(length, length + count));
      length += count;
      if (serverName !== null) return { serverName, octets: octets.subarray(0, length) };
      if (length < octets.length) continue;
      const grown = new Uint8Array(2 * length);
      grown.set(octets);
      octets = grown;
    }
  } catch (error) {
    closeQuietly(conn);
    throw late ? new Error(TIMED_OUT) : error;
  } finally {
    clearTimeout(timer);
  }
}
