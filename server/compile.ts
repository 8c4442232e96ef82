/**
 * `deno task compile`: one executable, `dist/veredus`, from the files of the bundle (bundle.ts) and the native library of the
 * database.
 *
 * What main imports is found by `deno compile` itself; what is loaded by an address is named here. DENO_FOR_COMPILE names
 * another Deno to compile with, where the one that runs this cannot download the runtime it puts under the program
 * (.ci/denort.sh).
 */
import denoJson from "../deno.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { basename, dirname, join } from "node:path";
import { bundle } from "./bundle.ts";
import { ENGINE_FLAG_LIST } from "./process/own_command.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");
export const EXECUTABLE = join(DIST, "veredus");
/** The compiler walks deep; the stack of its threads is too small for that. */
const COMPILER_STACK_OCTETS = 64 * 1024 * 1024;

function compileArguments(
  [main, ...loaded]: readonly string[],
  { output, engineFlags }: { readonly output: string; readonly engineFlags: readonly string[] },
): string[] {
  return [
    ...["compile", "--config", configForCompile(), "--no-check", "--allow-all"],
    `--v8-flags=${engineFlags.join(",")}`,
    "--unstable-net", // reusePort and datagrams
    ...loaded.flatMap((entry) => ["--include", entry]),
    ...["--output", output, main!],
  ];
}

/** Those flags of ours that its engine has: an older one ends at a flag that it does not know. */
async function flagsKnownTo(program: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(program, {
    args: ["run", "--v8-flags=--help"],
    stdin: "null",
    stderr: "inherit",
  }).output();
  const known = new Set(new TextDecoder().decode(stdout).match(/--[a-z][a-z0-9-]*/g));
  return ENGINE_FLAG_LIST.filter((flag) => {
    const isKnown = known.has(flag.replace(/=.*/, "").replace(/^--no-/, "--"));
    if (!isKnown) console.error(`${flag} is left out: the engine of ${program} does not know it`);
    return isKnown;
  });
}

/** Every package that the configuration names goes into the executable: this one names what the bundle left outside. */
function configForCompile(): string {
  const { unstable, nodeModulesDir, compilerOptions, imports: { libsql } } = denoJson;
  const folder = join(DIST, "compile");
  Deno.mkdirSync(folder, { recursive: true });
  const file = join(folder, "deno.json");
  const config = { unstable, nodeModulesDir, compilerOptions, imports: { libsql } };
  Deno.writeTextFileSync(file, JSON.stringify(config, null, 2));
  Deno.copyFileSync(join(ROOT, "deno.lock"), join(folder, "deno.lock"));
  return file;
}

export async function compile(output = EXECUTABLE): Promise<Deno.CommandStatus> {
  const program = Deno.env.get("DENO_FOR_COMPILE") ?? Deno.execPath();
  const status = await new Deno.Command(program, {
    args: compileArguments(await bundle(), { output, engineFlags: await flagsKnownTo(program) }),
    cwd: ROOT,
    env: { RUST_MIN_STACK: String(COMPILER_STACK_OCTETS) },
    stdin: "null",
  }).spawn().status;
  if (!status.success) removeUnfinished(output);
  return status;
}

/** What a compiler that failed left beside its output. */
function removeUnfinished(output: string): void {
  for (const { name } of Deno.readDirSync(dirname(output))) {
    if (name.startsWith(`${basename(output)}.tmp-`)) Deno.removeSync(join(dirname(output), name));
  }
}

if (import.meta.main) Deno.exit((await compile()).code);
