/** Results of the comparison on disk, where those of several runs of as many splits stand together, and their curve. */
import type { Catch, Step } from "./contest.ts";
import { curve } from "./curve.ts";

type ByStep = Readonly<Record<string, Catch>>;

export interface Kept {
  splits: number;
  /** By name: of all messages of the test halves, and of those that nobody's weights were chosen by. */
  filters: Record<string, { readonly all: ByStep; readonly unseen: ByStep }>;
}

const FILE = new URL("../results/filter.json", import.meta.url);
const PICTURE = new URL("../results/filter.svg", import.meta.url);
const ORDER = ["Veredus", "bogofilter", "SpamAssassin", "rspamd"];

export async function keepResults(splits: number, filters: Kept["filters"]): Promise<void> {
  const before = await read();
  const kept = { ...before?.splits === splits ? before.filters : {}, ...filters };
  const named = ORDER.flatMap((name) => kept[name] === undefined ? [] : [[name, kept[name]] as const]);
  await Deno.writeTextFile(
    FILE,
    JSON.stringify({ splits, filters: Object.fromEntries(named) }, null, 2) + "\n",
  );
  const all = named.map(([name, { all }]) => [name, stepsOf(all)] as const);
  await Deno.writeTextFile(
    PICTURE,
    curve(new Map(all), `${splits === 1 ? "one split" : `${splits} splits`} in halves, no network`),
  );
}

function stepsOf(by: ByStep): ReadonlyMap<Step, Catch> {
  return new Map(Object.entries(by).map(([step, one]) => [Number(step) as Step, one]));
}

async function read(): Promise<Kept | null> {
  try {
    return JSON.parse(await Deno.readTextFile(FILE)) as Kept;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
