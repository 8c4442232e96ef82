/** A queue over a real store, sending to servers on loopback; retries come after milliseconds. */
import { saltedPassword } from "../../auth/scram.ts";
import type { Agents } from "../../delivery/agents.ts";
import { fileHeld } from "../../delivery/held.ts";
import { noticeOperation } from "../../delivery/dsn.ts";
import { GroupAgent } from "../../delivery/group.ts";
import type { OutboundParts } from "../../delivery/outbound.ts";
import { DEFAULT_TIMEOUTS } from "../../delivery/outbound_connection.ts";
import { StsFetchError, StsPolicies } from "../../delivery/security/sts_policies.ts";
import { Observations } from "../../delivery/reports/observations.ts";
import { type SecurityOptions, TransportSecurity } from "../../delivery/security/transport_security.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { RecipientResolver } from "../../delivery/recipients.ts";
import { FamilyMemory } from "../../delivery/queue/families.ts";
import type { Webhook } from "../../delivery/queue/webhooks.ts";
import { PLAIN_MANNER, type RelayRule } from "../../delivery/routes.ts";
import { QueueRunner, type RunnerOptions } from "../../delivery/runner.ts";
import { DEFAULT_QUEUE } from "../../server/config/defaults.ts";
import { DENO_TIMERS } from "../../server/deno_timers.ts";
import { denoConnector } from "../../server/outgoing.ts";
import type { QueueEntry } from "../../storage/ops.ts";
import type { QueueListRow } from "../../storage/queue.ts";
import { until } from "../lib/program.ts";
import { TestStore, type TestStoreOptions } from "../lib/test_store.ts";

export const HOUR = 3_600_000;
export const ALICE = "alice@example.test";

export interface HarnessOptions {
  readonly options?: Partial<RunnerOptions>;
  readonly rules?: readonly RelayRule[];
  readonly outbound?: Partial<OutboundParts>;
  readonly store?: TestStoreOptions;
  readonly agents?: Partial<Agents>;
  readonly security?: Partial<SecurityOptions>;
  readonly listed?: (destination: string) => void;
  readonly webhooks?: readonly Webhook[];
  /** Texts of MTA-STS policies by domain. */
  readonly policies?: Readonly<Record<string, string>>;
}

export interface Submission {
  readonly to: readonly string[];
  readonly text?: string;
  readonly entry?: Partial<QueueEntry>;
  readonly notify?: string;
}

/** Everything goes to one port of this machine. */
export function relayRule(port: number, parts: Partial<RelayRule> = {}): RelayRule {
  return {
    senders: [],
    recipients: [],
    hops: [{ host: "127.0.0.1", port, weight: 1 }],
    mode: "smtp",
    tls: "opportunistic",
    username: "",
    passwordFile: "",
    manner: PLAIN_MANNER,
    ...parts,
  };
}

export class QueueHarness {
  readonly t: TestStore;
  observations!: Observations;
  groups!: GroupAgent;
  outbound!: OutboundParts;
  #options: HarnessOptions;
  #runner: QueueRunner | null = null;

  private constructor(t: TestStore, options: HarnessOptions) {
    this.t = t;
    this.#options = options;
  }

  static async open(options: HarnessOptions): Promise<QueueHarness> {
    return new QueueHarness(await TestStore.open(options.store ?? {}), options);
  }

  get runner(): QueueRunner {
    if (this.#runner === null) throw new Error("not started");
    return this.#runner;
  }

  start(options: HarnessOptions = this.#options): void {
    const { store } = this.t;
    let id = 0;
    const post = {
      store,
      clock: Date.now,
      newId: () => `notice${String(++id).padStart(10, "0")}`,
      resolver: new RecipientResolver({
        directory: store.directory,
        mailboxes: store.mailboxes,
        access: store.access,
        hostname: "mx.example.test",
        ownAddresses: [],
        captureOutbound: "",
        clock: Date.now,
      }),
      queueLifetimeMs: DEFAULT_QUEUE.lifetimeMs,
      bounceLifetimeMs: DEFAULT_QUEUE.bounceLifetimeMs,
    };
    const groups = this.groups = new GroupAgent(post, "mx.example.test");
    const resolver = options.outbound?.resolver ??
      { resolve: () => Promise.reject(new ResolveError("timeout", "no DNS in this test")) };
    this.observations = new Observations("tls", { store, timers: DENO_TIMERS });
    const policies = new StsPolicies({
      store,
      resolver,
      clock: Date.now,
      fetch: (domain) => {
        const text = options.policies?.[domain];
        return text === undefined
          ? Promise.reject(new StsFetchError("sts-policy-fetch-error", "no such host"))
          : Promise.resolve(text);
      },
    });
    this.#runner = new QueueRunner({
      store,
      options: { ...DEFAULT_QUEUE, firstRetryMs: 60_000, jitterPercent: 0, idleMs: 200, ...options.options },
      rules: options.rules ?? [],
      ...(options.listed && { listed: options.listed }),
      ...(options.webhooks && { webhooks: options.webhooks }),
      notice: (notice) => noticeOperation({ store, post, hostname: "mx.example.test" }, notice),
      agents: {
        group: (address, job) => groups.deliver(address, job),
        command: () => Promise.reject(new Error("no commands in this test")),
        local: (_name, job) => fileHeld({ post, hostname: "mx.example.test" }, job),
        hook: () => Promise.reject(new Error("no hooks in this test")),
        ...options.agents,
      },
      outbound: this.outbound = {
        connector: denoConnector(),
        resolver,
        security: new TransportSecurity({
          options: { dane: false, mtaSts: false, learned: "off", rules: [], ...options.security },
          store,
          resolver,
          policies,
          observations: this.observations,
          clock: Date.now,
        }),
        timers: DENO_TIMERS,
        random: () => 0.5,
        identityOf: () => ({ key: "", helloName: "mx.example.test", sourceV4: "", sourceV6: "" }),
        families: { choice: "any", memory: new FamilyMemory() },
        ourselves: { names: new Set(["mx.example.test"]), addresses: new Set() },
        smtpPort: 25,
        readPassword: () => Promise.resolve("secret"),
        deriveKey: saltedPassword,
        newNonce: () => "0123456789",
        timeouts: DEFAULT_TIMEOUTS,
        ...options.outbound,
      },
    });
    this.#runner.start();
  }

  async submit({ to, text, entry, notify }: Submission): Promise<void> {
    const content = await this.t.content(text ?? "Subject: hello\r\n\r\nbody\r\n");
    const now = Date.now();
    await this.t.ok({
      kind: "deliver",
      content: { ...content, traceId: `trace${now}` },
      targets: [],
      queue: {
        sender: ALICE,
        accountId: this.t.accountId("alice"),
        envelopeId: "",
        ret: "",
        eightBit: false,
        smtputf8: false,
        createdAt: now,
        expiresAt: now + 120 * HOUR,
        recipients: to.map((recipient) => ({
          recipient,
          destination: recipient.slice(recipient.lastIndexOf("@") + 1),
          notify: notify ?? "",
          originalRecipient: "",
        })),
        ...entry,
      },
    });
  }

  rows(): QueueListRow[] {
    return this.t.store.queue.list({}, { afterRecipientId: 0, limit: 1_000 });
  }

  async empty(): Promise<void> {
    await until(
      `the queue to be empty: ${JSON.stringify(this.rows().slice(0, 5))}`,
      () => this.rows().length === 0,
    );
  }

  /** Every row has had its next attempt and waits. */
  async deferred(attempts = 1): Promise<QueueListRow[]> {
    const left = () => this.rows().filter((row) => row.attempts < attempts);
    await until("all to be put off", () => left().length === 0).catch((error) => {
      const waiting = left().slice(0, 5).map(({ recipient }) => recipient);
      throw new Error(`${error.message}: ${JSON.stringify({ waiting, sessions: this.runner.sessions() })}`);
    });
    return this.rows();
  }

  /** Messages in a mailbox of alice, prefix and octets. */
  inbox(name = "alice"): string[] {
    const { messages, blobs } = this.t.store;
    const mailbox = this.t.mailboxId(name, "INBOX");
    return messages.rows(mailbox, [[1, 1_000_000]], { limit: 1_000, withImap: false }).map((row) =>
      new TextDecoder().decode(row.prefix) +
      new TextDecoder().decode(blobs.readSync(row.blob, 0, row.blob.length))
    );
  }

  /** Stops the runner alone, as a restart does. */
  async stop(): Promise<void> {
    await this.#runner?.drain(1_000);
    this.#runner = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.t.close();
  }
}
