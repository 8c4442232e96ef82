/**
 * What the checks of the sender (mailauth/) decide about a message of a stranger.
 *
 * SPF alone never refuses. A DMARC failure goes to Junk where the domain's owner asks for quarantine or reject; it is
 * refused (550 5.7.1) only where reject is asked for and another signal agrees, or by setting. Never refused nor filed as
 * junk: what a trusted sealer says it saw pass (RFC 8617 7.2), and mail that a known list has signed. Mail from a relay of
 * ours is never refused for it: it would be our relay that bounces. Trouble of DNS delivers with `temperror`, or defers by
 * setting, each client and sender for an hour at most.
 */
import { getLogger } from "@logtape/logtape";
import type { Resolver } from "../dns/resolver.ts";
import { type Blocks, networkOf } from "../filter/address_block.ts";
import { sealedResult } from "../mailauth/arc_seal.ts";
import { type Envelope, SenderCheck, type SenderFindings } from "../mailauth/sender_check.ts";
import { type Reply, reply } from "../protocols/smtp/reply.ts";
import { infoLines } from "../telemetry/log.ts";
import { counter, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import { mayPutOff } from "../filter/deferral.ts";
import type { Store } from "../storage/store.ts";
import type { ClientFacts } from "./reception.ts";

const log = getLogger(["veredus", "delivery"]);
const checkedLine = infoLines("delivery");
const methods = counter("veredus_sender_checks_total", "Results of the checks of senders", [
  "method",
  "result",
]);
const actions = counter("veredus_sender_actions_total", "What the checks of senders decided", ["action"]);
const seconds = histogram(
  "veredus_sender_check_seconds",
  "Time that checks of senders took after the message was there",
  {
    buckets: SECONDS_BUCKETS,
  },
);

export interface AuthenticationConfig {
  readonly iprev: boolean;
  readonly spf: boolean;
  readonly dkim: boolean;
  readonly arc: boolean;
  readonly dmarc: "off" | "rfc9989" | "rfc7489";
  /** Messages that fail DMARC under p=reject. */
  readonly refuse: "never" | "agreed" | "always";
  /** Domains whose ARC seals are believed. */
  readonly trustedSealers: readonly string[];
  /** Domains of mailing lists, as they sign with DKIM. */
  readonly knownLists: readonly string[];
  /** A provider's servers, or our backup MX: whom they had a message from counts. */
  readonly relays: Blocks;
  /** Clients whose mail is not checked. */
  readonly skip: Blocks;
  readonly onDnsTrouble: "deliver" | "defer";
  readonly timeoutMs: number;
}

export type SenderAction = "deliver" | "junk" | "refuse" | "defer";

export interface SenderVerdict {
  readonly action: SenderAction;
  /** In words, for log and trace. */
  readonly reason: string;
}

export const DMARC_REFUSED = reply(550, "5.7.1", "The domain in From asks to refuse this message (DMARC)");
export const DNS_TROUBLE = reply(451, "4.7.24", "The sender could not be checked now, try again later");
/** A message is put off for DNS trouble no longer. */
const MAX_DEFERRAL_MS = 3_600_000;

/** Null where the client is one whose mail is not checked: a login, a trusted network, local delivery. */
export function startCheck(
  { resolver, hostname, config, random }: {
    readonly resolver: Resolver;
    readonly hostname: string;
    readonly config: AuthenticationConfig;
    readonly random: () => number;
  },
  client: ClientFacts,
  envelope: Pick<Envelope, "sender" | "now">,
): SenderCheck | null {
  if (client.service !== "mx" || client.account !== null || client.trusted) return null;
  if (config.skip.includes(client.address)) return null;
  const { iprev, spf, dkim, arc, dmarc, timeoutMs: deadlineMs } = config;
  if (!iprev && !spf && !dkim && !arc && dmarc === "off") return null;
  return new SenderCheck({
    ...{ resolver, hostname, iprev, spf, dkim, arc, deadlineMs },
    isRelay: (address) => config.relays.includes(address),
    dmarc: dmarc === "off" ? null : { standard: dmarc, random },
  }, { ...envelope, address: client.address, heloName: client.heloName });
}

interface Message {
  readonly traceId: string;
  readonly session: string;
}

/** Waits for what is not known yet, if there is something, `withinMs` at most; counts and logs it. */
export function finishCheck(
  check: SenderCheck,
  { withinMs, ...message }: Message & { readonly withinMs: number },
): SenderFindings | Promise<SenderFindings> {
  const began = performance.now();
  const told = (findings: SenderFindings) => {
    seconds.observe((performance.now() - began) / 1000);
    tell(findings, message);
    return findings;
  };
  const findings = check.finish(withinMs);
  return findings instanceof Promise ? findings.then(told) : told(findings);
}

function tell(findings: SenderFindings, { traceId, session }: Message): void {
  const { iprev, spf, dkim, arc, dmarc } = findings;
  const results: [string, string][] = [];
  if (iprev !== null) results.push(["iprev", iprev.result]);
  if (spf !== null) results.push(["spf", spf.result]);
  for (const { result } of dkim ?? []) results.push(["dkim", result]);
  if (arc !== null) results.push(["arc", arc.result]);
  if (dmarc !== null) results.push(["dmarc", dmarc.result]);
  for (const [method, result] of results) methods.inc({ method, result });
  checkedLine("sender checked", {
    trace: traceId,
    session,
    results: results.map(([method, result]) => `${method}=${result}`).join(" "),
    domain: dmarc?.authorDomain,
    policy: dmarc?.policy,
    handedOverBy: findings.relayed ? findings.judged?.address ?? "unknown" : undefined,
  });
}

/** `mayDefer`: it was not put off for an hour already. */
export function decide(
  findings: SenderFindings,
  config: AuthenticationConfig,
  mayDefer: () => boolean,
): SenderVerdict {
  const verdict = decided(findings, config, mayDefer);
  actions.inc({ action: verdict.action });
  return verdict;
}

const DELIVER: SenderVerdict = { action: "deliver", reason: "" };

function decided(
  findings: SenderFindings,
  config: AuthenticationConfig,
  mayDefer: () => boolean,
): SenderVerdict {
  const { dmarc } = findings;
  if (config.onDnsTrouble === "defer" && isTemporary(findings) && mayDefer()) {
    return { action: "defer", reason: "DNS did not answer" };
  }
  if (dmarc === null || dmarc.result !== "fail" || dmarc.policy === "none") {
    const open = openMethods(findings);
    return open === "" ? DELIVER : { action: "deliver", reason: `not known in time or for DNS: ${open}` };
  }
  const spared = sparedBy(findings, config);
  if (spared !== null) return { action: "deliver", reason: spared };
  const reason = `DMARC failed for ${dmarc.authorDomain}, which asks for ${dmarc.policy}`;
  if (dmarc.policy !== "reject" || config.refuse === "never" || findings.relayed) {
    return { action: "junk", reason };
  }
  if (config.refuse === "always") return { action: "refuse", reason };
  const agreed = agreeing(findings);
  return agreed === null ? { action: "junk", reason } : { action: "refuse", reason: `${reason}; ${agreed}` };
}

/** What could not be found out for now. */
function openMethods({ iprev, spf, dkim, arc, dmarc }: SenderFindings): string {
  const results = { iprev, spf, arc, dmarc };
  const open = Object.entries(results).filter(([, one]) => one?.result === "temperror").map(([name]) => name);
  if (dkim?.some(({ result }) => result === "temperror")) open.push("dkim");
  return open.join(", ");
}

/** Whether a pass may be hidden by trouble of DNS. What is known for certain is not put off. */
function isTemporary({ spf, dmarc }: SenderFindings): boolean {
  return dmarc === null ? spf?.result === "temperror" : dmarc.result === "temperror";
}

function sparedBy({ arc, dkim }: SenderFindings, config: AuthenticationConfig): string | null {
  if (sealedAsPassing(arc, config)) return `sealed as passing by ${arc?.sets.at(-1)?.seal.domain ?? ""}`;
  const list = dkim?.find(({ result, domain }) => result === "pass" && config.knownLists.includes(domain));
  return list === undefined ? null : `signed by the list ${list.domain}`;
}

/** Every sealer of a chain must be believed: each could have made up all that came before (RFC 8617 9.6). */
function sealedAsPassing(
  arc: SenderFindings["arc"],
  { trustedSealers }: Pick<AuthenticationConfig, "trustedSealers">,
): boolean {
  return arc?.result === "pass" && arc.sets.every(({ seal }) => trustedSealers.includes(seal.domain)) &&
    arc.sets.slice(0, 1).some((first) => sealedResult([first], "dmarc") === "pass");
}

/** SPF or DKIM passed for the domain in From, or sealers that are believed saw it pass: the author is who it says. */
export function provesAuthor(
  { dmarc, arc }: SenderFindings,
  config: Pick<AuthenticationConfig, "trustedSealers">,
): boolean {
  return dmarc?.proven === true || sealedAsPassing(arc, config);
}

/** It comes from the domain in From, or somebody who is believed handed it on. */
export function isVouchedFor(findings: SenderFindings, config: AuthenticationConfig): boolean {
  return provesAuthor(findings, config) || sparedBy(findings, config) !== null;
}

/** Another sign than DMARC's own ones that the client is not whom it says. */
function agreeing({ iprev }: SenderFindings): string | null {
  if (iprev?.result === "fail" || iprev?.result === "permerror") return `iprev: ${iprev.text}`;
  return null;
}

export function refusalOf({ action }: SenderVerdict): Reply | null {
  return action === "refuse" ? DMARC_REFUSED : action === "defer" ? DNS_TROUBLE : null;
}

/** Notes the first time that this client and sender are put off, and tells whether they may be (again). */
export function mayDefer(
  { store, address, sender, now }: {
    readonly store: Pick<Store, "policy" | "write">;
    readonly address: string;
    readonly sender: string;
    readonly now: number;
  },
): boolean {
  return mayPutOff({
    state: store.policy,
    write: (op) => {
      store.write(op).catch((error) => log.warn("a deferral could not be noted: {error}", { error }));
    },
    kind: "dns-trouble",
    key: `${networkOf(address)} ${sender.toLowerCase()}`,
    ...{ forMs: MAX_DEFERRAL_MS, now },
  });
}
