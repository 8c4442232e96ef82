/** What main of a threaded server loads: no protocol driver, no database, no web framework, no reader of YAML. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { relative } from "node:path";
import { runOk } from "../lib/program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Loaded one after the other by `veredus start` before somebody asks for the API. */
const STEPS = ["main.ts", "server/process/start.ts", "server/threads/threaded.ts", "admin/serve.ts"];

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** Modules and packages that are imported when the entry is, without what is imported on demand. */
async function loadedBy(entry: string): Promise<Set<string>> {
  const { stdout } = await runOk(Deno.execPath(), ["info", "--json", entry], { cwd: ROOT });
  const graph = JSON.parse(stdout) as Graph;
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const open = [new URL(entry, `file://${ROOT}`).href];
  const seen = new Set(open);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { specifier, code, isDynamic } of modules.get(next)?.dependencies ?? []) {
      if (isDynamic || code === undefined) continue;
      const target = code.specifier ?? specifier;
      if (!seen.has(target)) open.push(target);
      seen.add(target);
    }
  }
  return new Set([...seen].map((url) => url.startsWith("file:") ? relative(ROOT, fileURLToPath(url)) : url));
}

Deno.test("main of a threaded server loads neither drivers nor the database nor the API", async () => {
  const loaded = new Set<string>();
  for (const entry of STEPS) for (const name of await loadedBy(entry)) loaded.add(name);
  assert.ok(loaded.has("server/run.ts") && loaded.has("storage/lock.ts"), "the graph was not read");
  const heavy = [...loaded].filter((name) =>
    /^protocols\/(?!sasl\/)|^delivery\/|^message\/|^server\/(imap|smtp|pop3|frontend_part|queue_part|writer_part)/
      .test(name) ||
    /^storage\/(libsql|database|writer|open_store)\.ts$/.test(name) ||
    /libsql|drizzle|hono|zod|yaml|x509|clack|cli-progress|hash-wasm/.test(name)
  );
  assert.deepEqual(heavy, []);
});
