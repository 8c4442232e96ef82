/**
 * The server of `crowd` and `huge`: `veredus start` with room for so many connections, and without full-text indexes, which
 * would be made beside what is measured.
 *
 *     crowded_server.ts DATA BASE SINK CONNECTIONS
 */
import { localConfig } from "../server/local_mode.ts";
import { runForeground } from "../server/process/foreground.ts";
import { DEFAULT_CONFIG, DEFAULT_SEARCH } from "../server/config/defaults.ts";

const [data = "", base, sink, connections] = Deno.args;
const config = localConfig({
  data,
  portOffset: Number(base),
  threads: DEFAULT_CONFIG.threads,
  relay: { host: "127.0.0.1", port: Number(sink) },
  address: "127.0.0.1",
  logging: DEFAULT_CONFIG.logging,
});
const code = await runForeground({
  config: {
    ...config,
    limits: { ...config.limits, connections: Number(connections) },
    search: { ...DEFAULT_SEARCH, index: false },
  },
  local: true,
  purpose: "bench",
  administer: () => Promise.resolve({ close: () => Promise.resolve() }),
  announce: () => "listening",
  reread: null,
});
Deno.exit(code);
