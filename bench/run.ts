/**
 * `deno task bench [--quick] [--only NAME]... [--write] [--dir DIR]`: Veredus beside Postfix + Dovecot.
 *
 * Compiles the load generator, starts both servers on loopback in a folder of their own (the disk under it is the one
 * that is measured), drives them in turns with the same clients, prints a table, and ends with `N passed, N failed`:
 * failed are figures that could not be had or whose operations failed, not budgets that are not met. The peer's packages are
 * installed where they are missing (Debian, as root); where it cannot run Veredus is measured alone. `--write` keeps the table in RESULTS.md.
 */
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { bundle } from "../server/bundle.ts";
import { FIGURES } from "./figures.ts";
import { freeBase } from "./free_ports.ts";
import { LoadGenerator } from "./load.ts";
import { describe, machineFacts } from "./machine.ts";
import { untilIdle } from "./memory.ts";
import { peerMissing, startPeer } from "./peer.ts";
import { writeResults } from "./results.ts";
import { cells, COLUMNS, type Row } from "./row.ts";
import { type Figure, fill, FULL, QUICK, type Setting } from "./setting.ts";
import type { Target } from "./target.ts";
import { makeAccounts, type StartOptions, startVeredus, type VeredusOptions } from "./veredus.ts";

const { values: args } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    write: { type: "boolean", default: false },
    dir: { type: "string" },
  },
});

function chosenFigures(names: readonly string[]): readonly Figure[] {
  const unknown = names.find((name) => !FIGURES.some((figure) => figure.name === name));
  if (unknown !== undefined) {
    console.error(`--only ${unknown}: one of ${FIGURES.map(({ name }) => name).join(", ")} is needed`);
    Deno.exit(2);
  }
  return names.length === 0 ? FIGURES : FIGURES.filter(({ name }) => names.includes(name));
}

function print(columns: readonly string[]): void {
  const widths = [58, 10, 10, 17, 8, 16, 8];
  const text = columns.map((column, at) => {
    const width = widths[at] ?? 0;
    return at >= 2 && at <= 4 ? column.padStart(width) : column.padEnd(width);
  });
  console.log(text.join(" ").trimEnd());
}

let passed = 0, failed = 0;
const rows: Row[] = [];

async function measure(figures: readonly Figure[], setting: Setting): Promise<void> {
  for (const figure of figures) {
    try {
      if (figure.when === "beside") { for (const target of running) await idle(target); }
      const measured = await figure.measure(setting);
      for (const row of measured) print(cells(row));
      rows.push(...measured);
      if (measured.length > 0) passed++;
    } catch (error) {
      failed++;
      console.log(`${figure.name}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** What one figure left to do must not be part of the next one. */
async function idle(target: Target): Promise<void> {
  if (!await untilIdle(target.pids())) console.log(`${target.name} does not come to rest`);
}

const figures = chosenFigures(args.only);
const effort = args.quick ? QUICK : FULL;
const parent = args.dir === undefined ? {} : { dir: resolve(args.dir) };
const folder = Deno.makeTempDirSync({ prefix: "veredus-bench-", ...parent });
Deno.chmodSync(folder, 0o755); // Dovecot's processes look into it as other users
const running = new Set<Target>();

let cleaning: Promise<void> | null = null;

/** Also safe when a signal comes while it runs. */
function cleanUp(): Promise<void> {
  return cleaning ??= (async () => {
    for (const target of running) await target.stop();
    Deno.removeSync(folder, { recursive: true });
  })();
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => cleanUp().finally(() => Deno.exit(1)));
}

try {
  const missing = await peerMissing();
  const machine = machineFacts(folder, missing === null);
  console.log(describe(machine));
  if (machine.fileSystem === "tmpfs") console.log(`${folder} is in memory: --dir names a folder on a disk`);
  if (missing !== null) console.log(`without the peer, and without ratios: ${missing}`);
  else console.log("the peer's configuration: bench/peers/postfix_dovecot.sh");
  const generator = LoadGenerator.compile(folder);
  const ourBase = freeBase(20_000), peerBase = freeBase(ourBase + 1_100);
  const sinks = { ours: ourBase + 999, peer: peerBase + 999 };
  const options: VeredusOptions = {
    data: `${folder}/veredus`,
    base: ourBase,
    sink: sinks.ours,
    log: `${folder}/veredus.log`,
  };
  const start = async (more: StartOptions) => {
    const server = await startVeredus({ ...options, ...more });
    running.add(server);
    await idle(server);
    return server;
  };
  await bundle();
  await makeAccounts(options.data);
  const ours = await start({});
  const peer = missing === null
    ? await startPeer(`${folder}/peer`, {
      ...{ base: peerBase, sink: sinks.peer },
      certificate: `${options.data}/tls/self-signed`,
    })
    : null;
  if (peer !== null) running.add(peer);
  const setting: Setting = {
    ...{ generator, effort, ours, peer, sinks, folder, restart: start },
    ...{ ports: ourBase, more: peerBase + 998 },
  };
  print(COLUMNS);
  const beside = figures.filter(({ when }) => when === "beside");
  if (beside.length > 0) await fill(setting);
  await measure(beside, setting);
  await ours.stop();
  await measure(figures.filter(({ when }) => when === "after"), setting);
  const only = args.only.map((name) => ` --only ${name}`).join("");
  const command = `deno task bench${args.quick ? " --quick" : ""}${only}`;
  if (args.write && cleaning === null) writeResults(rows, { machine, command });
} catch (error) {
  failed++;
  console.log(error instanceof Error ? error.message : error);
} finally {
  await cleanUp();
}
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
