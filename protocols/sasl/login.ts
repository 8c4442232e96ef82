/** LOGIN, the unregistered mechanism that old clients still choose: user and password, each after a prompt. */
import { encode, utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

const USER_PROMPT = encode("Username:");
const PASSWORD_PROMPT = encode("Password:");
const MAX_FIELD_OCTETS = 1_024;

export class LoginExchange implements SaslExchange {
  #user: string | null = null;

  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: USER_PROMPT };
    const text = response.length > MAX_FIELD_OCTETS ? null : utf8OrNull(response);
    if (text === null || text === "" || text.includes("\0")) {
      return { kind: "malformed", text: "Expected user and password in UTF-8" };
    }
    if (this.#user === null) {
      this.#user = text;
      return { kind: "challenge", octets: PASSWORD_PROMPT };
    }
    return { kind: "credentials", authorizationId: "", user: this.#user, password: text };
  }
}
