/**
 * The configurations of `deliver-checked` and `deliver-filtered`: checks that need nobody else's server, asked of every message.
 *
 * Greylisting tags, because a client that is sent away once more would measure the client; who speaks early is not looked
 * for, because that check is a pause. Two lists in DNS are asked, which know nobody (`load/dns.c`).
 */
import type { Config } from "../server/config/config.ts";
import { parseConfig } from "../server/config/load.ts";
import { DOMAIN } from "./target.ts";

/**
 * `policy`: what is asked of client and envelope, without SPF, DKIM, DMARC, attachments and the spam filter; `all` of them.
 */
export type Checks = "policy" | "all";

const NO_SENDER_CHECKS = "{ iprev: false, spf: false, dkim: false, arc: false, dmarc: off }";

export interface CheckedOptions {
  readonly data: string;
  /** Added to every standard port. */
  readonly base: number;
  /** Port of the name server. */
  readonly dns: number;
  readonly checks: Checks;
}

const PORTS = { smtp: 25, submission: 587, imap: 143, imaps: 993, pop3: 110 };

export function checkedConfig({ data, base, dns, checks }: CheckedOptions): Config {
  const listeners = Object.entries(PORTS).map(([protocol, port]) =>
    `  - { protocol: ${protocol}, address: 127.0.0.1, port: ${base + port}, plain_login: true }`
  );
  return parseConfig(
    `hostname: mx.${DOMAIN}
data: ${data}
listeners:
${listeners.join("\n")}
resolver: { mode: forward, servers: ["127.0.0.1:${dns}"] }
sender_checks: ${checks === "all" ? "{ skip: [] }" : NO_SENDER_CHECKS}
filter:
  spam: { enabled: ${checks === "all"} }
  checks:
    - { check: null-mx }
    - { check: list, name: networks, stages: [connect], networks: [192.0.2.0/24, "2001:db8::/32"] }
    - { check: list, name: names, stages: [ehlo], names: [.spam.example] }
    - { check: list, name: senders, stages: [mail], domains: [spam.example], patterns: ["^bounce-[0-9]+@"] }
    - { check: reverse-dns }
    - { check: helo }
    - { check: dnsbl, zones: [{ zone: list.test }, { zone: second.list.test }, { zone: domains.list.test, of: sender }] }
    - { check: rate, by: [address], limit: 10000000 }
    - { check: rate, name: by-network, by: [network], limit: 10000000 }
    - { check: rate, name: by-sender, by: [sender, recipient], limit: 10000000, stages: [rcpt] }
    - { check: greylist, action: tag }
${checks === "all" ? "    - { check: content }\n" : ""}`,
    "checked.yaml",
  );
}
