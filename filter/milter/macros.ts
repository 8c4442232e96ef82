/**
 * Macros: what a milter is told before a step beside what the step itself says, by the names Sendmail gave them.
 *
 * Each step has a list of its own; a milter may name another one when it negotiates (SMFIF_SETSYMLIST), which then holds
 * for that step. A macro that has no value here is left out, as is one that nobody knows.
 */
import type { CheckFacts } from "../check.ts";

/** Steps that macros go before, by their command letters, in the order of libmilter's numbers for them. */
export const MACRO_STEPS = ["C", "H", "M", "R", "T", "E", "N"] as const;
export type MacroStep = (typeof MACRO_STEPS)[number];

/** Names by step. */
export type MacroLists = ReadonlyMap<MacroStep, readonly string[]>;

const DEFAULTS: Readonly<Record<MacroStep, readonly string[]>> = {
  C: ["j", "{daemon_name}", "v", "{client_addr}", "{client_port}", "{client_ptr}"],
  H: ["{tls_version}", "{cipher}"],
  M: ["i", "{auth_type}", "{auth_authen}", "{mail_addr}", "{mail_host}"],
  R: ["i", "{rcpt_addr}", "{rcpt_host}"],
  T: ["i"],
  E: ["i"],
  N: ["i"],
};

interface Told extends CheckFacts {
  readonly hostname: string;
}

const VALUES: Readonly<Record<string, (facts: Told) => string | null>> = {
  "j": ({ hostname }) => hostname,
  "v": () => "Veredus",
  "_": ({ client: { address }, notes }) => `${notes.get("reverse-name") ?? ""} [${address}]`.trimStart(),
  "i": ({ traceId }) => traceId,
  "s": ({ client }) => client.heloName,
  "{daemon_name}": ({ client }) => client.service,
  "{client_addr}": ({ client }) => client.address,
  "{client_port}": ({ client }) => String(client.port),
  "{client_name}": ({ client, notes }) => notes.get("reverse-name") ?? `[${client.address}]`,
  "{client_ptr}": ({ notes }) => notes.get("reverse-name") ?? null,
  "{tls_version}": ({ client }) => client.tlsProtocol,
  "{cipher}": ({ client }) => client.tlsCipher,
  "{auth_type}": ({ client }) => client.mechanism,
  "{auth_authen}": ({ client }) => client.login,
  "{mail_addr}": ({ sender }) => sender,
  "{mail_host}": ({ sender }) => hostOf(sender),
  "f": ({ sender }) => sender,
  "{rcpt_addr}": ({ recipient }) => recipient,
  "{rcpt_host}": ({ recipient }) => hostOf(recipient),
  "{nrcpts}": ({ recipients }) => String(recipients.length),
};

/** Names and values for a step; empty where there is nothing to tell. */
export function macrosFor(step: MacroStep, lists: MacroLists, facts: Told): [string, string][] {
  const found: [string, string][] = [];
  for (const name of lists.get(step) ?? DEFAULTS[step]) {
    const value = VALUES[name]?.(facts) ?? "";
    if (value !== "") found.push([name, value]);
  }
  return found;
}

function hostOf(address: string | null): string | null {
  const at = address?.lastIndexOf("@") ?? -1;
  return at < 0 ? null : address!.slice(at + 1);
}
