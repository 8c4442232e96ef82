/**
 * Every text that IMAP, POP3 or ManageSieve answers a client with is told in some test: a transcript or a test file of that
 * protocol holds it, so an answer that nothing reaches is found here.
 *
 * Read from the sources: a string is such a text when it is a sentence (a capital first, a word behind it), or what the
 * grammar of IMAP expected ("Expected <it> at octet n"). Names, response codes and what is logged are none.
 */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Protocol {
  /** Files and folders that answer. */
  readonly sources: readonly string[];
  /** In the path of its transcripts and tests. */
  readonly tests: RegExp;
}

/** Tests of whole servers speak several protocols. */
const WHOLE = "test/(?:integration|process|peers)/";
const PROTOCOLS: readonly Protocol[] = [
  {
    sources: ["protocols/imap", "server/imap", "server/imap.ts"],
    tests: new RegExp(`imap|${WHOLE}`),
  },
  { sources: ["protocols/pop3", "server/pop3", "server/pop3.ts"], tests: new RegExp(`pop3|${WHOLE}`) },
  {
    sources: ["protocols/managesieve", "server/managesieve", "server/managesieve.ts"],
    tests: new RegExp(`managesieve|${WHOLE}`),
  },
  { sources: ["protocols/sasl"], tests: /sasl|imap|pop3|submission|managesieve/ },
];

/** A capital or a name in place of it, and a word behind it. */
const SENTENCE = /^(?:[A-Z][\w'-]*|\$\{\w+\}),? (?:[^$]* )?[a-z]{2}/;
/** Before what the grammar expects: it is an argument of these, or an option. */
const EXPECTED =
  /(?:\bfail\(|\bexpected(?: =|:) |\b(?:atom|astring|n?string|astringOctets)\(cursor, |\b(?:expect|number|run)\([\w.]+, )$/;
/** Texts of the operator's: what a metric counts. */
const METRICS = /(?:counter|gauge|histogram)\(\s*"[a-z0-9_]+",\s*$/;

function* files(path: string): Generator<string> {
  if (Deno.statSync(path).isFile) return yield path;
  for (const { name } of Deno.readDirSync(path)) yield* files(join(path, name));
}

/** Without comments; the lines stay where they are. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

interface Text {
  readonly place: string;
  /** Matches a test that tells it. */
  readonly told: RegExp;
}

function* textsOf(path: string): Generator<Text> {
  const source = code(Deno.readTextFileSync(path));
  for (const match of source.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'/g)) {
    const words = match[1] ?? match[2] ?? match[3] ?? "";
    const before = source.slice(Math.max(0, match.index - 100), match.index);
    const sentence = SENTENCE.test(words);
    const expected = EXPECTED.test(before);
    const thrown = /(?:\bnew \w*Error\(|\blog\.\w+\()$/.test(before) || METRICS.test(before);
    if ((!sentence && !expected) || thrown) continue;
    const line = source.slice(0, match.index).split("\n").length;
    const pieces = words.replace(/\\(["'`\\])/g, "$1").split(/\$\{[^}]*\}/);
    // Anything for what varies; the grammar's own tests name what was expected in quotes.
    const pattern = pieces.map((piece) => piece.replace(/[.*+?^()|[\]\\{}$]/g, "\\$&")).join(".{1,80}?");
    const told = new RegExp(
      expected ? `Expected ${pattern}(?: of at most \\d+)? at octet|"${pattern}"` : pattern,
    );
    yield { place: `${relative(ROOT, path)}:${line}: ${words}`, told };
  }
}

for (const { sources, tests: where } of PROTOCOLS) {
  Deno.test(`every answer of ${sources[0]} is told in a test`, () => {
    const tests = [...files(join(ROOT, "test"))]
      .filter((path) => /\.(?:ts|txt|py|pl)$/.test(path) && where.test(relative(ROOT, path)))
      .map((path) => Deno.readTextFileSync(path)).join("\n");
    const texts = sources.flatMap((source) => [...files(join(ROOT, source))]).flatMap((file) => [
      ...textsOf(file),
    ]);
    assert.ok(texts.length > 4, "the reader of texts is broken");
    assert.deepEqual(texts.filter((text) => !text.told.test(tests)).map(({ place }) => place), []);
  });
}
