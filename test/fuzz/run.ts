/**
 * The fuzz task: all targets, or some, for a time or a number of inputs each.
 *
 *     deno task fuzz [--quick] [--target NAME]... [--seed N] [--inputs N] [--seconds N]
 *
 * Without limits each target runs for 60 seconds from a seed of the hour; `--quick` shares 25 seconds out among all and
 * begins with seed 1, for CI. A finding ends its target and is kept in `corpus/<target>/`, where the test run replays
 * it. The last line is `N passed, N failed`; the exit code is 1 when something failed.
 */
import { parseArgs } from "node:util";
import { createHash } from "node:crypto";
import { Finding } from "./fuzzing.ts";
import { CORPUS, type FuzzTarget, fuzzTargets } from "./targets.ts";

const QUICK_MS = 25_000;
const DEFAULT_MS = 60_000;
/** How long one call of a target aims to take, milliseconds. */
const SLICE_MS = 500;

interface Budget {
  readonly seed: number;
  /** Infinity when only time counts. */
  readonly inputs: number;
  readonly ms: number;
}

interface Outcome {
  readonly runs: number;
  readonly ms: number;
  readonly failure: unknown;
}

/** Calls the target with one seed after the other until the budget is spent or something fails. */
async function run(target: FuzzTarget, budget: Budget): Promise<Outcome> {
  const begin = performance.now();
  let done = 0;
  let runs = 20;
  for (let seed = budget.seed; done < budget.inputs && performance.now() - begin < budget.ms; seed++) {
    const slice = Math.min(runs, budget.inputs - done);
    const sliceBegin = performance.now();
    try {
      await target.fuzz(seed, slice);
    } catch (failure) {
      return { runs: done, ms: performance.now() - begin, failure };
    }
    done += slice;
    const perRun = Math.max(0.001, (performance.now() - sliceBegin) / slice);
    runs = Math.max(1, Math.min(runs * 4, Math.round(SLICE_MS / perRun)));
  }
  return { runs: done, ms: performance.now() - begin, failure: null };
}

/** Keeps the input for the corpus and tells what happened. */
function report(target: FuzzTarget, failure: unknown): void {
  console.log(Deno.inspect(failure, { depth: 4 }));
  if (!(failure instanceof Finding)) return;
  const folder = new URL(`${target.name}/`, CORPUS);
  Deno.mkdirSync(folder, { recursive: true });
  const file = new URL(createHash("sha256").update(failure.input).digest("hex").slice(0, 12), folder);
  Deno.writeFileSync(file, failure.input);
  console.log(`kept as test/fuzz/corpus/${target.name}/${file.pathname.split("/").at(-1)}`);
}

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} ${text}: expected a number`);
  return Number(text);
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: [] },
    seed: { type: "string" },
    inputs: { type: "string" },
    seconds: { type: "string" },
  },
});
const all = await fuzzTargets();
const unknown = values.target.find((wanted) => all.every(({ name }) => name !== wanted));
if (unknown !== undefined) {
  throw new Error(`no target ${unknown}; there are ${all.map(({ name }) => name).join(", ")}`);
}
const targets = all.filter(({ name }) => values.target.length === 0 || values.target.includes(name));
const defaultMs = values.quick
  ? QUICK_MS / targets.length
  : values.inputs === undefined
  ? DEFAULT_MS
  : Infinity;
const budget: Budget = {
  seed: number("seed", values.seed, values.quick ? 1 : Math.floor(Date.now() / 3_600_000) * 1_000),
  inputs: number("inputs", values.inputs, Infinity),
  ms: values.seconds === undefined ? defaultMs : number("seconds", values.seconds, 0) * 1_000,
};
let passed = 0;
for (const target of targets) {
  const { runs, ms, failure } = await run(target, budget);
  const rate = Math.round(runs / Math.max(ms, 1) * 1_000);
  console.log(
    `${target.name.padEnd(10)} ${String(runs).padStart(9)} inputs ${String(rate).padStart(7)}/s  ` +
      `from seed ${budget.seed}  ${failure === null ? "ok" : "FAILED"}`,
  );
  if (failure === null) passed++;
  else report(target, failure);
}
console.log(`${passed} passed, ${targets.length - passed} failed`);
Deno.exit(passed === targets.length ? 0 : 1);
