/**
 * The server whose queue is measured: `server.ts DATA BASE SINK_PORT DOMAINS`.
 *
 * Each of the domains `d0.test`, `d1.test`, ... has a destination of its own, 127.0.2.N, where the sink listens; `dead.test` leads
 * where nobody does. Nothing but the queue works, and a port to see that it runs; it logs as it does by default.
 */
import { parseConfig } from "../../server/config/load.ts";
import { runForeground } from "../../server/process/foreground.ts";
import { addressOf } from "./domains.ts";

const [data, base, sink, domains] = Deno.args;
const rules = Array.from(
  { length: Number(domains) },
  (_, at) => `  - { recipients: [d${at}.test], next_hop: "${addressOf(at)}:${sink}", tls: none }`,
);
const yaml = `hostname: mx.example.test
data: ${data}
threads: 1
listeners:
  - { protocol: smtp, address: 127.0.0.1, port: ${Number(base) + 25} }
resolver: { mode: forward, servers: ["127.0.0.1:9"] }
search: { index: false }
queue: { connections: 1000, connections_per_destination: 20 }
relay:
${rules.join("\n")}
  - { recipients: [dead.test], next_hop: "127.0.0.1:1", tls: none }
`;
Deno.exit(
  await runForeground({
    config: parseConfig(yaml, "queue.yaml"),
    local: false,
    purpose: "bench",
    administer: () => Promise.resolve({ close: () => Promise.resolve() }),
    announce: () => "listening",
    reread: null,
  }),
);
