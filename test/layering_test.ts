/**
 * The house holds: every import is read, and one that crosses a wall where there is no door fails.
 *
 * Type-only imports count like others, except where a folder may know another's types only. The pure folders also hold
 * no clock, randomness, socket or runtime; `libsql` has one importer, its wrapper.
 */
import assert from "node:assert/strict";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folder to the folders it may import; `types:x` allows type imports only. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  bytes: [],
  message: ["bytes"],
  telemetry: [],
  dns: ["bytes", "telemetry"],
  protocols: ["bytes", "message"],
  sieve: ["bytes", "message"],
  storage: ["bytes", "types:message", "telemetry"],
  search: ["bytes", "message", "storage", "telemetry"],
  transfer: ["bytes", "delivery", "message", "protocols", "storage", "telemetry"],
  auth: ["bytes", "protocols", "storage", "telemetry"],
  mailauth: ["bytes", "dns", "message", "telemetry"],
  filter: ["bytes", "dns", "mailauth", "message", "types:protocols", "types:storage", "telemetry"],
  delivery: [
    "auth",
    "bytes",
    "dns",
    "filter",
    "mailauth",
    "message",
    "protocols",
    "sieve",
    "storage",
    "telemetry",
  ],
  server: [
    "auth",
    "bytes",
    "delivery",
    "dns",
    "filter",
    "message",
    "protocols",
    "search",
    "sieve",
    "storage",
    "telemetry",
  ],
  admin: [
    "auth",
    "bytes",
    "delivery",
    "dns",
    "message",
    "protocols",
    "search",
    "sieve",
    "storage",
    "telemetry",
    "transfer",
    "types:server",
  ],
};

/** Folders without sockets, clocks, randomness and runtime (design, invariant 3). */
const PURE = ["bytes", "message", "protocols", "sieve", "dns"];
const IMPURE =
  /\b(Deno\.\w+|Date\.now|Math\.random|performance\.now|setTimeout|setInterval|crypto\.getRandomValues|fetch\()/;

interface Import {
  readonly from: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function* sources(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sources(path);
    else if (entry.name.endsWith(".ts") || entry.name.endsWith(".tsx")) yield path;
  }
}

function importsOf(file: string): Import[] {
  const text = Deno.readTextFileSync(file);
  const statements = text.matchAll(
    /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[\w*{][^;"']*?\sfrom\s*)?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.ts)["']/g,
  );
  return [...statements].map((match) => ({
    from: file,
    target: match[3] ?? match[4] ?? match[5]!,
    typeOnly: match[2] !== undefined || onlyTypes(match[0]),
  }));
}

/** `import { type A, type B }` imports nothing at run time either. */
function onlyTypes(statement: string): boolean {
  const names = /\{([^}]*)\}/.exec(statement)?.[1];
  if (names === undefined) return false;
  const parts = names.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.length > 0 && parts.every((part) => part.startsWith("type "));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'])\/\/.*$/gm, "$1");
}

Deno.test("imports go only through doors", () => {
  const faults: string[] = [];
  let seen = 0;
  for (const [folder, allowed] of Object.entries(DOORS)) {
    for (const file of sources(join(ROOT, folder))) {
      for (const { target, typeOnly } of importsOf(file)) {
        if (!target.startsWith(".") || target.endsWith("/deno.json")) continue; // our name and version
        seen++;
        const to = relative(ROOT, resolve(dirname(file), target)).split("/")[0]!;
        const open = to === folder || allowed.includes(to) || (typeOnly && allowed.includes(`types:${to}`));
        if (!open) faults.push(`${relative(ROOT, file)} imports ${target}: ${folder} has no door to ${to}`);
      }
    }
  }
  assert.ok(seen > 300, `only ${seen} imports were found: the reader of imports is broken`);
  assert.deepEqual(faults, []);
});

Deno.test("every folder of sources is named here", () => {
  const others = new Set(["test", "bench", "docs", "dist", "node_modules"]);
  const folders = [...Deno.readDirSync(ROOT)].filter(({ isDirectory, name }) =>
    isDirectory && !name.startsWith(".") && !name.startsWith("veredus-data") && !others.has(name)
  ).map(({ name }) => name).filter((name) => [...sources(join(ROOT, name))].length > 0);
  assert.deepEqual(folders.filter((name) => !(name in DOORS)), []);
});

Deno.test("pure folders hold no clock, randomness, socket or runtime", () => {
  const faults: string[] = [];
  for (const path of PURE) {
    const full = join(ROOT, path);
    for (const file of path.endsWith(".ts") ? [full] : sources(full)) {
      const match = IMPURE.exec(withoutComments(Deno.readTextFileSync(file)));
      if (match !== null) faults.push(`${relative(ROOT, file)} uses ${match[1]}`);
    }
  }
  assert.deepEqual(faults, []);
});

Deno.test("libsql has one importer, and hot paths no unprepared driver", () => {
  const importers: string[] = [];
  for (const folder of Object.keys(DOORS)) {
    for (const file of sources(join(ROOT, folder))) {
      for (const { target } of importsOf(file)) {
        if (target === "libsql" || target === "better-sqlite3") importers.push(relative(ROOT, file));
      }
    }
  }
  assert.deepEqual(importers, ["storage/libsql.ts"]);
});

Deno.test("every dependency is of npm and has one version, which the lock file knows", () => {
  const read = (name: string) => JSON.parse(Deno.readTextFileSync(join(ROOT, name)));
  const { imports } = read("deno.json") as { imports: Record<string, string> };
  const { specifiers } = read("deno.lock") as { specifiers: Record<string, string> };
  assert.ok(Object.keys(imports).length > 10);
  for (const [name, source] of Object.entries(imports)) {
    const version = /^npm:(@[\w-]+\/)?[\w.-]+@(\d+\.\d+\.\d+)$/.exec(source)?.[2];
    assert.notEqual(version, undefined, `${name}: ${source}`);
    assert.equal(specifiers[source]?.split("_")[0], version, name);
  }
});

Deno.test("the reader of imports sees every form", () => {
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(
    file,
    [
      'import { a } from "../a.ts";',
      'import type { B } from "../b.ts";',
      'import { type C, type D } from "../c.ts";',
      'import {\n  e,\n  f,\n} from "../e.ts";',
      'export * from "../g.ts";',
      'import "../h.ts";',
      'const i = await import("../i.ts");',
      'const w = new URL("./w.ts", import.meta.url);',
    ].join("\n"),
  );
  const found = importsOf(file).map(({ target, typeOnly }) => `${target}${typeOnly ? " (type)" : ""}`);
  Deno.removeSync(file);
  assert.deepEqual(found, [
    "../a.ts",
    "../b.ts (type)",
    "../c.ts (type)",
    "../e.ts",
    "../g.ts",
    "../h.ts",
    "../i.ts",
    "./w.ts",
  ]);
});
