/** What became of a login, as the drivers of all protocols see it. */
import type { Credentials, SaslMechanisms } from "../protocols/sasl/exchange.ts";
import type { Account } from "../storage/directory_view.ts";
import type { PeerFacts, TlsFacts } from "./transport.ts";

/** Temporary trouble is never shown as a wrong password. */
export type LoginOutcome =
  | { readonly kind: "ok"; readonly account: Account }
  | { readonly kind: "wrong" }
  | { readonly kind: "unavailable" }
  /** Too many failures from this address: the connection ends. */
  | { readonly kind: "blocked" };

/** Checks credentials, with the delays that failures earn. */
export type Login = (
  credentials: Credentials,
  peer: PeerFacts,
  tls: TlsFacts | null,
) => Promise<LoginOutcome>;

/** The mechanisms of one session, which depend on its TLS as it is when they are asked for. */
export type SessionMechanismsOf = (tls: () => TlsFacts | null) => SaslMechanisms;
