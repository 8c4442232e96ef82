/** All fuzz targets: the functions `fuzz<Name>` of the modules `*_fuzz.ts` of this folder (see fuzzing.ts). */

export interface FuzzTarget {
  /** In lower case. */
  readonly name: string;
  /** Makes and checks `runs` inputs; throws when one breaks something. */
  readonly fuzz: (seed: number, runs: number) => void | Promise<void>;
  /** Checks one input of the corpus; null where the target has no input of its own form. */
  readonly check: ((input: Uint8Array) => void | Promise<void>) | null;
}

export const CORPUS: URL = new URL("./corpus/", import.meta.url);

/** Loads them, in the order of their names. Throws when a module has none. */
export async function fuzzTargets(): Promise<FuzzTarget[]> {
  const folder = new URL("./", import.meta.url);
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.endsWith("_fuzz.ts")
  );
  const targets = await Promise.all(files.map(async (file) => {
    const module = await import(new URL(file, folder).href) as Record<string, unknown>;
    const found = Object.keys(module).filter((name) => name.startsWith("fuzz")).map((name): FuzzTarget => ({
      name: name.slice("fuzz".length).toLowerCase(),
      fuzz: module[name] as FuzzTarget["fuzz"],
      check: (module[name.replace("fuzz", "check")] ?? null) as FuzzTarget["check"],
    }));
    if (found.length === 0) throw new Error(`${file} exports no function fuzz...`);
    return found;
  }));
  return targets.flat().sort((a, b) => a.name < b.name ? -1 : 1);
}
