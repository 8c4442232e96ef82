/** Metrics of SMTP and submission. Labels are verbs, reply classes and names of limits: closed sets. */
import type { MailParameters, RcptParameters } from "../../protocols/smtp/parameters.ts";
import type { LimitName } from "../../protocols/smtp/session_options.ts";
import { counter, level } from "../../telemetry/metrics.ts";

const commands = counter("veredus_smtp_commands_total", "SMTP commands by verb and class of the reply", [
  "verb",
  "reply",
]);
const limits = counter("veredus_smtp_limits_total", "Limits hit by SMTP clients", ["limit"]);
const extensions = counter(
  "veredus_smtp_extensions_total",
  "What clients made use of: extensions of MAIL and RCPT commands; PIPELINING once a session",
  ["extension"],
);
const softened = counter(
  "veredus_smtp_softened_total",
  "Refusals said as temporary because of smtp.soft_bounce",
);
const bareLineEnds = counter(
  "veredus_smtp_bare_line_ends_total",
  "Messages refused for a CR or LF alone (smuggling)",
);
const tarpitted = counter(
  "veredus_smtp_tarpitted_total",
  "Refusals that strangers had to wait for (filter.tarpit)",
);
const mechanisms = counter("veredus_smtp_logins_total", "Logins by SMTP, by SASL mechanism", ["mechanism"]);
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

type Extension =
  | "8BITMIME"
  | "BINARYMIME"
  | "DSN"
  | "FUTURERELEASE"
  | "MT-PRIORITY"
  | "PIPELINING"
  | "REQUIRETLS"
  | "SIZE"
  | "SMTPUTF8";
const used = new Map<Extension, Child>();

export function countExtension(extension: Extension): void {
  let child = used.get(extension);
  if (child === undefined) used.set(extension, child = extensions.labels({ extension }));
  child.inc();
}

/** Of a MAIL command that was taken. */
export function countMailExtensions(parameters: MailParameters): void {
  const { size, body, smtputf8, ret, envelopeId, requireTls, hold, priority } = parameters;
  if (size !== null) countExtension("SIZE");
  if (body !== "7BIT") countExtension(body);
  if (smtputf8) countExtension("SMTPUTF8");
  if (ret !== "" || envelopeId !== "") countExtension("DSN");
  if (requireTls) countExtension("REQUIRETLS");
  if (hold !== null) countExtension("FUTURERELEASE");
  if (priority !== null) countExtension("MT-PRIORITY");
}

/** Of a RCPT command that was taken. */
export function countRcptExtensions({ notify, originalRecipient }: RcptParameters): void {
  if (notify !== "" || originalRecipient !== "") countExtension("DSN");
}

export function countSoftened(): void {
  softened.inc();
}

export function countBareLineEnd(): void {
  bareLineEnds.inc();
}

export function countTarpitted(): void {
  tarpitted.inc();
}

/** `mechanism` is one that we offer. */
export function countLogin(mechanism: string): void {
  mechanisms.inc({ mechanism });
}
