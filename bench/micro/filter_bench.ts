/**
 * What the checks and the trace cost a message when nothing is refused: the default chain with a cached answer, and one
 * trace event. `deno run -A bench/micro/filter_bench.ts`. Nanoseconds of CPU a message.
 */
import type { Resolver } from "../../dns/resolver.ts";
import { Blocks } from "../../filter/address_block.ts";
import { MemoryBuckets } from "../../filter/buckets.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { DEFAULT_FILTER } from "../../server/config/defaults.ts";
import { inspected } from "../../filter/content/attachments.ts";
import { buildChains } from "../../server/filter_chains.ts";
import { TraceLog } from "../../storage/trace_log.ts";
import type { Store } from "../../storage/store.ts";

const ROUNDS = 200_000;
const resolver: Resolver = {
  resolve: (name, type) =>
    Promise.resolve({
      ...{ name, type, status: "no-data" as const, canonicalName: name, records: [], ttlSeconds: 300 },
      ...{ security: "insecure" as const, reason: null },
    }),
};
const store = { directory: { domain: () => null } } as unknown as Store;
const client = {
  ...{ sessionId: "s", address: "192.0.2.1", port: 1, heloName: "c.example", tls: false },
  ...{
    service: "mx" as const,
    login: null,
    mechanism: null,
    tlsProtocol: null,
    tlsCipher: null,
    spokeEarly: false,
  },
};

function cpuNs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]);
}

async function measure(what: string, one: () => unknown): Promise<void> {
  for (let at = 0; at < 20_000; at++) await one();
  const before = cpuNs();
  for (let at = 0; at < ROUNDS; at++) {
    const pending = one();
    if (pending instanceof Promise) await pending;
    if (at % 500 === 0) await new Promise((resolve) => setTimeout(resolve)); // the log writes in between
  }
  console.log(`${what}: ${Math.round((cpuNs() - before) / ROUNDS)} ns`);
}

function messageThrough(checks: typeof DEFAULT_FILTER.checks): () => unknown {
  const chains = buildChains({ ...DEFAULT_FILTER, checks }, {
    ...{ store, resolver, buckets: new MemoryBuckets(), hostname: "mx.example.test", clock: Date.now },
    relays: new Blocks([]),
    steady: Date.now,
    patterns: null,
    inspect: inspected,
    notify: () => {},
  });
  return () => {
    const screen = new SessionScreen(chains)
      .transaction(client, { traceId: "t", sender: "s@remote.example", trusted: false });
    return screen?.rcpt("user@example.test") ?? null;
  };
}

await measure("no checks", messageThrough([]));
await measure("default checks", messageThrough(DEFAULT_FILTER.checks));
const folder = Deno.makeTempDirSync({ prefix: "veredus-bench-" });
const trace = new TraceLog({ folder, name: "bench", keepMs: 1e9, clock: Date.now, onFault: console.error });
await measure("a trace event", () => {
  trace.note({
    ...{ at: Date.now(), trace: "1m873r4gc354fd2k", event: "accepted", session: "1m873r4gc354fd2j" },
    ...{ client: "192.0.2.1", helo: "client.example", service: "mx", from: "sender@remote.example" },
    ...{ to: ["user@example.test"], messageId: "<1@remote.example>", size: 4_096, mailboxes: 1, queued: 0 },
    ...{ ms: 3, reply: "250 2.6.0 1m873r4gc354fd2k Message accepted" },
  });
});
await trace.close();
Deno.removeSync(folder, { recursive: true });
