/**
 * The exchange behind AUTH (RFC 4954 4): base64 lines around one SASL mechanism, cancelled by `*`.
 *
 * Pure; whether AUTH is allowed at all is for the session to say, and the credentials are for others to judge.
 */
import { decodeBase64Strict, encodeBase64 } from "../../bytes/base64.ts";
import { type Credentials, credentialsOf, type SaslExchange } from "../sasl/exchange.ts";
import { AUTH_CANCELLED, BAD_BASE64, BAD_SASL_RESPONSE, type Reply } from "./reply.ts";

export type AuthStep =
  | { readonly kind: "challenge"; readonly base64: string }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  | { readonly kind: "refused"; readonly reply: Reply };

export class AuthDialog {
  #mechanism: string;
  #exchange: SaslExchange;
  /** What is said before wrong credentials are refused, and the refusal that waits for the client's answer to it. */
  #lastChallenge: string | null;
  #refusal: Reply | null;

  constructor(mechanism: string, exchange: SaslExchange) {
    this.#mechanism = mechanism;
    this.#exchange = exchange;
    this.#lastChallenge = null;
    this.#refusal = null;
  }

  /** `initialResponse` as it stood in the command: null without one, "=" for an empty one. */
  begin(initialResponse: string | null): AuthStep {
    if (initialResponse === null) return this.#step(null);
    return this.#base64(initialResponse === "=" ? "" : initialResponse);
  }

  /** The credentials are wrong; whatever the client says to the last challenge (RFC 7628 3.2.3), it is refused then. */
  refuse(reply: Reply): AuthStep {
    if (this.#lastChallenge === null) return { kind: "refused", reply };
    this.#refusal = reply;
    return { kind: "challenge", base64: this.#lastChallenge };
  }

  /** The next line changes nothing. */
  get refusing(): boolean {
    return this.#refusal !== null;
  }

  /** A line of the client. */
  line(text: string): AuthStep {
    if (this.#refusal !== null) return { kind: "refused", reply: this.#refusal };
    return text === "*" ? { kind: "refused", reply: AUTH_CANCELLED } : this.#base64(text);
  }

  #base64(text: string): AuthStep {
    const octets = decodeBase64Strict(text);
    return octets === null ? { kind: "refused", reply: BAD_BASE64 } : this.#step(octets);
  }

  #step(response: Uint8Array | null): AuthStep {
    const step = this.#exchange.step(response);
    if (step.kind === "challenge") return { kind: "challenge", base64: encodeBase64(step.octets) };
    if (step.kind === "malformed") return { kind: "refused", reply: BAD_SASL_RESPONSE };
    this.#lastChallenge = step.refusal === undefined ? null : encodeBase64(step.refusal);
    return { kind: "credentials", credentials: credentialsOf(this.#mechanism, step) };
  }
}
