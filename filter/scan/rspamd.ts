/**
 * Scores by rspamd over HTTP (`/checkv2`): the envelope as header fields, the message as the body, JSON back. Pure: the
 * request is the caller's.
 */
import type { CheckFacts } from "../check.ts";
import { ScanFault, type ScanResult } from "./result.ts";

/** Actions of rspamd that call a message spam. Greylisting and its own rates are not followed here. */
const SPAM: ReadonlySet<string> = new Set([
  "reject",
  "add header",
  "rewrite subject",
  "quarantine",
  "discard",
]);
const NAMED_SYMBOLS = 5;

/** The envelope (protocol of rspamd). */
export function rspamdHeaders({ client, traceId, sender, recipients }: CheckFacts): [string, string][] {
  const fields: [string, string][] = [
    ["IP", client.address],
    ["Helo", client.heloName],
    ["From", sender ?? ""],
    ...recipients.map((recipient): [string, string] => ["Rcpt", recipient]),
    ["Queue-Id", traceId],
    ["User", client.login ?? ""],
  ];
  // Peers have chosen some of it: nothing that would begin another field.
  return fields.filter(([, value]) => value !== "" && /^[\x20-\x7e]*$/.test(value));
}

/** Throws ScanFault where it is no verdict. */
export function parseRspamdReply(text: string): ScanResult {
  const reply = parsed(text);
  const { action, score, required_score: of, symbols } = reply;
  if (typeof action !== "string") throw new ScanFault("a reply of rspamd without an action");
  if (!SPAM.has(action)) return { kind: "wanted" };
  const names = typeof symbols === "object" && symbols !== null
    ? Object.entries(symbols).map(([name, symbol]) => ({ name, score: scoreOf(symbol) }))
      .filter((one) => one.score > 0).sort((a, b) => b.score - a.score).slice(0, NAMED_SYMBOLS)
      .map(({ name }) => name)
    : [];
  const points = typeof score === "number" && typeof of === "number"
    ? `, score ${score.toFixed(1)} of ${of.toFixed(1)}`
    : "";
  return { kind: "spam", why: `${action}${points}${names.length === 0 ? "" : `: ${names.join(", ")}`}` };
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ScanFault("no reply of rspamd");
}

function scoreOf(symbol: unknown): number {
  const score = (symbol as { score?: unknown } | null)?.score;
  return typeof score === "number" ? score : 0;
}
