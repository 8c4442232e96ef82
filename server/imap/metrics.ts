/** Metrics of the IMAP front end. Labels are command names and reply words: a closed set. */
import type { SessionLimit } from "../../protocols/imap/session_options.ts";
import { counter, gauge } from "../../telemetry/metrics.ts";

const commands = counter("veredus_imap_commands_total", "IMAP commands by name and tagged reply", [
  "command",
  "reply",
]);
const limits = counter("veredus_imap_limits_total", "Limits hit by IMAP clients", ["limit"]);
export const sessions = gauge("veredus_imap_sessions", "IMAP sessions open now");
export const fetchOctets = counter("veredus_imap_fetch_octets_total", "Octets of message data sent by FETCH");
export const faults = counter("veredus_imap_faults_total", "Sessions ended by a fault of the server");

/** Looking a label set up costs more than counting, so each is looked up once. */
const children = new Map<string, { inc(): void }>();

export function countCommand(command: string, reply: string): void {
  const key = `${command} ${reply}`;
  let child = children.get(key);
  if (child === undefined) {
    child = commands.labels({ command, reply });
    children.set(key, child);
  }
  child.inc();
}

/** `messages`: a command named more than the operator lets it touch. */
export function countLimit(limit: SessionLimit | "messages"): void {
  limits.inc({ limit });
}
