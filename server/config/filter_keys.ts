/** Keys about mail that comes in: checks, sender authentication, bans. */
import { RE2JS } from "re2js";
import { z } from "zod";
import type { ContentAction } from "../../filter/checks/content.ts";
import type { FindingKind } from "../../filter/content/inspect.ts";
import { RATE_FACTS } from "../../filter/checks/rate.ts";
import { STAGES } from "../../filter/verdict.ts";
import {
  type BansConfig,
  type CheckConfig,
  type CheckKind,
  CHECKS,
  type DkimConfig,
  type FilterConfig,
  type QuarantineConfig,
  type SenderChecksConfig,
} from "./config.ts";
import {
  DEFAULT_BANS,
  DEFAULT_CHECK,
  DEFAULT_DKIM,
  DEFAULT_FILTER,
  DEFAULT_QUARANTINE,
  DEFAULT_SENDER_CHECKS,
} from "./defaults.ts";
import { icapAddress, parseHostPort } from "./host_port.ts";
import { spam } from "./spam_keys.ts";
import { about, domain, duration, hostPortText, lower, network, size, whole } from "./keys.ts";

const zone = z.strictObject({
  zone: about(domain, "the list's domain", "bl.example.net"),
  of: about(z.enum(["address", "sender", "helo"]).default("address"), "address, sender (its domain) or helo"),
  weight: about(
    z.number().optional(),
    "below 0 it speaks for the client. Of documented answers that `codes` does not name; left out: 1, with `codes` none:\n" +
      "only those count",
    1,
  ),
  codes: about(
    z.record(z.ipv4(), z.number()).default({}),
    "weights of certain answers. Of others those count that a well-known list documents; of other lists 127.0.0.2",
    { "127.0.0.2": 3 },
  ),
}).transform(({ weight, ...value }) => ({
  ...value,
  weight: weight ?? (Object.keys(value.codes).length > 0 ? 0 : 1),
}));

/** What each kind does when nothing is said, and when it is asked. */
const CHECK_DEFAULTS: Readonly<Record<CheckKind, Pick<CheckConfig, "action" | "stages">>> = {
  "null-mx": { action: "reject", stages: ["mail"] },
  "sender-domain": { action: "reject", stages: ["mail"] },
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
  header: { action: "tag", stages: ["message"] },
  content: { action: "reject", stages: ["message"] },
  clamd: { action: "reject", stages: ["message"] },
  icap: { action: "reject", stages: ["message"] },
  rspamd: { action: "tag", stages: ["message"] },
  spamd: { action: "tag", stages: ["message"] },
};
/** Viruses of logins are refused too. */
const LOGINS_TOO: ReadonlySet<CheckKind> = new Set(["content", "clamd", "icap"]);
const SCANNERS: ReadonlySet<CheckKind> = new Set(["clamd", "icap", "rspamd", "spamd"]);
const NO_STRINGS: string[] = [];
const CONTENT_ACTIONS: ReadonlySet<string> = new Set(["tag", "quarantine", "reject", "strip"]);
const finding = (kind: FindingKind, doc: string) =>
  about(
    z.enum(["continue", "tag", "quarantine", "reject", "strip"]).default(DEFAULT_CHECK.findings[kind]),
    `content: ${doc}: continue, tag, quarantine, reject or strip`,
  );
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
    z.enum(["accept", "reject", "defer", "discard", "quarantine", "tag", "strip"]).optional(),
    "what happens when it finds something: accept, reject, defer, discard, quarantine or tag; content also strip, which\n" +
      "takes attachments out and keeps the original in quarantine, and header, which takes the fields out. Left out: reject for\n" +
      "null-mx, sender-domain, list, clamd, icap and content (its programs), defer for greylist, rate and sending, tag for the others",
    "reject",
  ),
  stages: about(
    z.array(z.enum(STAGES)).min(1).optional(),
    "list: one of connect, ehlo, mail, rcpt; rate: mail or rcpt; greylist: rcpt, or message (behind DATA: once for all\n" +
      "recipients, by the proven domain or the network, never what passes DMARC); http and script: any",
    ["mail"],
  ),
  logins: about(
    z.boolean().optional(),
    "it is for logins and trusted networks too. Left out: true for content, clamd and icap",
    false,
  ),
  networks: about(z.array(network).default(NO_STRINGS), "list: of clients", ["192.0.2.0/24"]),
  names: names("list: of clients by reverse-dns or EHLO; .example.org is all below", [".dsl.example.net"]),
  domains: names("list: of senders, at rcpt of recipients", ["spam.example"]),
  patterns: about(
    z.array(pattern).default(NO_STRINGS),
    "list: regular expressions (RE2) looked for in address, EHLO name, sender or recipient, by stage; header: in each field\n" +
      "as NAME: VALUE, unfolded and decoded",
    ["^bounce-[0-9]+@"],
  ),
  text: about(
    z.string().regex(/^[ -~]{0,200}$/, { error: "one line of ASCII" }).default(""),
    "list, header: what the client hears",
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
    "http and rspamd: URL; milter, clamd and spamd: HOST:PORT or unix:PATH; icap: icap://HOST:PORT/SERVICE; script:\n" +
      "path of a .ts or .js file",
    "unix:/run/clamav/clamd.ctl",
  ),
  timeout: about(
    duration(DEFAULT_CHECK.timeoutMs, "10ms", "2m"),
    "http, milter, script and scanners: longest wait",
  ),
  on_failure: about(
    z.enum(["continue", "defer", "reject"]).default(DEFAULT_CHECK.onFailure),
    "http, milter, script: what is done without an answer. Scanners: continue marks the message as not scanned, defer\n" +
      "puts a client and sender off for 4 hours at most, then the same",
  ),
  connections: about(
    whole(DEFAULT_CHECK.connections, 1, 1_000),
    "clamd, icap: at a time, for each front end",
  ),
  max_size: about(
    size(DEFAULT_CHECK.maxOctets, "1 kB", "2 GB"),
    "clamd, icap, rspamd, spamd: larger messages are not scanned, and marked so",
  ),
  mark_only: about(
    z.array(z.string().min(1).max(100)).default([...DEFAULT_CHECK.markOnly]),
    "clamd, icap: beginnings of names that prove nothing: such a find only marks",
  ),
  scripts: finding("script", "scripts, by their names (.js, .vbs, .bat, ...)"),
  disguised: finding("disguised", "names that hide what they are (invoice.pdf.exe)"),
  macros: finding("macros", "documents with macros"),
  encrypted: finding("encrypted", "encrypted archives and documents"),
  not_seen: finding("not-seen", "archives beyond the limits, or of a kind that is not opened"),
  depth: about(whole(DEFAULT_CHECK.contentLimits.depth, 0, 20), "content: archives in archives"),
  files: about(
    whole(DEFAULT_CHECK.contentLimits.files, 1, 100_000),
    "content: files of a message, those in archives included",
  ),
  inflated: about(
    size(DEFAULT_CHECK.contentLimits.octets, "1 MB", "1 GB"),
    "content: octets of archives that are unpacked to look at, of a message",
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
  if ((kind === "clamd" || kind === "spamd") && !/^unix:\/./.test(at) && parseHostPort(at) === null) {
    issue("at", `unix:/PATH or ${hostPortText}`);
  }
  if (kind === "icap" && icapAddress(at) === null) {
    issue("at", "an address as in icap://127.0.0.1:1344/virus_scan");
  }
  if (kind === "rspamd" && !/^https?:\/\/\S+$/.test(at)) {
    issue("at", "an address that begins with http:// or https://");
  }
  if (SCANNERS.has(kind) && value.on_failure === "reject") {
    issue("on_failure", "continue or defer: a scanner that is dead refuses no mail");
  }
  if (kind === "content" && value.action !== undefined && !CONTENT_ACTIONS.has(value.action)) {
    issue("action", "quarantine, reject, strip or tag");
  }
  if (kind !== "content" && kind !== "header" && value.action === "strip") {
    issue(
      "action",
      "accept, reject, defer, discard, quarantine or tag; strip is for content and header alone",
    );
  }
  if (kind === "header" && value.action === "accept") {
    issue("action", "anything but accept: whoever sends a message writes its header");
  }
  if (kind === "header" && value.patterns.length === 0) issue("patterns", "header needs a pattern at least");
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
  if (
    kind === "greylist" && stages !== undefined &&
    (stages.length > 1 || (stages[0] !== "rcpt" && stages[0] !== "message"))
  ) {
    issue("stages", "rcpt or message");
  }
}).transform((value): CheckConfig => ({
  check: value.check,
  name: value.name === "" ? value.check : value.name,
  action: value.action === undefined || value.action === "strip"
    ? CHECK_DEFAULTS[value.check].action
    : value.action,
  strip: value.check === "header" && value.action === "strip",
  stages: value.stages !== undefined && ["list", "rate", "greylist", "http", "script"].includes(value.check)
    ? value.stages
    : CHECK_DEFAULTS[value.check].stages,
  logins: value.logins ?? LOGINS_TOO.has(value.check),
  networks: value.networks,
  names: value.names,
  domains: value.domains,
  patterns: value.patterns,
  text: value.text,
  zones: value.zones,
  threshold: value.threshold,
  // Where the file says nothing, that of greylisting stands there.
  delayMs: value.check === "early-talker" && value.delay === DEFAULT_CHECK.delayMs ? 2_000 : value.delay,
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
  connections: value.connections,
  maxOctets: value.max_size,
  markOnly: value.mark_only,
  findings: {
    executable: (value.action ?? "reject") as ContentAction,
    script: value.scripts,
    disguised: value.disguised,
    macros: value.macros,
    encrypted: value.encrypted,
    "not-seen": value.not_seen,
  },
  contentLimits: { depth: value.depth, files: value.files, octets: value.inflated },
}));

export const filter = z.strictObject({
  checks: about(
    z.array(check).default([...DEFAULT_FILTER.checks]),
    "checks of incoming mail, asked in this order at each stage. Left out: null-mx, which refuses senders whose domain\n" +
      "takes no mail, and content, which refuses programs. Postmaster and abuse get their mail whatever checks say. Keys of a check",
    [{ check: "null-mx" }, { check: "content" }],
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
  spam: about(
    spam.prefault({}),
    "the spam filter: a score of many signals, and a learner that users train by moving mail",
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
  spam: value.spam,
}));

export const quarantine = z.strictObject({
  keep: about(duration(DEFAULT_QUARANTINE.keepMs, "1h", "365d"), "then a message is removed"),
  digest: about(
    z.boolean().default(DEFAULT_QUARANTINE.digest),
    "recipients here get a mail, at most once a day, of what is new",
  ),
  url: about(
    z.string().regex(/^(https?:\/\/[^\s/]+)?$/, { error: "as in https://mail.example.org" })
      .default(DEFAULT_QUARANTINE.url),
    "where they reach our https listener: links of the mail open a page there, a button on it delivers the message.\n" +
      "Left out: a mail without links",
    "https://mail.example.org",
  ),
}).transform((value): QuarantineConfig => ({ keepMs: value.keep, digest: value.digest, url: value.url }));

export const senderChecks = z.strictObject({
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
    "for all these checks of a message together; half of filter.spam.timeout at most",
  ),
  reports: about(
    z.boolean().default(DEFAULT_SENDER_CHECKS.reports),
    "send daily DMARC reports to the domains that ask for them (RFC 9990)",
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
  reports: value.reports,
}));

export const dkim = z.strictObject({
  rotate: about(
    duration(DEFAULT_DKIM.rotateMs, "0s", "3650d"),
    "keys that have signed for so long get successors, which sign once all servers of the domain show their records;\n" +
      "the administrator is told what to publish. 0s: only `veredus dkim rotate` makes new ones",
  ),
}).transform((value): DkimConfig => ({ rotateMs: value.rotate }));

export const bans = z.strictObject({
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

function isPattern(value: string): boolean {
  try {
    RE2JS.compile(value);
    return value.length > 0 && value.length <= 1_000;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
