/**
 * File descriptors of the runtime's connections.
 *
 * The runtime keeps the number with the connection, without promising to; older ones do not. It belongs to another socket as
 * soon as the connection is closed.
 */

export const NO_DESCRIPTOR = -1;

/** Under which the runtime keeps it; null until a connection had one. */
let key: symbol | null = null;

/** {@linkcode NO_DESCRIPTOR} where the runtime does not tell. */
export function descriptorOf(conn: Deno.Conn): number {
  key ??= Object.getOwnPropertySymbols(conn).find(({ description }) => description === "Deno.internal.fd") ??
    null;
  const descriptor = key === null ? null : Reflect.get(conn, key);
  return typeof descriptor === "number" ? descriptor : NO_DESCRIPTOR;
}
