/**
 * A scanner beside the server (clamd, ICAP, rspamd, spamd) as a check of the whole message.
 *
 * A real hit is refused in the session, or what `action` says; unwanted programs and heuristics only mark. What was not
 * scanned, because of a limit or because the scanner is dead, is marked and delivered; where and how it failed is for the log
 * alone. Where `defer` is chosen for a dead
 * scanner the client comes again, for 4 hours at most. Mail of relays that are ours is never
 * refused for its content: it goes to quarantine.
 */
import { getLogger } from "@logtape/logtape";
import { Breaker } from "../breaker.ts";
import { type Check, type CheckFacts, placeOf } from "../check.ts";
import type { MessageSource } from "../message_source.ts";
import { failures } from "../metrics.ts";
import { shown, told } from "../outside.ts";
import { scans } from "../scan/metrics.ts";
import type { ScanResult } from "../scan/result.ts";
import { type Action, CONTINUE, oneLine, type Verdict } from "../verdict.ts";

const log = getLogger(["veredus", "filter"]);

export interface ScannerOptions {
  readonly name: string;
  /** For a hit. */
  readonly action: Action;
  readonly onFailure: "continue" | "defer" | "reject";
  /** Larger messages are not scanned. */
  readonly maxOctets: number;
  readonly scan: (message: MessageSource, facts: CheckFacts) => Promise<ScanResult>;
  /** This client and sender may be put off (again); false when their time is over. */
  readonly mayDefer: (facts: CheckFacts) => boolean;
  /** A relay or backup MX of ours. */
  readonly isRelay: (address: string) => boolean;
  readonly now: () => number;
  readonly close?: () => Promise<void> | void;
}

export function scanner(options: ScannerOptions): Check {
  const { name, now, close } = options;
  const breaker = new Breaker(now);
  const failed = (facts: CheckFacts, what: string): Verdict => {
    scans.inc({ check: name, result: "failed" });
    if (options.onFailure === "defer" && options.mayDefer(facts)) {
      return {
        action: "defer",
        reason: `not scanned: ${what}`,
        reply: { code: 451, enhanced: "4.7.1", text: "The scanner does not answer, try again later" },
      };
    }
    return notScanned(what);
  };
  return {
    name,
    stages: ["message"],
    async run(facts) {
      const { message } = facts;
      if (message === null) return CONTINUE;
      if (message.octets > options.maxOctets) {
        return verdictOf(
          { kind: "not-scanned", why: `more than ${options.maxOctets} octets` },
          facts,
          options,
        );
      }
      if (breaker.open) return failed(facts, "the scanner is left alone for a while");
      try {
        const result = await options.scan(message, facts);
        breaker.worked();
        return verdictOf(result, facts, options);
      } catch (error) {
        breaker.failed();
        failures.inc({ check: name });
        log.warn("the scanner {check} failed: {what}", { check: name, what: told(error), ...placeOf(facts) });
        return failed(facts, shown(error));
      }
    },
    late: (facts) => failed(facts, "the time for a verdict was over"),
    ...(close && { close }),
  };
}

function verdictOf(result: ScanResult, facts: CheckFacts, options: ScannerOptions): Verdict {
  scans.inc({ check: options.name, result: result.kind });
  const { findings } = facts;
  switch (result.kind) {
    case "clean":
      findings?.virus("clean");
      return CONTINUE;
    case "wanted":
      return CONTINUE;
    case "infected": {
      findings?.virus("infected");
      const name = oneLine(result.name);
      const action = actionOf(facts, options);
      return {
        action,
        reason: `infected: ${name}`,
        dangerous: true,
        ...(action === "reject" && {
          reply: { code: 550, enhanced: "5.7.1", text: `The message is infected: ${name}` },
        }),
      };
    }
    case "suspicious":
      findings?.virus("suspicious");
      return { action: "tag", reason: `suspicious: ${result.name}` };
    case "not-scanned":
      return notScanned(result.why);
    case "spam":
      return { action: actionOf(facts, options), reason: result.why };
    default:
      return result satisfies never;
  }
}

/** Which speaks neither for nor against the message. */
function notScanned(why: string): Verdict {
  return { action: "tag", reason: `not scanned: ${why}`, points: 0 };
}

function actionOf({ client }: CheckFacts, { action, isRelay }: ScannerOptions): Action {
  return action === "reject" && isRelay(client.address) ? "quarantine" : action;
}
