/** Metrics of SMTP and submission. Labels are verbs, reply classes and names of limits: closed sets. */
import type { LimitName } from "../../protocols/smtp/session_options.ts";
import { counter, level } from "../../telemetry/metrics.ts";

const commands = counter("veredus_smtp_commands_total", "SMTP commands by verb and class of the reply", [
  "verb",
  "reply",
]);
const limits = counter("veredus_smtp_limits_total", "Limits hit by SMTP clients", ["limit"]);
export const messageOctets = counter("veredus_smtp_message_octets_total", "Octets of accepted messages");
export const sessions = level("veredus_smtp_sessions", "SMTP sessions open now")({});
export const faults = counter("veredus_smtp_faults_total", "SMTP sessions ended by a fault of the server");

type Child = { inc(): void };

/** Looking a label set up costs more than counting, so each is looked up once: by verb, then by class. */
const children = new Map<string, (Child | undefined)[]>();

export function countCommand(verb: string, code: number): void {
  const reply = Math.floor(code / 100);
  let byClass = children.get(verb);
  if (byClass === undefined) children.set(verb, byClass = []);
  (byClass[reply] ??= commands.labels({ verb: verb === "" ? "unknown" : verb, reply: `${reply}xx` })).inc();
}

/** `time` is a deadline that passed. */
export function countLimit(limit: LimitName | "time" | "logins"): void {
  limits.inc({ limit });
}
