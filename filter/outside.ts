/**
 * What checks outside the server are told and may answer: HTTP hooks and the operator's policy file speak the same JSON.
 *
 * An answer is `{"action": "reject", "reason": "...", "reply": {"code": 550, "enhanced": "5.7.1", "text": "..."}}`; only
 * `action` is needed. What is no answer is a failure, and `on_failure` decides; where the message goes on, log, trace and
 * header say that it was not asked about.
 */
import { latin1 } from "../bytes/decode.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import type { CheckFacts } from "./check.ts";
import { type Action, ACTIONS, oneLine, type Verdict } from "./verdict.ts";

const MAX_HEADER = 64 * 1024;

/** Plain data. The header comes as text, one character an octet, up to 64 kB. */
export async function factsJson(facts: CheckFacts): Promise<Record<string, unknown>> {
  const { stage, client, traceId, sender, recipient, recipients, message, notes } = facts;
  return {
    ...{ stage, client, trace: traceId, sender, recipient, recipients },
    reverseName: notes.get("reverse-name") ?? null,
    ...(message !== null && {
      message: {
        octets: message.octets,
        header: latin1(await message.read(0, Math.min(message.headerOctets, MAX_HEADER))),
      },
    }),
  };
}

/** Null when it is no answer. */
export function verdictOf(answer: unknown): Verdict | null {
  if (typeof answer !== "object" || answer === null) return null;
  const { action, reason, reply } = answer as Record<string, unknown>;
  if (typeof action !== "string" || !(ACTIONS as readonly string[]).includes(action)) return null;
  const said = replyOf(reply, action as Action);
  return {
    action: action as Action,
    reason: typeof reason === "string" ? oneLine(reason) : "",
    ...(said !== null && { reply: said }),
  };
}

/** A 4yz for `defer`, a 5yz for `reject`; never 421, which would promise an end that does not come. */
export function replyOf(reply: unknown, action: Action): Reply | null {
  if (typeof reply !== "object" || reply === null) return null;
  const { code, enhanced, text } = reply as Record<string, unknown>;
  const first = action === "defer" ? 4 : action === "reject" ? 5 : 0;
  if (
    typeof code !== "number" || !Number.isInteger(code) || Math.floor(code / 100) !== first || code === 421
  ) return null;
  const status = typeof enhanced === "string" && new RegExp(`^${first}\\.\\d{1,3}\\.\\d{1,3}$`).test(enhanced)
    ? enhanced
    : `${first}.7.1`;
  return {
    code,
    enhanced: status,
    text: typeof text === "string" && text !== "" ? oneLine(text) : "Refused by policy",
  };
}

/** Trouble of what was asked, in words that recipients may read: no address, path or secret. */
export class OutsideFault extends Error {
  override readonly name: string = "OutsideFault";
}

export type OnFailure = "continue" | "defer" | "reject";

/** All of it, for the operator's log alone. */
export function told(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  return oneLine(typeof error.cause === "string" ? `${error.message}: ${error.cause}` : error.message);
}

/** `error`: an {@linkcode OutsideFault}, or what only the operator's log may quote. */
export function failureVerdict(onFailure: OnFailure, error: unknown): Verdict {
  const reason = oneLine(`no answer: ${shown(error)}`);
  // No answer speaks neither for nor against the message.
  return onFailure === "continue" ? { action: "tag", reason, points: 0 } : { action: onFailure, reason };
}

/** Of any trouble with what was asked, what recipients may read. */
export function shown(error: unknown): string {
  if (error instanceof OutsideFault) return error.message;
  if (error instanceof DOMException && error.name === "TimeoutError") return "it took too long";
  return "it failed or cannot be reached";
}
