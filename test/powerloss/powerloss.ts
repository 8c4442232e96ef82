/**
 * Power-loss proof: records every write, sync, rename and reply of real runs, rebuilds the disk as it could be after a
 * loss of power at many moments, opens each state, and checks every reply that was sent before.
 *
 *   deno task powerloss [--states 200] [--seed N] [--operations 300]
 *
 * Runs: both shapes of threads, two processes one after the other, with every sync 2 ms late; then with syncs that fail. From each, states are made; then
 * the same with every sync ignored, which must lose something, or the proof proves nothing.
 */
import { parseArgs } from "node:util";
import { Random } from "../crash/random.ts";
import { Disk } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import { checkOrder } from "./order.ts";
import { record, type Recording } from "./record.ts";
import { checkState } from "./state_check.ts";

const { values } = parseArgs({
  options: {
    states: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    operations: { type: "string", default: "300" },
  },
});

const MAX_FINDINGS = 20;
const DELAYED = ["fsync,fdatasync:delay_exit=2ms"];
/** The n-th call of each thread fails: of `fdatasync` for segments, of `fsync` for the log. */
const SEGMENT_FAILS = ["fdatasync:error=EIO:when=6"];
const LOG_FAILS = ["fsync:error=EIO:when=80"];

interface Run {
  readonly name: string;
  readonly threads: string;
  readonly inject: readonly string[];
  /** What the injected faults must do; null without faults. */
  readonly fault: "survived" | "ended" | null;
  /** Share of all states. */
  readonly share: number;
}

const RUNS: readonly Run[] = [
  { name: "threads", threads: "2", inject: DELAYED, fault: null, share: 0.4 },
  { name: "one thread", threads: "0", inject: DELAYED, fault: null, share: 0.3 },
  {
    name: "threads, syncs of segments fail",
    threads: "2",
    inject: SEGMENT_FAILS,
    fault: "survived",
    share: 0.15,
  },
  { name: "threads, a sync of the log fails", threads: "2", inject: LOG_FAILS, fault: "ended", share: 0.15 },
];

const random = new Random(Number(values.seed));
const states = Number(values.states);
let passed = 0;
let failed = 0;

function outcome(ok: boolean, text: string, findings: readonly string[] = []): void {
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? "ok" : "FAILED"}: ${text}`);
  for (const finding of findings.slice(0, MAX_FINDINGS)) console.error(`  ${finding}`);
}

/** Disk states of a recording, each checked; returns the findings. */
async function losePower(
  recording: Recording,
  options: { count: number; ignoreSyncs: boolean; stopAfter: number },
): Promise<{ checked: number; findings: string[] }> {
  const ledger = new Ledger(recording);
  const { events, root } = recording;
  const first = ledger.replies[0] ?? 0;
  const cuts = Array.from({ length: options.count }, () =>
    // Right behind a reply nothing has had time to become durable by chance.
    random.chance(0.7) && ledger.replies.length > 0
      ? random.pick(ledger.replies) + 1
      : random.between(first, events.length)).sort((a, b) => a - b);
  const disk = new Disk();
  const findings: string[] = [];
  const path = Deno.makeTempDirSync({ dir: fastFolder(), prefix: "veredus-state-" });
  let applied = 0;
  let checked = 0;
  try {
    for (const cut of cuts) {
      for (; applied < cut; applied++) {
        const event = events[applied]!;
        if (!options.ignoreSyncs || event.kind !== "sync") disk.apply(event);
        else disk.skip();
      }
      const state = `${path}/state`;
      Deno.mkdirSync(state);
      disk.materialize(root, state, random);
      const found = await checkState(state, ledger.demand(cut));
      Deno.removeSync(state, { recursive: true });
      if (++checked % 500 === 0) console.log(`${checked} of ${cuts.length} states`);
      findings.push(...found.map((finding) => `after event ${cut}: ${finding}`));
      if (findings.length > options.stopAfter) break;
    }
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
  return { checked, findings };
}

/** States are many and small: in memory where there is room. */
function fastFolder(): string {
  try {
    return Deno.statSync("/dev/shm").isDirectory ? "/dev/shm" : "/tmp";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "/tmp";
    throw error;
  }
}

console.log(`power-loss run: ${states} states, seed ${values.seed}`);
const begin = Date.now();
let total = 0;
for (const { name, threads, inject, fault, share } of RUNS) {
  const recording = await record({
    lives: fault === null ? 2 : 1,
    operations: fault === "ended" ? Infinity : Number(values.operations),
    threads,
    inject,
    random,
  });
  const { accepted, operations, refused, events } = recording;
  const checkpoints = events.filter((event) =>
    event.kind === "sync" && event.path.endsWith("veredus.db")
  ).length;
  const seen =
    `${operations} acknowledged (${accepted.length} messages), ${refused} refused, ${events.length} events, ` +
    `${checkpoints} checkpoints`;
  outcome(accepted.length > 0, `${name}: recorded ${seen}`);
  const order = checkOrder(events, new Ledger(recording));
  const inOrder = order.findings.length === 0 && order.checked > order.unclear;
  outcome(inOrder, `${name}: segment sync, log sync, 250 in ${order.checked} deliveries`, order.findings);
  if (fault !== null) {
    const hit = events.some((event) => event.kind === "sync-failed");
    const end = recording.survived ? "survived" : "ended";
    outcome(hit && end === fault, `${name}: ${hit ? "it happened" : "it did not happen"}, the server ${end}`);
  }
  const count = Math.max(5, Math.round(states * share));
  const real = await losePower(recording, { count, ignoreSyncs: false, stopAfter: MAX_FINDINGS });
  total += real.checked;
  outcome(real.findings.length === 0, `${name}: ${real.checked} disk states lost nothing`, real.findings);
  const control = await losePower(recording, { count: 20, ignoreSyncs: true, stopAfter: 0 });
  outcome(control.findings.length > 0, `${name}: without syncs something is lost, as it must be`);
}
console.log(`${total} disk states in ${Math.round((Date.now() - begin) / 1000)} s`);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);
