/** PLAIN (RFC 4616): authorization id, NUL, user, NUL, password, all UTF-8. */
import { NUL } from "../../bytes/ascii.ts";
import { utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

const EMPTY = new Uint8Array(0);
/** Octets of one field (RFC 4616 2 allows 255 and more; ours bounds the hash work). */
const MAX_FIELD_OCTETS = 1_024;

export class PlainExchange implements SaslExchange {
  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: EMPTY };
    const first = response.indexOf(NUL);
    const second = first < 0 ? -1 : response.indexOf(NUL, first + 1);
    if (second < 0 || response.indexOf(NUL, second + 1) >= 0) {
      return { kind: "malformed", text: "Expected authorization id, user and password" };
    }
    const fields = [[0, first], [first + 1, second], [second + 1, response.length]] as const;
    const [authorizationId, user, password] = fields.map(([start, end]) =>
      end - start > MAX_FIELD_OCTETS ? null : utf8OrNull(response, start, end)
    );
    if (authorizationId == null || user == null || password == null || user === "" || password === "") {
      return { kind: "malformed", text: "Expected user and password in UTF-8" };
    }
    return { kind: "credentials", authorizationId, user, password };
  }
}
