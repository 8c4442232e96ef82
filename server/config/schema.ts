/**
 * The configuration file: its keys, what they mean, what they may hold, their defaults.
 *
 * One description serves three readers: `load.ts` validates by it, `faults.ts` takes the allowed values from it, and
 * `example.ts` prints it as a commented file. Keys are snake_case. `doc` is the comment in the example, `sample` a
 * value to show where there is no default.
 */
import { isIP } from "node:net";
import { RE2JS } from "re2js";
import { z } from "zod";
import { RATE_FACTS } from "../../filter/checks/rate.ts";
import { STAGES } from "../../filter/verdict.ts";
import { LOG_AREAS, LOG_LEVELS, type LogArea, type LogLevel } from "../../telemetry/log.ts";
import { parseDs } from "../../dns/dnssec/anchors.ts";
import {
  type AuthConfig,
  type BansConfig,
  type CheckConfig,
  type CheckKind,
  CHECKS,
  type CommandConfig,
  type Config,
  DEFAULT_BANS,
  DEFAULT_CHECK,
  DEFAULT_CONFIG,
  DEFAULT_FILTER,
  DEFAULT_LIMITS,
  DEFAULT_LISTENER,
  DEFAULT_LOGGING,
  DEFAULT_QUEUE,
  DEFAULT_RESOLVER,
  DEFAULT_SENDER_CHECKS,
  DEFAULT_SMTP,
  DEFAULT_TRACE,
  type FilterConfig,
  type HookConfig,
  isImplicitTls,
  type LimitsConfig,
  type ListenerConfig,
  type OAuthConfig,
  PROTOCOLS,
  type QueueConfig,
  type RelayRule,
  type ResolverConfig,
  type SenderChecksConfig,
  type SmtpConfig,
  STANDARD_PORTS,
  type TraceConfig,
} from "./config.ts";
import { parseHostPort } from "./host_port.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

/** What the example says about a key. */
export interface KeyDoc {
  readonly doc: string;
  /** Shown commented out when the default is "nothing". */
  readonly sample?: unknown;
  [key: string]: unknown;
}

function about<T extends z.ZodType>(type: T, doc: string, sample?: unknown): T {
  return type.meta({ doc, ...(sample !== undefined && { sample }) });
}

/** A duration between two bounds; the default is given in milliseconds and shown with its unit. */
function duration(fallbackMs: number, min: string, max: string) {
  const [least, most] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  const allowed = `a duration from ${min} to ${max}, as in "90s", "5m", "1h 30m"`;
  return z.string({ error: allowed }).transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= least && ms <= most) return ms;
    context.issues.push({ code: "custom", message: allowed, input: text });
    return z.NEVER;
  }).prefault(formatDuration(fallbackMs));
}

function size(fallback: number, min: string, max: string) {
  const [least, most] = [parseSize(min) ?? 0, parseSize(max) ?? 0];
  const allowed = `a size from ${min} to ${max}, as in "50 MB", "64 KiB"`;
  return z.union([z.string(), z.number()], { error: allowed }).transform((value, context) => {
    const octets = parseSize(String(value));
    if (octets !== null && octets >= least && octets <= most) return octets;
    context.issues.push({ code: "custom", message: allowed, input: value });
    return z.NEVER;
  }).prefault(formatSize(fallback));
}

function whole(fallback: number, min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error }).default(fallback);
}

function text(allowed: string, pattern: RegExp) {
  return z.string({ error: allowed }).regex(pattern, { error: allowed });
}

const domain = text("a domain name, as in example.org", /^[^\s@:/\\]+\.?$/);
const path = text("a path", /^[^\0]+$/);
const port = whole(0, 0, 65_535).removeDefault();
const networkText = "a network, as in 192.0.2.0/24 or 2001:db8::/32";
const network = z.string({ error: networkText }).refine((value) => {
  const [address = "", bits, more] = value.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}, { error: networkText });
const hostPortText = "HOST:PORT, as in smtp.example.org:587 or [2001:db8::1]:25";

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

const limits = z.strictObject({
  connections: about(
    whole(DEFAULT_LIMITS.connections, 1, 1_000_000),
    "connections at one time, all ports together",
  ),
  connections_per_address: about(
    whole(DEFAULT_LIMITS.connectionsPerAddress, 1, 1_000_000),
    "connections at one time from one address (IPv6: one /64)",
  ),
  login_failures_per_address: about(
    whole(DEFAULT_LIMITS.loginFailuresPerAddress, 1, 1_000_000),
    "wrong passwords from one address before logins from it are put off; the answer slows down on the way",
  ),
  login_failure_window: about(
    duration(DEFAULT_LIMITS.loginFailureWindowMs, "1s", "30d"),
    "how long a wrong password counts",
  ),
  message_size: about(size(DEFAULT_LIMITS.messageOctets, "64 kB", "2 GB"), "largest message taken"),
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
  min_free_disk: about(
    size(DEFAULT_LIMITS.minFreeOctets, "1 MB", "1 TB"),
    "new mail is put off when less is free",
  ),
}).transform((value): LimitsConfig => ({
  connections: value.connections,
  connectionsPerAddress: value.connections_per_address,
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
  minFreeOctets: value.min_free_disk,
}));

const queue = z.strictObject({
  first_retry: about(
    duration(DEFAULT_QUEUE.firstRetryMs, "1s", "1d"),
    "wait after the first failure; it doubles",
  ),
  max_retry: about(duration(DEFAULT_QUEUE.maxRetryMs, "1s", "7d"), "longest wait between two attempts"),
  jitter_percent: about(whole(DEFAULT_QUEUE.jitterPercent, 0, 100), "random part of each wait"),
  lifetime: about(duration(DEFAULT_QUEUE.lifetimeMs, "1s", "30d"), "how long a message is tried"),
  bounce_lifetime: about(duration(DEFAULT_QUEUE.bounceLifetimeMs, "1s", "30d"), "the same for bounces"),
  delay_notice: about(
    duration(DEFAULT_QUEUE.delayNoticeMs, "1s", "30d"),
    "when the sender is told of a delay",
  ),
  connections: about(whole(DEFAULT_QUEUE.connections, 1, 10_000), "connections to other servers at one time"),
  connections_per_destination: about(
    whole(DEFAULT_QUEUE.connectionsPerDestination, 1, 1_000),
    "the same for one destination",
  ),
  recipients_per_transaction: about(
    whole(DEFAULT_QUEUE.recipientsPerTransaction, 1, 1_000),
    "recipients sent in one transaction (RFC 5321: 100 must be taken)",
  ),
}).transform((value): QueueConfig => ({
  firstRetryMs: value.first_retry,
  maxRetryMs: value.max_retry,
  jitterPercent: value.jitter_percent,
  lifetimeMs: value.lifetime,
  bounceLifetimeMs: value.bounce_lifetime,
  delayNoticeMs: value.delay_notice,
  connections: value.connections,
  connectionsPerDestination: value.connections_per_destination,
  recipientsPerTransaction: value.recipients_per_transaction,
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
  max_hold: about(
    duration(DEFAULT_SMTP.maxHoldMs, "0s", "365d"),
    "submission: how long mail may be held back for its sender (FUTURERELEASE); 0s does not offer it",
  ),
}).transform((value): SmtpConfig => ({
  vrfy: value.vrfy,
  expn: value.expn,
  etrn: value.etrn,
  maxHoldMs: value.max_hold,
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

const relayRule = z.strictObject({
  senders: about(z.array(domain).default([]), "domains of senders it is for; left out: all", ["example.org"]),
  recipients: about(z.array(domain).default([]), "domains of recipients it is for; left out: all", [
    "partner.example",
  ]),
  next_hop: about(
    z.string({ error: hostPortText }).refine((value) => parseHostPort(value) !== null, {
      error: hostPortText,
    }),
    "HOST:PORT that takes the mail",
    "smtp.example.net:587",
  ),
  tls: about(
    z.enum(["none", "opportunistic", "required", "implicit"]).default("opportunistic"),
    "none, opportunistic (STARTTLS when offered; the default), required (STARTTLS with a valid certificate), implicit",
    "required",
  ),
  username: about(z.string().default(""), "login there, when it wants one", "relay-user"),
  password_file: about(z.string().default(""), "file that holds the password", "/etc/veredus/relay-password"),
}).transform((value): RelayRule => ({
  senders: value.senders.map(lower),
  recipients: value.recipients.map(lower),
  ...parseHostPort(value.next_hop)!,
  tls: value.tls,
  username: value.username,
  passwordFile: value.password_file,
}));

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

const dnsServer = z.string().refine(
  (value) => isIP(value) !== 0 || isIP(parseHostPort(value)?.host ?? "") !== 0,
  { error: "an IP address, or ADDRESS:PORT, as in 192.0.2.53 or [2001:db8::53]:53" },
);
const resolver = z.strictObject({
  mode: about(
    z.enum(["auto", "forward", "iterative"]).default(DEFAULT_RESOLVER.mode),
    "iterative: ask the servers of the zones, from the root down; forward: ask `servers`; auto: forward when there are any",
  ),
  servers: about(
    z.array(dnsServer).default([]),
    "recursive DNS servers to ask; left out: in mode forward those of /etc/resolv.conf",
    ["127.0.0.1"],
  ),
  dnssec: about(
    z.enum(["auto", "on", "off"]).default(DEFAULT_RESOLVER.dnssec),
    "validate DNSSEC ourselves; auto: in mode iterative. In mode forward the servers must pass signatures on",
  ),
  root_servers: about(
    z.array(dnsServer).default([]),
    "servers of the root for mode iterative, in a network with a root of its own; left out: the Internet's",
    ["192.0.2.1"],
  ),
  trust_anchors: about(
    z.array(
      z.string().refine((value) => parseDs(value) !== null, {
        error: "a DS record of the root: TAG ALGORITHM DIGEST-TYPE HEX",
      }),
    ).default([]),
    "DS records of the root; left out: IANA's, kept up to date in the data folder (RFC 5011)",
    ["20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"],
  ),
  timeout: about(duration(DEFAULT_RESOLVER.timeoutMs, "100ms", "1m"), "wait for one server's answer"),
  cache_entries: about(whole(DEFAULT_RESOLVER.cacheEntries, 0, 10_000_000), "answers kept"),
  cache_octets: about(size(DEFAULT_RESOLVER.cacheOctets, "64KiB", "64GiB"), "memory for them"),
}).transform((value): ResolverConfig => ({
  mode: value.mode,
  servers: value.servers,
  dnssec: value.dnssec,
  rootServers: value.root_servers,
  trustAnchors: value.trust_anchors,
  cacheOctets: value.cache_octets,
  timeoutMs: value.timeout,
  cacheEntries: value.cache_entries,
}));

const zone = z.strictObject({
  zone: about(domain, "the list's domain", "bl.example.net"),
  of: about(z.enum(["address", "sender", "helo"]).default("address"), "address, sender (its domain) or helo"),
  weight: about(z.number().default(1), "of any answer; below 0 it speaks for the client"),
  codes: about(z.record(z.ipv4(), z.number()).default({}), "weights of certain answers", { "127.0.0.2": 3 }),
});

/** What each kind does when nothing is said, and when it is asked. */
const CHECK_DEFAULTS: Readonly<Record<CheckKind, Pick<CheckConfig, "action" | "stages">>> = {
  "null-mx": { action: "reject", stages: ["mail"] },
  list: { action: "reject", stages: ["mail"] },
  dnsbl: { action: "tag", stages: ["mail"] },
  "reverse-dns": { action: "tag", stages: ["connect"] },
  helo: { action: "tag", stages: ["ehlo"] },
  "early-talker": { action: "tag", stages: ["ehlo"] },
  greylist: { action: "defer", stages: ["rcpt"] },
  rate: { action: "defer", stages: ["rcpt"] },
  sending: { action: "defer", stages: ["mail", "rcpt"] },
  http: { action: "reject", stages: ["rcpt"] },
  milter: { action: "reject", stages: ["connect", "ehlo", "mail", "rcpt", "data", "message"] },
  script: { action: "reject", stages: ["message"] },
};
const NO_STRINGS: string[] = [];
const names = (doc: string, sample: string[]) =>
  about(z.array(z.string().min(1)).default(NO_STRINGS), doc, sample);
const pattern = z.string().refine(isPattern, { error: "a regular expression as RE2 has them" });

const check = z.strictObject({
  check: about(z.enum(CHECKS), `one of ${CHECKS.join(", ")}`, "list"),
  name: about(
    z.string().regex(/^[a-z0-9-]{0,60}$/, { error: "a-z, 0-9 and -" }).default(""),
    "in the log and in headers; left out: what it is",
  ),
  action: about(
    z.enum(["accept", "reject", "defer", "discard", "quarantine", "tag"]).optional(),
    "what happens when it finds something: accept, reject, defer, discard, quarantine or tag. Left out: reject for\n" +
      "null-mx and list, defer for greylist, rate and sending, tag for the others",
    "reject",
  ),
  stages: about(
    z.array(z.enum(STAGES)).min(1).optional(),
    "list: one of connect, ehlo, mail, rcpt; rate: mail or rcpt; http and script: any",
    ["mail"],
  ),
  logins: about(z.boolean().default(DEFAULT_CHECK.logins), "it is for logins and trusted networks too"),
  networks: about(z.array(network).default(NO_STRINGS), "list: of clients", ["192.0.2.0/24"]),
  names: names("list: of clients by reverse-dns or EHLO; .example.org is all below", [".dsl.example.net"]),
  domains: names("list: of senders, at rcpt of recipients", ["spam.example"]),
  patterns: about(
    z.array(pattern).default(NO_STRINGS),
    "list: regular expressions (RE2) looked for in address, EHLO name, sender or recipient, by stage",
    ["^bounce-[0-9]+@"],
  ),
  text: about(
    z.string().regex(/^[ -~]{0,200}$/, { error: "one line of ASCII" }).default(""),
    "list: what the client hears",
  ),
  zones: about(z.array(zone).default([]), "dnsbl: lists in DNS"),
  threshold: about(
    z.number().positive().default(DEFAULT_CHECK.threshold),
    "dnsbl: sum of weights that is found",
  ),
  delay: about(
    duration(DEFAULT_CHECK.delayMs, "1s", "1d"),
    "greylist: the wait; early-talker: the pause before the greeting (5s at most)",
  ),
  window: about(
    duration(DEFAULT_CHECK.windowMs, "1m", "30d"),
    "greylist: how long the next try is waited for",
  ),
  lifetime: about(
    duration(DEFAULT_CHECK.lifetimeMs, "1h", "365d"),
    "greylist: how long who came back is known",
  ),
  known_after: about(
    whole(DEFAULT_CHECK.knownAfter, 0, 1_000),
    "greylist: triplets after which a network is known; 0 never",
  ),
  by: about(
    z.array(z.enum(RATE_FACTS)).min(1).default([...DEFAULT_CHECK.by]),
    `rate: any of ${RATE_FACTS.join(", ")} together`,
  ),
  limit: about(whole(DEFAULT_CHECK.limit, 1, 100_000_000), "rate: so many"),
  per: about(duration(DEFAULT_CHECK.perMs, "1s", "30d"), "rate: in so long"),
  messages_per_day: about(
    whole(DEFAULT_CHECK.messagesPerDay, 0, 100_000_000),
    "sending: of one login; 0 is no limit",
  ),
  new_recipients_per_day: about(
    whole(DEFAULT_CHECK.newRecipientsPerDay, 0, 100_000_000),
    "sending: recipients a login never wrote to; 0 is no limit",
  ),
  at: about(
    z.string().default(""),
    "http: URL; milter: HOST:PORT or unix:PATH; script: path of a .ts or .js file",
    "unix:/run/milter.sock",
  ),
  timeout: about(duration(DEFAULT_CHECK.timeoutMs, "10ms", "2m"), "http, milter, script: longest wait"),
  on_failure: about(
    z.enum(["continue", "defer", "reject"]).default(DEFAULT_CHECK.onFailure),
    "http, milter, script: what is done without an answer",
  ),
}).superRefine((value, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: [path], message });
  const { check: kind, at, stages } = value;
  if (kind === "http" && !/^https?:\/\/\S+$/.test(at)) {
    issue("at", "an address that begins with http:// or https://");
  }
  if (kind === "milter" && !/^unix:\/./.test(at) && parseHostPort(at) === null) {
    issue("at", `unix:/PATH or ${hostPortText}`);
  }
  if (kind === "script" && !/\.[jt]s$/.test(at)) issue("at", "the path of a .ts or .js file");
  if (kind === "dnsbl" && value.zones.length === 0) issue("zones", "dnsbl needs a list at least");
  if (kind === "early-talker" && value.delay > 5_000 && value.delay !== DEFAULT_CHECK.delayMs) {
    issue("delay", "clients should not wait longer than 5s for the greeting");
  }
  if (
    kind === "list" && stages !== undefined &&
    (stages.length > 1 || stages[0] === "data" || stages[0] === "message")
  ) {
    issue("stages", "one of connect, ehlo, mail, rcpt");
  }
  if (
    kind === "rate" && stages !== undefined &&
    (stages.length > 1 || (stages[0] !== "mail" && stages[0] !== "rcpt"))
  ) {
    issue("stages", "mail or rcpt");
  }
}).transform((value): CheckConfig => ({
  check: value.check,
  name: value.name === "" ? value.check : value.name,
  action: value.action ?? CHECK_DEFAULTS[value.check].action,
  stages: value.stages !== undefined && ["list", "rate", "http", "script"].includes(value.check)
    ? value.stages
    : CHECK_DEFAULTS[value.check].stages,
  logins: value.logins,
  networks: value.networks,
  names: value.names,
  domains: value.domains,
  patterns: value.patterns,
  text: value.text,
  zones: value.zones,
  threshold: value.threshold,
  delayMs: value.check === "early-talker" ? Math.min(value.delay, 2_000) : value.delay,
  windowMs: value.window,
  lifetimeMs: value.lifetime,
  knownAfter: value.known_after,
  by: value.by,
  limit: value.limit,
  perMs: value.per,
  messagesPerDay: value.messages_per_day,
  newRecipientsPerDay: value.new_recipients_per_day,
  at: value.at,
  timeoutMs: value.timeout,
  onFailure: value.on_failure,
}));

const filter = z.strictObject({
  checks: about(
    z.array(check).default([...DEFAULT_FILTER.checks]),
    "checks of incoming mail, asked in this order at each stage. Left out: null-mx, which refuses senders whose domain\n" +
      "takes no mail. Postmaster and abuse get their mail whatever checks say. Keys of a check",
    [{ check: "null-mx" }],
  ),
  tarpit: about(
    duration(DEFAULT_FILTER.tarpitMs, "0s", "1m"),
    "wait before the answer to a refused recipient of a stranger",
  ),
  administrator: about(
    z.string().regex(/^([^\s@]+@[^\s@]+)?$/, { error: "an address" }).default(DEFAULT_FILTER.administrator),
    "who is told when a login looks stolen; left out: postmaster at hostname",
    "admin@example.org",
  ),
}).superRefine(({ checks }, context) => {
  const seen = new Set<string>();
  for (const [at, { name }] of checks.entries()) {
    if (seen.has(name)) {
      context.addIssue({
        code: "custom",
        path: ["checks", at, "name"],
        message: `another check is called ${name}`,
      });
    }
    seen.add(name);
  }
}).transform((value): FilterConfig => ({
  checks: value.checks,
  tarpitMs: value.tarpit,
  administrator: value.administrator,
}));

const senderChecks = z.strictObject({
  iprev: about(z.boolean().default(DEFAULT_SENDER_CHECKS.iprev), "reverse DNS that leads back to the client"),
  spf: about(
    z.boolean().default(DEFAULT_SENDER_CHECKS.spf),
    "may the client send for the domain of MAIL FROM",
  ),
  dkim: about(
    z.boolean().default(DEFAULT_SENDER_CHECKS.dkim),
    "signatures; the body is hashed while it arrives",
  ),
  arc: about(z.boolean().default(DEFAULT_SENDER_CHECKS.arc), "seals of servers that handed the message on"),
  dmarc: about(
    z.enum(["off", "rfc9989", "rfc7489"]).default(DEFAULT_SENDER_CHECKS.dmarc),
    "policy of the domain in From: rfc9989 (tree walk; pct is ignored), rfc7489 (public suffix list), off. What\n" +
      "fails under quarantine or reject goes to Junk",
  ),
  refuse: about(
    z.enum(["never", "agreed", "always"]).default(DEFAULT_SENDER_CHECKS.refuse),
    "what fails under p=reject: always refuse it, only if reverse DNS fails too (agreed), or never",
  ),
  trusted_sealers: about(
    z.array(domain.transform(lower)).default([...DEFAULT_SENDER_CHECKS.trustedSealers]),
    "domains whose ARC seals are believed: what they saw pass is not held against a message that fails here",
    ["example.org"],
  ),
  known_lists: about(
    z.array(domain.transform(lower)).default([...DEFAULT_SENDER_CHECKS.knownLists]),
    "mailing lists, by the domain they sign with: their mail may fail DMARC",
    ["lists.example.org"],
  ),
  relays: about(
    z.array(network).default([...DEFAULT_SENDER_CHECKS.relays]),
    "servers of a provider, or backup MX of ours: the client they had a message from is judged by their Received line,\n" +
      "and their mail is never refused for DMARC",
    ["192.0.2.25/32"],
  ),
  skip: about(z.array(network).default([...DEFAULT_SENDER_CHECKS.skip]), "clients whose mail is not checked"),
  dns_trouble: about(
    z.enum(["deliver", "defer"]).default(DEFAULT_SENDER_CHECKS.onDnsTrouble),
    "when DNS does not answer: deliver (marked temperror), or defer, for an hour at most",
  ),
  timeout: about(
    duration(DEFAULT_SENDER_CHECKS.timeoutMs, "1s", "2m"),
    "for all these checks of a message together",
  ),
}).transform((value): SenderChecksConfig => ({
  iprev: value.iprev,
  spf: value.spf,
  dkim: value.dkim,
  arc: value.arc,
  dmarc: value.dmarc,
  refuse: value.refuse,
  trustedSealers: value.trusted_sealers,
  knownLists: value.known_lists,
  relays: value.relays,
  skip: value.skip,
  onDnsTrouble: value.dns_trouble,
  timeoutMs: value.timeout,
}));

const bans = z.strictObject({
  enabled: about(
    z.boolean().default(DEFAULT_BANS.enabled),
    "addresses that try passwords, guess users or break the protocol are shut out",
  ),
  offences: about(
    whole(DEFAULT_BANS.offences, 2, 100_000),
    "so many within the window ban an address (IPv6: its /64)",
  ),
  window: about(duration(DEFAULT_BANS.windowMs, "10s", "30d"), "how long offences count"),
  first: about(
    duration(DEFAULT_BANS.firstMs, "1s", "30d"),
    "length of the first ban; each further one doubles it",
  ),
  longest: about(duration(DEFAULT_BANS.longestMs, "1s", "365d"), "but not beyond this"),
  allow: about(z.array(network).default([...DEFAULT_BANS.allow]), "never banned"),
}).transform((value): BansConfig => ({
  enabled: value.enabled,
  offences: value.offences,
  windowMs: value.window,
  firstMs: value.first,
  longestMs: value.longest,
  allow: value.allow,
}));

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
});

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
    z.array(listener).min(1, { error: "at least one listener" }).optional(),
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
  auth: about(authentication.prefault({}), "logins by other means than a password"),
  limits: about(limits.prefault({}), "limits against misuse and mistakes"),
  queue: about(queue.prefault({}), "sending to other servers"),
  relay: about(
    z.array(relayRule).default([]),
    "next hops in place of MX records; the first rule that fits is used",
  ),
  commands: about(
    z.array(command).default([]),
    "programs that aliases may lead to, run as the server's user; none unless listed here",
  ),
  hooks: about(z.array(hook).default([]), "HTTP addresses that aliases may lead to"),
  capture_outbound: about(
    z.string().regex(/^([^\s@]+@[^\s@]+)?$/, { error: "an address, as in outside@example.org" })
      .default(DEFAULT_CONFIG.captureOutbound),
    "file mail to other domains in this local account and send nothing (test installations)",
    "outside@example.org",
  ),
  resolver: about(resolver.prefault({}), "DNS"),
  filter: about(filter.prefault({}), "checks of incoming mail"),
  sender_checks: about(senderChecks.prefault({}), "who sent a message: reverse DNS, SPF, DKIM, ARC, DMARC"),
  bans: about(bans.prefault({}), "addresses that misbehave are shut out of every protocol for a while"),
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
  auth: value.auth,
  limits: value.limits,
  queue: value.queue,
  relay: value.relay,
  commands: value.commands,
  hooks: value.hooks,
  captureOutbound: value.capture_outbound.toLowerCase(),
  resolver: value.resolver,
  filter: value.filter,
  senderChecks: value.sender_checks,
  bans: value.bans,
  trace: value.trace,
  logging: {
    level: value.logging.level,
    format: value.logging.format,
    areas: value.logging.areas as Partial<Record<LogArea, LogLevel>>,
  },
  drainMs: value.drain,
}));

function isPattern(value: string): boolean {
  try {
    RE2JS.compile(value);
    return value.length > 0 && value.length <= 1_000;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

function lower(value: string): string {
  return value.toLowerCase();
}
