/** How long mail is put off for a trouble of ours: the first time is remembered, and after a while it is taken anyway. */
import type { PolicyKind, WriteOp } from "../storage/ops.ts";
import type { PolicyState } from "../storage/policy_state.ts";

/** How long one sender's mail is put off for a dead scanner, or for want of a verdict in time. */
export const MAX_SCAN_DEFERRAL_MS = 4 * 3_600_000;

export interface Deferral {
  readonly state: PolicyState;
  /** Nobody waits for it. */
  readonly write: (op: WriteOp) => void;
  readonly kind: Extract<PolicyKind, "dns-trouble" | "scan-trouble">;
  /** What is put off: a client and a sender, for one. */
  readonly key: string;
  readonly forMs: number;
  readonly now: number;
}

/** Notes the first time, and tells whether it may be put off (again). */
export function mayPutOff({ state, write, kind, key, forMs, now }: Deferral): boolean {
  const known = state.get(kind, key, now);
  if (known !== null) return now < known.firstAt + forMs;
  write({
    kind: "put-state",
    // Longer than the deferral itself: the next try must find that its time is over.
    rows: [{ kind, key, firstAt: now, lastAt: now, count: 1, expiresAt: now + 24 * forMs, note: "" }],
    add: false,
  });
  return true;
}
