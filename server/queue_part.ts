/**
 * The queue's part: outbound delivery with its own view of the store, resolver and sockets.
 *
 * A thread of its own, or the only one with `threads: 0`. It opens after the ports do, so that mail comes in at once.
 */
import { getLogger } from "@logtape/logtape";
import { fileHeld } from "../delivery/held.ts";
import { advanceKeys } from "../delivery/dkim_keys.ts";
import { keysNotice } from "../delivery/keys_notice.ts";
import { noticeOperation } from "../delivery/dsn.ts";
import { GroupAgent } from "../delivery/group.ts";
import { watchQueue } from "../delivery/queue_metrics.ts";
import { RecipientResolver } from "../delivery/recipients.ts";
import { DMARC_REPORT } from "../delivery/reports/dmarc_report.ts";
import { Observations } from "../delivery/reports/observations.ts";
import { sendReports } from "../delivery/reports/sender.ts";
import { TLS_REPORT } from "../delivery/reports/tls_report.ts";
import { StsPolicies } from "../delivery/security/sts_policies.ts";
import { TransportSecurity } from "../delivery/security/transport_security.ts";
import { listedNotice, tellOnce } from "../delivery/listed_notice.ts";
import { WebhookRunner } from "../delivery/queue/webhooks.ts";
import type { PostOptions } from "../delivery/post.ts";
import { sendDigests } from "../delivery/quarantine/digest.ts";
import { watchQuarantine } from "../delivery/quarantine/metrics.ts";
import { QueueRunner } from "../delivery/runner.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openStore } from "../storage/open_store.ts";
import type { Store } from "../storage/store.ts";
import type { WriterPort } from "../storage/writer.ts";
import { callHook, runCommand } from "./agents.ts";
import type { Config } from "./config/config.ts";
import type { HttpsParts } from "./https_client.ts";
import { IdSource } from "./ids.ts";
import { DENO_TIMERS } from "./deno_timers.ts";
import { outboundParts, ownAddresses } from "./outbound_parts.ts";
import { denoConnector } from "./outgoing.ts";
import { webhookPost } from "./webhook_post.ts";
import { stsFetch, tlsReportPost } from "./mail_web.ts";
import { askServers, createResolver, type ThreadResolver } from "./resolver.ts";
import { traceLog } from "./trace.ts";
import type { TraceLog } from "../storage/trace_log.ts";
import type { PartSettings, SessionInfo, ThreadPart } from "./threads/messages.ts";

/** How long a connection to another server waits for the next message. */
const IDLE_MS = 2_000;
/** Between two looks at what waits for DNS or for a day to end: DKIM keys, the quarantine, MTA-STS policies, reports. */
const UPKEEP_MS = 600_000;

const log = getLogger(["veredus", "queue"]);

export interface QueueSharing {
  readonly writer: WriterPort;
  /** Answers of DNS. */
  readonly answers: SharedArrayBuffer;
  /** Left out: {@linkcode UPKEEP_MS}. */
  readonly upkeepMs?: number;
}

export class QueuePart implements ThreadPart {
  readonly #store: Store;
  readonly #runner: QueueRunner;
  readonly #webhooks: WebhookRunner;
  readonly #trace: TraceLog | null;
  readonly #observations: Observations;
  readonly #resolver: ThreadResolver;
  readonly #upkeep: ReturnType<typeof setInterval>;

  private constructor(settings: PartSettings, sharing: QueueSharing) {
    const { config } = settings;
    const { writer } = sharing;
    const { queue } = config;
    const store = openStore({
      folder: new DataFolder(config.data),
      writer,
      minFreeOctets: config.limits.minFreeOctets,
    });
    const ids = new IdSource();
    const addresses = ownAddresses();
    const post = {
      store,
      clock: Date.now,
      newId: () => ids.next(),
      resolver: new RecipientResolver({
        directory: store.directory,
        mailboxes: store.mailboxes,
        access: store.access,
        hostname: config.hostname,
        ownAddresses: addresses,
        captureOutbound: config.captureOutbound,
        clock: Date.now,
      }),
      queueLifetimeMs: queue.lifetimeMs,
      bounceLifetimeMs: queue.bounceLifetimeMs,
    };
    const groups = new GroupAgent(post, config.hostname);
    this.#store = store;
    const resolver = this.#resolver = createResolver(config.resolver, {
      folder: config.data,
      keepsAnchors: true,
      answers: sharing.answers,
    });
    const web: HttpsParts = {
      connector: denoConnector(),
      resolver,
      timers: DENO_TIMERS,
      random: Math.random,
    };
    const policies = new StsPolicies({ store, resolver, clock: Date.now, fetch: stsFetch(web) });
    const observations = this.#observations = new Observations("tls", { store, timers: DENO_TIMERS });
    const security = new TransportSecurity({
      options: config.outboundTls,
      ...{ resolver, store, policies, observations, clock: Date.now },
    });
    this.#trace = traceLog(config, "queue");
    this.#runner = new QueueRunner({
      ...(this.#trace !== null && { tracer: this.#trace }),
      store,
      options: { ...queue, idleMs: IDLE_MS },
      rules: config.relay,
      notice: (notice) => noticeOperation({ store, post, hostname: config.hostname }, notice),
      agents: {
        group: (address, job) => groups.deliver(address, job),
        command: (name, job) => runCommand(config.commands, name, job),
        local: (_name, job) => fileHeld({ post, hostname: config.hostname }, job),
        hook: (name, job) => callHook(config.hooks, name, job),
      },
      outbound: outboundParts(config, { resolver, security }),
      webhooks: config.webhooks,
      listed: (destination, verdict) => {
        tellOnce(post, listedNotice(config, { destination, text: verdict.text }), `listed ${destination}`)
          .catch((error) => log.error("the administrator could not be told of a list: {error}", { error }));
      },
    });
    watchQueue(() => store.queue.counts(), Date.now);
    watchQuarantine(() => store.quarantine.counts());
    this.#runner.start();
    this.#webhooks = new WebhookRunner({
      store,
      hooks: config.webhooks,
      timers: DENO_TIMERS,
      post: webhookPost(config.webhooks, Date.now),
    });
    this.#webhooks.start();
    this.#upkeep = setInterval(() => {
      upkeep(
        "DKIM keys",
        advanceKeys({
          ...{ store, resolver, now: Date.now(), queueLifetimeMs: queue.lifetimeMs },
          atServers: (name) => askServers(resolver, config.resolver, name),
          rotateAfterMs: config.dkim.rotateMs,
          made: (domain, keys) => {
            const to = { hostname: config.hostname, administrator: config.filter.administrator };
            tellOnce(post, keysNotice(to, { domain, keys }), `dkim ${domain}`)
              .catch((error) => log.error("the administrator was not told of new keys: {error}", { error }));
          },
        }),
      );
      upkeep(
        "the quarantine",
        upkeepOf(store, { post, hostname: config.hostname, config: config.quarantine }),
      );
      if (config.outboundTls.mtaSts) upkeep("MTA-STS policies", policies.refresh());
      const sender = { store, resolver, post, hostname: config.hostname, clock: Date.now };
      const parts = { ...sender, postReport: tlsReportPost(web) };
      if (config.outboundTls.reports) upkeep("TLS reports", sendReports(TLS_REPORT, parts));
      if (config.senderChecks.reports) upkeep("DMARC reports", sendReports(DMARC_REPORT, parts));
    }, sharing.upkeepMs ?? UPKEEP_MS);
    Deno.unrefTimer(this.#upkeep as unknown as number);
  }

  static open(settings: PartSettings, sharing: QueueSharing): QueuePart {
    return new QueuePart(settings, sharing);
  }

  sessions(): SessionInfo[] {
    return this.#runner.sessions().map(({ id, address, since, tls, doing }) => ({
      id,
      protocol: "smtp",
      address,
      since,
      tls,
      account: null,
      doing,
    }));
  }

  endSession(id: string): boolean {
    return this.#runner.endSession(id);
  }

  reload(): void {
    // Everything the queue reads is read at start; the server says so to whoever changes it.
  }

  failRecipients(recipientIds: readonly number[], reason: string): Promise<number> {
    return this.#runner.fail(recipientIds, reason);
  }

  async drain(withinMs: number): Promise<void> {
    clearInterval(this.#upkeep);
    await this.#runner.drain(withinMs);
    await this.#webhooks.stop();
    watchQueue(null, Date.now);
    watchQuarantine(null);
    await this.#observations.flush();
    this.#resolver.close();
    await this.#store.close();
  }
}

/** What is too old goes, and recipients hear of what is new. */
async function upkeepOf(
  store: Store,
  { post, hostname, config }: {
    readonly post: PostOptions;
    readonly hostname: string;
    readonly config: Config["quarantine"];
  },
): Promise<void> {
  if (store.quarantine.expired(Date.now())) await store.write({ kind: "quarantine-expire", at: Date.now() });
  if (config.digest) await sendDigests({ post, hostname, url: config.url });
}

/** Work that nobody waits for. */
function upkeep(what: string, work: Promise<void>): void {
  work.catch((error) => log.error("the upkeep of {what} failed: {error}", { what, error }));
}
