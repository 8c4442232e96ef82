/**
 * A connection of the runtime's taken over by `node:net`, for the TLS of `node:tls` above it.
 *
 * Over a socket of its own that TLS works below JavaScript; over a stream written in it every record passes through both layers of
 * streams, which takes twice the processor time of a handshake. The socket has a second descriptor of the same
 * connection, for the runtime does not let go of the first: a TLS session takes two.
 */
import net from "node:net";
import { descriptorOf, NO_DESCRIPTOR } from "./descriptor.ts";
import { hasRoom } from "./descriptors.ts";
import { libc } from "./libc.ts";
import { closeQuietly, endAlong } from "./socket_writer.ts";

/**
 * Null where the runtime does not tell the descriptor, and where no other is left. `first` is what was read from the connection before. Nothing else may use
 * the connection from here on but `closeQuietly`, which ends the socket too; the end of the socket closes the connection.
 */
export function adopt(conn: Deno.Conn, first: Uint8Array): net.Socket | null {
  const descriptor = descriptorOf(conn);
  if (libc === null || descriptor === NO_DESCRIPTOR || !hasRoom()) return null;
  const own = libc.dup(descriptor);
  if (own < 0) return null; // out of descriptors
  const socket = new net.Socket({ fd: own, readable: true, writable: true });
  socket.once("close", () => closeQuietly(conn));
  endAlong(conn, socket); // closing the first descriptor ends only what we send
  if (first.length > 0) socket.unshift(first);
  return socket;
}
