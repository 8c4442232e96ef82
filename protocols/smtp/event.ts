/** What a session of the server asks its driver to do. */
import type { Credentials } from "../sasl/exchange.ts";
import type { MailParameters, RcptParameters } from "./parameters.ts";
import type { Path } from "./path.ts";
import type { Reply } from "./reply.ts";

/**
 * What the driver is to do. After `helo`, `mail`, `rcpt`, `begin`, `message`, `credentials`, `lookup`, `etrn` and
 * `xclient` the session waits for `accept` or `answer` (`authenticated`, `answerEach`, `restarted`). Spans live until the
 * next call of `next`.
 */
export type SmtpEvent =
  | { readonly kind: "need-input" }
  /** Many replies wait: flush them before more are made. */
  | { readonly kind: "output" }
  /** A transaction in hand is over (RFC 5321 4.1.4). */
  | { readonly kind: "helo"; readonly verb: "HELO" | "EHLO" | "LHLO"; readonly name: string }
  | { readonly kind: "mail"; readonly reversePath: Path | null; readonly parameters: MailParameters }
  | { readonly kind: "rcpt"; readonly forwardPath: Path; readonly parameters: RcptParameters }
  /** Before the 354 or the first chunk. */
  | { readonly kind: "begin" }
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly start: number; readonly end: number }
  | { readonly kind: "message"; readonly octets: number; readonly holdsNul: boolean }
  /** The transaction is over without a message. `reply` is what refused one that was being sent, and is written. */
  | { readonly kind: "discard"; readonly reply: Reply | null }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** Who an address is, or who is behind it. */
  | { readonly kind: "lookup"; readonly verb: "VRFY" | "EXPN"; readonly text: string }
  /** Mail held for a domain is to be sent now. */
  | { readonly kind: "etrn"; readonly text: string }
  /** The client speaks for another one. */
  | { readonly kind: "xclient"; readonly attributes: ReadonlyMap<string, string> }
  /** A transaction in hand is over. The 220 is written: flush, `dropInput`, handshake, `tlsStarted`. */
  | { readonly kind: "starttls" }
  | { readonly kind: "close" };
