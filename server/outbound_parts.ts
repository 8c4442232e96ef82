/**
 * What sending needs of the network and the configuration, for the queue and for questions to next hops.
 *
 * Our own names and addresses, which mail must never be sent to in a circle, are the host name, the names of our identities,
 * and every address of this machine that an SMTP listener takes mail on.
 */
import { saltedPassword } from "../auth/scram.ts";
import { DEFAULT_TIMEOUTS } from "../delivery/outbound_connection.ts";
import type { OutboundParts } from "../delivery/outbound.ts";
import { FamilyMemory } from "../delivery/queue/families.ts";
import { domainOfPath, type Identity } from "../delivery/routes.ts";
import type { TransportSecurity } from "../delivery/security/transport_security.ts";
import type { Ourselves } from "../dns/mx.ts";
import type { Resolver } from "../dns/resolver.ts";
import { type Config, STANDARD_PORTS } from "./config/config.ts";
import { plainAddress } from "./deno_transport.ts";
import { DENO_TIMERS } from "./deno_timers.ts";
import { denoConnector } from "./outgoing.ts";

export function outboundParts(
  config: Config,
  { resolver, security }: { readonly resolver: Resolver; readonly security: TransportSecurity },
): OutboundParts {
  return {
    connector: denoConnector(),
    resolver,
    security,
    timers: DENO_TIMERS,
    random: Math.random,
    identityOf: identities(config),
    families: { choice: config.queue.family, memory: new FamilyMemory() },
    ourselves: ourselves(config, ownAddresses()),
    smtpPort: STANDARD_PORTS.smtp,
    readPassword: async (file) => (await Deno.readTextFile(file)).replace(/\r?\n$/, ""),
    deriveKey: saltedPassword,
    newNonce: () => crypto.randomUUID(),
    timeouts: DEFAULT_TIMEOUTS,
  };
}

export function ownAddresses(): string[] {
  return Deno.networkInterfaces().map(({ address }) => plainAddress(address));
}

/** Whom we are for a sender's domain. */
function identities({ hostname, identities }: Config): (sender: string) => Identity {
  const usual: Identity = { key: "", helloName: hostname, sourceV4: "", sourceV6: "" };
  const byDomain = new Map<string, Identity>();
  for (const { senders, helloName, sourceV4, sourceV6 } of identities) {
    const identity = { helloName: helloName || hostname, sourceV4, sourceV6 };
    const key = `from ${identity.helloName} ${sourceV4} ${sourceV6}`.trimEnd();
    for (const domain of senders) if (!byDomain.has(domain)) byDomain.set(domain, { key, ...identity });
  }
  return (sender) => byDomain.get(domainOfPath(sender)) ?? usual;
}

/** Only where mail servers find us: a listener on another port is no place that MX can lead to. */
function ourselves(config: Config, addresses: readonly string[]): Ourselves {
  const listening = config.listeners.filter(({ protocol, port }) =>
    protocol === "smtp" && port === STANDARD_PORTS.smtp
  )
    .map(({ address }) => address);
  const everywhere = ["*", "0.0.0.0", "::"].some((address) => listening.includes(address));
  return {
    names: new Set([
      config.hostname,
      ...config.identities.map(({ helloName }) => helloName).filter((name) => name !== ""),
    ]),
    addresses: new Set(everywhere ? addresses : listening),
    loopback: everywhere,
  };
}
