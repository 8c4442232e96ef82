/** The mechanisms each protocol offers. */
import type { SaslMechanisms } from "./exchange.ts";
import { LoginExchange } from "./login.ts";
import { PlainExchange } from "./plain.ts";

/** Submission: PLAIN, and LOGIN for old clients. */
export const SMTP_MECHANISMS: SaslMechanisms = new Map([
  ["PLAIN", () => new PlainExchange()],
  ["LOGIN", () => new LoginExchange()],
]);

/** IMAP and POP3 have LOGIN and USER of their own. */
export const MAILBOX_MECHANISMS: SaslMechanisms = new Map([["PLAIN", () => new PlainExchange()]]);
