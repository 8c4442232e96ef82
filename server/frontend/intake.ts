/**
 * How mail comes in at a front end: the reception, and what it asks before it takes a message: checks, the spam filter,
 * DNS, the next hops of relay domains.
 */
import type { TraceLog } from "../../storage/trace_log.ts";
import { InboundReception } from "../../delivery/inbound.ts";
import type { InboundConfig } from "../../delivery/inbound/setting.ts";
import { callAhead } from "../../delivery/queue/call_ahead.ts";
import { type CallAhead, RecipientGate } from "../../delivery/recipient_gate.ts";
import { Observations } from "../../delivery/reports/observations.ts";
import { StsPolicies } from "../../delivery/security/sts_policies.ts";
import { TransportSecurity } from "../../delivery/security/transport_security.ts";
import { heldNotice } from "../../delivery/spam/outgoing.ts";
import { stolenNotice } from "../../delivery/stolen_notice.ts";
import { Blocks } from "../../filter/address_block.ts";
import type { Buckets } from "../../filter/buckets.ts";
import type { PatternEngine } from "../../filter/patterns.ts";
import type { Chains } from "../../filter/screen.ts";
import type { Store } from "../../storage/store.ts";
import type { Config } from "../config/config.ts";
import { DENO_TIMERS } from "../deno_timers.ts";
import { plainAddress } from "../deno_transport.ts";
import { inspectIn } from "../attachments.ts";
import { buildChains } from "../filter_chains.ts";
import { FilterThread } from "../filter_thread.ts";
import { linkLists } from "../link_lists.ts";
import { stsFetch } from "../mail_web.ts";
import { outboundParts } from "../outbound_parts.ts";
import { denoConnector } from "../outgoing.ts";
import { createResolver, type ThreadResolver } from "../resolver.ts";
import { SpamFilter } from "../spam_filter.ts";
import { steadyNow } from "../steady_clock.ts";

export interface IntakeParts {
  readonly store: Store;
  /** Token buckets of rates, and answers of DNS: of all threads. */
  readonly buckets: Buckets;
  readonly answers: SharedArrayBuffer;
  /** Null where no check has patterns. */
  readonly patterns: PatternEngine | null;
  readonly trace: TraceLog | null;
  readonly newId: () => string;
  /** Teaches the spam filter what users sort; one front end does it for all. */
  readonly learns: boolean;
}

export class Intake {
  readonly reception: InboundReception;
  readonly #resolver: ThreadResolver;
  readonly #chains: Chains;
  readonly #filter: FilterThread | null;
  readonly #spam: SpamFilter;
  readonly #observations: Observations;

  constructor(config: Config, { store, buckets, answers, patterns, trace, newId, learns }: IntakeParts) {
    const { hostname, filter } = config;
    this.#resolver = createResolver(config.resolver, { folder: config.data, answers });
    const { deadlineMs } = filter.spam;
    this.#filter = config.threads === 0 ? null : new FilterThread({ data: config.data, deadlineMs });
    this.#chains = buildChains(filter, {
      store,
      resolver: this.#resolver,
      buckets,
      patterns,
      inspect: inspectIn(this.#filter),
      hostname,
      clock: Date.now,
      steady: steadyNow,
      relays: new Blocks(config.senderChecks.relays),
      notify: (login, reason) => this.reception.noticed(stolenNotice(config, { login, reason })),
    });
    this.#spam = new SpamFilter({ store, thread: this.#filter, deadlineMs });
    if (learns && filter.spam.enabled) this.#learn(store);
    this.#observations = new Observations("dmarc", { store, timers: DENO_TIMERS });
    this.reception = new InboundReception({
      store,
      ...(config.senderChecks.reports && { observations: this.#observations }),
      chains: this.#chains,
      resolver: this.#resolver,
      ...(trace !== null && { tracer: trace }),
      spam: {
        filter: this.#spam,
        linkHits: linkLists(filter.spam.linkZones, { resolver: this.#resolver, clock: Date.now }),
        notify: (held) =>
          this.reception.noticed(heldNotice({ hostname, administrator: filter.administrator }, held)),
      },
      hostname,
      clock: Date.now,
      newId,
      config: inboundConfig(config),
      webhooks: config.webhooks,
      gate: new RecipientGate({
        store,
        clock: Date.now,
        suppress: config.queue.suppressMs > 0,
        ask: askNextHop(config, { store, resolver: this.#resolver }),
      }),
    });
  }

  #learn(store: Store): void {
    store.onChange((change) => {
      if (change.kind === "lessons") this.#spam.taught();
    });
    if (store.spam.wishes(1).length > 0) this.#spam.taught();
  }

  configure(config: Config): void {
    this.reception.configure(inboundConfig(config));
  }

  async close(): Promise<void> {
    await Promise.all([this.#chains.strangers.close(), this.#chains.logins.close()]);
    this.#resolver.close();
    await this.#observations.flush();
    this.#filter?.close();
    await this.#spam.close();
  }
}

/** Questions to the next hops of relay domains. */
function askNextHop(
  config: Config,
  { store, resolver }: { readonly store: Store; readonly resolver: ThreadResolver },
): CallAhead {
  const security = new TransportSecurity({
    options: { ...config.outboundTls, learned: "off" },
    ...{ resolver, store, clock: Date.now },
    policies: new StsPolicies({
      store,
      resolver,
      clock: Date.now,
      fetch: stsFetch({ connector: denoConnector(), resolver, timers: DENO_TIMERS, random: Math.random }),
    }),
    observations: new Observations("tls", { store, timers: DENO_TIMERS }),
  });
  return callAhead(outboundParts(config, { resolver, security }));
}

function inboundConfig(config: Config): InboundConfig {
  return {
    messageOctets: config.limits.messageOctets,
    recipients: config.limits.recipients,
    vrfy: config.smtp.vrfy,
    expn: config.smtp.expn,
    hideLogins: config.smtp.hideLogins,
    copies: config.copies,
    captureOutbound: config.captureOutbound,
    ownAddresses: Deno.networkInterfaces().map(({ address }) => plainAddress(address)),
    queueLifetimeMs: config.queue.lifetimeMs,
    bounceLifetimeMs: config.queue.bounceLifetimeMs,
    quarantineMs: config.quarantine.keepMs,
    spam: config.filter.spam,
    authentication: {
      ...config.senderChecks,
      relays: new Blocks(config.senderChecks.relays),
      skip: new Blocks(config.senderChecks.skip),
    },
  };
}
