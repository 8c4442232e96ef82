/** What became of a login, as the drivers of all protocols see it. */
import type { Credentials } from "../protocols/sasl/exchange.ts";
import type { Account } from "../storage/store.ts";
import type { PeerFacts } from "./transport.ts";

/** Temporary trouble is never shown as a wrong password. */
export type LoginOutcome =
  | { readonly kind: "ok"; readonly account: Account }
  | { readonly kind: "wrong" }
  | { readonly kind: "unavailable" }
  /** Too many failures from this address: the connection ends. */
  | { readonly kind: "blocked" };

/** Checks credentials, with the delays that failures earn. */
export type Login = (credentials: Credentials, peer: PeerFacts) => Promise<LoginOutcome>;
