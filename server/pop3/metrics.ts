/** Metrics of the POP3 front end. Labels are verbs and reply words: a closed set. */
import type { Pop3Limit } from "../../protocols/pop3/session.ts";
import { counter, gauge } from "../../telemetry/metrics.ts";

const commands = counter("veredus_pop3_commands_total", "POP3 commands by verb and reply", [
  "command",
  "reply",
]);
const limits = counter("veredus_pop3_limits_total", "Limits hit by POP3 clients", ["limit"]);
export const sessions = gauge("veredus_pop3_sessions", "POP3 sessions open now");
export const retrievedOctets = counter(
  "veredus_pop3_retrieved_octets_total",
  "Octets of messages sent by RETR and TOP",
);
export const faults = counter("veredus_pop3_faults_total", "POP3 sessions ended by a fault of the server");
export const lockRefusals = counter(
  "veredus_pop3_in_use_total",
  "POP3 logins refused because another session held the maildrop",
);

/** Looking a label set up costs more than counting, so each is looked up once. */
const good = new Map<string, { inc(): void }>();
const bad = new Map<string, { inc(): void }>();

/** `verb` is "" for a line without a known one. */
export function countReply(verb: string, ok: boolean): void {
  const children = ok ? good : bad;
  let child = children.get(verb);
  if (child === undefined) {
    child = commands.labels({ command: verb === "" ? "unknown" : verb, reply: ok ? "+OK" : "-ERR" });
    children.set(verb, child);
  }
  child.inc();
}

export function countLimit(limit: Pop3Limit): void {
  limits.inc({ limit });
}
