/**
 * AUTHENTICATE (RFC 3501 6.2.2, initial responses: RFC 4959): one SASL exchange in base64 lines. Pure.
 */
import { decodeBase64Strict } from "../../bytes/base64.ts";
import { type Credentials, credentialsOf, type SaslExchange, type SaslMechanisms } from "../sasl/exchange.ts";
import type { Reply } from "./reply.ts";

export type AuthenticationStep =
  /** To be sent, with what follows `+ `. */
  | { readonly kind: "challenge"; readonly base64: string }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** The exchange is over. */
  | { readonly kind: "reply"; readonly reply: Reply };

export class Authentication {
  #exchange: SaslExchange;
  #mechanism: string;
  /** What is said when the credentials are wrong, and the refusal that waits for the client's answer to it. */
  #lastChallenge: Uint8Array | null;
  #refusal: Reply | null;

  private constructor(mechanism: string, exchange: SaslExchange) {
    this.#mechanism = mechanism;
    this.#exchange = exchange;
    this.#lastChallenge = null;
    this.#refusal = null;
  }

  /** Null: there is no such mechanism. */
  static begin(mechanisms: SaslMechanisms, mechanism: string): Authentication | null {
    const exchange = mechanisms.get(mechanism)?.();
    return exchange === undefined ? null : new Authentication(mechanism, exchange);
  }

  /** The argument of the command: null for none, "=" for an empty one (RFC 4959 3). */
  first(initialResponse: string | null): AuthenticationStep {
    if (initialResponse === null) return this.#step(null);
    return this.#decode(initialResponse === "=" ? "" : initialResponse);
  }

  /** A line in answer to a challenge. */
  next(line: string): AuthenticationStep {
    if (this.#refusal !== null) return { kind: "reply", reply: this.#refusal };
    return line === "*" ? malformed("Authentication cancelled") : this.#decode(line);
  }

  /** The credentials are wrong. */
  refused(reply: Reply): AuthenticationStep {
    if (this.#lastChallenge === null) return { kind: "reply", reply };
    this.#refusal = reply;
    return { kind: "challenge", base64: this.#lastChallenge.toBase64() };
  }

  #decode(base64: string): AuthenticationStep {
    const octets = decodeBase64Strict(base64);
    return octets === null ? malformed("Expected base64") : this.#step(octets);
  }

  #step(response: Uint8Array | null): AuthenticationStep {
    const step = this.#exchange.step(response);
    switch (step.kind) {
      case "challenge":
        return { kind: "challenge", base64: step.octets.toBase64() };
      case "credentials":
        this.#lastChallenge = step.refusal ?? null;
        return { kind: "credentials", credentials: credentialsOf(this.#mechanism, step) };
      case "malformed":
        return malformed(step.text);
      default:
        return step satisfies never;
    }
  }
}

function malformed(text: string): AuthenticationStep {
  return { kind: "reply", reply: { status: "BAD", text } };
}
