/** What the threads of a server load at its start; main: no protocol driver, no database, no web framework, no reader of YAML. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join, relative } from "node:path";
import { laterEntries } from "../../server/entries.ts";
import { runOk } from "../lib/program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Loaded one after the other by `veredus start` before somebody asks for the API. */
const STEPS = [
  "main.ts",
  "program.ts",
  "server/process/start.ts",
  "server/threads/threaded.ts",
  "admin/serve.ts",
];

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

/**
 * Modules and packages that are imported when the entry is; with `foreseen` also what an `import()` names there, which
 * the runtime reads all the same.
 */
async function loadedBy(entry: string, { foreseen = false } = {}): Promise<Set<string>> {
  const { stdout } = await runOk(Deno.execPath(), ["info", "--json", entry], { cwd: ROOT });
  const graph = JSON.parse(stdout) as Graph;
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const open = [new URL(entry, `file://${ROOT}`).href];
  const seen = new Set(open);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { specifier, code, isDynamic } of modules.get(next)?.dependencies ?? []) {
      if ((isDynamic && !foreseen) || code === undefined) continue;
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
    /^protocols\/(?!sasl\/)|^delivery\/(?!routes)|^message\/|^dns\/(dnssec|caching_resolver)|^server\/(imap|smtp|pop3|frontend|queue_part|writer_part)/
      .test(name) ||
    /^storage\/(libsql|database|writer|open_store)\.ts$/.test(name) ||
    /libsql|drizzle|hono|zod|yaml|x509|clack|cli-progress|hash-wasm/.test(name)
  );
  assert.deepEqual(heavy, []);
});

Deno.test("a front end loads no list of suffixes, no patterns, and nothing of configuration or administration", async () => {
  const loaded = [...await loadedBy("server/threads/frontend_worker.ts")];
  assert.ok(
    loaded.includes("server/imap.ts") && loaded.includes("mailauth/dmarc.ts"),
    "the graph was not read",
  );
  const heavy = loaded.filter((name) =>
    /^admin\/|^server\/config\/(load|schema)|tldts|re2js|iconv|drizzle|hono|zod|yaml|x509|clack|hash-wasm/
      .test(
        name,
      )
  );
  assert.deepEqual(heavy, []);
});

Deno.test("the runtime foresees nothing of the administration, the drivers or the database when it starts main", async () => {
  const read = new Set<string>();
  for (const entry of STEPS.slice(0, 3)) {
    for (const name of await loadedBy(entry, { foreseen: true })) read.add(name);
  }
  assert.ok(read.has("server/later.ts") && read.has("server/run.ts"), "the graph was not read");
  const heavy = [...read].filter((name) =>
    /^admin\/|^protocols\/(?!sasl\/)|^delivery\/(?!routes)|^message\/|^storage\/(libsql|database|writer|open_store)\.ts$/
      .test(name) ||
    /^server\/(imap|smtp|pop3|frontend|queue_part|indexer_part|writer_part)/.test(name) ||
    /libsql|drizzle|hono|zod|yaml|clack|cli-progress|hash-wasm/.test(name)
  );
  assert.deepEqual(heavy, []);
});

Deno.test("no thread of a server loads what takes text out of attached files", async () => {
  for (const role of ["frontend", "indexer", "queue", "writer"]) {
    const loaded = [...await loadedBy(`server/threads/${role}_worker.ts`, { foreseen: true })];
    assert.ok(loaded.includes("server/threads/worker_side.ts"), "the graph was not read");
    const heavy = loaded.filter((name) =>
      /unpdf|^search\/extract\/(?!file_kind)|^server\/extract_.*_worker/.test(name)
    );
    assert.deepEqual(heavy, [], role);
  }
});

Deno.test("what is imported later goes into the executable", () => {
  const entries = laterEntries();
  for (
    const name of [
      "admin/serve.ts",
      "message/charset_library.ts",
      "server/process/start.ts",
      "server/threads/threaded.ts",
    ]
  ) {
    assert.ok(entries.includes(name), name);
  }
  for (const name of entries) assert.ok(Deno.statSync(join(ROOT, name)).isFile, name);
});
