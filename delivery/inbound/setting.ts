/** What one reception and its transactions share: what the operator decides, and the parts that it is put together from. */
import type { Resolver } from "../../dns/resolver.ts";
import type { Chains } from "../../filter/screen.ts";
import type { Store } from "../../storage/store.ts";
import type { AuthenticationConfig } from "../authentication.ts";
import type { LookupPolicy } from "../lookup.ts";
import type { PostOptions } from "../post.ts";
import type { Webhook } from "../queue/webhooks.ts";
import { QuotaNotices } from "../quota_notice.ts";
import type { RecipientGate } from "../recipient_gate.ts";
import { RecipientResolver } from "../recipients.ts";
import type { Observations } from "../reports/observations.ts";
import type { SpamConfig, SpamParts } from "../spam/judge.ts";
import type { CopyRule } from "./copies.ts";
import type { HeldMail } from "../spam/outgoing.ts";
import type { Tracer } from "../tracer.ts";

/** What the operator decides; all of it may change while the server runs. */
export interface InboundConfig extends LookupPolicy {
  readonly messageOctets: number;
  /** Recipients of one message. */
  readonly recipients: number;
  /** Account whose INBOX gets all mail for other servers; "" sends it on. */
  readonly captureOutbound: string;
  /** Addresses of this host: `user@[address]` is for us. */
  readonly ownAddresses: readonly string[];
  /** How long mail for other servers stays in the queue, and with the null reverse-path. */
  readonly queueLifetimeMs: number;
  readonly bounceLifetimeMs: number;
  /** How long mail is kept in the quarantine. */
  readonly quarantineMs: number;
  /** Checks of who sent a message; left out: none. */
  readonly authentication?: AuthenticationConfig;
  /** Left out: nothing is judged. */
  readonly spam?: SpamConfig;
  /** `Received` does not say where logins sit; left out: it does. */
  readonly hideLogins?: boolean;
  /** Left out: none. */
  readonly copies?: readonly CopyRule[];
}

export interface InboundOptions {
  readonly store: Store;
  /** Our name in `Received`. */
  readonly hostname: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** A new trace id. */
  readonly newId: () => string;
  readonly config: InboundConfig;
  /** Checks of strangers and logins; left out: none. */
  readonly chains?: Chains;
  /** For checks of who sent a message; left out: none are made. */
  readonly resolver?: Resolver;
  /** The life of each message is told here; left out: nowhere. */
  readonly tracer?: Tracer;
  /** What was seen of strangers' domains, for the reports to them; left out: none are sent. */
  readonly observations?: Observations;
  /** Is it wanted; left out: not asked. */
  readonly spam?: Pick<SpamParts, "filter" | "linkHits"> & {
    /** Mail of a login is held. */
    readonly notify: (held: HeldMail) => void;
  };
  /** Whom mail that leaves is taken for; left out: everybody. */
  readonly gate?: RecipientGate;
  /** Told of every message that is taken; left out: none. */
  readonly webhooks?: readonly Webhook[];
}

/** Replaced as a whole by a reload; transactions under way keep theirs. */
export interface Setting {
  readonly options: InboundOptions;
  readonly config: InboundConfig;
  readonly resolver: RecipientResolver;
  readonly quotaNotices: QuotaNotices;
  /** For mail of our own. */
  readonly post: PostOptions;
  /** Null: nothing is judged. */
  readonly spam: SpamParts | null;
}

export function settingOf(options: InboundOptions, config: InboundConfig): Setting {
  const { store, hostname, clock, newId } = options;
  const { directory, mailboxes, access } = store;
  const { ownAddresses, captureOutbound, queueLifetimeMs, bounceLifetimeMs } = config;
  const resolver = new RecipientResolver({
    directory,
    mailboxes,
    access,
    hostname,
    ownAddresses,
    captureOutbound,
    clock,
  });
  const post = { store, clock, newId, resolver, queueLifetimeMs, bounceLifetimeMs };
  const spam = options.spam === undefined || config.spam?.enabled !== true
    ? null
    : { ...options.spam, store, hostname, clock, config: config.spam };
  return { options, config, resolver, post, spam, quotaNotices: new QuotaNotices(post, hostname) };
}
