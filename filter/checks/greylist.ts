/**
 * Greylisting: what is seen for the first time is put off; a real server comes back (RFC 6647).
 *
 * At RCPT each network, sender and recipient is asked, by the client's /24 or /64 so that pools of servers pass. At the stage
 * `message`, behind DATA, a message is put off once for all its recipients, by the domain that it is proven to come from, else
 * by network and sender; what passes DMARC never is. Both remember in the same rows. After some that came back the network is
 * known and is not asked again. Rows are written without waiting: what a crash takes costs a client one more try. The
 * reverse-path is kept without digits that bulk senders change each time. Mail of a relay of ours is judged behind DATA only,
 * where it is known whom the relay had it from.
 */
import type { PolicyRow, WriteOp } from "../../storage/ops.ts";
import type { PolicyState } from "../../storage/policy_state.ts";
import { networkOf } from "../address_block.ts";
import type { Check, CheckFacts } from "../check.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";

export interface GreylistOptions {
  readonly stage: "rcpt" | "message";
  readonly state: PolicyState;
  /** Nobody waits for it. */
  readonly write: (op: WriteOp) => void;
  readonly now: () => number;
  readonly action: Action;
  /** The first try after this time is taken. */
  readonly delayMs: number;
  /** How long we wait for it. */
  readonly windowMs: number;
  /** How long those that came back are known, from their last message. */
  readonly lifetimeMs: number;
  /** Of a network so many came back before the whole network is known; 0 never. */
  readonly knownAfter: number;
  /** A relay or backup MX of ours. */
  readonly isRelay: (address: string) => boolean;
}

/** What is asked for. */
interface Asked {
  readonly key: string;
  /** Whose credit it is when it comes back; null: its own alone. */
  readonly network: string | null;
  /** In words, for the reason. */
  readonly what: string;
}

const PUT_OFF = { code: 451, enhanced: "4.7.1", text: "Greylisted, try again in a few minutes" };
/** A row that is known is written again after so much of its life only. */
const REFRESHED = 0.1;
const MAX_KEY = 500;

export function greylist(options: GreylistOptions): Check {
  const { stage, action, isRelay } = options;
  return {
    name: "greylist",
    stages: [stage],
    run(facts): Verdict {
      const asked = stage === "message" ? ofMessage(facts, isRelay) : ofRecipient(facts, isRelay);
      const reason = asked === null ? null : askedFor(options, asked);
      return reason === null ? CONTINUE : { action, reason, reply: PUT_OFF };
    },
  };
}

/** Null is never put off. */
function ofRecipient(
  { client, sender, recipient }: CheckFacts,
  isRelay: GreylistOptions["isRelay"],
): Asked | null {
  if (isRelay(client.address)) return null;
  const network = networkOf(client.address);
  return {
    key: `${network} ${plain(sender ?? "")} ${recipient.toLowerCase()}`,
    ...{ network, what: `from ${network} of this sender to this recipient` },
  };
}

function ofMessage({ client, sender, sent }: CheckFacts, isRelay: GreylistOptions["isRelay"]): Asked | null {
  const { result = "none", proven = false, authorDomain = "" } = sent?.dmarc ?? {};
  if (result === "pass") return null;
  if (proven) return { key: `domain ${authorDomain}`, network: null, what: `of ${authorDomain}` };
  const address = isRelay(client.address) ? sent?.judged?.address : client.address;
  if (address === undefined) return null; // the relay does not say whom it had it from
  const network = networkOf(address);
  return {
    key: `message ${network} ${plain(sender ?? "")}`,
    ...{ network, what: `from ${network} of this sender` },
  };
}

/** Why it is put off; null takes it. */
function askedFor(
  { state, write, now, delayMs, windowMs, lifetimeMs, knownAfter }: GreylistOptions,
  { key: whole, network, what }: Asked,
): string | null {
  const at = now();
  const put = (row: Omit<PolicyRow, "kind" | "note">, add = false) =>
    write({ kind: "put-state", add, rows: [{ kind: "greylist", note: "", ...row }] });
  const refresh = (row: PolicyRow) => {
    if (at - row.lastAt < lifetimeMs * REFRESHED) return;
    put({ ...row, lastAt: at, expiresAt: at + lifetimeMs });
  };
  const key = whole.slice(0, MAX_KEY);
  const credit = network === null || knownAfter === 0 ? null : state.get("greylist", network, at);
  if (credit !== null && credit.count >= knownAfter) {
    refresh(credit);
    return null;
  }
  const row = state.get("greylist", key, at);
  if (row === null) {
    put({ key, firstAt: at, lastAt: at, count: 0, expiresAt: at + windowMs });
    return `first message ${what}`;
  }
  if (row.count > 0) {
    refresh(row);
    return null;
  }
  if (at - row.firstAt < delayMs) return `came back after ${Math.round((at - row.firstAt) / 1_000)} s`;
  put({ ...row, lastAt: at, count: 1, expiresAt: at + lifetimeMs });
  if (network !== null && knownAfter > 0) {
    put({ key: network, firstAt: at, lastAt: at, count: 1, expiresAt: at + lifetimeMs }, true);
  }
  return null;
}

/** VERP and other marks that differ from message to message: digits and what follows a plus. */
function plain(sender: string): string {
  const at = sender.lastIndexOf("@");
  const local = at < 0 ? sender : sender.slice(0, at);
  return `${local.replace(/\+.*$/, "").replace(/\d+/g, "#")}${at < 0 ? "" : sender.slice(at)}`.toLowerCase();
}
