/** What a session is given by the settings in force, the listener it came through and its peer. */
import { Blocks } from "../../filter/address_block.ts";
import { type Config, type LimitsConfig, type ListenerConfig, STANDARD_PORTS } from "../config/config.ts";
import { greetingDelayMs } from "../filter_chains.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions } from "../imap/options.ts";
import { DEFAULT_MANAGESIEVE_OPTIONS, type ManageSieveServerOptions } from "../managesieve.ts";
import { DEFAULT_POP3_OPTIONS, type Pop3Options } from "../pop3.ts";
import { DEFAULT_SMTP_OPTIONS, type SmtpOptions } from "../smtp/options.ts";
import type { PartSettings } from "../threads/messages.ts";
import type { PeerFacts } from "../transport.ts";

/** What a message has got from us and filters when APPEND copies it: it may be so much longer than when it came. */
const TRACE_OCTETS = 65_536;

export class SessionOptions {
  readonly #config: Config;
  readonly #local: boolean;
  readonly #trusted: Blocks;
  readonly #xclients: Blocks;
  readonly #smtp = new Map<ListenerConfig, SmtpOptions>();

  constructor({ config, local }: PartSettings) {
    this.#config = config;
    this.#local = local;
    this.#trusted = new Blocks(config.trustedNetworks);
    this.#xclients = new Blocks(config.xclientNetworks);
  }

  imap(listener: ListenerConfig, peer: PeerFacts): Partial<ImapOptions> {
    const { limits, imap: { sharing, otherUsers, sharedFolders, quotaSetters } } = this.#config;
    const { timeouts } = DEFAULT_IMAP_OPTIONS;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      literals: listener.literals,
      limits: { ...DEFAULT_IMAP_OPTIONS.limits, messageOctets: limits.messageOctets + TRACE_OCTETS },
      messageLimit: limits.imapMessages,
      saveLimit: limits.imapSaves,
      sharing: { scope: sharing, namespaces: { otherUsers, shared: sharedFolders } },
      quotaSetters,
      sieveUrl: sieveUrl(this.#config),
      timeouts: { ...timeouts, beforeLoginMs: limits.loginTimeoutMs, idleMs: limits.idleTimeoutMs },
    };
  }

  smtp(listener: ListenerConfig, peer: PeerFacts): SmtpOptions {
    let common = this.#smtp.get(listener);
    if (common === undefined) this.#smtp.set(listener, common = this.#smtpOf(listener));
    const { address } = peer;
    return {
      ...common,
      xclient: common.xclient && this.#xclients.includes(address),
      trusted: this.#trusted.includes(address),
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
    };
  }

  /** What holds for every peer; `xclient` is whether the listener has it at all. */
  #smtpOf(listener: ListenerConfig): SmtpOptions {
    const { limits, smtp, filter } = this.#config;
    const { protocol } = listener;
    const lmtp = protocol === "lmtp";
    const submission = !lmtp && protocol !== "smtp";
    return {
      ...DEFAULT_SMTP_OPTIONS,
      service: lmtp ? "lmtp" : submission ? "submission" : "mx",
      holdSeconds: submission ? Math.floor(smtp.maxHoldMs / 1_000) : 0,
      maxPriority: smtp.maxPriority,
      greetingDelayMs: greetingDelayMs(filter),
      tarpitMs: filter.tarpitMs,
      etrn: protocol === "smtp" && smtp.etrn,
      hidden: new Set(listener.hide),
      tlsRequired: listener.requireTls,
      softBounce: smtp.softBounce,
      xclient: !submission,
      trusts: (address) => this.#trusted.includes(address),
      auth: listener.auth,
      bareLineEnds: lmtp ? "convert" : listener.bareNewlines,
      limits: limitsOf(listener, limits),
      timeouts: {
        commandMs: limits.commandTimeoutMs,
        messageMs: limits.messageTimeoutMs,
        loginMs: limits.loginTimeoutMs,
      },
    };
  }

  manageSieve(listener: ListenerConfig, peer: PeerFacts): Partial<ManageSieveServerOptions> {
    const { loginTimeoutMs } = this.#config.limits;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      timeouts: { ...DEFAULT_MANAGESIEVE_OPTIONS.timeouts, beforeLoginMs: loginTimeoutMs },
    };
  }

  pop3(listener: ListenerConfig, peer: PeerFacts): Partial<Pop3Options> {
    const { loginTimeoutMs } = this.#config.limits;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      timeouts: { ...DEFAULT_POP3_OPTIONS.timeouts, beforeLoginMs: loginTimeoutMs },
    };
  }

  /** Local mode waives TLS on loopback, where nobody listens in. */
  #plainLoginAllowed({ plainLogin }: ListenerConfig, { address }: PeerFacts): boolean {
    return plainLogin || (this.#local && (address === "::1" || address.startsWith("127.")));
  }
}

/** What a listener allows, which is never more than the server does. */
function limitsOf({ messageOctets, recipients }: ListenerConfig, limits: LimitsConfig): LimitsConfig {
  return {
    ...limits,
    messageOctets: messageOctets === 0 ? limits.messageOctets : Math.min(messageOctets, limits.messageOctets),
    recipients: recipients === 0 ? limits.recipients : Math.min(recipients, limits.recipients),
  };
}

/** Of our ManageSieve listener (RFC 5804 3); "" without one. */
function sieveUrl({ listeners, hostname }: Config): string {
  const listener = listeners.find(({ protocol }) => protocol === "managesieve");
  if (listener === undefined) return "";
  return `sieve://${hostname}${listener.port === STANDARD_PORTS.managesieve ? "" : `:${listener.port}`}`;
}
