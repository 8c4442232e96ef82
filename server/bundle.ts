/**
 * `deno task bundle`: the program in few files, `dist/program/`, which start in half the time of the sources' hundreds.
 *
 * The bundler cuts along the entries: main, Workers, and what is imported later (later.ts). Their addresses stand in the
 * sources relative to the module that names them; here they become relative to the file that module went into. An address
 * that leads nowhere ends the build. `deno task compile` makes the executable from these files; `libsql` stays outside,
 * because of its native library.
 */
import { fileURLToPath } from "node:url";
import { dirname, join, relative, resolve } from "node:path";
import { laterEntries, workerEntries } from "./entries.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const PROGRAM = join(ROOT, "dist", "program");
/** As `new URL("./x.ts", import.meta.url)` comes out of the bundler. */
const ADDRESS = /new URL\(\s*"(\.[^"]+)\.ts",\s*import\.meta\.url\s*\)/g;
/** What the bundler writes before each module. */
const MODULE = /^\/\/ (\S+\.ts)$/gm;

export function programEntries(): string[] {
  return ["main.ts", ...workerEntries(), ...laterEntries()];
}

/** Makes the bundle anew; returns its files, main first. Throws what the bundler said. */
export async function bundle(output = PROGRAM): Promise<string[]> {
  const entries = programEntries();
  removeIfThere(output);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "deno", "--code-splitting", "--external", "libsql"],
      ...["--outdir", output, ...entries],
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`the bundler failed:\n${new TextDecoder().decode(stderr)}`);
  for (const file of filesOf(output)) {
    const text = Deno.readTextFileSync(file);
    const moved = withAddresses(text, (module, address) => {
      const target = relative(ROOT, resolve(ROOT, dirname(module), `${address}.ts`));
      if (!entries.includes(target)) throw new Error(`${module} names ${target}, which is no entry`);
      const path = relative(dirname(file), join(output, target)).replace(/\.ts$/, ".js");
      return path.startsWith(".") ? path : `./${path}`;
    });
    if (moved !== text) Deno.writeTextFileSync(file, moved);
  }
  return entries.map((entry) => join(output, entry.replace(/\.ts$/, ".js")));
}

/** `text` with every address replaced; it belongs to the module whose comment stands before it. */
export function withAddresses(text: string, replace: (module: string, address: string) => string): string {
  const starts = [...text.matchAll(MODULE)].map((match) => ({ at: match.index, module: match[1]! }));
  return text.replace(ADDRESS, (_, address: string, at: number) => {
    const module = starts.findLast((start) => start.at < at)?.module ?? "";
    return `new URL(${JSON.stringify(replace(module, address))}, import.meta.url)`;
  });
}

function* filesOf(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesOf(join(folder, name));
    else if (name.endsWith(".js")) yield join(folder, name);
  }
}

function removeIfThere(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

if (import.meta.main) console.log((await bundle())[0]);
