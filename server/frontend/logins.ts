/**
 * Logins of a front end, the same for every protocol: by password, SCRAM (RFC 7677), token (RFC 7628) and client
 * certificate (EXTERNAL, RFC 4422), with the delays and bans that failures earn.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Authenticator, type LoginProtocol, type LoginResult } from "../../auth/login.ts";
import { accountOfLogin } from "../../auth/login_name.ts";
import { TokenVerifier } from "../../auth/oauth.ts";
import { scramOf } from "../../auth/scram.ts";
import type { Credentials, SaslMechanisms } from "../../protocols/sasl/exchange.ts";
import { SessionMechanisms } from "../../protocols/sasl/mechanisms.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Store } from "../../storage/store.ts";
import type { Bans } from "../bans.ts";
import type { Config } from "../config/config.ts";
import type { Login, LoginOutcome, SessionMechanismsOf } from "../login.ts";
import type { SharedLimits } from "../shared_limits.ts";
import { steadyNow } from "../steady_clock.ts";
import type { TlsFacts } from "../transport.ts";

/** Name of the secret that salts of users who do not exist are made with. */
const SCRAM_SECRET = "scram";

export interface LoginParts {
  readonly store: Store;
  readonly limits: SharedLimits;
  readonly bans: Bans;
}

export class Logins {
  readonly #store: Store;
  readonly #bans: Bans;
  readonly #scram: boolean;
  readonly #authenticator: Authenticator;
  readonly #tokens: TokenVerifier | null;

  constructor(config: Config, { store, limits, bans }: LoginParts) {
    this.#store = store;
    this.#bans = bans;
    this.#scram = config.auth.scram;
    this.#authenticator = new Authenticator({
      store,
      clock: steadyNow,
      failures: limits,
      repeats: limits,
      cacheKey: limits.key,
      onFailure: (address) => bans.offence(address, "login"),
      limits: { maxFailures: config.limits.loginFailuresPerAddress },
      learnScram: config.auth.scram,
    });
    this.#tokens = tokenVerifier(config);
  }

  close(): void {
    this.#authenticator.close();
  }

  /** The first front end to start makes it; the others are refused, because it is there. */
  async ensureScramSecret(): Promise<void> {
    if (!this.#scram || this.#store.directory.secrets(SCRAM_SECRET).length > 0) return;
    const value = randomBytes(32).toString("base64");
    await this.#store.write({ kind: "rotate-secret", name: SCRAM_SECRET, value, ifBefore: 0, keep: 1 });
  }

  /** Those that are `always` there, and those that the session's TLS and the accounts allow. */
  mechanisms(always: SaslMechanisms): SessionMechanismsOf {
    const { directory } = this.#store;
    return (tls) =>
      new SessionMechanisms(always, {
        scram: () => {
          const secret = this.#scram && directory.allHaveScram()
            ? directory.secrets(SCRAM_SECRET)[0]
            : undefined;
          if (secret === undefined) return null;
          return () => ({
            verifierOf: (user) => scramOf(directory, user, Buffer.from(secret.value, "base64")),
            nonce: randomBytes(18).toString("base64"),
          });
        },
        bearer: () => this.#tokens !== null,
        certificate: () => tls()?.clientCertificate != null,
      });
  }

  of(protocol: LoginProtocol): Login {
    return async (credentials, peer, tls) => {
      const { user, password, authorizationId, proof } = credentials;
      const attempt = { login: user, authzid: authorizationId, address: peer.address, protocol };
      const result = proof === undefined
        ? await this.#authenticator.login({ ...attempt, password })
        : await this.#authenticator.prove({
          ...attempt,
          account: () => this.#proven(credentials, tls),
          shown: proof.kind === "token"
            ? proof.token
            : proof.kind === "scram"
            ? null
            : tls?.clientCertificate ?? "",
        });
      if (result.ok) this.#bans.succeeded(peer.address);
      return outcomeOf(result);
    };
  }

  /** The account that SCRAM, a token or a certificate has shown; null refuses. */
  async #proven({ user, proof }: Credentials, tls: TlsFacts | null): Promise<Account | null> {
    const { directory } = this.#store;
    switch (proof?.kind) {
      case "scram":
        return proof.matches ? accountOfLogin(directory, user) : null;
      case "token": {
        const address = await this.#tokens?.verify(proof.token) ?? null;
        const account = address === null ? null : accountOfLogin(directory, address);
        return user === "" || accountOfLogin(directory, user)?.id === account?.id ? account : null;
      }
      case "certificate": {
        const fingerprint = tls?.clientCertificate ?? null;
        const row = fingerprint === null ? null : directory.certificate(fingerprint);
        return row === null ? null : directory.accountById(row.accountId);
      }
      case undefined:
        return null;
      default:
        return proof satisfies never;
    }
  }
}

function outcomeOf(result: LoginResult): LoginOutcome {
  if (result.ok) return { kind: "ok", account: result.account };
  switch (result.reason) {
    case "wrong-password":
      return { kind: "wrong" };
    case "throttled":
      return { kind: "blocked" };
    default:
      return { kind: "unavailable" };
  }
}

/** The file is read once, at start. */
function tokenVerifier({ auth: { oauth } }: Config): TokenVerifier | null {
  if (oauth === null) return null;
  const { clientSecretFile: file, ...options } = oauth;
  const clientSecret = file === "" ? "" : Deno.readTextFileSync(file).replace(/\r?\n$/, "");
  return new TokenVerifier({ ...options, clientSecret }, {
    clock: Date.now,
    fetch: (url, init) => fetch(url, init),
  });
}
