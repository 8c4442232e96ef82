/** Every input that once broke something, again; and a seeded part of each target. `deno task fuzz` runs for long. */
import { CORPUS, fuzzTargets } from "./targets.ts";

const RUNS = 300;

for (const { name, fuzz, check } of await fuzzTargets()) {
  Deno.test(`fuzz ${name}: a seeded part`, () => fuzz(1, RUNS));
  const folder = new URL(`${name}/`, CORPUS);
  let files: string[];
  try {
    files = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    files = []; // nothing was ever found
  }
  for (const file of files) {
    Deno.test(`fuzz ${name}: corpus ${file}`, () => {
      if (check === null) throw new Error(`the target ${name} has no check for inputs of the corpus`);
      return check(Deno.readFileSync(new URL(file, folder)));
    });
  }
}
