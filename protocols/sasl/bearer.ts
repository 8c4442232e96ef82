/**
 * OAUTHBEARER (RFC 7628 3.1) and XOAUTH2, its older form of Google: a bearer token in one message.
 *
 * The user named beside the token may be left out by OAUTHBEARER; the token says who it is. A refused token is told as
 * JSON in a last challenge (RFC 7628 3.2.2), so that a client gets a new one and does not ask for a password. Limit:
 * {@linkcode MAX_MESSAGE} octets.
 */
import { encode, utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

const MAX_MESSAGE = 8_192;
const BEARER = "[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)";
const OAUTHBEARER = new RegExp(
  `^[ny],(?:a=([^,]*))?,\x01(?:[A-Za-z]+=[^\x01]*\x01)*?auth=${BEARER}\x01(?:[A-Za-z]+=[^\x01]*\x01)*\x01$`,
);
const XOAUTH2 = new RegExp(`^user=([^\x01]*)\x01auth=${BEARER}\x01\x01$`);
/** RFC 7628 3.2.2 with the code of RFC 6750 3.1, and what Google's clients look at. */
const REFUSED = encode('{"status":"invalid_token","schemes":"bearer"}');
const REFUSED_XOAUTH2 = encode('{"status":"401","schemes":"bearer"}');

export class BearerExchange implements SaslExchange {
  readonly #form: RegExp;
  readonly #refusal: Uint8Array;

  constructor(mechanism: "OAUTHBEARER" | "XOAUTH2") {
    [this.#form, this.#refusal] = mechanism === "XOAUTH2"
      ? [XOAUTH2, REFUSED_XOAUTH2]
      : [OAUTHBEARER, REFUSED];
  }

  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: new Uint8Array(0) };
    const text = response.length > MAX_MESSAGE ? null : utf8OrNull(response);
    const match = text === null ? null : this.#form.exec(text);
    if (match === null) return { kind: "malformed", text: "Expected a bearer token" };
    const user = (match[1] ?? "").replaceAll("=2C", ",").replaceAll("=3D", "=");
    return {
      kind: "credentials",
      authorizationId: "",
      user,
      password: "",
      proof: { kind: "token", token: match[2]! },
      refusal: this.#refusal,
    };
  }
}
