/**
 * The configuration file: its keys, what they mean, what they may hold, their defaults.
 *
 * One description serves three readers: `load.ts` validates by it, `faults.ts` takes the allowed values from it, and
 * `example.ts` prints it as a commented file. Keys are snake_case. `doc` is the comment in the example, `sample` a
 * value to show where there is no default.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { HIDEABLE_KEYWORDS } from "../../protocols/smtp/session_options.ts";
import { LOG_AREAS, LOG_LEVELS, type LogArea, type LogLevel } from "../../telemetry/log.ts";
import {
  type AuthConfig,
  type CertificateConfig,
  type CommandConfig,
  type Config,
  type HookConfig,
  type ImapConfig,
  isImplicitTls,
  type LimitsConfig,
  type ListenerConfig,
  MAX_LISTENERS,
  type OAuthConfig,
  PROTOCOLS,
  type SearchConfig,
  type SmtpConfig,
  STANDARD_PORTS,
  type TraceConfig,
} from "./config.ts";
import {
  DEFAULT_CONFIG,
  DEFAULT_IMAP,
  DEFAULT_LIMITS,
  DEFAULT_LISTENER,
  DEFAULT_LOGGING,
  DEFAULT_SEARCH,
  DEFAULT_SMTP,
  DEFAULT_TRACE,
} from "./defaults.ts";
import { bans, dkim, filter, quarantine, senderChecks } from "./filter_keys.ts";
import { about, domain, duration, lower, network, path, port, size, text, whole } from "./keys.ts";
import { identity, outboundTls, publishedSts, queue, relayRule, resolver, webhook } from "./outbound_keys.ts";

const listener = z.strictObject({
  protocol: about(
    z.enum(PROTOCOLS),
    `one of ${PROTOCOLS.join(", ")}; the names ending in s are TLS from the start`,
  ),
  address: about(
    z.string({ error: 'an IP address, or "*"' }).refine(
      (value) => value === "*" || isIP(value) !== 0 || /^unix:\/[^\0]{1,100}$/.test(value),
      { error: 'an IP address, "*" for all of both families, or unix:/PATH' },
    ).default(DEFAULT_LISTENER.address),
    'an IP address, "*" for all of both families, or (lmtp) unix:/PATH of a socket',
  ),
  port: about(port.optional(), "the standard port of the protocol when left out", 25),
  tls: about(
    z.enum(["compact", "full"]).default(DEFAULT_LISTENER.tls),
    "implicit TLS: compact needs 20 kB a session and takes the first certificate only; full has SNI, several\n" +
      "certificates, client certificates, and the cipher in Received",
  ),
  plain_login: about(z.boolean().default(DEFAULT_LISTENER.plainLogin), "take passwords without TLS"),
  auth: about(
    z.boolean().default(DEFAULT_LISTENER.auth),
    "smtp: offer AUTH on the port for other servers; submission always does",
  ),
  bare_newlines: about(
    z.enum(["refuse", "convert"]).default(DEFAULT_LISTENER.bareNewlines),
    "smtp: a CR or LF alone inside a message from a stranger; logins and trusted networks are always converted",
  ),
  literals: about(
    z.enum(["LITERAL+", "LITERAL-"]).default(DEFAULT_LISTENER.literals),
    "imap: LITERAL- limits literals sent without waiting to 4,096 octets (RFC 7888)",
  ),
  client_certificates: about(
    z.boolean().default(DEFAULT_LISTENER.clientCertificates),
    "with tls: full, ask for a client certificate (none is demanded)",
  ),
  hide: about(
    z.array(z.enum(HIDEABLE_KEYWORDS)).default(DEFAULT_LISTENER.hide),
    `smtp, submission, lmtp: extensions that are neither offered nor taken, any of\n${
      HIDEABLE_KEYWORDS.join(", ")
    }`,
    ["CHUNKING", "BINARYMIME"],
  ),
  require_tls: about(
    z.boolean().default(DEFAULT_LISTENER.requireTls),
    "smtp: no mail before STARTTLS; not for a server that the world sends mail to (RFC 3207 4)",
  ),
  message_size: about(
    size(DEFAULT_LISTENER.messageOctets, "0 B", "2 GB"),
    "smtp, submission, lmtp: largest message, where it is less than limits.message_size; 0: as that says",
  ),
  recipients: about(
    whole(DEFAULT_LISTENER.recipients, 0, 100_000),
    "the same for recipients of one message (limits.recipients)",
  ),
  connections: about(
    whole(DEFAULT_LISTENER.connections, 0, 1_000_000),
    "connections at one time here, so that a crowd at one port leaves room at the others; 0: limits.connections alone",
  ),
}).transform((value): ListenerConfig => ({
  protocol: value.protocol,
  address: value.address,
  port: value.port ?? STANDARD_PORTS[value.protocol],
  tls: value.tls,
  plainLogin: value.plain_login,
  auth: value.auth,
  bareNewlines: value.bare_newlines,
  literals: value.literals,
  clientCertificates: value.client_certificates,
  hide: value.hide,
  requireTls: value.require_tls,
  messageOctets: value.message_size,
  recipients: value.recipients,
  connections: value.connections,
})).superRefine((value, context) => {
  if (value.address.startsWith("unix:") && value.protocol !== "lmtp") {
    context.addIssue({ code: "custom", path: ["address"], message: "only lmtp listens on a Unix socket" });
  }
  if (value.protocol === "lmtp" && value.port === 25) {
    // RFC 2033 5: LMTP must not be on the port of SMTP.
    context.addIssue({ code: "custom", path: ["port"], message: "lmtp is not for port 25" });
  }
  if (value.tls === "full" && !isImplicitTls(value.protocol)) {
    context.addIssue({
      code: "custom",
      path: ["tls"],
      message:
        "tls: full is for submissions, imaps and pop3s; STARTTLS always has SNI and several certificates",
    });
  }
});

/** RFC 9738 3: not below 1,000. */
function messageLimit(standard: number) {
  return whole(standard, 0, 1_000_000_000).refine((value) => value === 0 || value >= 1_000, {
    error: "0 for any number, else at least 1000",
  });
}

const limits = z.strictObject({
  connections: about(
    whole(DEFAULT_LIMITS.connections, 1, 1_000_000),
    "connections at one time, all ports together",
  ),
  connections_per_address: about(
    whole(DEFAULT_LIMITS.connectionsPerAddress, 1, 1_000_000),
    "connections at one time from one address (IPv6: one /64)",
  ),
  connections_per_minute: about(
    whole(DEFAULT_LIMITS.connectionsPerMinute, 0, 1_000_000),
    "new connections of one address (IPv6: one /64) in a minute, trusted_networks aside; 0: any number",
  ),
  login_failures_per_address: about(
    whole(DEFAULT_LIMITS.loginFailuresPerAddress, 1, 1_000_000),
    "wrong passwords from one address before logins from it are put off; the answer slows down on the way",
  ),
  login_failure_window: about(
    duration(DEFAULT_LIMITS.loginFailureWindowMs, "1s", "30d"),
    "how long a wrong password counts",
  ),
  message_size: about(
    size(DEFAULT_LIMITS.messageOctets, "64 kB", "2 GB"),
    "largest message taken; IMAP's APPEND takes 64 KiB more",
  ),
  recipients: about(whole(DEFAULT_LIMITS.recipients, 100, 100_000), "recipients of one message"),
  command_line: about(
    size(DEFAULT_LIMITS.commandLineOctets, "512 B", "64 KiB"),
    "longest SMTP command line",
  ),
  auth_line: about(
    size(DEFAULT_LIMITS.authLineOctets, "12288 B", "1 MiB"),
    "longest line of an AUTH exchange",
  ),
  commands: about(whole(DEFAULT_LIMITS.commands, 100, 100_000_000), "commands of one SMTP session"),
  errors: about(whole(DEFAULT_LIMITS.errors, 1, 10_000), "refused commands before a session is ended"),
  command_timeout: about(
    duration(DEFAULT_LIMITS.commandTimeoutMs, "1s", "1d"),
    "wait for the next SMTP command (RFC 5321 asks for 5m at least)",
  ),
  message_timeout: about(
    duration(DEFAULT_LIMITS.messageTimeoutMs, "10s", "7d"),
    "time one message may take to arrive",
  ),
  idle_timeout: about(
    duration(DEFAULT_LIMITS.idleTimeoutMs, "10s", "7d"),
    "silence of a logged-in IMAP client (RFC 3501 asks for 30m at least)",
  ),
  login_timeout: about(
    duration(DEFAULT_LIMITS.loginTimeoutMs, "1s", "1d"),
    "time until a login, IMAP and POP3",
  ),
  imap_messages: about(
    messageLimit(DEFAULT_LIMITS.imapMessages),
    "messages of one IMAP command (MESSAGELIMIT, RFC 9738), 0 for any number: answers to clients that do not know it are cut short",
  ),
  imap_saves: about(
    messageLimit(DEFAULT_LIMITS.imapSaves),
    "messages of one IMAP COPY or APPEND (SAVELIMIT, RFC 9738), 0 for any number",
  ),
  min_free_disk: about(
    size(DEFAULT_LIMITS.minFreeOctets, "1 MB", "1 TB"),
    "new mail is put off when less is free",
  ),
}).transform((value): LimitsConfig => ({
  connections: value.connections,
  connectionsPerAddress: value.connections_per_address,
  connectionsPerMinute: value.connections_per_minute,
  loginFailuresPerAddress: value.login_failures_per_address,
  loginFailureWindowMs: value.login_failure_window,
  messageOctets: value.message_size,
  recipients: value.recipients,
  commandLineOctets: value.command_line,
  authLineOctets: value.auth_line,
  commands: value.commands,
  errors: value.errors,
  commandTimeoutMs: value.command_timeout,
  messageTimeoutMs: value.message_timeout,
  idleTimeoutMs: value.idle_timeout,
  loginTimeoutMs: value.login_timeout,
  imapMessages: value.imap_messages,
  imapSaves: value.imap_saves,
  minFreeOctets: value.min_free_disk,
}));

const askers = z.enum(["nobody", "logins", "everybody"]);
const smtp = z.strictObject({
  vrfy: about(
    askers.default(DEFAULT_SMTP.vrfy),
    "who may ask whether an address exists (VRFY); others hear 252",
  ),
  expn: about(
    askers.default(DEFAULT_SMTP.expn),
    "who may ask what an alias leads to (EXPN); others hear 502",
  ),
  etrn: about(
    z.boolean().default(DEFAULT_SMTP.etrn),
    "ETRN: servers of relay domains may ask for the mail that waits for them",
  ),
  soft_bounce: about(
    z.boolean().default(DEFAULT_SMTP.softBounce),
    "while settings are tried: mail that would be refused for good (5yz) is put off (4yz), so that it comes again; the\n" +
      "log and the trace say what would have been",
  ),
  hide_logins: about(
    z.boolean().default(DEFAULT_SMTP.hideLogins),
    "Received of what logins send names neither their address nor their EHLO; the log and the trace do",
  ),
  max_hold: about(
    duration(DEFAULT_SMTP.maxHoldMs, "0s", "365d"),
    "submission: how long mail may be held back for its sender (FUTURERELEASE); 0s does not offer it",
  ),
  max_priority: about(
    whole(DEFAULT_SMTP.maxPriority!, -1, 9),
    "the highest priority (MT-PRIORITY) of mail from logins and trusted networks; -1 does not offer it",
  ),
}).transform((value): SmtpConfig => ({
  vrfy: value.vrfy,
  expn: value.expn,
  etrn: value.etrn,
  softBounce: value.soft_bounce,
  hideLogins: value.hide_logins,
  maxHoldMs: value.max_hold,
  maxPriority: value.max_priority < 0 ? null : value.max_priority,
}));

const namespaceName = text(
  'a name of one level without / * %, or "" for none',
  // deno-lint-ignore no-control-regex
  /^(?!inbox$)[^/*%\x00-\x1f\x7f]{0,100}$/i,
);
const imap = z.strictObject({
  sharing: about(
    z.enum(["off", "domain", "server"]).default(DEFAULT_IMAP.sharing),
    "with whom accounts can share mailboxes (ACL): nobody, accounts of the same domain, all accounts here",
  ),
  other_users: about(
    namespaceName.default(DEFAULT_IMAP.otherUsers),
    'where mailboxes of other users are: "Other Users/ann@example.org/Work"; "" is nowhere',
  ),
  shared_folders: about(
    namespaceName.default(DEFAULT_IMAP.sharedFolders),
    "the same for mailboxes of shared accounts, which nobody logs in as",
  ),
  quota_setters: about(
    z.array(z.string().regex(/^[^\s@]+@[^\s@]+$/, { error: "an address, as in ann@example.org" })).default(
      [],
    ),
    "accounts that may set the quota of every account by IMAP (QUOTASET)",
    ["postmaster@example.org"],
  ),
}).superRefine((value, context) => {
  if (value.other_users !== "" && value.other_users === value.shared_folders) {
    context.addIssue({
      code: "custom",
      path: ["shared_folders"],
      message: "another name than other_users",
    });
  }
}).transform((value): ImapConfig => ({
  sharing: value.sharing,
  otherUsers: value.other_users,
  sharedFolders: value.shared_folders,
  quotaSetters: value.quota_setters.map(lower),
}));

const oauth = z.strictObject({
  url: about(
    text("an address that begins with https:// or http://", /^(?:https?:\/\/[^\s]+)?$/).default(""),
    "where bearer tokens of an identity provider are checked (OAUTHBEARER, XOAUTH2); left out: not at all",
    "https://id.example.org/introspect",
  ),
  kind: about(
    z.enum(["introspection", "jwks"]).default("introspection"),
    "introspection asks there what a token is (RFC 7662), jwks gets the keys that sign them (RFC 7517)",
  ),
  client_id: about(z.string().default(""), "introspection: our name there", "veredus"),
  client_secret_file: about(
    z.string().default(""),
    "introspection: file with our password there",
    "/etc/veredus/oauth-secret",
  ),
  issuer: about(z.string().default(""), "iss that a token must have", "https://id.example.org"),
  audience: about(z.string().default(""), "aud that a token must have; needed with jwks", "mail"),
  claim: about(z.string().min(1).default("email"), "claim that holds the account's address"),
}).superRefine((value, context) => {
  // A token for another service of the same provider is no login here.
  if (value.url !== "" && value.kind === "jwks" && value.audience === "") {
    context.addIssue({
      code: "custom",
      path: ["audience"],
      message: "jwks needs the audience that tokens are for",
    });
  }
}).transform((value): OAuthConfig | null =>
  value.url === "" ? null : {
    introspection: value.kind === "introspection" ? value.url : "",
    jwks: value.kind === "jwks" ? value.url : "",
    clientId: value.client_id,
    clientSecretFile: value.client_secret_file,
    issuer: value.issuer,
    audience: value.audience,
    claim: value.claim,
  }
);

const authentication = z.strictObject({
  scram: about(
    z.boolean().default(DEFAULT_CONFIG.auth.scram),
    "offer SCRAM-SHA-256 when every account has what it needs, which is made when a password is set or used; a stolen\n" +
      "database is easier to try passwords on than with scrypt alone",
  ),
  oauth: about(oauth.prefault({}), "bearer tokens"),
}).transform((value): AuthConfig => ({ scram: value.scram, oauth: value.oauth }));

const agentName = text("a name of a-z, 0-9, - and _", /^[a-z0-9][a-z0-9_-]{0,63}$/);
const command = z.strictObject({
  name: about(agentName, "an alias leads here as command:NAME", "ticket"),
  command: about(
    z.array(z.string().min(1)).min(1, { error: "a program and its arguments" }),
    "program and arguments, no shell; the message comes on standard input, SENDER, RECIPIENT and TRACE_ID in the\n" +
      "environment; exit 0 takes it, 75 puts it off, all else bounces it",
    ["/usr/local/bin/ticket", "--from-mail"],
  ),
  timeout: about(duration(30_000, "100ms", "1h"), "longest run"),
  output: about(size(64 * 1_000, "0 B", "100 MB"), "most it may write"),
}).transform((value): CommandConfig => ({
  name: value.name,
  command: value.command,
  timeoutMs: value.timeout,
  outputOctets: value.output,
}));

const hook = z.strictObject({
  name: about(agentName, "an alias leads here as hook:NAME", "crm"),
  url: about(
    text("an address that begins with http:// or https://", /^https?:\/\/[^\s]+$/),
    "gets a POST of the message; 2xx takes it, 408, 425, 429 and 5xx put it off, all else bounces it",
    "https://crm.example.org/mail",
  ),
  timeout: about(duration(30_000, "100ms", "1h"), "longest wait for the answer"),
  token_file: about(z.string().default(""), "file that holds a bearer token", "/etc/veredus/crm-token"),
}).transform((value): HookConfig => ({
  name: value.name,
  url: value.url,
  timeoutMs: value.timeout,
  tokenFile: value.token_file,
}));

const copy = z.strictObject({
  of: about(
    z.array(z.string().regex(/^[^\s@]*@?[^\s@]+$/, { error: "an address or a domain" }).transform(lower))
      .default([]),
    "addresses and domains whose mail it is about; left out: everybody's",
    ["example.org", "ceo@example.net"],
  ),
  mail: about(
    z.enum(["received", "sent", "all"]).default("all"),
    "received (they are recipients), sent (they have sent it, logged in) or all (either)",
  ),
  to: about(
    text("an address, as in archive@example.org", /^[^\s@]+@[^\s@]+$/).transform(lower),
    "an account here that gets the copies",
    "archive@example.org",
  ),
});

const search = z.strictObject({
  index: about(
    z.boolean().default(DEFAULT_SEARCH.index),
    "keep full-text indexes, so that searches in many messages need not read them all; about half the size of the mail's text",
  ),
  attachments: about(
    z.boolean().default(DEFAULT_SEARCH.attachments),
    "take the text of attached PDF, office (docx, xlsx, pptx, odt, ods, odp) and RTF files into the indexes, by a process without\n" +
      "permissions; turned on, it reads those of older mail too",
  ),
  attachment_size: about(
    size(DEFAULT_SEARCH.attachmentOctets, "1 kB", "100 MB"),
    "larger files are passed over",
  ),
  attachment_text: about(
    whole(DEFAULT_SEARCH.attachmentCharacters, 1_000, 500_000),
    "characters taken of all files of one message",
  ),
  attachment_time: about(
    duration(DEFAULT_SEARCH.attachmentTimeMs, "1s", "10m"),
    "processor time for all files of one message",
  ),
}).transform((value): SearchConfig => ({
  index: value.index,
  attachments: value.attachments,
  attachmentOctets: value.attachment_size,
  attachmentCharacters: value.attachment_text,
  attachmentTimeMs: value.attachment_time,
})).superRefine((value, context) => {
  if (value.attachments && !value.index) {
    context.addIssue({
      code: "custom",
      path: ["attachments"],
      message: "the text of attached files is kept in the indexes: search.index must be true",
    });
  }
});

const trace = z.strictObject({
  keep: about(
    duration(DEFAULT_TRACE.keepMs, "0s", "3650d"),
    "how long the life of each message can be looked up; 0s notes nothing",
  ),
}).transform((value): TraceConfig => ({ keepMs: value.keep }));

const level = z.enum(LOG_LEVELS as [LogLevel, ...LogLevel[]]);
const logging = z.strictObject({
  level: about(level.default(DEFAULT_LOGGING.level), LOG_LEVELS.join(", ")),
  format: about(
    z.enum(["auto", "text", "json"]).default(DEFAULT_LOGGING.format),
    "auto: text on a terminal, JSON otherwise",
  ),
  areas: about(
    z.partialRecord(z.enum(LOG_AREAS), level).default({}),
    `levels of single areas: ${LOG_AREAS.join(", ")}`,
    { smtp: "debug" },
  ),
});

const certificate = z.strictObject({
  certificate: about(path, "PEM file, leaf first", "/etc/veredus/tls/fullchain.pem"),
  key: about(path, "PEM file with its private key", "/etc/veredus/tls/privkey.pem"),
  next_key: about(
    z.string().default(""),
    "PEM file with the key of the next certificate, for its TLSA record (veredus dns records)",
    "/etc/veredus/tls/next.pem",
  ),
}).transform((value): CertificateConfig => ({
  certificate: value.certificate,
  key: value.key,
  nextKey: value.next_key,
}));

/** Lists the values that may repeat a message's octets; kept with the schema so that nothing is forgotten. */
export const configSchema = z.strictObject({
  hostname: about(
    domain,
    "name of this server in greetings, EHLO and Received; other servers check that it resolves to us",
    "mail.example.org",
  ),
  data: about(path.default(DEFAULT_CONFIG.data), "folder of all data; relative to this file"),
  user: about(
    z.string().regex(/^([a-z_][a-z0-9_-]*\$?)?$/, { error: "a user name" }).default(DEFAULT_CONFIG.user),
    "user to become when started as root",
    "veredus",
  ),
  threads: about(
    z.union([z.literal("auto"), z.int().min(0).max(256)], {
      error: '"auto", or a whole number from 0 to 256',
    }).default(DEFAULT_CONFIG.threads),
    "front ends: auto is one less than there are cores, 0 runs everything in one thread",
  ),
  listeners: about(
    z.array(listener).min(1, { error: "at least one listener" })
      .max(MAX_LISTENERS, { error: `at most ${MAX_LISTENERS} listeners` }).optional(),
    "what listens where; left out: every mail port on all addresses, and http on 127.0.0.1:8080",
    DEFAULT_CONFIG.listeners,
  ),
  certificates: about(
    z.array(certificate).default([]),
    "TLS certificates; the first is for clients that name none of them. Left out: a self-signed one.\n" +
      "SIGHUP reads the files again",
  ),
  trusted_networks: about(
    z.array(network).default([]),
    "clients that may send to any domain without a login",
    ["192.0.2.0/24"],
  ),
  proxy_networks: about(
    z.array(network).default([]),
    "proxies in front of the mail ports: every connection from there begins with a PROXY header (version 1 or 2),\n" +
      "before TLS; from anywhere else such a header is an error",
    ["192.0.2.8/32"],
  ),
  xclient_networks: about(
    z.array(network).default([]),
    "smtp: filters and proxies that may say by XCLIENT for which client they speak",
    ["127.0.0.1/32"],
  ),
  smtp: about(smtp.prefault({}), "SMTP extensions and who may use them"),
  imap: about(imap.prefault({}), "mailboxes that accounts share, and what accounts may do by IMAP"),
  auth: about(authentication.prefault({}), "logins by other means than a password"),
  limits: about(limits.prefault({}), "limits against misuse and mistakes"),
  queue: about(queue.prefault({}), "sending to other servers"),
  outbound_tls: about(outboundTls.prefault({}), "TLS towards other servers"),
  mta_sts: about(publishedSts.prefault({}), "the policy that our own domains publish (RFC 8461)"),
  relay: about(
    z.array(relayRule).default([]),
    "next hops in place of MX records, or another manner of sending; the first rule that fits is used",
  ),
  identities: about(
    z.array(identity).default([]),
    "other names and addresses of ours towards other servers, by the sender's domain",
  ),
  webhooks: about(z.array(webhook).default([]), "HTTP addresses that are told what becomes of mail"),
  commands: about(
    z.array(command).default([]),
    "programs that aliases may lead to, run as the server's user; none unless listed here",
  ),
  hooks: about(z.array(hook).default([]), "HTTP addresses that aliases may lead to"),
  copies: about(
    z.array(copy).default([]),
    "copies of mail for an archive here; none is made unless it says so here",
  ),
  capture_outbound: about(
    z.string().regex(/^([^\s@]+@[^\s@]+)?$/, { error: "an address, as in outside@example.org" })
      .default(DEFAULT_CONFIG.captureOutbound),
    "file mail to other domains in this local account and send nothing (test installations)",
    "outside@example.org",
  ),
  resolver: about(resolver.prefault({}), "DNS"),
  filter: about(filter.prefault({}), "checks of incoming mail"),
  quarantine: about(quarantine.prefault({}), "mail that checks have set aside"),
  sender_checks: about(senderChecks.prefault({}), "who sent a message: reverse DNS, SPF, DKIM, ARC, DMARC"),
  dkim: about(dkim.prefault({}), "keys that sign what leaves (`veredus dkim`)"),
  bans: about(bans.prefault({}), "addresses that misbehave are shut out of every protocol for a while"),
  search: about(search.prefault({}), "searches in the text of messages"),
  trace: about(trace.prefault({}), "what `veredus trace` knows"),
  logging: about(logging.prefault({}), "logs go to standard error"),
  drain: about(
    duration(DEFAULT_CONFIG.drainMs, "0s", "1h"),
    "time for running transactions after SIGTERM",
  ),
}).transform((value): Config => ({
  hostname: lower(value.hostname.replace(/\.$/, "")),
  data: value.data,
  user: value.user,
  threads: value.threads,
  listeners: value.listeners ?? DEFAULT_CONFIG.listeners,
  certificates: value.certificates,
  trustedNetworks: value.trusted_networks,
  proxyNetworks: value.proxy_networks,
  xclientNetworks: value.xclient_networks,
  smtp: value.smtp,
  imap: value.imap,
  auth: value.auth,
  limits: value.limits,
  queue: value.queue,
  outboundTls: value.outbound_tls,
  publishedSts: value.mta_sts,
  relay: value.relay,
  identities: value.identities,
  webhooks: value.webhooks,
  commands: value.commands,
  hooks: value.hooks,
  copies: value.copies,
  captureOutbound: value.capture_outbound.toLowerCase(),
  resolver: value.resolver,
  filter: value.filter,
  quarantine: value.quarantine,
  senderChecks: value.sender_checks,
  dkim: value.dkim,
  bans: value.bans,
  search: value.search,
  trace: value.trace,
  logging: {
    level: value.logging.level,
    format: value.logging.format,
    areas: value.logging.areas as Partial<Record<LogArea, LogLevel>>,
  },
  drainMs: value.drain,
}));
