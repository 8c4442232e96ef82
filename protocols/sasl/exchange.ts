/**
 * Server side of SASL (RFC 4422) as SMTP, IMAP and POP3 share it: a mechanism is asked for its next step and answers
 * with a challenge, the credentials to check, or a fault. Base64, cancellation and replies belong to the protocols.
 */

export interface Credentials {
  readonly mechanism: string;
  /** Whom to act as; "" is the user itself. */
  readonly authorizationId: string;
  readonly user: string;
  readonly password: string;
}

export type SaslStep =
  | { readonly kind: "challenge"; readonly octets: Uint8Array }
  | {
    readonly kind: "credentials";
    readonly authorizationId: string;
    readonly user: string;
    readonly password: string;
  }
  | { readonly kind: "malformed"; readonly text: string };

export interface SaslExchange {
  /** `response` is null when the client sent no initial response. */
  step(response: Uint8Array | null): SaslStep;
}

/** Mechanisms by name in capitals; each call starts an exchange. */
export type SaslMechanisms = ReadonlyMap<string, () => SaslExchange>;
