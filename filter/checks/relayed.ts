/**
 * A check that is asked outside (a milter, hook or policy file), for mail that a relay or backup MX of ours hands over: what it
 * would refuse of a message that is there goes to quarantine, because it would be our relay that bounces it.
 */
import type { Check, CheckFacts } from "../check.ts";
import type { Verdict } from "../verdict.ts";

export function sparingRelays(check: Check, isRelay: (address: string) => boolean): Check {
  const spared = ({ stage, client }: CheckFacts, verdict: Verdict): Verdict => {
    if (verdict.action !== "reject" || stage !== "message" || !isRelay(client.address)) return verdict;
    const { reply: _, ...rest } = verdict;
    // Nobody knows whether it does harm: only the operator lets it go.
    return { ...rest, action: "quarantine", dangerous: true };
  };
  return {
    ...check,
    run(facts) {
      const verdict = check.run(facts);
      return verdict instanceof Promise ? verdict.then((one) => spared(facts, one)) : spared(facts, verdict);
    },
    ...(check.late !== undefined && { late: (facts: CheckFacts) => spared(facts, check.late!(facts)) }),
  };
}
