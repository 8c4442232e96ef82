/** The chains of checks that the configuration asks for, with what they need of this thread. */
import { getLogger } from "@logtape/logtape";
import type { Resolver } from "../dns/resolver.ts";
import type { Buckets } from "../filter/buckets.ts";
import { type Blocks, networkOf } from "../filter/address_block.ts";
import { Chain } from "../filter/chain.ts";
import type { Check } from "../filter/check.ts";
import type { Inspect } from "../filter/content/attachments.ts";
import { content } from "../filter/checks/content.ts";
import { dnsbl } from "../filter/checks/dnsbl.ts";
import { earlyTalker } from "../filter/checks/early_talker.ts";
import { greylist } from "../filter/checks/greylist.ts";
import { header } from "../filter/checks/header.ts";
import { helo } from "../filter/checks/helo.ts";
import { list } from "../filter/checks/list.ts";
import { nullMx } from "../filter/checks/null_mx.ts";
import { rate } from "../filter/checks/rate.ts";
import { sparingRelays } from "../filter/checks/relayed.ts";
import { reverseDns } from "../filter/checks/reverse_dns.ts";
import { senderDomain } from "../filter/checks/sender_domain.ts";
import { sending } from "../filter/checks/sending.ts";
import { MAX_SCAN_DEFERRAL_MS, mayPutOff } from "../filter/deferral.ts";
import { loadPatternEngine, type PatternEngine } from "../filter/patterns.ts";
import { Lookup } from "../filter/lookup.ts";
import { provenBySpf } from "../filter/proven.ts";
import type { Chains } from "../filter/screen.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import type { CheckConfig, FilterConfig } from "./config/config.ts";
import {
  clamdCheck,
  httpHook,
  icapCheck,
  milterCheck,
  rspamdCheck,
  type ScannerParts,
  scriptCheck,
  spamdCheck,
} from "./filter_outside.ts";

const log = getLogger(["veredus", "filter"]);
/** A look-up keeps a client waiting no longer. */
const LOOKUP_MS = 3_000;
const LOOKUP_ENTRIES = 10_000;

export interface ChainParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly buckets: Buckets;
  readonly hostname: string;
  readonly clock: () => number;
  /** The same, but never put back. */
  readonly steady: () => number;
  /** Null where no check has patterns: see {@linkcode patternsOf}. */
  readonly patterns: PatternEngine | null;
  /** Relays and backup MX of ours: their mail is not refused for its content. */
  readonly relays: Blocks;
  /** Looks into attachments. */
  readonly inspect: Inspect;
  /** A login looks stolen. */
  readonly notify: (login: string, reason: string) => void;
}

export function buildChains(config: FilterConfig, parts: ChainParts): Chains {
  const lookup = new Lookup(parts.resolver, {
    now: parts.clock,
    timeoutMs: LOOKUP_MS,
    entries: LOOKUP_ENTRIES,
  });
  const checks = config.checks.map((one) => ({ one, check: checkOf(one, { ...parts, lookup }) }));
  return {
    strangers: new Chain(checks.filter(({ one }) => !onlyLogins(one)).map(({ check }) => check)),
    logins: new Chain(checks.filter(({ one }) => one.logins || onlyLogins(one)).map(({ check }) => check)),
  };
}

/** The engine for patterns, where the configuration has some. */
export async function patternsOf({ checks }: FilterConfig): Promise<PatternEngine | null> {
  return checks.some(({ patterns }) => patterns.length > 0) ? await loadPatternEngine() : null;
}

/** The pause before the greeting; 0 where nobody looks at who speaks in it. */
export function greetingDelayMs({ checks }: FilterConfig): number {
  return checks.find(({ check }) => check === "early-talker")?.delayMs ?? 0;
}

function onlyLogins({ check, by }: CheckConfig): boolean {
  return check === "sending" || (check === "rate" && by.includes("login"));
}

function checkOf(config: CheckConfig, parts: ChainParts & { readonly lookup: Lookup }): Check {
  const { name, action } = config;
  const { store, lookup, clock: now, hostname } = parts;
  const { policy: state } = store;
  const isLocal = (domain: string) => store.directory.domain(domain) !== null;
  const write = (op: WriteOp): Promise<void> =>
    store.write(op).then(
      () => {},
      (error) => log.warn("{check} could not store what it saw: {error}", { check: name, error }),
    );
  const [stage = "mail"] = config.stages;
  const isRelay = (address: string) => parts.relays.includes(address);
  const scanners: ScannerParts = {
    isRelay,
    now: parts.steady,
    mayDefer: ({ client, sender }) =>
      mayPutOff({
        ...{ state, write, kind: "scan-trouble", forMs: MAX_SCAN_DEFERRAL_MS, now: now() },
        key: `${name} ${networkOf(client.address)} ${(sender ?? "").toLowerCase()}`,
      }),
  };
  switch (config.check) {
    case "null-mx":
      return { ...nullMx({ lookup, action, isLocal }), name };
    case "sender-domain":
      return { ...senderDomain({ lookup, action, isLocal }), name };
    case "header": {
      if (action === "accept") throw new Error("no header proves who is welcome"); // nor does the configuration take it
      return sparingRelays(header({ ...config, action }, parts.patterns), isRelay);
    }
    case "list":
      return list(
        {
          ...{ ...config, stage: stage === "data" || stage === "message" ? "mail" : stage },
          proven: provenBySpf(parts.resolver, { receiver: hostname, now }),
        },
        parts.patterns,
      );
    case "dnsbl":
      return dnsbl({ ...config, lookup, now, relays: parts.relays });
    case "reverse-dns":
      return { ...reverseDns({ lookup, action }), name };
    case "helo":
      return { ...helo({ action, hostname, isLocal }), name };
    case "early-talker":
      return { ...earlyTalker({ action }), name };
    case "greylist":
      return {
        ...greylist({
          ...config,
          stage: stage === "message" ? "message" : "rcpt",
          state,
          write,
          now,
          isRelay,
        }),
        name,
      };
    case "rate":
      return rate({
        ...config,
        stage: stage === "mail" ? "mail" : "rcpt",
        buckets: parts.buckets,
        now: parts.steady,
      });
    case "sending":
      return { ...sending({ ...config, state, write, now, notify: parts.notify }), name };
    case "http":
      return sparingRelays(httpHook(config), isRelay);
    case "milter":
      return sparingRelays(milterCheck(config, { hostname, clock: now }), isRelay);
    case "script":
      return sparingRelays(scriptCheck(config), isRelay);
    case "content":
      return content({
        ...{ name, actions: config.findings, limits: config.contentLimits },
        ...{ isRelay, inspect: parts.inspect },
      });
    case "clamd":
      return clamdCheck(config, scanners);
    case "icap":
      return icapCheck(config, scanners);
    case "rspamd":
      return rspamdCheck(config, scanners);
    case "spamd":
      return spamdCheck(config, scanners);
    default:
      return config.check satisfies never;
  }
}
