/** docs/conformance.md names tests: every file, folder and test that it names is there. */
import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
/** A path in backquotes or bare below test/, or the beginning of a test's name in quotes. */
const NAMED = /`([\w/.-]+(?:\.ts|\.txt|\/))`|\b(test\/[\w/]+\.ts)|"([^"]+)"/g;

function exists(path: string): boolean {
  try {
    Deno.statSync(new URL(path, ROOT));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("every test that conformance.md names exists", async () => {
  const text = await Deno.readTextFile(new URL("docs/conformance.md", ROOT));
  const missing: string[] = [];
  for (const line of text.split("\n").filter((one) => one.startsWith("|"))) {
    let file = "";
    for (const [, quoted, bare, name] of line.split("|").at(-2)!.matchAll(NAMED)) {
      if (name === undefined) {
        file = bare ?? (quoted!.startsWith("test/") ? quoted! : `test/${quoted}`);
        if (!exists(file)) missing.push(file);
        continue;
      }
      if (!file.endsWith(".ts") || !exists(file)) continue;
      const beginning = name.split("...")[0]!.trim();
      const source = await Deno.readTextFile(new URL(file, ROOT));
      if (!source.includes(beginning)) missing.push(`${file}: "${beginning}"`);
    }
  }
  assert.deepEqual(missing, []);
});
