/**
 * Policy on what a message carries, by what it is and not by what it is called: programs are refused in the session;
 * scripts, names that hide what they are, macros and what is encrypted are marked; each kind by its own setting.
 *
 * What passes a limit is not seen: that is a finding of its own. Mail of relays that are ours is never refused.
 */
import type { Check } from "../check.ts";
import { inspectMessage } from "../content/attachments.ts";
import { Budget, type ContentLimits, type Finding, type FindingKind } from "../content/inspect.ts";
import { counter } from "../../telemetry/metrics.ts";
import { type Action, CONTINUE, oneLine, type Verdict } from "../verdict.ts";

export type ContentAction = Extract<Action, "continue" | "tag" | "quarantine" | "reject">;

export interface ContentOptions {
  readonly name: string;
  readonly actions: Readonly<Record<FindingKind, ContentAction>>;
  readonly limits: ContentLimits;
  /** A relay or backup MX of ours. */
  readonly isRelay: (address: string) => boolean;
}

const findings = counter("veredus_content_findings_total", "What was found in attachments", ["kind"]);
/** The strictest first. */
const STRICT: readonly ContentAction[] = ["reject", "quarantine", "tag"];
const MAX_NAMED = 3;
/** How sure each kind is to be a virus (RFC 5235 3.). */
const LEVELS: Readonly<Record<FindingKind, "suspicious" | "likely" | null>> = {
  executable: "likely",
  script: "suspicious",
  disguised: "likely",
  macros: "suspicious",
  encrypted: null,
  "not-seen": null,
};

export function content({ name, actions, limits, isRelay }: ContentOptions): Check {
  return {
    name,
    stages: ["message"],
    async run({ message, client, findings: known }) {
      if (message === null) return CONTINUE;
      const budget = new Budget(limits);
      await inspectMessage(message, budget);
      for (const { kind } of budget.findings) {
        findings.inc({ kind });
        const level = LEVELS[kind];
        if (level !== null) known?.virus(level);
      }
      return verdictOf(budget.findings, { actions, relayed: isRelay(client.address) });
    },
  };
}

function verdictOf(
  found: readonly Finding[],
  { actions, relayed }: { readonly actions: ContentOptions["actions"]; readonly relayed: boolean },
): Verdict {
  const wanted = STRICT.find((one) => found.some(({ kind }) => actions[kind] === one));
  if (wanted === undefined) return CONTINUE;
  const action = wanted === "reject" && relayed ? "quarantine" : wanted;
  const reason = found.filter(({ kind }) => actions[kind] === wanted).slice(0, MAX_NAMED)
    .map(({ kind, path, what }) => `${kind}: ${what} in ${path}`).join(", ");
  return {
    action,
    reason,
    dangerous: found.some(({ kind }) => kind === "executable" || kind === "disguised"),
    ...(action === "reject" && {
      reply: { code: 550, enhanced: "5.7.1", text: oneLine(`Such attachments are not taken: ${reason}`) },
    }),
  };
}
