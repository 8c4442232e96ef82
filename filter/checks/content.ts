/**
 * Policy on what a message carries, by what it is and not by what it is called: programs are refused in the session;
 * scripts, names that hide what they are, macros and what is encrypted are marked; each kind by its own setting.
 *
 * What passes a limit is not seen: that is a finding of its own. Mail of relays that are ours is never refused. `strip` takes
 * attachments out and keeps the original (content/strip.ts); where that cannot be, programs are refused and others marked.
 */
import { run, type Steps } from "../../bytes/steps.ts";
import type { Check, CheckFacts } from "../check.ts";
import type { Inspect } from "../content/attachments.ts";
import type { ContentLimits, Finding, FindingKind } from "../content/inspect.ts";
import { strip } from "../content/strip.ts";
import { counter } from "../../telemetry/metrics.ts";
import { failures } from "../metrics.ts";
import { type Action, CONTINUE, oneLine, type Verdict } from "../verdict.ts";

export type ContentAction = Extract<Action, "continue" | "tag" | "quarantine" | "reject"> | "strip";
type Actions = Readonly<Record<FindingKind, ContentAction>>;

export interface ContentOptions {
  readonly name: string;
  readonly actions: Actions;
  readonly limits: ContentLimits;
  /** A relay or backup MX of ours. */
  readonly isRelay: (address: string) => boolean;
  readonly inspect: Inspect;
}

const findings = counter("veredus_content_findings_total", "What was found in attachments", ["kind"]);
const stripped = counter("veredus_content_stripped_total", "Attachments taken out of messages");
/** What looks at attachments failed: neither for nor against the message, but it shows. */
const NOT_LOOKED_AT: Verdict = { action: "tag", reason: "attachments were not looked at", points: 0 };
/** The strictest first. */
const STRICT = ["reject", "quarantine", "tag"] as const;
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

export function content({ name, actions, limits, isRelay, inspect }: ContentOptions): Check {
  return { name, stages: ["message"], run: (facts) => run(judged(facts)) };

  function* judged({ message, client, findings: known, changes, staysHere }: CheckFacts): Steps<Verdict> {
    if (message === null) return CONTINUE;
    const looked = yield* inspect(message, limits);
    if (looked === null) {
      failures.inc({ check: name });
      return NOT_LOOKED_AT;
    }
    const { attachments, findings: found } = looked;
    if (found.length === 0) return CONTINUE;
    for (const { kind } of found) {
      findings.inc({ kind });
      const level = LEVELS[kind];
      if (level !== null) known?.virus(level);
    }
    const unwanted = attachments.filter(({ kinds }) => [...kinds].some((kind) => actions[kind] === "strip"));
    const may = staysHere && client.login === null && changes !== null;
    const verdict = verdictOf(found, {
      actions: withoutStrip(actions, {
        // What belongs to no attachment cannot be taken out.
        kept: new Set(
          found.filter(({ kind }) =>
            !may || !unwanted.some(({ kinds }) => kinds.has(kind)) ||
            unwanted.some(({ kinds, sealed }) => sealed && kinds.has(kind))
          ).map(({ kind }) => kind),
        ),
      }),
      relayed: isRelay(client.address),
    });
    const open = unwanted.filter(({ sealed }) => !sealed);
    if (!may || open.length === 0 || verdict.action !== "tag") return verdict;
    if (!strip(open, changes, { reason: verdict.reason, dangerous: verdict.dangerous === true })) {
      return { ...verdict, reason: `${verdict.reason}; too many to take out` };
    }
    stripped.inc(open.length);
    return {
      ...verdict,
      reason: `${verdict.reason}; ${open.length} taken out, the original is in quarantine`,
    };
  }
}

/** What is done where nothing is taken out; `kept`: kinds of which something stays in the message. */
function withoutStrip(actions: Actions, { kept }: { readonly kept: ReadonlySet<FindingKind> }): Settled {
  return Object.fromEntries(
    Object.entries(actions).map(([kind, action]) => [
      kind,
      action !== "strip" ? action : kind === "executable" && kept.has(kind) ? "reject" : "tag",
    ]),
  ) as Settled;
}

type Settled = Readonly<Record<FindingKind, Exclude<ContentAction, "strip">>>;

function verdictOf(
  found: readonly Finding[],
  { actions, relayed }: { readonly actions: Settled; readonly relayed: boolean },
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
