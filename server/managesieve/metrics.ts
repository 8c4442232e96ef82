/** Metrics of the ManageSieve front end. Labels are verbs and reply words: a closed set. */
import { counter, gauge } from "../../telemetry/metrics.ts";

const commands = counter("veredus_managesieve_commands_total", "ManageSieve commands by verb and reply", [
  "command",
  "reply",
]);
export const sessions = gauge("veredus_managesieve_sessions", "ManageSieve sessions open now");
export const faults = counter(
  "veredus_managesieve_faults_total",
  "ManageSieve sessions ended by a fault of the server",
);

/** `verb` is "" for a line without a known one. */
export function countReply(verb: string, reply: string): void {
  commands.inc({ command: verb === "" ? "unknown" : verb, reply });
}
