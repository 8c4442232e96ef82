/**
 * Where the next hop of a recipient is: a relay domain's own, the first relay rule that fits, or MX.
 *
 * A relay domain says `mx`, `host:port` (SMTP), `lmtp:host:port` or `lmtp:unix:/path` and goes before the rules, because it is the more
 * exact word; `mx` there also goes before a rule for all. Address literals (RFC 5321 4.1.3) are their own host. Routes
 * are chosen at each attempt, not when mail is queued, so that a changed configuration reaches mail that waits. Pure.
 */

/** One of the servers a route may lead to. */
export interface NextHop {
  /** A name, an address without brackets, or `unix:/PATH`. */
  readonly host: string;
  /** 0 is the port of SMTP. */
  readonly port: number;
  /** Its share of the connections among the others. */
  readonly weight: number;
}

/** How mail goes on a route, whatever its end is. */
export interface Manner {
  /** Mail waits for the operator. */
  readonly hold: boolean;
  /** BDAT in place of DATA, where it is offered. */
  readonly chunking: boolean;
  /** Connections at a time; 0 is as for every destination. */
  readonly connections: number;
  /** Messages within a time; the rest waits. */
  readonly quota: { readonly messages: number; readonly perMs: number } | null;
  /** What differs from the queue's schedule. */
  readonly schedule: RouteSchedule;
}

export interface RouteSchedule {
  readonly firstRetryMs?: number;
  readonly maxRetryMs?: number;
  readonly lifetimeMs?: number;
}

export const PLAIN_MANNER: Manner = {
  hold: false,
  chunking: false,
  connections: 0,
  quota: null,
  schedule: {},
};

/** A relay rule of the configuration. */
export interface RelayRule {
  /** Domains of senders it is for; empty: all, bounces too. */
  readonly senders: readonly string[];
  /** Domains of recipients it is for; empty: all. */
  readonly recipients: readonly string[];
  /** Empty: by MX, in this manner. */
  readonly hops: readonly NextHop[];
  readonly mode: "smtp" | "lmtp";
  readonly tls: TlsMode;
  readonly username: string;
  readonly passwordFile: string;
  readonly manner: Manner;
}

/** `required` also verifies the certificate. */
export type TlsMode = "none" | "opportunistic" | "required" | "implicit";

/** Whom we are towards other servers: by the sender's domain. */
export interface Identity {
  /** Tells identities apart; "" is the usual one. */
  readonly key: string;
  /** In EHLO. */
  readonly helloName: string;
  /** Our ends of connections; "" lets the system choose. */
  readonly sourceV4: string;
  readonly sourceV6: string;
}

export type Route =
  | { readonly kind: "mx"; readonly domain: string; readonly manner: Manner }
  | HostRoute
  /** No way at all; a permanent status. */
  | { readonly kind: "none"; readonly enhanced: string; readonly text: string };

export interface HostRoute {
  readonly kind: "host";
  readonly mode: "smtp" | "lmtp";
  /** One at least. */
  readonly hops: readonly NextHop[];
  readonly tls: TlsMode;
  readonly username: string;
  readonly passwordFile: string;
  readonly manner: Manner;
}

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
  let manner = PLAIN_MANNER;
  if (nextHop === null) {
    const from = domainOfPath(sender);
    const rule = rules.find(({ senders, recipients }) =>
      (senders.length === 0 || senders.includes(from)) &&
      (recipients.length === 0 || recipients.includes(domain))
    );
    if (rule !== undefined && rule.hops.length > 0) {
      const { mode, hops, tls, username, passwordFile } = rule;
      return { kind: "host", mode, hops, tls, username, passwordFile, manner: rule.manner };
    }
    if (rule !== undefined) manner = rule.manner;
  }
  if (!domain.startsWith("[")) return { kind: "mx", domain, manner };
  const address = literalAddress(domain);
  return address === null
    ? { kind: "none", enhanced: "5.1.3", text: `${domain} is not an address that mail can be sent to` }
    : hostRoute("smtp", { host: address, port: 0 }, manner);
}

function hostRoute(
  mode: "smtp" | "lmtp",
  hop: Pick<NextHop, "host" | "port">,
  manner: Manner = PLAIN_MANNER,
): HostRoute {
  return {
    ...{ kind: "host", mode, hops: [{ ...hop, weight: 1 }], tls: "opportunistic" },
    ...{ username: "", passwordFile: "", manner },
  };
}

/** What connections are shared by: equal for routes that end at the same door in the same way. */
export function routeKey(route: Route): string {
  switch (route.kind) {
    case "mx":
      return route.domain + mannerKey(route.manner);
    case "host": {
      const { mode, hops, tls, username, passwordFile, manner } = route;
      const ends = hops.map(({ host, port, weight }) =>
        `[${host}]:${port}${hops.length === 1 ? "" : `*${weight}`}`
      );
      return `${mode}:${ends.join(",")}:${tls}:${username}:${passwordFile}${mannerKey(manner)}`;
    }
    case "none":
      return `none:${route.enhanced}`;
    default:
      return route satisfies never;
  }
}

/** Another manner has connections of its own. */
function mannerKey(manner: Manner): string {
  return manner === PLAIN_MANNER ? "" : ` ${JSON.stringify(manner)}`;
}

/** For logs, bounces and lists. */
export function routeName(route: Route): string {
  return route.kind === "mx"
    ? route.domain
    : route.kind === "host"
    ? hopName(route.hops[0]!) + (route.hops.length > 1 ? ` and ${route.hops.length - 1} more` : "")
    : "nowhere";
}

export function hopName({ host, port }: Pick<NextHop, "host" | "port">): string {
  return host.startsWith("unix:") ? host : `[${host}]:${port}`;
}

/** `host:port`, `lmtp:host:port` or `lmtp:unix:/path`; an IPv6 host stands in brackets. */
export function statedHop(text: string): Route {
  const socket = /^lmtp:(unix:\/[^\0]{1,100})$/.exec(text);
  if (socket !== null) return hostRoute("lmtp", { host: socket[1]!, port: 0 });
  const match = /^(lmtp:)?(?:\[([^\]\s]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text);
  const port = Number(match?.[4] ?? 0);
  if (match === null || port > 65_535) {
    return { kind: "none", enhanced: "5.3.5", text: "the next hop configured for this domain is malformed" };
  }
  const lmtp = match[1] !== undefined;
  return hostRoute(lmtp ? "lmtp" : "smtp", {
    host: (match[2] ?? match[3]!).toLowerCase(),
    port: port === 0 && lmtp ? 24 : port,
  });
}

/** The hops in the order they are tried: a random one by weight, then the rest in the same way. */
export function byWeight(hops: readonly NextHop[], random: () => number): NextHop[] {
  const left = [...hops];
  const order: NextHop[] = [];
  while (left.length > 0) {
    let at = random() * left.reduce((sum, { weight }) => sum + weight, 0);
    const found = left.findIndex(({ weight }) => (at -= weight) < 0);
    order.push(...left.splice(found < 0 ? left.length - 1 : found, 1));
  }
  return order;
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
