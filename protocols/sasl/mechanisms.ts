/** The mechanisms each protocol offers, in the order of EHLO and CAPABILITY; what a session may use of them can change. */
import { BearerExchange } from "./bearer.ts";
import type { SaslExchange, SaslMechanisms } from "./exchange.ts";
import { ExternalExchange } from "./external.ts";
import { LoginExchange } from "./login.ts";
import { PlainExchange } from "./plain.ts";
import { ScramExchange, type ScramParts } from "./scram.ts";

/** Submission: PLAIN, and LOGIN for old clients. */
export const SMTP_MECHANISMS: SaslMechanisms = new Map<string, () => SaslExchange>([
  ["PLAIN", () => new PlainExchange()],
  ["LOGIN", () => new LoginExchange()],
]);

/** IMAP and POP3 have LOGIN and USER of their own. */
export const MAILBOX_MECHANISMS: SaslMechanisms = new Map<string, () => SaslExchange>([
  ["PLAIN", () => new PlainExchange()],
]);

/** What holds for one session at the moment it is asked. */
export interface MechanismFacts {
  /** Null where SCRAM cannot be offered: some account has no verifier yet. */
  scram(): (() => ScramParts) | null;
  /** Tokens can be checked. */
  bearer(): boolean;
  /** The client has shown a certificate. */
  certificate(): boolean;
}

/** Those of `always`, and what the facts allow. */
export class SessionMechanisms implements SaslMechanisms {
  readonly #always: SaslMechanisms;
  readonly #facts: MechanismFacts;

  constructor(always: SaslMechanisms, facts: MechanismFacts) {
    this.#always = always;
    this.#facts = facts;
  }

  get size(): number {
    return [...this.keys()].length;
  }

  *keys(): Iterable<string> {
    if (this.#facts.scram() !== null) yield "SCRAM-SHA-256";
    yield* this.#always.keys();
    if (this.#facts.bearer()) yield* ["OAUTHBEARER", "XOAUTH2"];
    if (this.#facts.certificate()) yield "EXTERNAL";
  }

  get(name: string): (() => SaslExchange) | undefined {
    const facts = this.#facts;
    switch (name) {
      case "SCRAM-SHA-256": {
        const parts = facts.scram();
        return parts === null ? undefined : () => new ScramExchange(parts());
      }
      case "OAUTHBEARER":
      case "XOAUTH2":
        return facts.bearer() ? () => new BearerExchange(name) : undefined;
      case "EXTERNAL":
        return facts.certificate() ? () => new ExternalExchange() : undefined;
      default:
        return this.#always.get(name);
    }
  }
}
