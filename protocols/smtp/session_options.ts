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
  /** Keywords of EHLO that this listener does without: not offered, and not taken where they are used all the same. */
  readonly hidden?: ReadonlySet<HideableKeyword>;
  /** Nothing is done before STARTTLS (RFC 3207 4). */
  readonly tlsRequired?: boolean;
  /** Mail that would be refused for good is put off, so that nothing is lost while the operator tries settings. */
  readonly softBounce?: boolean;
  /** Told of each reply (the verb is of a closed set, "" when none was understood) and each limit that was hit. */
  readonly observer: SessionObserver;
}

/** Extensions that a listener can do without; the others have settings of their own. */
export const HIDEABLE_KEYWORDS = [
  "PIPELINING",
  "SIZE",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
  "CHUNKING",
  "BINARYMIME",
  "DSN",
  "STARTTLS",
  "REQUIRETLS",
  "LIMITS",
] as const;
export type HideableKeyword = (typeof HIDEABLE_KEYWORDS)[number];
export const NOTHING_HIDDEN: ReadonlySet<HideableKeyword> = new Set();

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
  /** A refusal was said as one for now ({@linkcode SmtpSessionOptions.softBounce}); left out: nobody counts. */
  softened?(): void;
}
