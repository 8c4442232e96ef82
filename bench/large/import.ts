/** A large Maildir brought by `veredus import`: its rate, and the memory of the command and of the server beside it. */
import { join } from "node:path";
import { PROGRAM } from "../../server/bundle.ts";
import { peakDuring, processTree } from "../memory.ts";
import { processorSeconds } from "../cpu.ts";
import { number, type Row } from "../row.ts";
import { Failures, MEGABYTE } from "../setting.ts";
import { DOMAIN } from "../target.ts";
import { startVeredus } from "../veredus.ts";
import { fillMaildir } from "./fill.ts";
import type { Place } from "./section.ts";

const OWNER = "u6";
const COUNT = 200_000;
/** The command and the server together. */
const MOST_MEGABYTES = 512;

export async function importRows(place: Place): Promise<Row[]> {
  const source = `${place.folder}/source`;
  fillMaildir(source, { user: OWNER, count: COUNT }, { owner: null });
  const server = await startVeredus(place);
  try {
    const args = ["run", "-A", join(PROGRAM, "main.js"), "import", "maildir", `${OWNER}@${DOMAIN}`];
    const begin = performance.now();
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args, `${source}/${OWNER}`, "--data", place.data],
      stdout: "null",
    }).spawn();
    const pids = [...server.pids(), ...processTree(child.pid)];
    const before = processorSeconds(server.pids());
    const { peak, result } = await peakDuring(pids, child.status);
    if (!result.success) throw new Failures(`import: exit code ${result.code}`);
    const seconds = (performance.now() - begin) / 1_000;
    const processor = (processorSeconds(server.pids()) - before) * 1e6 / COUNT;
    const what = `veredus import maildir, ${number(COUNT)} messages of 4 kB`;
    return [
      {
        ...{ figure: "import-large", what, unit: "/s", ours: COUNT / seconds, peer: null },
        budget: { kind: "least", least: 2_000 },
        note: `the server: ${processor.toFixed(0)} us of processor time each`,
      },
      {
        ...{
          figure: "import-large",
          what: `${what}: most resident memory of command and server`,
          unit: "MB",
        },
        ...{ ours: peak / MEGABYTE, peer: null, budget: { kind: "below", most: MOST_MEGABYTES }, note: "" },
      },
    ];
  } finally {
    await server.stop();
  }
}
