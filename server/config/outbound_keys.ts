/** Keys about mail that leaves: queue, next hops, DNS. */
import { isIP } from "node:net";
import { z } from "zod";
import { parseDs } from "../../dns/dnssec/anchors.ts";
import {
  DEFAULT_OUTBOUND_TLS,
  DEFAULT_PUBLISHED_STS,
  DEFAULT_QUEUE,
  DEFAULT_RESOLVER,
  type OutboundTlsConfig,
  type PublishedStsConfig,
  type QueueConfig,
  type RelayRule,
  type ResolverConfig,
} from "./config.ts";
import { parseHostPort } from "./host_port.ts";
import { about, domain, duration, hostPortText, lower, size, text, whole } from "./keys.ts";

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

export const relayRule = z.strictObject({
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
