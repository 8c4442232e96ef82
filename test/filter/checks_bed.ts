/** A reception with checks over the real store, with DNS as a map and time as a number. */
import assert from "node:assert/strict";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { TraceEvent } from "../../delivery/tracer.ts";
import { InboundReception } from "../../delivery/inbound.ts";
import { type ClientFacts, isReply } from "../../delivery/reception.ts";
import { Blocks } from "../../filter/address_block.ts";
import { MemoryBuckets } from "../../filter/buckets.ts";
import { NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { parseConfig } from "../../server/config/load.ts";
import type { Chains } from "../../filter/screen.ts";
import { loadPatternEngine } from "../../filter/patterns.ts";
import { inspected } from "../../filter/content/attachments.ts";
import { buildChains } from "../../server/filter_chains.ts";
import { type MockEntry, MockResolver } from "../lib/mock_resolver.ts";
import { TestStore } from "../lib/test_store.ts";
import { CONFIG, line, NOW, octetsOf, pathOf, STRANGER, text } from "../delivery/reception_bed.ts";

const AUTHENTICATION: AuthenticationConfig = {
  ...{ iprev: false, spf: true, dkim: true, arc: false, dmarc: "rfc9989", refuse: "agreed" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
};

const patterns = await loadPatternEngine();

const MESSAGE =
  "From: <s@remote.example>\r\nSubject: hello\r\nMessage-ID: <m@remote.example>\r\n\r\nbody\r\n";

export interface BedOptions {
  /** Who sent it is asked too. */
  readonly authentication?: Partial<AuthenticationConfig>;
  /** Of the provider, or backup MX of ours. */
  readonly relays?: readonly string[];
  /** Keys of `filter.spam`, as YAML has them: the time of a verdict. */
  readonly spam?: string;
}

export interface Letter {
  readonly to?: string[];
  readonly from?: string;
  readonly client?: Partial<ClientFacts>;
  /** Lines in front. */
  readonly header?: string;
  /** One character an octet; from s@remote.example. */
  readonly message?: string;
}

/** Answers to RCPT and to the message that was taken. */
export const TAKEN = ["250 2.1.5", "250 2.6.0"];

export class Bed {
  readonly test: TestStore;
  readonly resolver: MockResolver;
  readonly notices: string[] = [];
  readonly traced: TraceEvent[] = [];
  readonly reception: InboundReception;
  now = NOW;
  readonly #chains: Chains;
  #ids = 0;

  private constructor(
    test: TestStore,
    checks: string,
    { dns, authentication, relays = [], spam = "{}" }: BedOptions & {
      readonly dns: Record<string, MockEntry>;
    },
  ) {
    this.test = test;
    this.resolver = new MockResolver(dns);
    const { filter } = parseConfig(
      `hostname: mx.example.test\nfilter:\n  spam: ${spam}\n  checks:\n${checks}`,
      "/veredus.yaml",
    );
    this.#chains = buildChains(filter, {
      store: test.store,
      resolver: this.resolver,
      buckets: new MemoryBuckets(),
      patterns,
      hostname: "mx.example.test",
      clock: () => this.now,
      steady: () => this.now,
      relays: new Blocks(relays),
      inspect: inspected,
      notify: (login, reason) => this.notices.push(`${login}: ${reason}`),
    });
    const config = { ...CONFIG, spam: filter.spam };
    this.reception = new InboundReception({
      store: test.store,
      hostname: "mx.example.test",
      clock: () => this.now,
      newId: () => `trace${++this.#ids}`,
      ...(authentication !== undefined && { resolver: this.resolver }),
      config: authentication === undefined ? config : {
        ...config,
        authentication: { ...AUTHENTICATION, relays: new Blocks(relays), ...authentication },
      },
      tracer: { note: (event) => void this.traced.push(event) },
      chains: this.#chains,
    });
  }

  static async open(
    checks: string,
    dns: Record<string, MockEntry> = {},
    options: BedOptions = {},
  ): Promise<Bed> {
    const clock = { bed: null as Bed | null };
    const test = await TestStore.open({ writer: { clock: () => clock.bed?.now ?? NOW } });
    for (const name of ["postmaster", "abuse"]) {
      await test.ok({ kind: "put-account", account: { address: `${name}@example.test` } });
    }
    return clock.bed = new Bed(test, checks, { dns, ...options });
  }

  login(name: string): ClientFacts {
    return {
      ...STRANGER,
      service: "submission",
      account: this.test.store.directory.account(`${name}@example.test`)!,
    };
  }

  /** Answers to RCPT, and to the message when one was taken. */
  async send(
    letter: Letter = {},
  ): Promise<string[]> {
    const { to = ["alice@example.test"], from = "s@remote.example", client = {} } = letter;
    const { header = "", message = MESSAGE } = letter;
    const transaction = this.reception.mail({ ...STRANGER, screen: this.reception.screen(), ...client }, {
      reversePath: from === "" ? null : pathOf(from),
      parameters: {
        ...{ size: null, body: "7BIT", smtputf8: false, ret: "", envelopeId: "" },
        ...{ hold: null, priority: null, requireTls: false },
      },
    });
    if (isReply(transaction)) return [line(transaction)];
    const answers = [];
    for (const recipient of to) answers.push(await transaction.rcpt(pathOf(recipient), NO_RCPT_PARAMETERS));
    if (!answers.some(({ code }) => code < 300)) {
      transaction.discard();
      return answers.map(line);
    }
    assert.equal(await transaction.begin(), null);
    const octets = octetsOf(
      header + message.replace("s@remote.example", client.account == null ? from : "bob@example.test"),
    );
    await transaction.write(octets, 0, octets.length);
    answers.push(await transaction.finish());
    return answers.map(line);
  }

  stored(account = "alice"): string[] {
    const { store } = this.test;
    const mailbox = this.test.mailboxId(account, "INBOX");
    return store.messages.rows(mailbox, [[1, 2 ** 31]], { limit: 100, withImap: true }).map((
      { prefix, blob },
    ) => text(prefix) + text(store.blobs.readSync(blob, 0, blob.length)));
  }

  /** What is set aside. */
  held(): string[] {
    const { store } = this.test;
    return store.quarantine.list({}, { after: 0, limit: 10 })
      .map(({ blob }) => text(store.blobs.readSync(blob, 0, blob.length)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#chains.strangers.close(), this.#chains.logins.close()]);
    await this.test.close();
  }
}

/** What checks write without waiting is in the store after a write of our own. */
export async function settled(bed: Bed): Promise<void> {
  await bed.test.ok({ kind: "sweep-state", at: 0 });
}
