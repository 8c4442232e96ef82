/**
 * How the TLS towards each mail server must be, before it is connected to, and what became of it afterwards.
 *
 * In this order: the operator's rule for the domain; `TLS-Required: No` of the message (RFC 8689 5); DANE (RFC 7672) where
 * DNSSEC vouches for the MX records; MTA-STS (RFC 8461), which never overrides DANE (2); what was learned: a domain that
 * took mail under TLS is expected to do so for {@linkcode LEARNED_MS}; else opportunistic TLS (RFC 7435). Results are
 * counted by day for reports (RFC 8460).
 */
import { getLogger } from "@logtape/logtape";
import type { Resolver } from "../../dns/resolver.ts";
import type { QueueTls } from "../../storage/ops.ts";
import type { Observations } from "../reports/observations.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import type { CertificateCheck, TlsProblem } from "./certificate_check.ts";
import { lookupDane, tlsaText } from "./dane.ts";
import { allowsHost, stsLines } from "./mta_sts.ts";
import type { KnownPolicy, StsPolicies } from "./sts_policies.ts";
import { type AppliedPolicy, NO_POLICY, tlsObservation } from "./tls_observation.ts";

const log = getLogger(["veredus", "queue"]);
const sessions = counter(
  "veredus_outbound_tls_sessions_total",
  "Connections to mail servers by policy and result",
  [
    "policy",
    "result",
  ],
);
const lost = counter(
  "veredus_outbound_tls_lost_total",
  "Connections in clear to domains that took mail under TLS",
);

/** How long a domain is expected to go on with TLS, milliseconds. */
const LEARNED_MS = 30 * 86_400_000;
/** What was seen is written at most so often for one domain. */
const LEARN_EVERY_MS = 86_400_000;
const MAX_REMEMBERED = 10_000;

/**
 * - `none`: no TLS at all
 * - `opportunistic`: where it is offered, and nothing more
 * - `encrypted`: TLS, any certificate
 * - `verified`: a trusted certificate with the name of the host or of the domain
 * - `dane`: DANE, or no mail
 */
export type TlsLevel = "none" | "opportunistic" | "encrypted" | "verified" | "dane";

export interface TlsRule {
  /** Lower case; `*.` and a domain stands for everything below it. */
  readonly domains: readonly string[];
  readonly level: TlsLevel;
}

export interface SecurityOptions {
  readonly dane: boolean;
  readonly mtaSts: boolean;
  /** What happens where a domain that took mail under TLS offers none. */
  readonly learned: "off" | "warn" | "refuse";
  readonly rules: readonly TlsRule[];
}

/** What is known of a domain before its hosts are tried. */
export interface DomainSecurity {
  readonly domain: string;
  readonly level: TlsLevel | null;
  readonly sts: KnownPolicy | null;
  /** When it last took mail under TLS; null: not within {@linkcode LEARNED_MS}. */
  readonly learnedAt: number | null;
}

export interface TlsPlan {
  readonly starttls: "off" | "offered" | "required";
  readonly check: CertificateCheck;
  /** False: a certificate that fails the check is only told of (MTA-STS in testing mode). */
  readonly enforce: boolean;
  /** What the handshake asks for (RFC 7672 8.1). */
  readonly serverName: string;
  readonly policy: AppliedPolicy;
}

/** The host must not be used now. */
export interface HostRefusal {
  readonly problem: TlsProblem;
}

export interface HostQuestion {
  readonly domain: DomainSecurity;
  readonly host: string;
  readonly port: number;
  /** DNSSEC vouches for the MX records. */
  readonly mxSecure: boolean;
  readonly addresses: { readonly canonicalName: string; readonly secure: boolean };
  readonly need: QueueTls;
}

export class TransportSecurity {
  readonly #options: SecurityOptions;
  readonly #resolver: Resolver;
  readonly #store: Store;
  readonly #policies: StsPolicies;
  readonly #observations: Observations;
  readonly #clock: () => number;
  #learnedToday: Map<string, number>;

  constructor(parts: {
    options: SecurityOptions;
    resolver: Resolver;
    store: Store;
    policies: StsPolicies;
    observations: Observations;
    clock: () => number;
  }) {
    this.#options = parts.options;
    this.#resolver = parts.resolver;
    this.#store = parts.store;
    this.#policies = parts.policies;
    this.#observations = parts.observations;
    this.#clock = parts.clock;
    this.#learnedToday = new Map();
  }

  async domain(domain: string, need: QueueTls): Promise<DomainSecurity> {
    const level =
      this.#options.rules.find(({ domains }) => domains.some((one) => fits(one, domain)))?.level ??
        (need === "optional" ? "opportunistic" : null);
    const learned = this.#options.learned === "off"
      ? null
      : this.#store.policy.get("tls-seen", domain, this.#clock());
    const base = { domain, level, learnedAt: learned?.lastAt ?? null };
    if (level !== null || !this.#options.mtaSts) return { ...base, sts: null };
    const { policy, problem } = await this.#policies.of(domain);
    if (problem !== null) this.#count(domain, policy === null ? NO_POLICY : stsPolicy(policy), { problem });
    return { ...base, sts: policy === null || policy.mode === "none" ? null : policy };
  }

  async host(question: HostQuestion): Promise<TlsPlan | HostRefusal> {
    const { domain, host, need } = question;
    const names = [host, domain.domain];
    const plan: TlsPlan = {
      starttls: "offered",
      check: { kind: "none" },
      enforce: true,
      serverName: host,
      policy: NO_POLICY,
    };
    const planned = await this.#planned(question, plan);
    if ("problem" in planned) {
      this.failed(question, { policy: planned.policy, problem: planned.problem, address: "" });
      return { problem: planned.problem };
    }
    if (need !== "require") return planned;
    // RFC 8689 4.2.1: TLS with a certificate that names the host, or with DANE.
    const check: CertificateCheck = planned.check.kind === "none" ? { kind: "pkix", names } : planned.check;
    return { ...planned, starttls: "required", check, enforce: true };
  }

  async #planned(
    question: HostQuestion,
    plan: TlsPlan,
  ): Promise<TlsPlan | (HostRefusal & { readonly policy: AppliedPolicy })> {
    const { domain, host } = question;
    switch (domain.level) {
      case "none":
        return { ...plan, starttls: "off" };
      case "opportunistic":
        return plan;
      case "encrypted":
        return { ...plan, starttls: "required" };
      case "verified":
        return { ...plan, starttls: "required", check: { kind: "pkix", names: [host, domain.domain] } };
      case "dane":
      case null: {
        const dane = await this.#dane(question, plan);
        if (dane !== null) return dane;
        break;
      }
      default:
        domain.level satisfies never;
    }
    if (domain.level === "dane") {
      const text =
        `DANE is required for ${domain.domain}, but ${host} has no TLSA records that DNSSEC vouches for`;
      return { problem: { result: "dane-required", text }, policy: NO_POLICY };
    }
    if (domain.sts !== null) return this.#sts(domain.sts, question, plan);
    const refuses = this.#options.learned === "refuse" && domain.learnedAt !== null;
    return refuses ? { ...plan, starttls: "required" } : plan;
  }

  /** RFC 7672 2.2; null: nothing to go by. */
  async #dane(
    { domain, host, port, mxSecure, addresses }: HostQuestion,
    plan: TlsPlan,
  ): Promise<TlsPlan | (HostRefusal & { readonly policy: AppliedPolicy }) | null> {
    if (!this.#options.dane && domain.level !== "dane") return null;
    if (!mxSecure || !addresses.secure) return null;
    const found = await lookupDane(this.#resolver, { host, port, canonicalName: addresses.canonicalName });
    switch (found.kind) {
      case "none":
        return null;
      case "failed": {
        const problem: TlsProblem = {
          result: "dnssec-invalid",
          text: `the TLSA records of ${host} cannot be had: ${found.reason}`,
        };
        return { problem, policy: { type: "tlsa", lines: [], mx: [] } };
      }
      case "found": {
        const { base, usable, all } = found;
        return {
          ...plan,
          starttls: "required",
          serverName: base,
          check: usable.length === 0
            ? { kind: "none" }
            : { kind: "dane", records: usable, names: [...new Set([base, host, domain.domain])] },
          policy: { type: "tlsa", lines: all.map(tlsaText), mx: [] },
        };
      }
      default:
        return found satisfies never;
    }
  }

  /** RFC 8461 4 and 5. */
  #sts(
    policy: KnownPolicy,
    { domain, host }: HostQuestion,
    plan: TlsPlan,
  ): TlsPlan | (HostRefusal & { readonly policy: AppliedPolicy }) {
    const enforce = policy.mode === "enforce";
    const applied = stsPolicy(policy);
    if (!allowsHost(policy, host)) {
      const problem: TlsProblem = {
        result: "validation-failure",
        text: `the MTA-STS policy of ${domain.domain} does not name ${host}`,
      };
      if (enforce) return { problem, policy: applied };
      this.#count(domain.domain, applied, { problem, host });
      return { ...plan, policy: applied };
    }
    return {
      ...plan,
      starttls: enforce ? "required" : "offered",
      check: { kind: "pkix", names: [host] },
      enforce,
      policy: applied,
    };
  }

  /** A session with a host of a domain began under TLS that was as it had to be. */
  succeeded({ domain }: Pick<HostQuestion, "domain">, policy: AppliedPolicy): void {
    this.#count(domain.domain, policy, null);
    if (this.#options.learned !== "off") this.#learn(domain.domain);
  }

  failed(
    { domain, host }: Pick<HostQuestion, "domain" | "host">,
    { policy, problem, address }: {
      readonly policy: AppliedPolicy;
      readonly problem: TlsProblem;
      readonly address: string;
    },
  ): void {
    this.#count(domain.domain, policy, { problem, host, address });
    log.warn("TLS with {host} for {domain}: {text}", { host, domain: domain.domain, ...problem });
  }

  /** Mail goes in clear. */
  clear({ domain, host }: Pick<HostQuestion, "domain" | "host">): void {
    if (domain.learnedAt === null) return;
    lost.inc();
    log.warn("mail to {domain} goes in clear to {host}, though the domain took mail under TLS on {seen}", {
      domain: domain.domain,
      host,
      seen: new Date(domain.learnedAt).toISOString().slice(0, 10),
    });
  }

  #count(
    domain: string,
    policy: AppliedPolicy,
    failure: { readonly problem: TlsProblem; readonly host?: string; readonly address?: string } | null,
  ): void {
    sessions.inc({ policy: policy.type, result: failure?.problem.result ?? "ok" });
    const seen = tlsObservation({
      policy,
      result: failure?.problem.result ?? null,
      reason: failure?.problem.text ?? "",
      host: failure?.host ?? "",
      address: failure?.address ?? "",
    });
    this.#observations.add(domain, seen);
  }

  #learn(domain: string): void {
    const now = this.#clock();
    if ((this.#learnedToday.get(domain) ?? -Infinity) + LEARN_EVERY_MS > now) return;
    if (this.#learnedToday.size >= MAX_REMEMBERED) this.#learnedToday.clear();
    this.#learnedToday.set(domain, now);
    const row = { key: domain, firstAt: now, lastAt: now, count: 1, expiresAt: now + LEARNED_MS, note: "" };
    this.#store.write({ kind: "put-state", rows: [{ ...row, kind: "tls-seen" }], add: true }).catch(
      (error) => {
        log.error("the TLS of {domain} is not remembered: {error}", { domain, error });
      },
    );
  }
}

function stsPolicy(policy: KnownPolicy): AppliedPolicy {
  return { type: "sts", lines: stsLines(policy), mx: policy.mx };
}

function fits(rule: string, domain: string): boolean {
  return rule === domain || (rule.startsWith("*.") && domain.endsWith(rule.slice(1)));
}
