/** TLS handshakes with clients, whichever part of the runtime makes them. */
import { counter } from "../telemetry/metrics.ts";

export const tlsSessions = counter(
  "veredus_tls_sessions_total",
  "TLS handshakes with clients by version, `failed` where there is none, `unknown` with tls: compact, which does not tell",
  ["version"],
);
