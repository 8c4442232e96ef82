/**
 * Bearer tokens of an identity provider: asked for at its introspection endpoint (RFC 7662), or checked by its published
 * keys (JWT, RFC 7519, signed RS256 or ES256; JWKS, RFC 7517).
 *
 * A token counts when it is active, not over, for our audience and of the issuer (where these are configured), and names
 * an account in the configured claim. What cannot be asked is trouble, never a refusal. Answers are kept for
 * {@linkcode KEPT_MS} at most, and no longer than the token lives; tokens are kept as digests. Limits:
 * {@linkcode MAX_ANSWER_OCTETS}, {@linkcode TIMEOUT_MS}, {@linkcode MAX_KEPT}; keys are fetched again once a minute at most.
 */
import { createHash } from "node:crypto";
import { normalizeAddress } from "../storage/address_form.ts";

export interface OAuthOptions {
  /** "" is none; one of the two is set. */
  readonly introspection: string;
  readonly jwks: string;
  /** For the introspection endpoint; "" sends none. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** What the token must say; "" is not looked at. */
  readonly issuer: string;
  readonly audience: string;
  /** Claim that holds the account's address. */
  readonly claim: string;
}

export interface OAuthParts {
  readonly clock: () => number;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

type Claims = Readonly<Record<string, unknown>>;

export const TIMEOUT_MS = 5_000;
const KEPT_MS = 300_000;
const MAX_KEPT = 10_000;
const MAX_ANSWER_OCTETS = 256 * 1024;
const KEYS_AGAIN_MS = 60_000;
const KEYS_KEPT_MS = 600_000;
/** Clocks differ. */
const LEEWAY_SECONDS = 60;

const ALGORITHMS: Readonly<
  Record<
    string,
    {
      readonly key: RsaHashedImportParams | EcKeyImportParams;
      readonly sign: AlgorithmIdentifier | EcdsaParams;
    }
  >
> = {
  RS256: { key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, sign: { name: "RSASSA-PKCS1-v1_5" } },
  ES256: {
    key: { name: "ECDSA", namedCurve: "P-256" },
    sign: { name: "ECDSA", hash: "SHA-256" } as EcdsaParams,
  },
};

export class TokenVerifier {
  readonly #options: OAuthOptions;
  readonly #parts: OAuthParts;
  #kept: Map<string, { readonly address: string | null; readonly until: number }>;
  #keys: { readonly keys: readonly JsonWebKey[]; readonly at: number } | null;

  constructor(options: OAuthOptions, parts: OAuthParts) {
    this.#options = options;
    this.#parts = parts;
    this.#kept = new Map();
    this.#keys = null;
  }

  /** The address of the account a token is for, in normal form; null refuses it. Rejects when that cannot be found out. */
  async verify(token: string): Promise<string | null> {
    const now = this.#parts.clock();
    const digest = createHash("sha256").update(token).digest("base64");
    const kept = this.#kept.get(digest);
    if (kept !== undefined && kept.until > now) return kept.address;
    const claims = this.#options.jwks === "" ? await this.#introspect(token) : await this.#signed(token);
    const address = claims === null ? null : this.#accountOf(claims, now);
    const ends = typeof claims?.exp === "number" ? claims.exp * 1_000 : Infinity;
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(digest, { address, until: Math.min(now + KEPT_MS, address === null ? Infinity : ends) });
    return address;
  }

  #accountOf(claims: Claims, now: number): string | null {
    const { issuer, audience, claim } = this.#options;
    const { exp, nbf, iss, aud } = claims;
    const seconds = now / 1_000;
    if (exp !== undefined && !(typeof exp === "number" && exp + LEEWAY_SECONDS > seconds)) return null;
    if (nbf !== undefined && !(typeof nbf === "number" && nbf - LEEWAY_SECONDS <= seconds)) return null;
    if (issuer !== "" && iss !== issuer) return null;
    if (audience !== "" && aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) return null;
    const name = claims[claim];
    return typeof name === "string" ? normalizeAddress(name) : null;
  }

  async #introspect(token: string): Promise<Claims | null> {
    const { introspection, clientId, clientSecret } = this.#options;
    const answer = await this.#json(introspection, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        ...(clientId !== "" && {
          authorization: `Basic ${
            btoa(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`)
          }`,
        }),
      },
      body: new URLSearchParams({ token, token_type_hint: "access_token" }).toString(),
    });
    return answer.active === true ? answer : null; // RFC 7662 2.2
  }

  async #signed(token: string): Promise<Claims | null> {
    const [head = "", body = "", signature = "", more] = token.split(".");
    const header = jsonOf(head);
    const claims = jsonOf(body);
    const algorithm = typeof header?.alg === "string" ? ALGORITHMS[header.alg] : undefined;
    // RFC 7515 4.1.11: extensions that must be understood are not.
    if (more !== undefined || algorithm === undefined || claims === null || header?.crit !== undefined) {
      return null;
    }
    // A token that never ends could not be taken back.
    if (typeof claims.exp !== "number") return null;
    const octets = octetsOf(signature);
    if (octets === null) return null;
    for (const jwk of await this.#keysFor(header?.kid)) {
      if (jwk.kty !== (algorithm.key.name === "ECDSA" ? "EC" : "RSA")) continue;
      const signed = new TextEncoder().encode(`${head}.${body}`);
      try {
        const key = await crypto.subtle.importKey(
          "jwk",
          { ...jwk, key_ops: ["verify"] },
          algorithm.key,
          false,
          ["verify"],
        );
        if (await crypto.subtle.verify(algorithm.sign, key, octets, signed)) return claims;
      } catch (error) {
        if (!(error instanceof Error)) throw error; // a key that is none of ours to use
      }
    }
    return null;
  }

  async #keysFor(id: unknown): Promise<readonly JsonWebKey[]> {
    const now = this.#parts.clock();
    const fits = (key: JsonWebKey & { readonly kid?: string }) => id === undefined || key.kid === id;
    const known = this.#keys;
    const old = known === null || now - known.at > KEYS_KEPT_MS;
    if (!old && known.keys.some(fits)) return known.keys.filter(fits);
    if (old || now - known.at > KEYS_AGAIN_MS) {
      const { keys } = await this.#json(this.#options.jwks, { method: "GET" });
      this.#keys = { keys: Array.isArray(keys) ? keys as JsonWebKey[] : [], at: now };
    }
    return (this.#keys?.keys ?? []).filter(fits);
  }

  async #json(url: string, init: RequestInit): Promise<Claims> {
    const response = await this.#parts.fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await limited(response);
    if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) {
      throw new Error(`${new URL(url).host} sent no JSON object`);
    }
    return value as Claims;
  }
}

async function limited(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let octets = 0;
  for await (const piece of response.body ?? []) {
    octets += piece.length;
    if (octets > MAX_ANSWER_OCTETS) throw new Error(`an answer of more than ${MAX_ANSWER_OCTETS} octets`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function octetsOf(base64url: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(base64url, { alphabet: "base64url" });
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function jsonOf(base64url: string): Claims | null {
  const octets = octetsOf(base64url);
  if (octets === null) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(octets));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Claims : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
