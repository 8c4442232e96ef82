/**
 * From a route to an open connection: finds a host that takes mail.
 *
 * RFC 5321 5.1 (MX in order of preference, all addresses of a host, never to ourselves), RFC 7505 (null MX), RFC 7435
 * (opportunistic TLS: any certificate; what fails is tried again in clear, at once, and logged). What TLS a host must have
 * says `security/transport_security.ts`. A refusal at greeting or EHLO, and TLS that is not as it must be, move on to the
 * next host; 5yz of all of them is final; once a host has taken EHLO its answers count, but for those that put mail off
 * (queue/another_host.ts). Trouble of DNS is temporary.
 */
import { getLogger } from "@logtape/logtape";
import { lookupAddresses, lookupMx, type Ourselves, type Random, withoutOurselves } from "../dns/mx.ts";
import type { Resolver } from "../dns/resolver.ts";
import { ClientSession } from "../protocols/smtp/client_session.ts";
import type { QueueTls } from "../storage/ops.ts";
import type { Connector, OutgoingConnection, Timers } from "./connector.ts";
import {
  type HopFailure,
  type KeyDerivation,
  OutboundConnection,
  type OutboundTimeouts,
  type Pace,
  remoteName,
} from "./outbound_connection.ts";
import {
  byWeight,
  hopName,
  type HostRoute,
  type Identity,
  type NextHop,
  PLAIN_MANNER,
  type Route,
} from "./routes.ts";
import { type FamilyChoice, type FamilyMemory, ordered } from "./queue/families.ts";
import { certificateProblem, type TlsProblem } from "./security/certificate_check.ts";
import type { HostQuestion, TlsPlan, TransportSecurity } from "./security/transport_security.ts";
import { NO_POLICY } from "./security/tls_observation.ts";

const log = getLogger(["veredus", "queue"]);

export interface OutboundParts {
  readonly connector: Connector;
  readonly resolver: Resolver;
  readonly security: TransportSecurity;
  readonly timers: Timers;
  readonly random: Random;
  readonly identityOf: (sender: string) => Identity;
  readonly families: { readonly choice: FamilyChoice; readonly memory: FamilyMemory };
  readonly ourselves: Ourselves;
  /** Port of other servers: 25. */
  readonly smtpPort: number;
  /** Contents of a password file without its line end. */
  readonly readPassword: (file: string) => Promise<string>;
  readonly deriveKey: KeyDerivation;
  /** Printable, without comma, never the same twice: SCRAM's. */
  readonly newNonce: () => string;
  readonly timeouts: OutboundTimeouts;
}

/** Hosts tried for one message before it waits for its next attempt. */
const MAX_TRIED = 20;

/** What mail a connection is for. */
export interface Purpose {
  readonly need: QueueTls;
  readonly identity: Identity;
  /** Left out: every host is asked. */
  readonly besides?: Besides;
  /** Left out: nobody asks. */
  readonly pace?: Pace;
}

/** Another host than the one that was asked. */
export interface Besides {
  /** The one that is not asked this time. */
  readonly host: string;
  /** Called before a connection is opened; false: none may be. */
  readonly makeRoom: () => Promise<boolean>;
}

/** Tries the hosts of a route until one is ready for mail. */
export async function openConnection(
  route: Route,
  parts: OutboundParts,
  purpose: Purpose,
): Promise<OutboundConnection | HopFailure> {
  switch (route.kind) {
    case "none":
      return { enhanced: route.enhanced, text: route.text, remote: "" };
    case "host":
      return final(await openHops(route, purpose, parts));
    case "mx":
      return final(await openMx(route, purpose, parts));
    default:
      return route satisfies never;
  }
}

async function openHops(
  route: HostRoute,
  purpose: Purpose,
  parts: OutboundParts,
): Promise<OutboundConnection | HopFailure> {
  const tries: Tries = { left: MAX_TRIED, failure: null, refused: true };
  for (const hop of byWeight(route.hops, parts.random)) {
    if (hop.host === purpose.besides?.host) continue;
    const opened = await openHost({ route, hop, purpose, mx: null }, parts, tries);
    if (opened !== null) return opened;
  }
  return failureOf(tries, `${hopName(route.hops[0]!)} cannot be reached`);
}

async function openMx(
  { domain, manner }: Extract<Route, { kind: "mx" }>,
  purpose: Purpose,
  parts: OutboundParts,
): Promise<OutboundConnection | HopFailure> {
  const found = await mxHosts(domain, parts);
  if ("enhanced" in found) return found;
  const security = await parts.security.domain(domain, purpose.need);
  const mx = { domain: security, mxSecure: found.secure };
  const tries: Tries = { left: MAX_TRIED, failure: null, refused: found.complete };
  for (const host of found.hosts) {
    if (host === purpose.besides?.host) continue;
    const hop = { host, port: 0, weight: 1 };
    const opened = await openHost(
      { route: { ...BY_MX, hops: [hop], manner }, hop, purpose, mx },
      parts,
      tries,
    );
    if (opened !== null) return opened;
    if (tries.left <= 0) break;
  }
  return failureOf(tries, `no host of ${domain} can be reached`);
}

const BY_MX: HostRoute = {
  ...{ kind: "host", mode: "smtp", hops: [], tls: "opportunistic", username: "", passwordFile: "" },
  manner: PLAIN_MANNER,
};

/** What became of the hosts and addresses tried so far. */
interface Tries {
  left: number;
  failure: HopFailure | null;
  /** Every one of them said 5yz at greeting or EHLO. */
  refused: boolean;
}

function failureOf({ failure, refused }: Tries, text: string): HopFailure {
  if (failure === null) return { enhanced: "4.4.1", text, remote: "" };
  return refused ? failure : { ...failure, refused: undefined };
}

/** RFC 5321 3.1: who says 5yz before any mail takes none. Final when there is no host that did not. */
function final(opened: OutboundConnection | HopFailure): OutboundConnection | HopFailure {
  if (opened instanceof OutboundConnection || opened.refused === undefined) return opened;
  return { ...opened, enhanced: opened.refused };
}

/** A host to be tried; `mx` is null for one that the operator names. */
interface Candidate {
  readonly route: HostRoute;
  readonly hop: NextHop;
  readonly purpose: Purpose;
  readonly mx: Pick<HostQuestion, "domain" | "mxSecure"> | null;
}

/** All addresses of one host, one after the other; null when none takes mail, which `tries` says more about. */
async function openHost(
  { route, hop, purpose, mx }: Candidate,
  parts: OutboundParts,
  tries: Tries,
): Promise<OutboundConnection | null> {
  const { host } = hop;
  const found = isAddress(host)
    ? { kind: "addresses" as const, addresses: [host], canonicalName: host, secure: false }
    : await lookupAddresses(parts.resolver, host, parts.random);
  const failed = (failure: HopFailure) => {
    tries.refused &&= failure.refused !== undefined;
    tries.failure = failure;
    return null;
  };
  if (found.kind === "none") {
    return failed({ enhanced: "4.4.4", text: `${host} has no address`, remote: host });
  }
  if (found.kind === "failed") return failed({ enhanced: "4.4.3", text: found.reason, remote: host });
  const port = hop.port === 0 ? parts.smtpPort : hop.port;
  const question = mx === null ? null : { ...mx, host, port, addresses: found, need: purpose.need };
  const plan = question === null
    ? statedPlan(route, host, purpose.need)
    : await parts.security.host(question);
  if ("problem" in plan) return failed(tlsFailure(plan.problem.text, host));
  const { choice, memory } = parts.families;
  const now = parts.timers.now();
  const addresses = isAddress(host) ? found.addresses : ordered(found.addresses, { choice, memory, now });
  if (addresses.length === 0) {
    return failed({ enhanced: "4.4.4", text: `${host} has no address of the families in use`, remote: host });
  }
  if (purpose.besides !== undefined && !await purpose.besides.makeRoom()) {
    return failed({ enhanced: "4.3.2", text: `there is no room for a connection to ${host}`, remote: host });
  }
  for (const address of addresses) {
    if (tries.left-- <= 0) break;
    const opened = await openAt({ route, host, address, port, plan, question, purpose }, parts);
    if (opened instanceof OutboundConnection) {
      memory.reached(address);
      return opened;
    }
    if (opened.unreachable) memory.unreachable(address, parts.timers.now());
    failed(opened);
    log.debug("{host} takes no mail now: {text}", { host, remote: opened.remote, text: opened.text });
  }
  return null;
}

/** A next hop that the operator names: by what stands beside its name. */
function statedPlan({ tls }: HostRoute, host: string, need: QueueTls): TlsPlan {
  // RFC 8689 4.2.1: TLS with a certificate that names the host.
  const required = tls === "required" || tls === "implicit" || need === "require";
  return {
    starttls: tls === "implicit" ? "off" : required ? "required" : tls === "none" ? "off" : "offered",
    check: required ? { kind: "pkix", names: [host] } : { kind: "none" },
    enforce: true,
    serverName: host,
    policy: NO_POLICY,
  };
}

interface MxHosts {
  readonly hosts: readonly string[];
  readonly secure: boolean;
  /** None was left out: not ourselves, and no worse ones than us. */
  readonly complete: boolean;
}

/** Hosts by MX, best first; ourselves and worse ones removed. */
async function mxHosts(
  domain: string,
  parts: OutboundParts,
): Promise<MxHosts | HopFailure> {
  const { resolver, random, ourselves } = parts;
  const result = await lookupMx(resolver, domain, random);
  const failure = (enhanced: string, text: string): HopFailure => ({ enhanced, text, remote: "" });
  switch (result.kind) {
    case "null-mx":
      return failure("5.1.10", `${domain} does not accept mail (null MX)`);
    case "no-such-domain":
      return failure("5.1.2", `the domain ${domain} does not exist`);
    case "no-host":
      return failure("5.4.4", `${domain} has neither an MX record nor an address`);
    case "failed":
      return failure(result.temporary ? "4.4.3" : "5.1.2", result.reason);
    case "hosts": {
      const groups = await withoutOurselves(resolver, result.groups, ourselves);
      return groups.length === 0
        ? failure("5.4.6", `the mail exchange of ${domain} is this server, which is not responsible for it`)
        : {
          hosts: groups.flatMap(({ hosts }) => hosts),
          secure: result.secure,
          complete: groups.length === result.groups.length,
        };
    }
    default:
      return result satisfies never;
  }
}

interface Target {
  readonly route: HostRoute;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly plan: TlsPlan;
  /** Null: nobody keeps count of the TLS towards it. */
  readonly question: HostQuestion | null;
  readonly purpose: Purpose;
}

/** One address of one host; a failed handshake of opportunistic TLS is followed by a second try in clear. */
async function openAt(target: Target, parts: OutboundParts): Promise<OutboundConnection | HopFailure> {
  const { route, host, plan, address } = target;
  let password: string;
  try {
    password = route.username === "" ? "" : await parts.readPassword(route.passwordFile);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    log.error("the password for {host} cannot be read: {error}", { host, error: error.message });
    return { enhanced: "4.3.5", text: "the password for the next hop cannot be read", remote: host };
  }
  const credentials = route.username === ""
    ? null
    : { user: route.username, password, nonce: parts.newNonce() };
  const failed = (problem: TlsProblem) =>
    target.question !== null &&
    parts.security.failed(target.question, { policy: plan.policy, problem, address });
  let { starttls } = plan;
  for (;;) {
    const connection = await connect(target, parts);
    if ("enhanced" in connection) return connection;
    const session = new ClientSession({
      mode: route.mode,
      helloName: target.purpose.identity.helloName,
      starttls,
      chunking: route.manner.chunking,
      tlsActive: route.tls === "implicit",
      credentials,
      clearPassword: route.tls === "none",
    });
    const { pace = null } = target.purpose;
    const opened = await OutboundConnection.start(connection, {
      ...{ host, session, io: parts, plan, password, pace },
    });
    if (opened instanceof OutboundConnection) {
      if (target.question !== null) noteTls(opened, target, parts, starttls !== plan.starttls);
      return opened;
    }
    if (opened.problem !== null) failed(opened.problem);
    if (!opened.broken || starttls !== "offered") return opened.failure;
    starttls = "off";
  }
}

/** `again`: the second connection, in clear; the reason has been counted. */
function noteTls(
  opened: OutboundConnection,
  { question, plan, address }: Target,
  { security }: OutboundParts,
  again: boolean,
): void {
  if (question === null || plan.starttls === "off") return;
  const { policy } = plan;
  if (opened.tls === null) {
    const text = `${question.host} offers no TLS`;
    if (!again) {
      security.failed(question, { policy, address, problem: { result: "starttls-not-supported", text } });
    }
    security.clear(question);
  } else if (opened.tlsProblem !== null) {
    security.failed(question, { policy, address, problem: opened.tlsProblem });
  } else security.succeeded(question, policy);
}

async function connect(
  { route, host, address, port, plan, purpose: { identity } }: Target,
  parts: OutboundParts,
): Promise<OutgoingConnection | HopFailure> {
  const socket = address.startsWith("unix:");
  const remote = socket ? address : remoteName(host, `${address}:${port}`);
  const from = socket ? "" : address.includes(":") ? identity.sourceV6 : identity.sourceV4;
  let connection: OutgoingConnection;
  try {
    connection = await parts.connector.connect({ address, port, from, timeoutMs: parts.timeouts.connect });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      enhanced: "4.4.1",
      text: `cannot connect to ${remote}: ${error.message}`,
      remote,
      unreachable: true,
    };
  }
  if (route.tls !== "implicit") return connection;
  try {
    connection = await connection.startTls({ serverName: plan.serverName });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return tlsFailure(`TLS with ${remote} failed: ${error.message}`, remote);
  }
  const problem = certificateProblem(plan.check, connection.tls!.certificates(), parts.timers.now());
  if (problem === null) return connection;
  connection.close();
  return tlsFailure(`TLS with ${remote} failed: ${problem.text}`, remote);
}

function tlsFailure(text: string, remote: string): HopFailure {
  return { enhanced: "4.7.5", text, remote, trouble: "tls" };
}

/** IPv4 or IPv6 in figures, or the path of a socket: nothing to look up. */
function isAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
