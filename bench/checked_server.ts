/**
 * The server of `deliver-checked`, with every check on (checked_config.ts).
 *
 *     checked_server.ts DATA BASE DNS_PORT
 *
 * A program of its own, because `veredus start` checks nothing and `veredus serve` never runs as root, which the peer needs.
 */
import { runForeground } from "../server/process/foreground.ts";
import { checkedConfig } from "./checked_config.ts";

const [data = "", base, dns] = Deno.args;
const code = await runForeground({
  config: checkedConfig({ data, base: Number(base), dns: Number(dns) }),
  local: false,
  purpose: "bench",
  administer: () => Promise.resolve({ close: () => Promise.resolve() }),
  announce: () => "listening",
  reread: null,
});
Deno.exit(code);
