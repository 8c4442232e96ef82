/**
 * `deno run -A bench/threads.ts [new|keep|tls]... [--msgs N] [--rounds N] [--threads N] [--checks policy|all] [--perf FILE]`: what a
 * delivery costs each thread of the server, in microseconds of processor time, from the threads' own counts in /proc. `--checks`: as
 * in `deliver-checked` (policy) and `deliver-filtered` (all).
 *
 * The same server, client and 4 kB messages as `deno task bench`, without the peer. Processor time is what can be compared on a machine
 * that does other things too; messages a second cannot. `--perf FILE` records the run by `perf record`, with names of
 * JavaScript functions in /tmp/perf-PID.map.
 */
import { parseArgs } from "node:util";
import { bundle } from "../server/bundle.ts";
import type { Checks } from "./checked_config.ts";
import { freeBase } from "./free_ports.ts";
import { LoadGenerator, type LoadOptions } from "./load.ts";
import { untilIdle } from "./memory.ts";
import { DELIVER } from "./setting.ts";
import { makeAccounts, startVeredus } from "./veredus.ts";

const TICKS_PER_SECOND = 100;
const SHAPES: Readonly<Record<string, LoadOptions>> = {
  new: {},
  keep: { keep: 1, pipe: 1 },
  tls: { starttls: 1 },
};

interface Used {
  readonly name: string;
  readonly user: number;
  readonly system: number;
}

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    msgs: { type: "string", default: "4000" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string" },
    checks: { type: "string" },
    perf: { type: "string" },
  },
});

const checks = checksOf(args.checks);

function checksOf(text: string | undefined): Checks | null {
  if (text === undefined) return null;
  if (text !== "policy" && text !== "all") throw new Error(`--checks ${text}: policy or all is needed`);
  return text;
}

/** Seconds by thread. */
function used(pids: readonly number[]): Map<string, Used> {
  const all = new Map<string, Used>();
  for (const pid of pids) {
    for (const { name: tid } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${tid}/stat`);
      const fields = text.replace(/^.*\) /s, "").split(" ");
      const name = /\((.*)\)/s.exec(text)![1]!;
      const [user, system] = [fields[11], fields[12]].map((ticks) => Number(ticks) / TICKS_PER_SECOND);
      all.set(tid, { name, user: user!, system: system! });
    }
  }
  return all;
}

function print(before: Map<string, Used>, after: Map<string, Used>, msgs: number): void {
  const by = new Map<string, { user: number; system: number }>();
  const sum = { user: 0, system: 0 };
  for (const [tid, now] of after) {
    const was = before.get(tid);
    const key = /worker-\d/.test(now.name) ? `${now.name}` : now.name;
    const one = by.get(key) ?? { user: 0, system: 0 };
    const [user, system] = [now.user - (was?.user ?? 0), now.system - (was?.system ?? 0)];
    by.set(key, { user: one.user + user, system: one.system + system });
    sum.user += user;
    sum.system += system;
  }
  const us = (seconds: number) => (seconds * 1e6 / msgs).toFixed(0).padStart(6);
  const line = (name: string, { user, system }: { user: number; system: number }) =>
    console.log(`  ${name.padEnd(18)} ${us(user)} + ${us(system)} = ${us(user + system)} us`);
  for (const [name, one] of [...by].sort(([, a], [, b]) => b.user + b.system - a.user - a.system)) {
    if ((one.user + one.system) * 1e6 / msgs >= 2) line(name, one);
  }
  line("all", sum);
}

/** Sums and counts of the histograms that say where a message waits. */
async function waits(): Promise<Map<string, number>> {
  if (checks !== null) return new Map(); // that server tells nobody
  const text = await (await fetch(`http://127.0.0.1:${base + 80}/metrics`)).text();
  const line = /^(veredus_(?:segment_sync|commit|message_accepted|commit_group)\w*_(?:sum|count)) (\S+)$/gm;
  return new Map([...text.matchAll(line)].map(([, name, value]) => [name!, Number(value)]));
}

function printWaits(before: Map<string, number>, after: Map<string, number>): void {
  for (const name of after.keys()) {
    if (!name.endsWith("_sum")) continue;
    const countName = name.replace(/_sum$/, "_count");
    const grown = (key: string) => (after.get(key) ?? 0) - (before.get(key) ?? 0);
    const mean = grown(name) / grown(countName);
    const text = name.includes("seconds") ? `${(mean * 1000).toFixed(2)} ms` : mean.toFixed(1);
    console.log(
      `  ${name.slice("veredus_".length, -"_sum".length)}: ${text} in the mean, ${grown(countName)} times`,
    );
  }
}

/** Shares of the machine's time since the last call. */
let lastTimes: number[] = [];
function machineTimes(): string {
  const now = /^cpu +(.*)$/m.exec(Deno.readTextFileSync("/proc/stat"))![1]!.split(" ").map(Number);
  const grown = now.map((value, at) => value - (lastTimes[at] ?? 0));
  lastTimes = now;
  const all = grown.slice(0, 8).reduce((sum, value) => sum + value, 0);
  const names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
  return names.map((name, at) => `${name} ${(100 * grown[at]! / all).toFixed(0)} %`).join(", ");
}

const folder = Deno.makeTempDirSync({ prefix: "veredus-threads-" });
const msgs = Number(args.msgs);
const generator = LoadGenerator.compile(folder);
const base = freeBase(12_000);
await bundle();
await makeAccounts(`${folder}/data`);
const names = checks !== null ? await generator.start("dns", base + 998, {}) : null;
const server = await startVeredus({
  data: `${folder}/data`,
  base,
  sink: base + 999,
  log: `${folder}/log`,
  ...(args.threads !== undefined && { threads: args.threads }),
  ...(checks !== null && { checked: { dns: base + 998, checks } }),
});
try {
  const run = (shape: LoadOptions, count: number) =>
    generator.run("smtp", server.smtp, { ...DELIVER, ...shape, msgs: count, count: server.imap });
  for (const name of positionals.length === 0 ? ["new", "keep"] : positionals) {
    const shape = SHAPES[name];
    if (shape === undefined) throw new Error(`${name}: one of ${Object.keys(SHAPES).join(", ")} is needed`);
    await run(shape, Math.min(msgs, 2_000)); // warm
    for (let round = 0; round < Number(args.rounds); round++) {
      await untilIdle(server.pids());
      const perf = args.perf === undefined ? null : new Deno.Command("perf", {
        args: ["record", "-q", "-F", "2999", "-g", "-o", args.perf, "-p", server.pids().join(",")],
      }).spawn();
      if (perf !== null) await new Promise((resolve) => setTimeout(resolve, 500));
      const waited = await waits();
      machineTimes();
      const before = used(server.pids());
      const figures = await run(shape, msgs);
      const after = used(server.pids());
      const times = machineTimes();
      if (perf !== null) {
        perf.kill("SIGINT");
        await perf.status;
      }
      console.log(
        `${name}: ${figures.filed_per_s?.toFixed(0)}/s filed, p50 ${figures.p50_ms?.toFixed(2)} ms, ` +
          `p99 ${figures.p99_ms?.toFixed(2)} ms, ${figures.failed} failed`,
      );
      print(before, after, msgs);
      printWaits(waited, await waits());
      console.log(`  machine: ${times}`);
    }
  }
} finally {
  await server.stop();
  await names?.end();
  Deno.removeSync(folder, { recursive: true });
}
