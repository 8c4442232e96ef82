/**
 * OAUTHBEARER (RFC 7628 3.1) and XOAUTH2, its older form of Google: a bearer token in one message.
 *
 * The user named beside the token may be left out by OAUTHBEARER; the token says who it is. A refused token is refused by
 * the protocol's reply alone, without the JSON that RFC 7628 3.2.2 sends as a last challenge. Limit:
 * {@linkcode MAX_MESSAGE} octets.
 */
import { utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

const MAX_MESSAGE = 8_192;
const BEARER = "[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)";
const OAUTHBEARER = new RegExp(
  `^[ny],(?:a=([^,]*))?,\x01(?:[A-Za-z]+=[^\x01]*\x01)*?auth=${BEARER}\x01(?:[A-Za-z]+=[^\x01]*\x01)*\x01$`,
);
const XOAUTH2 = new RegExp(`^user=([^\x01]*)\x01auth=${BEARER}\x01\x01$`);

export class BearerExchange implements SaslExchange {
  readonly #form: RegExp;

  constructor(mechanism: "OAUTHBEARER" | "XOAUTH2") {
    this.#form = mechanism === "XOAUTH2" ? XOAUTH2 : OAUTHBEARER;
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
    };
  }
}
