/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): the client shows that it knows the password without sending it, and so do we.
 *
 * What is stored of the password (RFC 5803) and the nonce come from outside; users that do not exist have a verifier too,
 * so that salt and time do not tell. There is no channel binding: "p=" is refused, "y" is fine, because -PLUS is not
 * offered: its default binding under TLS 1.3 is tls-exporter (RFC 9266), which this runtime has no call for, and clients
 * that see -PLUS choose it and fail. Answers are compared in constant time. Pure. Limit: {@linkcode MAX_MESSAGE} octets a message.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { decodeBase64Strict, encodeBase64 } from "../../bytes/base64.ts";
import { encode, utf8OrNull } from "../../bytes/decode.ts";
import type { SaslExchange, SaslStep } from "./exchange.ts";

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface ScramParts {
  /** Never null: strangers get one that nothing fits. */
  readonly verifierOf: (user: string) => ScramVerifier;
  /** Printable, without comma. */
  readonly nonce: string;
}

const MAX_MESSAGE = 2_048;
const HASH_OCTETS = 32;
/** RFC 5802 7: GS2 header without binding, then the bare message. */
const CLIENT_FIRST = /^((?:n|y),(?:a=([^,]+))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*)$/;
const CLIENT_FINAL =
  /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/=]+)$/;

export class ScramExchange implements SaslExchange {
  readonly #parts: ScramParts;
  #state: "first" | "final" | "done";
  #gs2: string;
  #authorizationId: string;
  #user: string;
  #firstBare: string;
  #serverFirst: string;
  #nonce: string;
  #verifier: ScramVerifier | null;

  constructor(parts: ScramParts) {
    this.#parts = parts;
    this.#state = "first";
    this.#gs2 =
      this.#authorizationId =
      this.#user =
      this.#firstBare =
      this.#serverFirst =
      this.#nonce =
        "";
    this.#verifier = null;
  }

  step(response: Uint8Array | null): SaslStep {
    if (response === null) return { kind: "challenge", octets: new Uint8Array(0) };
    const text = response.length > MAX_MESSAGE ? null : utf8OrNull(response);
    if (text === null) return malformed();
    if (this.#state === "first") return this.#first(text);
    if (this.#state === "final") return this.#final(text);
    // RFC 5802 5: our own proof was the last challenge, and needs no answer.
    return text === "" ? this.#end(true) : malformed();
  }

  #first(text: string): SaslStep {
    const match = CLIENT_FIRST.exec(text);
    const user = name(match?.[4] ?? "");
    const authorizationId = name(match?.[2] ?? "");
    if (match === null || user === null || user === "" || authorizationId === null) return malformed();
    this.#gs2 = match[1]!;
    this.#authorizationId = authorizationId;
    this.#user = user;
    this.#firstBare = match[3]!;
    this.#nonce = match[5]! + this.#parts.nonce;
    this.#verifier = this.#parts.verifierOf(user);
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#nonce},s=${encodeBase64(salt)},i=${iterations}`;
    this.#state = "final";
    return { kind: "challenge", octets: encode(this.#serverFirst) };
  }

  #final(text: string): SaslStep {
    const match = CLIENT_FINAL.exec(text);
    const binding = decodeBase64Strict(match?.[2] ?? "");
    const proof = decodeBase64Strict(match?.[4] ?? "");
    if (match === null || binding === null || proof?.length !== HASH_OCTETS) return malformed();
    if (utf8OrNull(binding) !== this.#gs2 || match[3] !== this.#nonce) return malformed();
    const { storedKey, serverKey } = this.#verifier!;
    const authMessage = `${this.#firstBare},${this.#serverFirst},${match[1]}`;
    const signature = hmac(storedKey, authMessage);
    const clientKey = signature.map((octet, at) => octet ^ proof[at]!);
    if (!timingSafeEqual(createHash("sha256").update(clientKey).digest(), storedKey)) return this.#end(false);
    this.#state = "done";
    return { kind: "challenge", octets: encode(`v=${encodeBase64(hmac(serverKey, authMessage))}`) };
  }

  #end(matches: boolean): SaslStep {
    const [authorizationId, user] = [this.#authorizationId, this.#user];
    return { kind: "credentials", authorizationId, user, password: "", proof: { kind: "scram", matches } };
  }
}

/** RFC 5803: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`; null when it is none. */
export function parseScram(text: string): ScramVerifier | null {
  const match = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(
    text,
  );
  if (match === null) return null;
  const [salt, storedKey, serverKey] = match.slice(2).map(decodeBase64Strict);
  if (salt == null || storedKey?.length !== HASH_OCTETS || serverKey?.length !== HASH_OCTETS) return null;
  return { iterations: Number(match[1]), salt, storedKey, serverKey };
}

/** The stored form of a password from its salted hash (RFC 5802 3). */
export function formatScram(
  salted: Uint8Array,
  { salt, iterations }: { salt: Uint8Array; iterations: number },
): string {
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  return `SCRAM-SHA-256$${iterations}:${encodeBase64(salt)}$${encodeBase64(new Uint8Array(storedKey))}:${
    encodeBase64(hmac(salted, "Server Key"))
  }`;
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(text).digest());
}

/** `=2C` and `=3D` stand for comma and equals sign; null where an equals sign stands for nothing. */
function name(text: string): string | null {
  return /=(?!2C|3D)/.test(text) ? null : text.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

function malformed(): SaslStep {
  return { kind: "malformed", text: "SCRAM message not understood" };
}
