/**
 * Server side of SASL (RFC 4422) as SMTP, IMAP and POP3 share it: a mechanism is asked for its next step and answers
 * with a challenge, the credentials to check, or a fault. Base64, cancellation and replies belong to the protocols.
 */

/** How a client shows who it is, where that is not a password. */
export type Proof =
  /** SCRAM, and whether it knew the password. */
  | { readonly kind: "scram"; readonly matches: boolean }
  | { readonly kind: "token"; readonly token: string }
  /** The certificate of its TLS session. */
  | { readonly kind: "certificate" };

export interface Credentials {
  readonly mechanism: string;
  /** Whom to act as; "" is the user itself. */
  readonly authorizationId: string;
  /** "" where the proof names the user. */
  readonly user: string;
  /** "" with a proof of another kind. */
  readonly password: string;
  readonly proof?: Proof;
}

export type SaslStep =
  | { readonly kind: "challenge"; readonly octets: Uint8Array }
  | ({ readonly kind: "credentials" } & Omit<Credentials, "mechanism"> & {
    /** A last challenge that says why, when the credentials are wrong; what the client answers does not matter. */
    readonly refusal?: Uint8Array;
  })
  | { readonly kind: "malformed"; readonly text: string };

export interface SaslExchange {
  /** `response` is null when the client sent no initial response. */
  step(response: Uint8Array | null): SaslStep;
}

/** Mechanisms by name in capitals, in the order they are offered; each call of one starts an exchange. */
export interface SaslMechanisms {
  readonly size: number;
  keys(): Iterable<string>;
  get(name: string): (() => SaslExchange) | undefined;
}

/** The credentials that an exchange ended with. */
export function credentialsOf(mechanism: string, step: Omit<Credentials, "mechanism">): Credentials {
  const { authorizationId, user, password, proof } = step;
  return { mechanism, authorizationId, user, password, ...(proof !== undefined && { proof }) };
}
