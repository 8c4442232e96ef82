/**
 * Look-ups of names from a warm cache: our resolver as front ends use it, and unbound over UDP, asked by the same loop.
 *
 * Ours answers inside the thread that asks, which is what it is for; unbound is asked by our own client without a cache.
 * Then the same out of what another thread has asked for, which a thread meets once for each name.
 */
import type { Resolver } from "../../dns/resolver.ts";
import { SharedTable } from "../../dns/shared_table.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { createResolver } from "../../server/resolver.ts";
import { number } from "../row.ts";
import { type Figure, pause } from "../setting.ts";

const UNBOUND = "/usr/sbin/unbound";
const NAMES = Array.from({ length: 1_000 }, (_, at) => `host${at}.bench.test`);
const AT_ONCE = 50;
const TABLE_OCTETS = 16 * 1024 * 1024;

/** Look-ups a second of `AT_ONCE` askers. */
async function rate(resolver: Resolver, ms: number): Promise<number> {
  const begin = performance.now(), end = begin + ms;
  let done = 0, next = 0;
  const ask = async () => {
    while (performance.now() < end) {
      const { status } = await resolver.resolve(NAMES[next++ % NAMES.length]!, "A");
      if (status !== "found") throw new Error(`a look-up gave ${status}`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  return done / (performance.now() - begin) * 1_000;
}

async function all(resolver: Resolver): Promise<number> {
  const begin = performance.now();
  for (const name of NAMES) await resolver.resolve(name, "A");
  return NAMES.length / (performance.now() - begin) * 1_000;
}

/** Null where it is not installed. */
async function startUnbound(folder: string, at: { port: number; names: number }) {
  try {
    await Deno.stat(UNBOUND);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const file = `${folder}/unbound.conf`;
  await Deno.writeTextFile(
    file,
    `server:\n  interface: 127.0.0.1\n  port: ${at.port}\n  do-ip6: no\n  username: ""\n  chroot: ""\n  use-syslog: no\n` +
      `  directory: "${folder}"\n  pidfile: ""\n  do-not-query-localhost: no\n  module-config: "iterator"\n` +
      `  local-zone: "test." nodefault\n  num-threads: 1\nremote-control:\n  control-enable: no\n` +
      `forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@${at.names}\n`,
  );
  return new Deno.Command(UNBOUND, { args: ["-d", "-c", file], stdout: "null", stderr: "null" }).spawn();
}

export const DNS: Figure = {
  name: "dns",
  when: "beside",
  measure: async ({ generator, folder, more, effort }) => {
    const ms = effort.secs * 1_000;
    const names = await generator.start("dns", more, {});
    const config = { ...DEFAULT_RESOLVER, mode: "forward" as const, servers: [`127.0.0.1:${more}`] };
    const answers = SharedTable.buffer(TABLE_OCTETS, 1);
    const unbound = await startUnbound(folder, { port: more + 1, names: more });
    try {
      using ours = createResolver(config, { answers });
      using another = createResolver(config, { answers });
      using theirs = createResolver({
        ...{ ...config, servers: [`127.0.0.1:${more + 1}`], cacheEntries: 0 },
      });
      await all(ours);
      const shared = await all(another);
      if (unbound !== null) {
        await pause(500);
        await all(theirs); // fills its cache
      }
      const [own, peer] = [await rate(ours, ms), unbound === null ? null : await rate(theirs, ms)];
      const row = { figure: "dns", unit: "/s", note: `${AT_ONCE} at once, ${number(NAMES.length)} names` };
      return [
        {
          ...{ ...row, what: "DNS look-ups, warm cache; peer: unbound over UDP, the same loop" },
          ...{ ours: own, peer, budget: { kind: "ratio" as const, least: 0.5 } },
        },
        {
          ...{ ...row, what: "the same inside a front end" },
          ...{ ours: own, peer: null, budget: { kind: "least" as const, least: 20_000 } },
        },
        {
          ...{ ...row, what: "the same, first asked for by another thread", note: "one after the other" },
          ...{ ours: shared, peer: null, budget: null },
        },
      ];
    } finally {
      unbound?.kill("SIGTERM");
      await unbound?.status;
      await names.end();
    }
  },
};
