/** Keys about mail that leaves: queue, next hops, DNS. */
import { isIP } from "node:net";
import { z } from "zod";
import { parseDs } from "../../dns/dnssec/anchors.ts";
import {
  type IdentityConfig,
  type OutboundTlsConfig,
  type PublishedStsConfig,
  type QueueConfig,
  type RelayRule,
  type ResolverConfig,
  WEBHOOK_EVENTS,
  type WebhookConfig,
} from "./config.ts";
import { DEFAULT_OUTBOUND_TLS, DEFAULT_PUBLISHED_STS, DEFAULT_QUEUE, DEFAULT_RESOLVER } from "./defaults.ts";
import { type Manner, type NextHop, PLAIN_MANNER } from "../../delivery/routes.ts";
import { parseHostPort } from "./host_port.ts";
import { about, domain, duration, lower, path, size, text, whole } from "./keys.ts";
import { parseDuration } from "./units.ts";

export const queue = z.strictObject({
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
    "the same for one destination, at most: it begins with few, gets more as mail gets through, fewer when it pushes back",
  ),
  recipients_per_transaction: about(
    whole(DEFAULT_QUEUE.recipientsPerTransaction, 1, 1_000),
    "recipients sent in one transaction (RFC 5321: 100 must be taken)",
  ),
  messages_ahead: about(
    whole(DEFAULT_QUEUE.messagesAhead, 1, 64),
    "messages under way at a time on a connection to a server that offers CHUNKING and PIPELINING and is far or has much mail waiting; 1: one after the other",
  ),
  address_family: about(
    z.enum(["any", "ipv6-first", "ipv4-first", "ipv6", "ipv4"]).default(DEFAULT_QUEUE.family),
    "any: IPv6 first, unless it has not been reachable lately; the last two use nothing else",
  ),
  suppress: about(
    duration(DEFAULT_QUEUE.suppressMs, "0s", "3650d"),
    "how long an address that another server says does not exist is not written to again; 0s: no such list",
  ),
  eight_bit: about(
    z.enum(["send", "convert", "refuse"]).default(DEFAULT_QUEUE.eightBit),
    "8-bit mail for servers without 8BITMIME: send as it is, convert unless it is signed, or refuse",
  ),
  utf8_headers: about(
    z.enum(["convert", "return"]).default(DEFAULT_QUEUE.utf8Headers),
    "mail of logins with headers in UTF-8 for servers without SMTPUTF8: convert to ASCII where nothing is lost and nothing\n" +
      "changes that others signed, or return; mail of others, and addresses in UTF-8, are always returned",
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
  messagesAhead: value.messages_ahead,
  family: value.address_family,
  suppressMs: value.suppress,
  eightBit: value.eight_bit,
  utf8Headers: value.utf8_headers,
}));

const tlsRule = z.strictObject({
  domains: about(
    z.array(text("a domain, or *. and a domain for all below it", /^(?:\*\.)?[^\s@:/\\*]+$/).transform(lower))
      .min(1),
    "domains of recipients",
    ["partner.example.org", "*.example.net"],
  ),
  level: about(
    z.enum(["none", "opportunistic", "encrypted", "verified", "dane"]),
    "none; opportunistic: where it is offered; encrypted: any certificate; verified: a trusted one for the host or the\n" +
      "domain; dane: DANE or no mail",
    "verified",
  ),
});

export const outboundTls = z.strictObject({
  dane: about(
    z.boolean().default(DEFAULT_OUTBOUND_TLS.dane),
    "hosts whose certificates DNSSEC vouches for must show them (RFC 7672)",
  ),
  mta_sts: about(
    z.boolean().default(DEFAULT_OUTBOUND_TLS.mtaSts),
    "policies that domains publish by HTTPS are fetched and followed (RFC 8461)",
  ),
  learned: about(
    z.enum(["off", "warn", "refuse"]).default(DEFAULT_OUTBOUND_TLS.learned),
    "a domain that took mail under TLS in the last 30 days and offers none now: warn, refuse (mail waits), or off",
  ),
  reports: about(
    z.boolean().default(DEFAULT_OUTBOUND_TLS.reports),
    "send daily reports to the domains that ask for them (RFC 8460)",
  ),
  rules: about(z.array(tlsRule).default([]), "domains that need more, or less; the first that fits counts"),
}).transform((value): OutboundTlsConfig => ({
  dane: value.dane,
  mtaSts: value.mta_sts,
  learned: value.learned,
  reports: value.reports,
  rules: value.rules,
}));

export const publishedSts = z.strictObject({
  mode: about(
    z.enum(["off", "none", "testing", "enforce"]).default(DEFAULT_PUBLISHED_STS.mode),
    "off: no policy; testing: others tell of trouble only; enforce: they deliver by verified TLS or not at all; none:\n" +
      "takes a policy back. An https listener serves it; its certificate needs the name mta-sts.DOMAIN of each domain",
  ),
  max_age: about(
    duration(DEFAULT_PUBLISHED_STS.maxAgeMs, "1d", "366d"),
    "how long others keep to it",
  ),
}).transform((value): PublishedStsConfig => ({ mode: value.mode, maxAgeMs: value.max_age }));

const hopText = "HOST:PORT, as in smtp.example.org:587 or [2001:db8::1]:25, or unix:/PATH (lmtp)";
const hop = z.string({ error: hopText }).refine(
  (value) => value === "" || /^unix:\/[^\0]{1,100}$/.test(value) || parseHostPort(value) !== null,
  { error: hopText },
);

function nextHop(text: string, weight: number): NextHop {
  return text.startsWith("unix:") ? { host: text, port: 0, weight } : { ...parseHostPort(text)!, weight };
}

export const relayRule = z.strictObject({
  senders: about(z.array(domain).default([]), "domains of senders it is for; left out: all", ["example.org"]),
  recipients: about(z.array(domain).default([]), "domains of recipients it is for; left out: all", [
    "partner.example",
  ]),
  next_hop: about(
    hop.default(""),
    "HOST:PORT that takes the mail, or unix:/PATH (lmtp); left out: by MX, only the keys below differ",
    "smtp.example.net:587",
  ),
  next_hops: about(
    z.array(
      z.strictObject({
        hop: hop.refine((value) => value !== "", { error: hopText }),
        weight: whole(1, 1, 1_000),
      }),
    )
      .default([]),
    "more of them: connections go to each by its weight, and to the others when it cannot be reached",
    [{ hop: "a.example.net:587", weight: 3 }, { hop: "b.example.net:587", weight: 1 }],
  ),
  protocol: about(z.enum(["smtp", "lmtp"]).default("smtp"), "what the next hop speaks"),
  tls: about(
    z.enum(["none", "opportunistic", "required", "implicit"]).default("opportunistic"),
    "none, opportunistic (STARTTLS when offered; the default), required (STARTTLS with a valid certificate), implicit",
    "required",
  ),
  username: about(
    z.string().default(""),
    "login there, when it wants one (SCRAM-SHA-256, PLAIN or LOGIN)",
    "relay-user",
  ),
  password_file: about(z.string().default(""), "file that holds the password", "/etc/veredus/relay-password"),
  hold: about(
    z.boolean().default(false),
    "keep the mail until the operator releases it (veredus queue release)",
  ),
  bdat: about(z.boolean().default(false), "send by BDAT where it is offered, for servers that want it"),
  connections: about(whole(0, 0, 1_000), "connections at a time; 0: as for every destination"),
  quota: about(whole(0, 0, 1_000_000_000), "messages within quota_period; the rest waits. 0: any number"),
  quota_period: about(duration(3_600_000, "1s", "30d"), "see quota"),
  first_retry: about(z.string().optional(), "in place of queue.first_retry", "1m"),
  max_retry: about(z.string().optional(), "in place of queue.max_retry", "10m"),
  lifetime: about(z.string().optional(), "in place of queue.lifetime, where it is shorter", "1d"),
}).transform((value, context): RelayRule => {
  const hops = [
    ...(value.next_hop === "" ? [] : [nextHop(value.next_hop, 1)]),
    ...value.next_hops.map(({ hop, weight }) => nextHop(hop, weight)),
  ];
  const fail = (key: string, message: string) =>
    context.issues.push({ code: "custom", path: [key], message, input: value });
  if (value.protocol === "smtp" && hops.some(({ host }) => host.startsWith("unix:"))) {
    fail("protocol", "a next hop on a Unix socket speaks lmtp");
  }
  const time = (key: "first_retry" | "max_retry" | "lifetime") => {
    const text = value[key];
    if (text === undefined) return undefined;
    const ms = parseDuration(text);
    if (ms === null || ms < 1_000) fail(key, 'a duration of at least 1s, as in "90s", "5m", "1h 30m"');
    return ms ?? undefined;
  };
  const [firstRetryMs, maxRetryMs, lifetimeMs] = [time("first_retry"), time("max_retry"), time("lifetime")];
  const manner: Manner = {
    hold: value.hold,
    chunking: value.bdat,
    connections: value.connections,
    quota: value.quota === 0 ? null : { messages: value.quota, perMs: value.quota_period },
    schedule: {
      ...(firstRetryMs !== undefined && { firstRetryMs }),
      ...(maxRetryMs !== undefined && { maxRetryMs }),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
    },
  };
  return {
    senders: value.senders.map(lower),
    recipients: value.recipients.map(lower),
    hops,
    mode: value.protocol,
    tls: value.tls,
    username: value.username,
    passwordFile: value.password_file,
    manner: JSON.stringify(manner) === JSON.stringify(PLAIN_MANNER) ? PLAIN_MANNER : manner,
  };
});

const anAddress = (family: 4 | 6) =>
  z.string().refine((value) => value === "" || isIP(value) === family, { error: `an IPv${family} address` })
    .default("");
export const identity = z.strictObject({
  senders: about(z.array(domain).min(1), "domains of senders it is for", ["example.org"]),
  helo: about(z.string().default(""), "our name in EHLO; left out: hostname", "mail.example.org"),
  ipv4: about(anAddress(4), "our address in connections by IPv4", "192.0.2.5"),
  ipv6: about(anAddress(6), "the same by IPv6", "2001:db8::5"),
}).transform((value): IdentityConfig => ({
  senders: value.senders.map(lower),
  helloName: lower(value.helo),
  sourceV4: value.ipv4,
  sourceV6: value.ipv6,
}));

export const webhook = z.strictObject({
  name: about(
    text("a name of a-z, 0-9, - and _", /^[a-z0-9][a-z0-9_-]{0,63}$/),
    "in logs and metrics",
    "crm",
  ),
  url: about(
    text("an address that begins with http:// or https://", /^https?:\/\/[^\s]+$/),
    "gets a POST of JSON for each event; 2xx takes it, everything else is tried again",
    "https://crm.example.org/mail-events",
  ),
  events: about(
    z.array(z.enum(WEBHOOK_EVENTS)).min(1).default([...WEBHOOK_EVENTS]),
    "which: accepted, delivered, deferred, bounced",
  ),
  secret_file: about(
    path,
    "file that holds the key of Veredus-Signature: t=SECONDS,v1=HEX, where HEX is HMAC-SHA256 of SECONDS.BODY",
    "/etc/veredus/webhook-secret",
  ),
  timeout: about(duration(10_000, "100ms", "5m"), "longest wait for the answer"),
  lifetime: about(duration(3 * 86_400_000, "1m", "30d"), "how long an event is tried"),
}).transform((value): WebhookConfig => ({
  name: value.name,
  url: value.url,
  events: value.events,
  secretFile: value.secret_file,
  timeoutMs: value.timeout,
  lifetimeMs: value.lifetime,
}));

const dnsServer = z.string().refine(
  (value) => isIP(value) !== 0 || isIP(parseHostPort(value)?.host ?? "") !== 0,
  { error: "an IP address, or ADDRESS:PORT, as in 192.0.2.53 or [2001:db8::53]:53" },
);
export const resolver = z.strictObject({
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
  cache_entries: about(
    whole(DEFAULT_RESOLVER.cacheEntries, 0, 10_000_000),
    "answers that a thread keeps for itself, at most 10,000; 0 keeps none anywhere",
  ),
  cache_octets: about(
    size(DEFAULT_RESOLVER.cacheOctets, "64KiB", "1GiB"),
    "memory for the answers that all threads share; each has up to 4 MB of its own before it",
  ),
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
