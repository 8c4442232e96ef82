/**
 * MTA-STS (RFC 8461): the record that names a policy, the policy's text, and which hosts it allows.
 *
 * Pure. Unknown fields are ignored (3.1, 3.2); what breaks the grammar is no record and no policy.
 */
import { covers } from "../../dns/name.ts";

export type StsMode = "enforce" | "testing" | "none";

export interface StsPolicy {
  readonly mode: StsMode;
  /** Names of hosts, or `*.` and a domain; lower case. */
  readonly mx: readonly string[];
  /** Milliseconds. */
  readonly maxAgeMs: number;
}

/** RFC 8461 3.2: about a year. */
const MAX_AGE_SECONDS = 31_557_600;
/** A policy with more hosts than any domain has. */
const MAX_HOSTS = 100;
const ID = /^[a-zA-Z0-9]{1,32}$/;
const HOST = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * The id in the TXT records of `_mta-sts.DOMAIN`; null where there is none. More than one record that begins as one is
 * none (3.1).
 */
export function stsId(records: readonly string[]): string | null {
  const found = records.filter((record) => /^v=STSv1[ \t]*;/.test(record));
  if (found.length !== 1) return null;
  for (const field of found[0]!.split(";").slice(1)) {
    const [name, value] = splitOnce(field.trim(), "=");
    if (name === "id") return ID.test(value) ? value : null;
  }
  return null;
}

/** The text of /.well-known/mta-sts.txt; a string says what is wrong with it. Of a field given twice the first counts. */
export function parseStsPolicy(text: string): StsPolicy | string {
  const fields = new Map<string, string>();
  const mx: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [name, value] = splitOnce(line, ":").map((part) => part.trim()) as [string, string];
    if (name === "mx") {
      const host = value.toLowerCase();
      if (!HOST.test(host)) return `mx: ${value} is no host`;
      if (mx.push(host) > MAX_HOSTS) return `more than ${MAX_HOSTS} mx lines`;
    } else if (!fields.has(name)) fields.set(name, value);
  }
  const mode = fields.get("mode") ?? "";
  const age = fields.get("max_age") ?? "";
  if (fields.get("version") !== "STSv1") return "version is not STSv1";
  if (!isMode(mode)) return `mode is not enforce, testing or none: ${mode}`;
  if (!/^\d{1,10}$/.test(age)) return `max_age is no number: ${age}`;
  if (mx.length === 0 && mode !== "none") return "no mx line";
  return { mode, mx, maxAgeMs: Math.min(Number(age), MAX_AGE_SECONDS) * 1_000 };
}

/** RFC 8461 4.1. */
export function allowsHost({ mx }: StsPolicy, host: string): boolean {
  return mx.some((pattern) => covers(pattern, host.toLowerCase()));
}

/** As reports show it (RFC 8460 4.5). */
export function stsLines({ mode, mx, maxAgeMs }: StsPolicy): string[] {
  return [
    "version: STSv1",
    `mode: ${mode}`,
    ...mx.map((host) => `mx: ${host}`),
    `max_age: ${maxAgeMs / 1_000}`,
  ];
}

function isMode(text: string): text is StsMode {
  return text === "enforce" || text === "testing" || text === "none";
}

function splitOnce(text: string, at: string): [string, string] {
  const found = text.indexOf(at);
  return found < 0 ? [text, ""] : [text.slice(0, found), text.slice(found + 1)];
}
