/** What SMTP connections are given: services of the thread, and settings that may differ between listeners. */
import type { Reception } from "../../delivery/reception.ts";
import {
  type HideableKeyword,
  NOTHING_HIDDEN,
  type SmtpLimits,
} from "../../protocols/smtp/session_options.ts";
import { DEFAULT_LIMITS } from "../config/defaults.ts";
import type { Deadlines } from "../deadline.ts";
import type { Login, SessionMechanismsOf } from "../login.ts";

export interface SmtpServices {
  readonly reception: Reception;
  readonly deadlines: Deadlines;
  readonly login: Login;
  readonly mechanisms: SessionMechanismsOf;
  readonly hostName: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A new id for a session. */
  readonly newId: () => string;
  /** What bans count; left out: nothing. */
  readonly offence?: (address: string, offence: "unknown-user" | "protocol") => void;
  /** A client that a filter in front of us speaks for is shut out; left out: nobody is. */
  readonly banned?: (address: string) => boolean;
}

export interface SmtpTimeouts {
  /** For one command, for a pause inside a message, and for a client that does not read (RFC 5321 4.5.3.2). */
  readonly commandMs: number;
  /** From the 354 to the end of the message. */
  readonly messageMs: number;
  /** Submission: from the connection to the login, in all. */
  readonly loginMs: number;
}

export interface SmtpOptions {
  readonly service: "mx" | "submission" | "lmtp";
  /** Offers AUTH; submission always does, LMTP never. */
  readonly auth: boolean;
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly bareLineEnds: "refuse" | "convert";
  /** The client is in one of the trusted networks. */
  readonly trusted: boolean;
  /** FUTURERELEASE: seconds that mail may be held; 0 does not offer it. */
  readonly holdSeconds: number;
  /** MT-PRIORITY: the highest that logins and trusted clients are given; null does not offer it. */
  readonly maxPriority: number | null;
  /** Pause before the greeting in which who speaks gives himself away; of strangers in clear. */
  readonly greetingDelayMs: number;
  /** Wait before a stranger's recipient is refused. */
  readonly tarpitMs: number;
  readonly etrn: boolean;
  /** Extensions that this listener does without. */
  readonly hidden: ReadonlySet<HideableKeyword>;
  /** No mail and no login before STARTTLS. */
  readonly tlsRequired: boolean;
  /** Refusals of mail are for now. */
  readonly softBounce: boolean;
  /** The client may say for whom it speaks; `trusts` then tells whether that one is trusted. */
  readonly xclient: boolean;
  readonly trusts: (address: string) => boolean;
  readonly limits: SmtpLimits;
  readonly timeouts: SmtpTimeouts;
  /** Refused logins before 421. */
  readonly loginFailures: number;
}

export const DEFAULT_SMTP_OPTIONS: SmtpOptions = {
  service: "mx",
  auth: false,
  plainLoginAllowed: false,
  bareLineEnds: "refuse",
  trusted: false,
  holdSeconds: 0,
  maxPriority: null,
  greetingDelayMs: 0,
  tarpitMs: 0,
  etrn: false,
  hidden: NOTHING_HIDDEN,
  tlsRequired: false,
  softBounce: false,
  xclient: false,
  trusts: () => false,
  limits: DEFAULT_LIMITS,
  timeouts: {
    commandMs: DEFAULT_LIMITS.commandTimeoutMs,
    messageMs: DEFAULT_LIMITS.messageTimeoutMs,
    loginMs: DEFAULT_LIMITS.loginTimeoutMs,
  },
  loginFailures: 5,
};
