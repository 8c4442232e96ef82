/**
 * File descriptors must not run out: this runtime ends the process when an operation on a file finds none left.
 *
 * A new descriptor is the lowest that is free. So what can be refused takes one below a line only, and all above the line are left
 * for what cannot: threads, database, segments, look-ups, connections of the queue. New connections stop at a lower line than what
 * those that are in come to need: a second descriptor under TLS (adopted_socket.ts), a file for a large message, a milter.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "./config/config.ts";
import { libc } from "./libc.ts";

/** Above the line: this many, where so many are half of all at most. */
const KEPT = 400;
/** Of all that a process may have open, between the two lines. */
const GROWTH = 0.05;
/** Where descriptors cannot be asked for, of one connection with all that it comes to need. */
const PER_CONNECTION = 3;
const FEWEST = 8;
const STANDARD_ERROR = 2;

const log = getLogger(["veredus", "server"]);
const lines = linesOf(openFilesLimit());

/** Below which descriptor connections are let in, and below which they get what else they need. */
export function linesOf(openFiles: number): { readonly connection: number; readonly need: number } {
  if (openFiles === Infinity) return { connection: Infinity, need: Infinity };
  const need = openFiles - Math.min(KEPT, Math.ceil(openFiles / 2));
  return { connection: need - Math.ceil(openFiles * GROWTH), need };
}

/** Whether a new connection finds a descriptor for itself; `descriptor` is its own where that is known. */
export function hasRoomForConnection(descriptor: number | null): boolean {
  return (descriptor ?? lowestFree()) < lines.connection;
}

/** Whether a connection that is in may open something more. */
export function hasRoom(): boolean {
  return lowestFree() < lines.need;
}

/** The lowest descriptor that is free; 0 where the C library cannot be asked. */
export function lowestFree(): number {
  if (libc === null) return 0;
  const descriptor = libc.dup(STANDARD_ERROR);
  if (descriptor < 0) return Infinity;
  libc.close(descriptor);
  return descriptor;
}

/**
 * Tells the operator where fewer connections fit than are allowed. Where descriptors cannot be asked for, the limits that are
 * returned have as many connections as fit for certain.
 */
export function fitConnections(limits: Config["limits"]): Config["limits"] {
  const openFiles = openFilesLimit();
  const asked = libc !== null;
  const each = asked ? 1 : PER_CONNECTION;
  const room = asked ? lines.connection - lowestFree() : openFiles - KEPT;
  const fit = Math.max(FEWEST, Math.floor(room / each));
  if (fit >= limits.connections) return limits;
  log.warn(
    "{openFiles} open files are enough for some {fit} connections, not for limits.connections = {connections}: raise the " +
      "limit (LimitNOFILE, ulimit -n) to {wanted}, or lower the setting",
    { openFiles, fit, connections: limits.connections, wanted: limits.connections * PER_CONNECTION + KEPT },
  );
  return asked ? limits : { ...limits, connections: fit };
}

/** The soft limit of this process; Infinity where the system does not tell. */
export function openFilesLimit(): number {
  let text: string;
  try {
    text = Deno.readTextFileSync("/proc/self/limits");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return Infinity;
  }
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}
