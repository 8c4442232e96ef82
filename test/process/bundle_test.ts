/** The bundle: every address in it leads to a file of it, and the program runs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle, programEntries, withAddresses } from "../../server/bundle.ts";
import { run } from "../lib/program.ts";

const TOP = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("addresses follow the module they stand in", () => {
  const text = [
    "// server/run.ts",
    'a(new URL("./threads/single.ts", import.meta.url));',
    "// auth/x.ts",
    "b(new URL(",
    '  "../bytes/y.ts",',
    "  import.meta.url",
    "));",
    'c(new URL("https://example.org/z.ts"));',
  ].join("\n");
  const seen: string[] = [];
  const moved = withAddresses(text, (module, address) => {
    seen.push(`${module} ${address}`);
    return `./${seen.length}.js`;
  });
  assert.deepEqual(seen, ["server/run.ts ./threads/single", "auth/x.ts ../bytes/y"]);
  assert.match(moved, /a\(new URL\("\.\/1\.js", import\.meta\.url\)\);/);
  assert.match(moved, /b\(new URL\("\.\/2\.js", import\.meta\.url\)\);/);
  assert.match(moved, /example\.org\/z\.ts/);
});

Deno.test("the program is bundled whole and runs", async () => {
  // Below the sources, so that the configuration there names the package that stays outside.
  const work = join(TOP, "test", ".work");
  Deno.mkdirSync(work, { recursive: true });
  const folder = Deno.makeTempDirSync({ dir: work, prefix: "bundle-" });
  try {
    const [main, ...loaded] = await bundle(join(folder, "program"));
    assert.equal(loaded.length, programEntries().length - 1);
    for (const file of loaded) assert.ok(Deno.statSync(file).isFile, file);
    for (const args of [["version"], ["config", "example"], ["account", "--help"]]) {
      const { code, stdout, stderr } = await run(Deno.execPath(), ["run", "-A", "--quiet", main!, ...args]);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.length > 4, args.join(" "));
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
