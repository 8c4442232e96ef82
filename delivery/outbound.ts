/**
 * From a route to an open connection: finds a host that takes mail.
 *
 * RFC 5321 5.1 (MX in order of preference, all addresses of a host, never to ourselves), RFC 7505 (null MX), RFC 7435
 * (opportunistic TLS: any certificate; what fails is tried again in clear, at once, and logged). What TLS a host must have
 * says `security/transport_security.ts`. A refusal at greeting or EHLO, and TLS that is not as it must be, move on to the
 * next host; 5yz of all of them is final; once a host has taken EHLO its answers count. Trouble of DNS is temporary.
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
  remoteName,
} from "./outbound_connection.ts";
import { type Route, routeName } from "./routes.ts";
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
  readonly helloName: string;
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

type HostRoute = Extract<Route, { kind: "host" }>;

/** Hosts tried for one message before it waits for its next attempt. */
const MAX_TRIED = 20;

/** Tries the hosts of a route until one is ready for mail. */
export async function openConnection(
  route: Route,
  parts: OutboundParts,
  need: QueueTls = "",
): Promise<OutboundConnection | HopFailure> {
  switch (route.kind) {
    case "none":
      return { enhanced: route.enhanced, text: route.text, remote: "" };
    case "host":
      return final(await openHost({ route, host: route.host, need, mx: null }, parts, { left: MAX_TRIED }));
    case "mx":
      return await openMx(route.domain, need, parts);
    default:
      return route satisfies never;
  }
}

async function openMx(
  domain: string,
  need: QueueTls,
  parts: OutboundParts,
): Promise<OutboundConnection | HopFailure> {
  const found = await mxHosts(domain, parts);
  if ("enhanced" in found) return found;
  const route: HostRoute = {
    kind: "host",
    mode: "smtp",
    host: domain,
    port: 0,
    tls: "opportunistic",
    username: "",
    passwordFile: "",
  };
  const security = await parts.security.domain(domain, need);
  const tries = { left: MAX_TRIED };
  let failure: HopFailure = { enhanced: "4.4.1", text: `no host of ${domain} can be reached`, remote: "" };
  let refused = found.complete;
  for (const host of found.hosts) {
    const mx = { domain: security, mxSecure: found.secure };
    const opened = await openHost({ route, host, need, mx }, parts, tries);
    if (opened instanceof OutboundConnection) return opened;
    refused &&= opened.refused !== undefined;
    failure = opened;
    if (tries.left <= 0) break;
  }
  return final(refused ? failure : { ...failure, refused: undefined });
}

/** RFC 5321 3.1: who says 5yz before any mail takes none. Final when there is no host that did not. */
function final(opened: OutboundConnection | HopFailure): OutboundConnection | HopFailure {
  if (opened instanceof OutboundConnection || opened.refused === undefined) return opened;
  return { ...opened, enhanced: opened.refused };
}

/** A host to be tried; `mx` is null for one that the operator names. */
interface Candidate {
  readonly route: HostRoute;
  readonly host: string;
  readonly need: QueueTls;
  readonly mx: Pick<HostQuestion, "domain" | "mxSecure"> | null;
}

/** All addresses of one host, one after the other. */
async function openHost(
  { route, host, need, mx }: Candidate,
  parts: OutboundParts,
  tries: { left: number },
): Promise<OutboundConnection | HopFailure> {
  const found = isAddress(host)
    ? { kind: "addresses" as const, addresses: [host], canonicalName: host, secure: false }
    : await lookupAddresses(parts.resolver, host, parts.random);
  if (found.kind === "none") return { enhanced: "4.4.4", text: `${host} has no address`, remote: host };
  if (found.kind === "failed") return { enhanced: "4.4.3", text: found.reason, remote: host };
  const port = route.port === 0 ? parts.smtpPort : route.port;
  const question = mx === null ? null : { ...mx, host, port, addresses: found, need };
  const plan = question === null ? statedPlan(route, need) : await parts.security.host(question);
  if ("problem" in plan) return { enhanced: "4.7.5", text: plan.problem.text, remote: host };
  let failure: HopFailure = {
    enhanced: "4.4.1",
    text: `${routeName(route)} cannot be reached`,
    remote: host,
  };
  let refused = true;
  for (const address of found.addresses) {
    if (tries.left-- <= 0) break;
    const opened = await openAt({ route, host, address, port, plan, question }, parts);
    if (opened instanceof OutboundConnection) return opened;
    refused &&= opened.refused !== undefined;
    failure = opened;
    log.debug("{host} takes no mail now: {text}", { host, remote: opened.remote, text: opened.text });
  }
  return refused ? failure : { ...failure, refused: undefined };
}

/** A next hop that the operator names: by what stands beside its name. */
function statedPlan({ host, tls }: HostRoute, need: QueueTls): TlsPlan {
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
}

/** One address of one host; a failed handshake of opportunistic TLS is followed by a second try in clear. */
async function openAt(target: Target, parts: OutboundParts): Promise<OutboundConnection | HopFailure> {
  const { route, host, plan, address } = target;
  let password: string;
  try {
    password = route.username === "" ? "" : await parts.readPassword(route.passwordFile);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    log.error("the password for {host} cannot be read: {error}", { host: route.host, error: error.message });
    return { enhanced: "4.3.5", text: "the password for the next hop cannot be read", remote: route.host };
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
      helloName: parts.helloName,
      starttls,
      tlsActive: route.tls === "implicit",
      credentials,
      clearPassword: route.tls === "none",
    });
    const opened = await OutboundConnection.start(connection, { host, session, io: parts, plan, password });
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
  { route, host, address, port, plan }: Target,
  parts: OutboundParts,
): Promise<OutgoingConnection | HopFailure> {
  const remote = remoteName(host, `${address}:${port}`);
  let connection: OutgoingConnection;
  try {
    connection = await parts.connector.connect({ address, port, timeoutMs: parts.timeouts.connect });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { enhanced: "4.4.1", text: `cannot connect to ${remote}: ${error.message}`, remote };
  }
  if (route.tls !== "implicit") return connection;
  try {
    connection = await connection.startTls({ serverName: plan.serverName });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { enhanced: "4.7.5", text: `TLS with ${remote} failed: ${error.message}`, remote };
  }
  const problem = certificateProblem(plan.check, connection.tls!.certificates(), parts.timers.now());
  if (problem === null) return connection;
  connection.close();
  return { enhanced: "4.7.5", text: `TLS with ${remote} failed: ${problem.text}`, remote };
}

/** IPv4 or IPv6 in figures. */
function isAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
