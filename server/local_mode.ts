/**
 * `veredus start`: a server to try on this machine, without a configuration.
 *
 * Loopback only, standard ports plus an offset, domain {@linkcode LOCAL_DOMAIN} with two accounts and a third that
 * receives what would leave the machine. The accounts are made at the first start; a later start with `--password`
 * changes their passwords.
 */
import { PLAIN_MANNER } from "../delivery/routes.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { WriterPort } from "../storage/writer.ts";
import {
  type Config,
  isImplicitTls,
  type ListenerConfig,
  PROTOCOLS,
  type RelayRule,
  STANDARD_PORTS,
} from "./config/config.ts";
import { DEFAULT_CONFIG, defaultListener, NO_SENDER_CHECKS } from "./config/defaults.ts";

const LOCAL_DOMAIN = "example.test";
export const LOCAL_ACCOUNTS = ["alice", "bob"].map((name) => `${name}@${LOCAL_DOMAIN}`);
/** Receives mail to other domains unless a relay is named. */
export const OUTSIDE = `outside@${LOCAL_DOMAIN}`;

export interface LocalOptions {
  /** Absolute. */
  readonly data: string;
  readonly portOffset: number;
  readonly threads: Config["threads"];
  readonly relay: { readonly host: string; readonly port: number } | null;
  /** Loopback address to listen on. */
  readonly address: string;
  /** How implicit TLS is carried; compact when left out. */
  readonly tls?: ListenerConfig["tls"];
  readonly logging: Config["logging"];
}

export function localConfig(options: LocalOptions): Config {
  const relay: RelayRule[] = options.relay === null ? [] : [{
    senders: [],
    recipients: [],
    hops: [{ ...options.relay, weight: 1 }],
    mode: "smtp",
    tls: "opportunistic",
    username: "",
    passwordFile: "",
    manner: PLAIN_MANNER,
  }];
  return {
    ...DEFAULT_CONFIG,
    hostname: `mx.${LOCAL_DOMAIN}`,
    data: options.data,
    threads: options.threads,
    listeners: PROTOCOLS.filter((protocol) => protocol !== "lmtp").map((protocol) => ({
      ...defaultListener(protocol),
      address: options.address,
      tls: isImplicitTls(protocol) ? options.tls ?? "compact" : "compact",
      port: STANDARD_PORTS[protocol] + options.portOffset,
    })),
    relay,
    // Nobody outside can reach it, and whoever tries it may have no DNS.
    filter: { ...DEFAULT_CONFIG.filter, checks: [] },
    senderChecks: NO_SENDER_CHECKS,
    captureOutbound: options.relay === null ? OUTSIDE : "",
    logging: options.logging,
    drainMs: 10_000,
  };
}

/** Domain and accounts; `passwordHash` null leaves passwords alone. False when an account has none. */
export async function prepareLocal(writer: WriterPort, passwordHash: string | null): Promise<boolean> {
  const accounts = LOCAL_ACCOUNTS.map((address): WriteOp => ({
    kind: "put-account",
    account: { address, ...(passwordHash !== null && { passwordHash }) },
  }));
  const result = await writer.submit({
    kind: "batch",
    ops: [
      {
        kind: "put-domain",
        domain: {
          name: LOCAL_DOMAIN,
          kind: "local",
          nextHop: "",
          catchAll: "",
          subaddressSeparators: "+",
        },
      },
      ...accounts,
      { kind: "put-account", account: { address: OUTSIDE, ...(passwordHash !== null && { passwordHash }) } },
    ],
  });
  if (!result.ok) throw new Error(`the local accounts could not be made: ${result.fault} ${result.detail}`);
  return result.kind === "batch" &&
    result.results.every((one) => !one.ok || one.kind !== "account" || one.hasPassword);
}

/** Easy to type, 60 bits: four groups of three letters and digits. */
export function newPassword(): string {
  const digits = "23456789abcdefghjkmnpqrstuvwxyz!".slice(0, 31);
  const octets = crypto.getRandomValues(new Uint8Array(64));
  let text = "";
  for (const octet of octets) {
    if (octet >= 31 * 8 || text.length === 12) continue; // no digit likelier than another
    text += digits[octet % 31];
  }
  return text.replace(/(...)(?=.)/g, "$1-");
}
