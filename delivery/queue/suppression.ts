/**
 * Recipients that are no more: what another server has said for good about an address is remembered, and not asked again.
 *
 * Only what is about the address itself counts (RFC 3463: X.1.1, X.1.6, X.1.10, X.2.1, and 550 to RCPT without an enhanced
 * code): a refusal for policy, size or content says nothing about the next message. The operator turns it on, sees the list
 * and takes addresses off it.
 */
import type { PolicyRow } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import type { Verdict } from "../settle.ts";

export const suppressed = counter(
  "veredus_suppressed_total",
  "Recipients not written to because they are on the suppression list",
);

const GONE = /^5\.(?:1\.1|1\.6|1\.10|2\.1)$/;

export function isGone({ outcome, enhanced, text, fromPeer }: Verdict): boolean {
  if (outcome !== "permanent" || !fromPeer) return false;
  return GONE.test(enhanced) ||
    (enhanced === "5.0.0" && /^55[013] .*\b(?:user|mailbox|recipient|address)\b/i.test(text));
}

export function suppressionRow(recipient: string, { text, now, forMs }: {
  readonly text: string;
  readonly now: number;
  readonly forMs: number;
}): PolicyRow {
  return {
    ...{
      kind: "suppressed",
      key: recipient.toLowerCase(),
      count: 1,
      note: text.slice(0, 500).toWellFormed(),
    },
    ...{ firstAt: now, lastAt: now, expiresAt: now + forMs },
  };
}

/** Why the address is not written to; null where it is. */
export function suppressionOf(store: Pick<Store, "policy">, recipient: string, now: number): Verdict | null {
  const row = store.policy.get("suppressed", recipient.toLowerCase(), now);
  if (row === null) return null;
  return {
    ...{ outcome: "permanent", enhanced: "5.1.1", fromPeer: false, remote: "" },
    text: `the address is on the suppression list since ${new Date(row.lastAt).toISOString()}: ${row.note}`,
  };
}
