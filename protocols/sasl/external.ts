/** EXTERNAL (RFC 4422 A): the certificate of the TLS session says who it is; the response may name whom to act as. */
import { utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

const MAX_NAME_OCTETS = 1_024;

export class ExternalExchange implements SaslExchange {
  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: new Uint8Array(0) };
    const authorizationId = response.length > MAX_NAME_OCTETS ? null : utf8OrNull(response);
    if (authorizationId === null || authorizationId.includes("\0")) {
      return { kind: "malformed", text: "Expected an authorization id in UTF-8" };
    }
    return { kind: "credentials", authorizationId, user: "", password: "", proof: { kind: "certificate" } };
  }
}
