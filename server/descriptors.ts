/**
 * How many connections file descriptors are enough for.
 *
 * This runtime ends the process when an operation on a file finds no descriptor left, so that they must not run out:
 * connections past what fits are told 421 (or BYE, -ERR) like those past the configured limit.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "./config/config.ts";

/** For threads, database, segments, look-ups, and connections of the queue. */
const OWN = 400;
/** A connection itself, once more under TLS (adopted_socket.ts), and what its message or its mailbox has open. */
const PER_CONNECTION = 3;
const FEWEST = 8;

const log = getLogger(["veredus", "server"]);

/** Connections that fit into so many open files. */
export function connectionsFor(openFiles: number): number {
  return Math.max(FEWEST, Math.floor((openFiles - OWN) / PER_CONNECTION));
}

/** The limits with as many connections as fit; the operator is told when those are fewer. */
export function fitConnections(limits: Config["limits"]): Config["limits"] {
  const openFiles = openFilesLimit();
  const fit = connectionsFor(openFiles);
  if (fit >= limits.connections) return limits;
  log.warn(
    "{openFiles} open files are enough for {fit} connections, not for limits.connections = {connections}: raise the " +
      "limit (LimitNOFILE, ulimit -n) to {wanted}, or lower the setting",
    { openFiles, fit, connections: limits.connections, wanted: limits.connections * PER_CONNECTION + OWN },
  );
  return { ...limits, connections: fit };
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
