/**
 * Where the next hop of a recipient is: a relay domain's own, the first relay rule that fits, or MX.
 *
 * A relay domain says `mx`, `host:port` (SMTP) or `lmtp:host:port` and goes before the rules, because it is the more
 * exact word; `mx` there also goes before a rule for all. Address literals (RFC 5321 4.1.3) are their own host. Routes
 * are chosen at each attempt, not when mail is queued, so that a changed configuration reaches mail that waits. Pure.
 */

/** A relay rule of the configuration. */
export interface RelayRule {
  /** Domains of senders it is for; empty: all, bounces too. */
  readonly senders: readonly string[];
  /** Domains of recipients it is for; empty: all. */
  readonly recipients: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMode;
  readonly username: string;
  readonly passwordFile: string;
}

/** `required` also verifies the certificate. */
export type TlsMode = "none" | "opportunistic" | "required" | "implicit";

export type Route =
  | { readonly kind: "mx"; readonly domain: string }
  | {
    readonly kind: "host";
    readonly mode: "smtp" | "lmtp";
    /** A name or an address without brackets. */
    readonly host: string;
    /** 0 is the port of SMTP. */
    readonly port: number;
    readonly tls: TlsMode;
    readonly username: string;
    readonly passwordFile: string;
  }
  /** No way at all; a permanent status. */
  | { readonly kind: "none"; readonly enhanced: string; readonly text: string };

export interface RouteQuestion {
  /** Reverse-path; "" for bounces. */
  readonly sender: string;
  readonly recipient: string;
  readonly rules: readonly RelayRule[];
  /** Next hop of a relay domain by name; null for other domains. */
  readonly nextHopOf: (domain: string) => string | null;
}

export function routeOf({ sender, recipient, rules, nextHopOf }: RouteQuestion): Route {
  const domain = domainOfPath(recipient);
  if (domain === "") return { kind: "none", enhanced: "5.1.3", text: "the address has no domain" };
  const nextHop = nextHopOf(domain);
  if (nextHop !== null && nextHop !== "mx") return statedHop(nextHop);
  if (nextHop === null) {
    const from = domainOfPath(sender);
    const rule = rules.find(({ senders, recipients }) =>
      (senders.length === 0 || senders.includes(from)) &&
      (recipients.length === 0 || recipients.includes(domain))
    );
    if (rule !== undefined) {
      const { host, port, tls, username, passwordFile } = rule;
      return { kind: "host", mode: "smtp", host, port, tls, username, passwordFile };
    }
  }
  if (!domain.startsWith("[")) return { kind: "mx", domain };
  const address = literalAddress(domain);
  return address === null
    ? { kind: "none", enhanced: "5.1.3", text: `${domain} is not an address that mail can be sent to` }
    : {
      kind: "host",
      mode: "smtp",
      host: address,
      port: 0,
      tls: "opportunistic",
      username: "",
      passwordFile: "",
    };
}

/** What connections are shared by: equal for routes that end at the same door in the same way. */
export function routeKey(route: Route): string {
  switch (route.kind) {
    case "mx":
      return route.domain;
    case "host":
      return `${route.mode}:[${route.host}]:${route.port}:${route.tls}:${route.username}:${route.passwordFile}`;
    case "none":
      return `none:${route.enhanced}`;
    default:
      return route satisfies never;
  }
}

/** For logs, bounces and lists. */
export function routeName(route: Route): string {
  return route.kind === "mx"
    ? route.domain
    : route.kind === "host"
    ? `[${route.host}]:${route.port}`
    : "nowhere";
}

/** `host:port` or `lmtp:host:port`; an IPv6 host stands in brackets. */
export function statedHop(text: string): Route {
  const match = /^(lmtp:)?(?:\[([^\]\s]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text);
  const port = Number(match?.[4] ?? 0);
  if (match === null || port > 65_535) {
    return { kind: "none", enhanced: "5.3.5", text: "the next hop configured for this domain is malformed" };
  }
  return {
    kind: "host",
    mode: match[1] === undefined ? "smtp" : "lmtp",
    host: (match[2] ?? match[3]!).toLowerCase(),
    port: port === 0 && match[1] !== undefined ? 24 : port,
    tls: "opportunistic",
    username: "",
    passwordFile: "",
  };
}

/** Lower case, without final dot; "" when there is none. A quoted local part may hold an `@`. */
export function domainOfPath(path: string): string {
  const at = path.lastIndexOf("@");
  return at < 0 ? "" : path.slice(at + 1).toLowerCase().replace(/\.$/, "");
}

function literalAddress(domain: string): string | null {
  const inside = /^\[(?:ipv6:([0-9a-f:.]+)|(\d{1,3}(?:\.\d{1,3}){3}))\]$/i.exec(domain);
  return inside?.[1] ?? inside?.[2] ?? null;
}
