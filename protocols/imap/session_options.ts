/** What a session is made with: the host it speaks for, what it may offer, its limits. Pure. */
import type { SaslMechanisms } from "../sasl/exchange.ts";
import type { Out } from "../../bytes/out.ts";
import type { Namespaces } from "./namespaces.ts";
import { type FramerLimits, LIMITS_AFTER_LOGIN, LIMITS_BEFORE_LOGIN } from "./framer.ts";

export interface SessionLimits {
  readonly beforeLogin: FramerLimits;
  readonly afterLogin: FramerLimits;
  /** Largest message APPEND may bring. */
  readonly messageOctets: number;
  /** BAD replies in a row (without any command that was understood) before BYE. */
  readonly errors: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  beforeLogin: LIMITS_BEFORE_LOGIN,
  afterLogin: LIMITS_AFTER_LOGIN,
  messageOctets: 50 * 1024 * 1024,
  errors: 20,
};

/** What a client ran into: an overlong command, more octets than are dropped in patience, errors in a row. */
export type SessionLimit = "command" | "overrun" | "errors";

export interface SessionOptions {
  readonly out: Out;
  readonly hostName: string;
  readonly tlsActive: boolean;
  readonly startTlsAvailable: boolean;
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly literals: "LITERAL+" | "LITERAL-";
  /** SASL mechanisms by name in capitals. */
  readonly mechanisms: SaslMechanisms;
  /** Fields of our ID response (RFC 2971). */
  readonly serverId: ReadonlyMap<string, string>;
  readonly limits: SessionLimits;
  /** Where mailboxes of others are; left out: nowhere, and nothing is shared (RFC 4314). */
  readonly namespaces?: Namespaces;
  /** Where scripts are managed (RFC 6785 2.1); left out or "": nowhere. */
  readonly sieveUrl?: string;
  /** Messages that one command may touch, and that COPY and APPEND may bring (RFC 9738); left out or 0: any number. */
  readonly messageLimit?: number;
  readonly saveLimit?: number;
  /** Told of each limit that was hit; left out: nobody is. */
  readonly onLimit?: (limit: SessionLimit) => void;
}
