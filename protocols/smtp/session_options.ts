/** What a session of the server is made with: limits, the service, what it offers, and who watches it. */
import type { Out } from "../../bytes/out.ts";
import type { SaslMechanisms } from "../sasl/exchange.ts";

export interface SmtpLimits {
  /** CRLF included (RFC 5321 4.5.3.1.4). */
  readonly commandLineOctets: number;
  /** Of the AUTH command and of each response in its exchange (RFC 4954 4). */
  readonly authLineOctets: number;
  readonly messageOctets: number;
  /** Accepted recipients of one message. */
  readonly recipients: number;
  readonly commands: number;
  /** Permanent refusals since the last accepted message. */
  readonly errors: number;
}

/** The names of {@linkcode SmtpLimits} and what else is refused for its size, for metrics. */
export type LimitName = keyof SmtpLimits;

export interface SmtpSessionOptions {
  readonly out: Out;
  readonly hostName: string;
  /** `submission` wants a login before MAIL (RFC 6409 4.3); `lmtp` speaks RFC 2033. */
  readonly service: "mx" | "submission" | "lmtp";
  readonly tlsActive: boolean;
  readonly startTlsAvailable: boolean;
  /** SASL mechanisms by name in capitals; none: no AUTH. */
  readonly mechanisms: SaslMechanisms;
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  /** What a bare CR or LF in a message means; for logins it is always `convert`. */
  readonly bareLineEnds: "refuse" | "convert";
  readonly limits: SmtpLimits;
  readonly offers?: Offers;
  /** Told of each reply (the verb is of a closed set, "" when none was understood) and each limit that was hit. */
  readonly observer: SessionObserver;
}

/** What is offered to some clients only. */
export interface Offers {
  /** FUTURERELEASE (RFC 4865): seconds that mail may be held, and the time in milliseconds. */
  readonly futureRelease: { readonly maxSeconds: number; readonly now: () => number } | null;
  /** MT-PRIORITY (RFC 6710): the highest that is given to whoever asks; null does not offer it. */
  readonly maxPriority: number | null;
  /** ETRN (RFC 1985). */
  readonly etrn: boolean;
  /** The client may say for whom it speaks. */
  readonly xclient: boolean;
}

export const NO_OFFERS: Offers = { futureRelease: null, maxPriority: null, etrn: false, xclient: false };

export interface SessionObserver {
  replied(verb: string, code: number): void;
  limited(limit: LimitName): void;
}
