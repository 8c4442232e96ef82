/**
 * The server of `deliver-checked` and `deliver-filtered` (checked_config.ts).
 *
 *     checked_server.ts DATA BASE DNS_PORT policy|all
 *
 * A program of its own, because `veredus start` checks nothing and `veredus serve` never runs as root, which the peer needs.
 */
import { runForeground } from "../server/process/foreground.ts";
import { checkedConfig, type Checks } from "./checked_config.ts";

const [data = "", base, dns, checks] = Deno.args;
const code = await runForeground({
  config: checkedConfig({ data, base: Number(base), dns: Number(dns), checks: checks as Checks }),
  local: false,
  purpose: "bench",
  administer: () => Promise.resolve({ close: () => Promise.resolve() }),
  announce: () => "listening",
  reread: null,
});
Deno.exit(code);
