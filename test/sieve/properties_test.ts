/** Properties: what is printed parses to the same tree, nothing throws, wildcards agree with a plain oracle. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encode } from "../../bytes/decode.ts";
import { matchGlob, parseGlob } from "../../sieve/glob.ts";
import { EMPTY_HOST } from "../../sieve/host.ts";
import { MessageView } from "../../sieve/message_view.ts";
import { parseScript } from "../../sieve/parser.ts";
import { printScript } from "../../sieve/printer.ts";
import { compileScript } from "../../sieve/program.ts";
import type { ArgumentNode, Node } from "../../sieve/syntax.ts";

const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/).filter((text) => text !== "text");
const string = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) =>
  text.toWellFormed().replaceAll("\0", "")
);
const argument: fc.Arbitrary<ArgumentNode> = fc.oneof(
  name.map((tag) => ({ kind: "tag" as const, name: tag, at: 0 })),
  fc.nat().map((value) => ({ kind: "number" as const, value, at: 0 })),
  fc.tuple(fc.array(string, { maxLength: 4 }), fc.boolean()).map(([values, list]) => ({
    kind: "strings" as const,
    values: (list ? values : [values[0] ?? ""]).map((text) => ({ text, at: 0 })),
    list,
    at: 0,
  })),
);

function node(depth: number, block: boolean): fc.Arbitrary<Node> {
  const inner = (arbitrary: () => fc.Arbitrary<Node>): fc.Arbitrary<readonly Node[]> =>
    depth === 0 ? fc.constant([]) : fc.array(arbitrary(), { maxLength: 2 });
  return fc.record({
    name,
    at: fc.constant(0),
    arguments: fc.array(argument, { maxLength: 3 }),
    tests: inner(() => node(depth - 1, false)),
    block: block ? fc.option(inner(() => node(depth - 1, true))) : fc.constant(null),
  });
}

function withoutPlaces(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => key === "at" ? undefined : inner));
}

Deno.test("property: a printed tree parses to itself", () => {
  fc.assert(
    fc.property(fc.array(node(2, true), { maxLength: 3 }), (commands) => {
      const parsed = parseScript(printScript(commands), {
        ...{ octets: 1e6, nesting: 100, nodes: 1e6, stringsInList: 100 },
      });
      if ("fault" in parsed) assert.fail(JSON.stringify(parsed.fault));
      assert.deepEqual(withoutPlaces(parsed.commands), withoutPlaces(commands));
    }),
    { numRuns: 500 },
  );
});

Deno.test("property: no text throws, neither as a script nor as a message", async () => {
  const words = fc.constantFrom(
    ..."if elsif else keep; discard; stop require [ ] { } ( ) , ; :is :matches :contains header exists".split(
      " ",
    ),
    '"subject"',
    '"*"',
    '"fileinto"',
    "fileinto",
    "redirect",
    "set",
    '"${a}"',
    '"variables"',
    "not",
    "anyof",
    "text:",
    "#",
    "/*",
    "\n",
    '"regex"',
    ":regex",
    '"("',
    "size",
    ":over",
    "1K",
    "foreverypart",
    '"foreverypart"',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(words, string), { maxLength: 40 }),
      fc.string(),
      async (pieces, message) => {
        const compiled = await compileScript(encode(pieces.join(" ")));
        if ("program" in compiled) compiled.program.run(new MessageView(encode(message)), EMPTY_HOST);
      },
    ),
    { numRuns: 500 },
  );
});

/** The plain form: a backtracking expression, character by character. */
function oracle(pattern: string): RegExp {
  const characters = [...pattern];
  let source = "";
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (character === "*") source += "(.*?)";
    else if (character === "?") source += "(.)";
    else {
      const plain = character === "\\" && i + 1 < characters.length ? characters[++i]! : character;
      source += `\\u{${plain.codePointAt(0)!.toString(16)}}`;
    }
  }
  return new RegExp(`^${source}$`, "su");
}

Deno.test("property: wildcards match, and capture as little, as a lazy expression does", () => {
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*", "?", "\\", "\u{1f600}"), maxLength: 8 })
    .filter((text) => !/\\$/.test(text));
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\u{1f600}", "*"), maxLength: 10 });
  fc.assert(
    fc.property(pattern, text, (glob, value) => {
      const expected = oracle(glob).exec(value);
      const found = matchGlob(parseGlob(glob), value);
      assert.deepEqual(found, expected === null ? null : expected.slice(1), `${glob} in ${value}`);
    }),
    { numRuns: 3_000 },
  );
});
