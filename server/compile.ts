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
import { ENGINE_FLAGS } from "./process/own_command.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");
export const EXECUTABLE = join(DIST, "veredus");
/** The compiler walks deep; the stack of its threads is too small for that. */
const COMPILER_STACK_OCTETS = 64 * 1024 * 1024;

function compileArguments([main, ...loaded]: readonly string[], output: string): string[] {
  return [
    ...["compile", "--config", configForCompile(), "--no-check", "--allow-all", ENGINE_FLAGS],
    "--unstable-net", // reusePort and datagrams
    ...loaded.flatMap((entry) => ["--include", entry]),
    ...["--output", output, main!],
  ];
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
    args: compileArguments(await bundle(), output),
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
