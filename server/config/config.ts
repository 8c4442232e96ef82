/**
 * The configuration as the server uses it: plain data that goes to every thread. Its defaults: defaults.ts.
 *
 * `schema.ts` reads the operator's file into this shape; local mode builds it directly. Durations are milliseconds
 * and sizes octets here, whatever units the file used.
 */
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { CopyRule } from "../../delivery/inbound/copies.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import type { HideableKeyword } from "../../protocols/smtp/session_options.ts";
import type { ContentOptions } from "../../filter/checks/content.ts";
import type { ListZone } from "../../filter/checks/dnsbl.ts";
import type { RateFact } from "../../filter/checks/rate.ts";
import type { ContentLimits } from "../../filter/content/inspect.ts";
import type { FamilyChoice } from "../../delivery/queue/families.ts";
import type { RelayRule } from "../../delivery/routes.ts";
import type { Action, Stage } from "../../filter/verdict.ts";
import type { LogArea, LogLevel } from "../../telemetry/log.ts";

export const PROTOCOLS = [
  "smtp",
  "submission",
  "submissions",
  "lmtp",
  "imap",
  "imaps",
  "pop3",
  "pop3s",
  "managesieve",
  "http",
  "https",
] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Registered ports (RFC 6409, 8314, 9051, 1939, 5804); 24 is for private mail systems (RFC 2033 5). */
export const STANDARD_PORTS: Readonly<Record<Protocol, number>> = {
  smtp: 25,
  submission: 587,
  submissions: 465,
  lmtp: 24,
  imap: 143,
  imaps: 993,
  pop3: 110,
  pop3s: 995,
  managesieve: 4190,
  http: 80,
  https: 443,
};

export function isImplicitTls(protocol: Protocol): boolean {
  return protocol.endsWith("s");
}

/** Served by main, not by the front ends. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === "http" || protocol === "https";
}

/** Each has a cell for the connections it holds (shared_limits.ts). */
export const MAX_LISTENERS = 64;

export interface ListenerConfig {
  readonly protocol: Protocol;
  /** An address, `*` for all of both families, or (LMTP) `unix:` and the path of a socket. */
  readonly address: string;
  readonly port: number;
  /** How implicit TLS is carried; without meaning elsewhere. */
  readonly tls: "compact" | "full";
  /** Takes passwords without TLS. */
  readonly plainLogin: boolean;
  /** `smtp` only: offers AUTH. Submission always does. */
  readonly auth: boolean;
  /** A bare CR or LF in DATA: the message is refused, or each becomes CRLF. */
  readonly bareNewlines: "refuse" | "convert";
  /** IMAP: any size of non-synchronizing literals, or small ones only (RFC 7888). */
  readonly literals: "LITERAL+" | "LITERAL-";
  /** With `tls: full`: asks for a client certificate without demanding one. */
  readonly clientCertificates: boolean;
  /** SMTP: extensions that are not offered. */
  readonly hide: readonly HideableKeyword[];
  /** SMTP: no mail and no login before STARTTLS. */
  readonly requireTls: boolean;
  /** SMTP: less than the server takes; 0 as much. */
  readonly messageOctets: number;
  readonly recipients: number;
  /** Connections at a time, of all threads; 0: as many as the server takes. */
  readonly connections: number;
}

export interface CertificateConfig {
  readonly certificate: string;
  readonly key: string;
  /** Key of the next certificate, so that its TLSA record can be published before; "" for none. */
  readonly nextKey: string;
}

export interface LimitsConfig {
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** New connections of one address in a minute; 0 any number. */
  readonly connectionsPerMinute: number;
  readonly loginFailuresPerAddress: number;
  readonly loginFailureWindowMs: number;
  readonly messageOctets: number;
  readonly recipients: number;
  readonly commandLineOctets: number;
  readonly authLineOctets: number;
  /** Commands of one SMTP session. */
  readonly commands: number;
  /** Refused commands of one session before it ends. */
  readonly errors: number;
  readonly commandTimeoutMs: number;
  readonly messageTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly loginTimeoutMs: number;
  /** Messages of one IMAP command, and of one COPY or APPEND (RFC 9738); 0 is any number. */
  readonly imapMessages: number;
  readonly imapSaves: number;
  /** New mail is refused when less disk is free. */
  readonly minFreeOctets: number;
}

export interface QueueConfig {
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  readonly jitterPercent: number;
  readonly lifetimeMs: number;
  readonly bounceLifetimeMs: number;
  readonly delayNoticeMs: number;
  /** Connections to other servers at one time. */
  readonly connections: number;
  readonly connectionsPerDestination: number;
  readonly recipientsPerTransaction: number;
  /** Messages without an answer on one connection to a server that is far or has much mail waiting, by BDAT; 1 is one after the other. */
  readonly messagesAhead: number;
  readonly family: FamilyChoice;
  /** How long a recipient that is no more is not written to again; 0 writes again. */
  readonly suppressMs: number;
  /** Mail with 8-bit octets for servers without 8BITMIME. */
  readonly eightBit: "send" | "convert" | "refuse";
  readonly utf8Headers: "convert" | "return";
}

/** The MTA-STS policy that our domains publish (RFC 8461). */
export interface PublishedStsConfig {
  readonly mode: "off" | "none" | "testing" | "enforce";
  readonly maxAgeMs: number;
}

/** How much TLS other servers must offer (delivery/security/transport_security.ts). */
export interface OutboundTlsConfig {
  readonly dane: boolean;
  readonly mtaSts: boolean;
  /** What happens where a domain that took mail under TLS offers none. */
  readonly learned: "off" | "warn" | "refuse";
  /** Sends reports of what was seen (RFC 8460). */
  readonly reports: boolean;
  readonly rules: readonly {
    readonly domains: readonly string[];
    readonly level: "none" | "opportunistic" | "encrypted" | "verified" | "dane";
  }[];
}

export type { RelayRule };

/** Whom we are towards other servers, for mail from these domains. */
export interface IdentityConfig {
  readonly senders: readonly string[];
  /** In EHLO; "" is the host name. */
  readonly helloName: string;
  /** Our ends of connections; "" lets the system choose. */
  readonly sourceV4: string;
  readonly sourceV6: string;
}

export const WEBHOOK_EVENTS = ["accepted", "delivered", "deferred", "bounced"] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** An HTTP address that is told what becomes of mail. */
export interface WebhookConfig {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  /** Holds the key of the signatures. */
  readonly secretFile: string;
  readonly timeoutMs: number;
  /** How long an event is tried. */
  readonly lifetimeMs: number;
}

/** A program that an alias may lead to. */
export interface CommandConfig {
  readonly name: string;
  /** Program and arguments; no shell. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly outputOctets: number;
}

/** An HTTP address that an alias may lead to. */
export interface HookConfig {
  readonly name: string;
  readonly url: string;
  readonly timeoutMs: number;
  /** Holds a bearer token; "" sends none. */
  readonly tokenFile: string;
}

export interface ResolverConfig {
  /** `auto`: `forward` when there are `servers`, else `iterative`. */
  readonly mode: "auto" | "forward" | "iterative";
  /** `address` or `address:port`; empty: those of /etc/resolv.conf. */
  readonly servers: readonly string[];
  /** `auto`: validate in iterative mode only. */
  readonly dnssec: "auto" | "on" | "off";
  /** Empty: the ones built in. The port of the first holds for the servers of all zones. */
  readonly rootServers: readonly string[];
  /** DS records of the root; empty: the ones built in. */
  readonly trustAnchors: readonly string[];
  readonly timeoutMs: number;
  readonly cacheEntries: number;
  readonly cacheOctets: number;
}

export interface LoggingConfig {
  readonly level: LogLevel;
  /** `auto`: text on a terminal, JSON otherwise. */
  readonly format: "auto" | "text" | "json";
  readonly areas: Readonly<Partial<Record<LogArea, LogLevel>>>;
}

/** Who gets an answer to VRFY and EXPN. */
export type Askers = "nobody" | "logins" | "everybody";

/** Mailboxes that accounts share by access lists (RFC 4314), and what some accounts may do by IMAP. */
export interface ImapConfig {
  readonly sharing: "off" | "domain" | "server";
  /** Names of the namespaces; "" has none. */
  readonly otherUsers: string;
  readonly sharedFolders: string;
  /** Addresses of accounts that may set quotas (RFC 9208). */
  readonly quotaSetters: readonly string[];
}

export interface SmtpConfig {
  readonly vrfy: Askers;
  readonly expn: Askers;
  readonly etrn: boolean;
  /** Mail that would be refused for good is put off. */
  readonly softBounce: boolean;
  /** `Received` of what logins send does not name their address. */
  readonly hideLogins: boolean;
  /** FUTURERELEASE: how long submitted mail may be held; 0 does not offer it. */
  readonly maxHoldMs: number;
  /** MT-PRIORITY: the highest that logins and trusted clients are given; null does not offer it. */
  readonly maxPriority: number | null;
}

/** Where bearer tokens of logins are checked (OAUTHBEARER, XOAUTH2). */
export interface OAuthConfig {
  /** RFC 7662; "" is none. */
  readonly introspection: string;
  /** RFC 7517; "" is none. */
  readonly jwks: string;
  readonly clientId: string;
  readonly clientSecretFile: string;
  readonly issuer: string;
  readonly audience: string;
  readonly claim: string;
}

export interface AuthConfig {
  /** Offers SCRAM-SHA-256 when every account has its verifier, and makes verifiers at logins. */
  readonly scram: boolean;
  readonly oauth: OAuthConfig | null;
}

/** Checks of incoming mail, by what they are. */
export const CHECKS = [
  "null-mx",
  "sender-domain",
  "list",
  "dnsbl",
  "reverse-dns",
  "helo",
  "early-talker",
  "greylist",
  "rate",
  "sending",
  "http",
  "milter",
  "script",
  "header",
  "content",
  "clamd",
  "icap",
  "rspamd",
  "spamd",
] as const;
export type CheckKind = (typeof CHECKS)[number];

/** One check; a kind uses the keys that concern it. */
export interface CheckConfig {
  readonly check: CheckKind;
  /** In log lines, metrics and headers; unique. */
  readonly name: string;
  readonly action: Exclude<Action, "continue">;
  /** Of `header`: what is found is taken out. */
  readonly strip: boolean;
  readonly stages: readonly Stage[];
  /** Logins and trusted networks are asked too, or (`sending`, rates by login) only. */
  readonly logins: boolean;
  readonly networks: readonly string[];
  readonly names: readonly string[];
  readonly domains: readonly string[];
  readonly patterns: readonly string[];
  readonly text: string;
  readonly zones: readonly ListZone[];
  readonly threshold: number;
  readonly delayMs: number;
  readonly windowMs: number;
  readonly lifetimeMs: number;
  readonly knownAfter: number;
  readonly by: readonly RateFact[];
  readonly limit: number;
  readonly perMs: number;
  readonly messagesPerDay: number;
  readonly newRecipientsPerDay: number;
  /** URL of an HTTP hook, address of a milter, or path of a policy file. */
  readonly at: string;
  readonly timeoutMs: number;
  readonly onFailure: "continue" | "defer" | "reject";
  /** Of scanners: connections at a time, octets of a message they are given, names that only mark. */
  readonly connections: number;
  readonly maxOctets: number;
  readonly markOnly: readonly string[];
  /** Of `content`. */
  readonly findings: ContentOptions["actions"];
  readonly contentLimits: ContentLimits;
}

export interface FilterConfig {
  readonly checks: readonly CheckConfig[];
  /** Wait before the answer to a refused recipient. */
  readonly tarpitMs: number;
  /** Who is told of logins that look stolen; "" is postmaster at our host name. */
  readonly administrator: string;
  readonly spam: SpamConfig;
}

export interface QuarantineConfig {
  readonly keepMs: number;
  /** Recipients hear once a day of what is new. */
  readonly digest: boolean;
  /** Where recipients reach our HTTPS listener, without a slash at its end; "" makes digests without links. */
  readonly url: string;
}

export interface BansConfig {
  readonly enabled: boolean;
  /** Offences within the window that ban an address. */
  readonly offences: number;
  readonly windowMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
  readonly allow: readonly string[];
}

/** Who sent a message: SPF, DKIM, ARC, DMARC (delivery/authentication.ts). */
export interface SenderChecksConfig extends Omit<AuthenticationConfig, "relays" | "skip"> {
  /** CIDR blocks. */
  readonly relays: readonly string[];
  readonly skip: readonly string[];
  /** Sends DMARC reports (RFC 9990). */
  readonly reports: boolean;
}

export interface DkimConfig {
  /** Keys that have signed for so long get successors; 0 never. */
  readonly rotateMs: number;
}

export interface SearchConfig {
  /** Full-text indexes are kept. */
  readonly index: boolean;
  /** Text of attached files is taken into them. */
  readonly attachments: boolean;
  /** Larger files are passed over. */
  readonly attachmentOctets: number;
  /** Of all files of a message together. */
  readonly attachmentCharacters: number;
  /** Processor time for all files of a message. */
  readonly attachmentTimeMs: number;
}

export interface TraceConfig {
  /** 0 keeps nothing. */
  readonly keepMs: number;
}

export interface Config {
  /** Our name in greetings, EHLO and trace fields. */
  readonly hostname: string;
  readonly data: string;
  /** User that a server started as root becomes; "" stays. */
  readonly user: string;
  /** Front ends; 0 runs everything in one thread. */
  readonly threads: number | "auto";
  readonly listeners: readonly ListenerConfig[];
  /** The first serves clients without SNI; none: a self-signed one in the data folder. */
  readonly certificates: readonly CertificateConfig[];
  /** Clients that may relay and whose bare line ends are converted, as CIDR blocks. */
  readonly trustedNetworks: readonly string[];
  /** Proxies whose connections begin with a PROXY header, as CIDR blocks. */
  readonly proxyNetworks: readonly string[];
  /** Clients that may say by XCLIENT for whom they speak, as CIDR blocks. */
  readonly xclientNetworks: readonly string[];
  readonly smtp: SmtpConfig;
  readonly imap: ImapConfig;
  readonly auth: AuthConfig;
  readonly limits: LimitsConfig;
  readonly queue: QueueConfig;
  readonly outboundTls: OutboundTlsConfig;
  readonly publishedSts: PublishedStsConfig;
  readonly relay: readonly RelayRule[];
  readonly identities: readonly IdentityConfig[];
  readonly webhooks: readonly WebhookConfig[];
  readonly commands: readonly CommandConfig[];
  readonly hooks: readonly HookConfig[];
  /** Mail to other domains is filed in this local mailbox and not sent; "" sends. */
  readonly captureOutbound: string;
  /** Copies of mail for mailboxes here. */
  readonly copies: readonly CopyRule[];
  readonly resolver: ResolverConfig;
  readonly filter: FilterConfig;
  readonly quarantine: QuarantineConfig;
  readonly senderChecks: SenderChecksConfig;
  readonly dkim: DkimConfig;
  readonly bans: BansConfig;
  readonly search: SearchConfig;
  readonly trace: TraceConfig;
  readonly logging: LoggingConfig;
  /** Milliseconds that running transactions may take after SIGTERM. */
  readonly drainMs: number;
}

/** Front ends that `threads: auto` means on this machine: one core is left to the writer. */
export function frontEnds(threads: Config["threads"], cores: number): number {
  return threads === "auto" ? Math.max(1, cores - 1) : threads;
}
