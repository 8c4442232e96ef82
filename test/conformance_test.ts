/**
 * docs/conformance.md names tests: every file, folder and test that it names is there; and each capability that IMAP offers has a
 * line.
 */
import assert from "node:assert/strict";
import { capabilities, type CapabilityFacts } from "../protocols/imap/capability.ts";

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

Deno.test("every capability that IMAP offers has a line in conformance.md", async () => {
  const text = await Deno.readTextFile(new URL("docs/conformance.md", ROOT));
  const facts: Omit<CapabilityFacts, "authenticated" | "loginDisabled"> = {
    startTlsAvailable: true,
    literals: "LITERAL+",
    mechanisms: ["PLAIN"],
    appendLimitOctets: 1,
    messageLimit: 1,
    saveLimit: 1,
    sieveUrl: "sieve://mx.example.test",
    sharing: true,
    quotaSet: true,
    hidden: new Set(),
  };
  const offered = [
    capabilities({ ...facts, authenticated: true, loginDisabled: false }),
    capabilities({
      ...facts,
      authenticated: true,
      loginDisabled: false,
      messageLimit: 0,
      literals: "LITERAL-",
    }),
    capabilities({ ...facts, authenticated: false, loginDisabled: true }),
    capabilities({ ...facts, authenticated: false, loginDisabled: false }),
  ].flatMap((line) => line.split(" "));
  // There is no JMAP, and these are left out for good.
  const leftOut =
    /^(?:JMAPACCESS|CATENATE|URLAUTH.*|LOGIN-REFERRALS|ANNOTATE-EXPERIMENT-1|XAPPLEPUSHSERVICE)$/;
  assert.deepEqual(offered.filter((one) => leftOut.test(one)), []);
  const names = new Set(
    offered.map((one) => one.replace(/^(APPENDLIMIT|MESSAGELIMIT|SAVELIMIT|AUTH|IMAPSIEVE)=.*$/, "$1")),
  );
  const lines = text.split("\n").filter((line) => line.startsWith("|")).map((line) =>
    line.split("|").slice(1, -2).join("|")
  );
  const words = new Set(
    lines.flatMap((line) => line.split(/[\s,;:()]+/)).map((word) => word.replace(/^AUTH=$/, "AUTH")),
  );
  assert.deepEqual([...names].filter((name) => !words.has(name)), []);
});
