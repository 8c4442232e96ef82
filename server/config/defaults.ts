/** What holds where the configuration says nothing. */
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import type { HideableKeyword } from "../../protocols/smtp/session_options.ts";
import {
  type BansConfig,
  type CheckConfig,
  type Config,
  type DkimConfig,
  type FilterConfig,
  type ImapConfig,
  type LimitsConfig,
  type ListenerConfig,
  type LoggingConfig,
  type OutboundTlsConfig,
  type Protocol,
  PROTOCOLS,
  type PublishedStsConfig,
  type QuarantineConfig,
  type QueueConfig,
  type ResolverConfig,
  type SearchConfig,
  type SenderChecksConfig,
  type SmtpConfig,
  STANDARD_PORTS,
  type TraceConfig,
} from "./config.ts";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const MB = 1_000_000;

export const DEFAULT_LISTENER: Omit<ListenerConfig, "protocol" | "port" | "hide"> & {
  hide: HideableKeyword[];
} = {
  address: "*",
  tls: "compact",
  plainLogin: false,
  auth: false,
  bareNewlines: "refuse",
  literals: "LITERAL+",
  clientCertificates: false,
  hide: [],
  requireTls: false,
  messageOctets: 0,
  recipients: 0,
  connections: 0,
};

export function defaultListener(protocol: Protocol): ListenerConfig {
  return { ...DEFAULT_LISTENER, protocol, port: STANDARD_PORTS[protocol] };
}

export const DEFAULT_LIMITS: LimitsConfig = {
  connections: 10_000,
  connectionsPerAddress: 200,
  connectionsPerMinute: 0,
  loginFailuresPerAddress: 20,
  loginFailureWindowMs: 15 * MINUTE,
  messageOctets: 50 * MB,
  recipients: 1_000,
  commandLineOctets: 2_048,
  authLineOctets: 16_384,
  commands: 100_000,
  errors: 20,
  commandTimeoutMs: 5 * MINUTE,
  messageTimeoutMs: 60 * MINUTE,
  idleTimeoutMs: 35 * MINUTE,
  loginTimeoutMs: 3 * MINUTE,
  imapMessages: 0,
  imapSaves: 0,
  minFreeOctets: 64 * MB,
};

export const DEFAULT_SMTP: SmtpConfig = {
  vrfy: "nobody",
  expn: "nobody",
  etrn: true,
  softBounce: false,
  hideLogins: false,
  maxHoldMs: 30 * DAY,
  maxPriority: 4,
};

export const DEFAULT_IMAP: ImapConfig = {
  sharing: "domain",
  otherUsers: "Other Users",
  sharedFolders: "Shared Folders",
  quotaSetters: [],
};

export const DEFAULT_QUEUE: QueueConfig = {
  firstRetryMs: 5 * MINUTE,
  maxRetryMs: 70 * MINUTE,
  jitterPercent: 20,
  lifetimeMs: 5 * DAY,
  bounceLifetimeMs: 2 * DAY,
  delayNoticeMs: 4 * HOUR,
  connections: 200,
  connectionsPerDestination: 20,
  recipientsPerTransaction: 100,
  messagesAhead: 16,
  family: "any",
  suppressMs: 0,
  eightBit: "send",
  utf8Headers: "convert",
};

export const DEFAULT_OUTBOUND_TLS: OutboundTlsConfig = {
  dane: true,
  mtaSts: true,
  learned: "warn",
  reports: true,
  rules: [],
};

export const DEFAULT_PUBLISHED_STS: PublishedStsConfig = { mode: "off", maxAgeMs: 7 * DAY };

export const DEFAULT_RESOLVER: ResolverConfig = {
  mode: "auto",
  servers: [],
  dnssec: "auto",
  rootServers: [],
  trustAnchors: [],
  timeoutMs: 5_000,
  cacheEntries: 50_000,
  cacheOctets: 64 * 1024 * 1024,
};

export const DEFAULT_LOGGING: LoggingConfig = { level: "info", format: "auto", areas: {} };

export const DEFAULT_CHECK: Omit<CheckConfig, "check" | "name" | "action" | "stages"> = {
  strip: false,
  logins: false,
  networks: [],
  names: [],
  domains: [],
  patterns: [],
  text: "",
  zones: [],
  threshold: 1,
  delayMs: 5 * MINUTE,
  windowMs: 2 * DAY,
  lifetimeMs: 36 * DAY,
  knownAfter: 5,
  by: ["address"],
  limit: 100,
  perMs: MINUTE,
  messagesPerDay: 1_000,
  newRecipientsPerDay: 200,
  at: "",
  timeoutMs: 10_000,
  onFailure: "continue",
  connections: 8,
  maxOctets: 25 * MB,
  markOnly: ["PUA.", "Heuristics."],
  findings: {
    ...{ executable: "reject", script: "tag", disguised: "tag" },
    ...{ macros: "tag", encrypted: "tag", "not-seen": "tag" },
  },
  contentLimits: { depth: 4, files: 1_000, octets: 64 * MB },
};

/** Unknown recipients, relaying, sizes and loops are refused without a check. */
export const DEFAULT_SPAM: SpamConfig = {
  enabled: true,
  rules: { server: { mark: 3, junk: 5, quarantine: null, refuse: null }, domains: {} },
  weights: {},
  onTimeout: "mark",
  outgoingHold: 8,
  deadlineMs: 30_000,
  linkZones: [],
  traps: [],
};

export const DEFAULT_FILTER: FilterConfig = {
  checks: [
    { ...DEFAULT_CHECK, check: "null-mx", name: "null-mx", action: "reject", stages: ["mail"] },
    {
      ...DEFAULT_CHECK,
      check: "content",
      name: "content",
      action: "reject",
      stages: ["message"],
      logins: true,
    },
  ],
  tarpitMs: 0,
  administrator: "",
  spam: DEFAULT_SPAM,
};

export const DEFAULT_DKIM: DkimConfig = { rotateMs: 365 * DAY };

export const DEFAULT_QUARANTINE: QuarantineConfig = { keepMs: 30 * DAY, digest: true, url: "" };

export const DEFAULT_SENDER_CHECKS: SenderChecksConfig = {
  ...{ iprev: true, spf: true, dkim: true, arc: true, dmarc: "rfc9989", refuse: "agreed" },
  ...{ trustedSealers: [], knownLists: [], relays: [], skip: ["127.0.0.0/8", "::1/128"] },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000, reports: true },
};

export const NO_SENDER_CHECKS: SenderChecksConfig = {
  ...DEFAULT_SENDER_CHECKS,
  ...{ iprev: false, spf: false, dkim: false, arc: false, dmarc: "off" },
};

export const DEFAULT_BANS: BansConfig = {
  enabled: true,
  offences: 20,
  windowMs: 30 * MINUTE,
  firstMs: 10 * MINUTE,
  longestMs: 7 * DAY,
  allow: ["127.0.0.0/8", "::1/128"],
};

export const DEFAULT_SEARCH: SearchConfig = {
  index: true,
  attachments: false,
  attachmentOctets: 20_000_000,
  attachmentCharacters: 250_000,
  attachmentTimeMs: 10_000,
};
export const DEFAULT_TRACE: TraceConfig = { keepMs: 30 * DAY };

/** Everything but `hostname`, which has no default that is right anywhere. */
export const DEFAULT_CONFIG: Omit<Config, "hostname"> = {
  data: "./veredus-data",
  user: "",
  threads: "auto",
  listeners: PROTOCOLS.filter((protocol) => protocol !== "https" && protocol !== "lmtp").map((protocol) =>
    protocol === "http"
      ? { ...defaultListener("http"), address: "127.0.0.1", port: 8_080 }
      : defaultListener(protocol)
  ),
  certificates: [],
  trustedNetworks: [],
  proxyNetworks: [],
  xclientNetworks: [],
  smtp: DEFAULT_SMTP,
  imap: DEFAULT_IMAP,
  auth: { scram: true, oauth: null },
  limits: DEFAULT_LIMITS,
  queue: DEFAULT_QUEUE,
  outboundTls: DEFAULT_OUTBOUND_TLS,
  publishedSts: DEFAULT_PUBLISHED_STS,
  relay: [],
  identities: [],
  webhooks: [],
  commands: [],
  hooks: [],
  captureOutbound: "",
  copies: [],
  resolver: DEFAULT_RESOLVER,
  filter: DEFAULT_FILTER,
  quarantine: DEFAULT_QUARANTINE,
  dkim: DEFAULT_DKIM,
  senderChecks: DEFAULT_SENDER_CHECKS,
  bans: DEFAULT_BANS,
  search: DEFAULT_SEARCH,
  trace: DEFAULT_TRACE,
  logging: DEFAULT_LOGGING,
  drainMs: 30_000,
};
