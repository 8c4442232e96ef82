/** What is loaded by an address and not by an import: found by reading the sources. */
import { fileURLToPath } from "node:url";
import { dirname, join, relative } from "node:path";

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
  "sieve",
  "storage",
  "telemetry",
  "transfer",
];

/** Modules that a Worker is made of. */
export function workerEntries(): string[] {
  return SOURCE_FOLDERS.flatMap((folder) => [...sources(join(ROOT, folder))])
    .filter((file) => file.endsWith("_worker.ts"))
    .map((file) => relative(ROOT, file))
    .sort();
}

/** Modules whose import the compiler does not foresee, by the types of {@linkcode later} and of `atOnce` in message/. */
export function laterEntries(): string[] {
  const files = [
    ...["main.ts", "program.ts"].map((name) => join(ROOT, name)),
    ...SOURCE_FOLDERS.flatMap((folder) => [...sources(join(ROOT, folder))]),
  ];
  const entries = files.filter((file) => file.endsWith(".ts")).flatMap((file) =>
    [...Deno.readTextFileSync(file).matchAll(/\b(?:later|atOnce)<\s*typeof import\(\s*"([^"]+)"/g)]
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
