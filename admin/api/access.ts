/**
 * Who is asking: a bearer token (RFC 6750) over TCP, or the owner of the data folder over its socket.
 *
 * Tokens are kept as SHA-256 of 32 random octets: nothing to guess, nothing to slow down, and the look-up by hash tells
 * nothing by its time. Addresses that fail are counted, and told 429 past the limit.
 */
import type { Context, MiddlewareHandler } from "hono";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { type FailureCounter, failureKey } from "../../auth/failures.ts";
import { counter } from "../../telemetry/metrics.ts";
import { permits, type Scope } from "../scopes.ts";
import type { AdminServices } from "../services.ts";
import { Problem } from "./problem.ts";

/** `tokens` for TCP; `owner` where the way in already shows who it is (socket of mode 0600, in-process). */
export type Access = "tokens" | "owner";

export interface Principal {
  /** For log lines: a token's id, or "owner". */
  readonly name: string;
  readonly scopes: readonly string[];
}

export interface AdminEnv {
  Bindings: { readonly remoteAddress?: string };
  Variables: { principal: Principal };
}

const TOKEN_PREFIX = "vrd_";
export const MAX_TOKEN_FAILURES = 10;
const OWNER: Principal = { name: "owner", scopes: ["admin"] };

const refused = counter("veredus_admin_requests_refused_total", "Requests to the admin API without access", [
  "reason",
]);

/** A new secret and what is stored of it. */
export function newToken(): { secret: string; hash: string } {
  const secret = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
  return { secret, hash: hashOf(secret) };
}

export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Finds out who is asking. */
export function authenticate(
  services: AdminServices,
  options: { access: Access; failures: FailureCounter },
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    c.set("principal", options.access === "owner" ? OWNER : principalOf(c, services, options.failures));
    await next();
  };
}

/** Demands a scope of whoever is asking. */
export function needs(scope: Scope): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const { scopes } = c.get("principal");
    if (!permits(scopes, scope)) {
      refused.inc({ reason: "scope" });
      throw new Problem(403, {
        fault: "scope",
        detail: `this needs a token with the scope ${scope} (or admin); this one has ${scopes.join(", ")}`,
        headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
      });
    }
    await next();
  };
}

function principalOf(c: Context<AdminEnv>, services: AdminServices, failures: FailureCounter): Principal {
  const now = services.clock();
  const address = failureKey(c.env?.remoteAddress ?? "unknown");
  const count = failures.count(address, now);
  if (Math.ceil(count) >= MAX_TOKEN_FAILURES) {
    refused.inc({ reason: "throttled" });
    const seconds = Math.ceil((count - MAX_TOKEN_FAILURES + 1) * failures.leakMs / 1000);
    throw new Problem(429, {
      fault: "throttled",
      detail: `${Math.round(count)} requests with wrong tokens from ${address}; try again in ${seconds} s`,
      headers: { "retry-after": String(seconds) },
    });
  }
  const secret = /^Bearer +([A-Za-z0-9._~+/=-]{1,512})$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (secret === undefined) {
    refused.inc({ reason: "missing" });
    throw new Problem(401, {
      fault: "no-token",
      detail:
        "send `Authorization: Bearer TOKEN`; `veredus token add NAME --scope SCOPE` on the server makes one",
      headers: { "www-authenticate": "Bearer" },
    });
  }
  const hash = hashOf(secret);
  const token = services.store.directory.tokenByHash(hash);
  const known = token !== null && timingSafeEqual(encode(token.hash), encode(hash));
  if (!known || (token.expiresAt !== 0 && token.expiresAt <= now)) {
    failures.add(address, now);
    refused.inc({ reason: known ? "expired" : "unknown" });
    throw new Problem(401, {
      fault: known ? "token-expired" : "no-such-token",
      detail: known
        ? `the token ${token.name} ended at ${new Date(token.expiresAt).toISOString()}`
        : "this token is not known here; it may have been removed",
      headers: { "www-authenticate": 'Bearer error="invalid_token"' },
    });
  }
  return { name: `token ${token.id}`, scopes: token.scopes };
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
