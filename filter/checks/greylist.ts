/**
 * Greylisting: the first message of a network, sender and recipient is put off; a real server comes back (RFC 6647).
 *
 * One row a triplet, by the client's /24 or /64 so that pools of servers pass. After some triplets that came back the
 * network is known and is not asked again. Rows are written without waiting: what a crash takes costs a client one more
 * try. The reverse-path is kept without digits that bulk senders change each time.
 */
import type { PolicyRow, WriteOp } from "../../storage/ops.ts";
import type { PolicyState } from "../../storage/policy_state.ts";
import { networkOf } from "../address_block.ts";
import type { Check } from "../check.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";

export interface GreylistOptions {
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
  /** Triplets of a network that came back before the whole network is known; 0 never. */
  readonly knownAfter: number;
}

const PUT_OFF = { code: 451, enhanced: "4.7.1", text: "Greylisted, try again in a few minutes" };
/** A row that is known is written again after so much of its life only. */
const REFRESHED = 0.1;
const MAX_KEY = 500;

export function greylist(options: GreylistOptions): Check {
  const { state, now, action, delayMs, windowMs, lifetimeMs, knownAfter } = options;
  const put = (row: Omit<PolicyRow, "kind" | "note">, add = false) =>
    options.write({ kind: "put-state", add, rows: [{ kind: "greylist", note: "", ...row }] });
  const refresh = (row: PolicyRow, at: number) => {
    if (at - row.lastAt < lifetimeMs * REFRESHED) return;
    put({ ...row, lastAt: at, expiresAt: at + lifetimeMs });
  };
  return {
    name: "greylist",
    stages: ["rcpt"],
    run({ client, sender, recipient }): Verdict {
      const at = now();
      const network = networkOf(client.address);
      const whole = knownAfter === 0 ? null : state.get("greylist", network, at);
      if (whole !== null && whole.count >= knownAfter) {
        refresh(whole, at);
        return CONTINUE;
      }
      const key = `${network} ${plain(sender ?? "")} ${recipient.toLowerCase()}`.slice(0, MAX_KEY);
      const row = state.get("greylist", key, at);
      if (row === null) {
        put({ key, firstAt: at, lastAt: at, count: 0, expiresAt: at + windowMs });
        return {
          action,
          reason: `first message from ${network} of this sender to this recipient`,
          reply: PUT_OFF,
        };
      }
      if (row.count > 0) {
        refresh(row, at);
        return CONTINUE;
      }
      if (at - row.firstAt < delayMs) {
        return {
          action,
          reason: `came back after ${Math.round((at - row.firstAt) / 1_000)} s`,
          reply: PUT_OFF,
        };
      }
      put({ ...row, lastAt: at, count: 1, expiresAt: at + lifetimeMs });
      if (knownAfter > 0) {
        put({ key: network, firstAt: at, lastAt: at, count: 1, expiresAt: at + lifetimeMs }, true);
      }
      return CONTINUE;
    },
  };
}

/** VERP and other marks that differ from message to message: digits and what follows a plus. */
function plain(sender: string): string {
  const at = sender.lastIndexOf("@");
  const local = at < 0 ? sender : sender.slice(0, at);
  return `${local.replace(/\+.*$/, "").replace(/\d+/g, "#")}${at < 0 ? "" : sender.slice(at)}`.toLowerCase();
}
