/**
 * `deno task compile`: one executable, `dist/veredus`, with the workers, the migrations and the native library of the
 * database inside.
 *
 * What main.ts imports is found by `deno compile` itself; entries of Workers and modules imported later (later.ts) are
 * named here, found by reading the sources. DENO_FOR_COMPILE names another Deno to compile with, where the one that runs this cannot download the
 * runtime it puts under the program (.ci/denort.sh).
 */
import denoJson from "../deno.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { basename, dirname, join, relative } from "node:path";
import { ENGINE_FLAGS } from "./process/own_command.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Folders whose code the executable may run. */
export const SOURCE_FOLDERS = [
  "admin",
  "auth",
  "bytes",
  "delivery",
  "dns",
  "filter",
  "mailauth",
  "message",
  "protocols",
  "search",
  "server",
  "storage",
  "telemetry",
  "transfer",
];
const DIST = join(ROOT, "dist");
export const EXECUTABLE = join(DIST, "veredus");
/** The compiler walks deep; the stack of its threads is too small for that. */
const COMPILER_STACK_OCTETS = 64 * 1024 * 1024;

export function compileArguments(output: string): string[] {
  return [
    "compile",
    "--config",
    configForCompile(),
    "--no-check", // `deno task check` does it, once
    "--allow-all",
    ENGINE_FLAGS,
    "--unstable-net", // reusePort and datagrams
    ...[...workerEntries(), ...laterEntries()].flatMap((entry) => ["--include", entry]),
    "--output",
    output,
    "main.ts",
  ];
}

/**
 * Every package that the configuration names goes into the executable, whoever imports it: this one names those that
 * the sources import, with the same versions and the same lock.
 */
function configForCompile(): string {
  const used = importedPackages();
  const { unstable, nodeModulesDir, compilerOptions } = denoJson;
  const imports = Object.fromEntries(Object.entries(denoJson.imports).filter(([name]) => used.has(name)));
  const folder = join(DIST, "compile");
  Deno.mkdirSync(folder, { recursive: true });
  const file = join(folder, "deno.json");
  Deno.writeTextFileSync(
    file,
    JSON.stringify({ unstable, nodeModulesDir, compilerOptions, imports }, null, 2),
  );
  Deno.copyFileSync(join(ROOT, "deno.lock"), join(folder, "deno.lock"));
  return file;
}

/** Names in deno.json that the sources of the executable import. */
function importedPackages(): Set<string> {
  const files = [
    join(ROOT, "main.ts"),
    ...SOURCE_FOLDERS.flatMap((folder) => [...sources(join(ROOT, folder))]),
  ];
  const texts = files.filter((file) => file.endsWith(".ts")).map((file) => Deno.readTextFileSync(file));
  const specifiers = texts.flatMap((text) => [...text.matchAll(/(?:from|import|import\()\s*"([^".][^"]*)"/g)])
    .map((match) => match[1]!);
  return new Set(
    Object.keys(denoJson.imports).filter((name) =>
      specifiers.some((specifier) => specifier === name || specifier.startsWith(`${name}/`))
    ),
  );
}

/** Modules that a Worker is made of. */
export function workerEntries(): string[] {
  return SOURCE_FOLDERS.flatMap((folder) => [...sources(join(ROOT, folder))])
    .filter((file) => file.endsWith("_worker.ts"))
    .map((file) => relative(ROOT, file))
    .sort();
}

/** Modules whose import the compiler does not foresee, by the types of {@linkcode later}. */
export function laterEntries(): string[] {
  const files = [
    join(ROOT, "main.ts"),
    ...SOURCE_FOLDERS.flatMap((folder) => [...sources(join(ROOT, folder))]),
  ];
  const entries = files.filter((file) => file.endsWith(".ts")).flatMap((file) =>
    [...Deno.readTextFileSync(file).matchAll(/\blater<\s*typeof import\(\s*"([^"]+)"/g)]
      .map((match) => relative(ROOT, join(dirname(file), match[1]!)))
  );
  return [...new Set(entries)].sort();
}

function* sources(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sources(join(folder, name));
    else yield join(folder, name);
  }
}

export async function compile(output = EXECUTABLE): Promise<Deno.CommandStatus> {
  const program = Deno.env.get("DENO_FOR_COMPILE") ?? Deno.execPath();
  const status = await new Deno.Command(program, {
    args: compileArguments(output),
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
