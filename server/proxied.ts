/**
 * Connections of a listed proxy: the PROXY header is read, octet for octet, before anything else.
 *
 * Limit: {@linkcode HEADER_TIMEOUT_MS} for the whole header. What follows it is not touched.
 */
import { getLogger } from "@logtape/logtape";
import { ProxyHeaderReader } from "../protocols/proxy/header.ts";
import { counter } from "../telemetry/metrics.ts";
import { peerFacts, plainAddress } from "./deno_transport.ts";
import type { PeerFacts } from "./transport.ts";

const HEADER_TIMEOUT_MS = 5_000;
const log = getLogger(["veredus", "server"]);
const badHeaders = counter(
  "veredus_proxy_headers_refused_total",
  "Connections of proxies without a proper header",
);

/** Whom the connection is for; null when no proper header came in time, which is counted. */
export async function proxiedPeer(conn: Deno.Conn, cut: () => void): Promise<PeerFacts | null> {
  const client = await headerPeer(conn, cut);
  if (client === null) {
    badHeaders.inc();
    const { address } = peerFacts(conn);
    log.debug("no PROXY header from {address}, which is one of proxy_networks", { address });
  }
  return client;
}

async function headerPeer(conn: Deno.Conn, cut: () => void): Promise<PeerFacts | null> {
  const own = peerFacts(conn);
  const reader = new ProxyHeaderReader();
  const buffer = new Uint8Array(4_096);
  const timer = setTimeout(cut, HEADER_TIMEOUT_MS);
  try {
    for (;;) {
      const count = await conn.read(buffer.subarray(0, Math.min(reader.wanted, buffer.length)));
      if (count === null) return null;
      const result = reader.push(buffer.subarray(0, count));
      if (result === null) continue;
      if (result.kind === "malformed") return null;
      if (result.kind === "local") return own;
      const { source, sourcePort, destination, destinationPort } = result.addresses;
      return {
        address: plainAddress(source),
        port: sourcePort,
        localAddress: plainAddress(destination),
        localPort: destinationPort,
      };
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null; // gone, or cut for being late
  } finally {
    clearTimeout(timer);
  }
}
