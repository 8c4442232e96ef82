/** The base language: RFC 5228, by its own examples where it has them. */
import assert from "node:assert/strict";
import { actionsOf, faultsOf, holds, MESSAGE, outcomeOf } from "./harness.ts";

const EXTENDED = `require ["fileinto", "envelope"];
# Handle messages from known mailing lists
if header :is "Sender" "owner-ietf-mta-filters@imc.org" {
  fileinto "filter";  # move to "filter" mailbox
}
# Keep all messages to or from people in my company
elsif address :DOMAIN :is ["From", "To"] "example.com" {
  keep;
}
# Try and catch unsolicited email.
elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
             header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) {
  fileinto "spam";
} else {
  fileinto "personal";
}
`;

Deno.test("the extended example of RFC 5228 9 files as it says", async () => {
  const cases: [string, string][] = [
    ["Sender: owner-ietf-mta-filters@imc.org\nTo: me@example.com\n\n", 'fileinto "filter"'],
    ["From: boss@example.com\nTo: x@example.org\n\n", "keep"],
    ["From: x@spam.example\nTo: you@example.org\nSubject: hi\n\n", 'fileinto "spam"'],
    [
      "From: a@b.example\nTo: me@example.com.au, me@example.com.example\nSubject: make MONEY fast\n\n",
      'fileinto "spam"',
    ],
    ["From: a@b.example\nCc: ME@example.com.example\nSubject: hello\n\n", 'fileinto "personal"'],
  ];
  for (const [message, expected] of cases) assert.equal(await actionsOf(EXTENDED, { message }), expected);
});

Deno.test("an empty script keeps, and so does one that only looks", async () => {
  assert.equal(await actionsOf(""), "implicit keep");
  assert.equal(await actionsOf("# nothing\n/* at\nall */\n"), "implicit keep");
  assert.equal(await actionsOf("if true { }"), "implicit keep");
});

Deno.test("what cancels the implicit keep and what does not", async () => {
  assert.equal(await actionsOf("discard;"), "discard");
  assert.equal(await actionsOf('redirect "a@example.org";'), 'redirect "a@example.org"');
  assert.equal(
    await actionsOf('require ["copy"]; redirect :copy "a@example.org";'),
    'redirect "a@example.org", implicit keep',
  );
  assert.equal(
    await actionsOf('require ["fileinto", "copy"]; fileinto :copy "x";'),
    'fileinto "x", implicit keep',
  );
  assert.equal(await actionsOf("stop; discard;"), "implicit keep");
  assert.equal(await actionsOf("discard; keep;"), "discard, keep");
});

Deno.test("2.10.3: the same place twice is once", async () => {
  const { actions } = await outcomeOf(
    'require "fileinto"; fileinto "a"; fileinto "a"; keep; keep; redirect "A@b.example"; redirect "a@B.example";',
  );
  assert.deepEqual(actions.map(({ kind }) => kind), ["fileinto", "keep", "redirect"]);
});

Deno.test("strings: quotes, texts with dots, encoded characters by the table of 2.4.2.4", async () => {
  const value = async (text: string) => {
    const { actions } = await outcomeOf(`require ["fileinto", "encoded-character"]; fileinto ${text};`);
    return actions[0]?.kind === "fileinto" ? actions[0].mailbox : "";
  };
  assert.equal(await value('"a\\"b\\\\c\\d"'), 'a"b\\cd');
  const table: [string, string][] = [
    ["$${hex:40}", "$@"],
    ["${hex: 40 }", "@"],
    ["${HEX: 40}", "@"],
    ["${hex:40", "${hex:40"],
    ["${hex:400}", "${hex:400}"],
    ["${hex:4${hex:30}}", "${hex:40}"],
    ["${unicode:40}", "@"],
    ["${ unicode:40}", "${ unicode:40}"],
    ["${UnICoDE:0000040}", "@"],
    ["${Unicode:Cool}", "${Unicode:Cool}"],
    ["${hex:C3 A9}", "é"],
  ];
  for (const [written, meant] of table) assert.equal(await value(JSON.stringify(written)), meant, written);
  for (const wrong of ["${unicode:200000}", "${Unicode:DF01}"]) {
    assert.deepEqual(await faultsOf(`require "encoded-character";\nredirect "${wrong}";`), [
      "line 2, column 10: the character number is not in Unicode",
    ]);
  }
  const { actions } = await outcomeOf('require "vacation"; vacation text: # words\nfirst\n..second\n.\n;');
  assert.equal(actions[0]?.kind === "vacation" && actions[0].reason, "first\r\n.second\r\n");
});

Deno.test("tests of the header", async () => {
  const cases: [string, boolean][] = [
    ['header :is "subject" "i HAVE a present for you"', true],
    ['header :comparator "i;octet" :is "subject" "i HAVE a present for you"', false],
    ['header :contains ["x-none", "subject"] ["anvil", "present"]', true],
    ['header :matches "subject" "I*a ?resent*"', true],
    ['header :matches "subject" "I*a \\\\?resent*"', false],
    ['header :contains "subject" ""', true],
    ['header :contains "x-none" ""', false],
    ['exists ["from", "DATE"]', true],
    ['exists ["from", "x-none"]', false],
    ['address :localpart "from" "coyote"', true],
    ['address :domain :contains "from" "desert"', true],
    ['address "from" "coyote@DESERT.example.org"', true],
    ['header :is "from" "coyote@desert.example.org"', false],
    ["size :over 100", true],
    ["size :under 1K", true],
    ["size :over 1M", false],
    ["not false", true],
    ["allof (true, false)", false],
    ["anyof (false, true)", true],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test), expected, test);
});

Deno.test("values are decoded, unfolded and trimmed", async () => {
  const message =
    "Subject:   =?utf-8?q?caf=C3=A9?=\n au lait  \nFrom: =?iso-8859-1?q?Andr=E9?= <a@example.org>\n\n";
  assert.equal(await holds('header :is "subject" "café au lait"', { message }), true);
  assert.equal(await holds('header :contains "from" "André"', { message }), true);
  assert.equal(
    await holds('header :comparator "i;unicode-casemap" :is "subject" "CAFÉ AU LAIT"', {
      message,
      require: '"comparator-i;unicode-casemap"',
    }),
    true,
  );
});

Deno.test("envelope tests ask who sent and to whom", async () => {
  const given = {
    require: '"envelope"',
    host: { envelope: { from: "tim@example.com", to: "me+lists@example.org" } },
  };
  assert.equal(await holds('envelope :all :is "from" "TIM@example.com"', given), true);
  assert.equal(await holds('envelope :domain "to" "example.org"', given), true);
  assert.equal(
    await holds('envelope "from" ""', { ...given, host: { envelope: { from: "", to: "x@y" } } }),
    true,
  );
});

Deno.test("faults have their line and column, and several are told", async () => {
  const cases: [string, string[]][] = [
    ["keep", ['line 1, column 5: expected ";" or a block, not the end']],
    ["if true { keep; ", ['line 1, column 17: expected "}", not the end']],
    ['fileinto "x";', ['line 1, column 1: fileinto needs require "fileinto"']],
    ['require "nothing";', ['line 1, column 9: there is no extension "nothing"']],
    ['keep;\nrequire "fileinto";', ["line 2, column 1: require only at the top of a script"]],
    ["else { }", ["line 1, column 1: else without an if before it"]],
    ["if true { } else { } else { }", ["line 1, column 22: nothing follows an else"]],
    ['header :is "a" "b";', ["line 1, column 1: header is a test"]],
    ["if keep { }", ["line 1, column 4: keep is no test"]],
    ["blub;", ["line 1, column 1: there is no command blub"]],
    ['if header :is :contains "a" "b" { }', [
      "line 1, column 15: :contains and :is exclude each other",
    ]],
    ['if header "a" { }', ["line 1, column 4: header needs a list of strings"]],
    ['if size "1" { }', ["line 1, column 9: size needs a number here"]],
    ["if size 5 { }", ["line 1, column 4: size needs :over or :under"]],
    ['redirect ["a@b.example"];', ["line 1, column 10: redirect needs a string here"]],
    ['redirect "nobody";', ["line 1, column 10: this is not one address"]],
    ['keep :flags "x";\ndiscard 1;', [
      'line 1, column 6: :flags needs require "imap4flags"',
      "line 2, column 9: discard takes no argument",
    ]],
    ['if header :comparator "i;klingon" "a" "b" { }', [
      'line 1, column 23: there is no comparator "i;klingon"',
    ]],
    ['if header :comparator "i;ascii-numeric" "a" "1" { }', [
      'line 1, column 23: comparator "i;ascii-numeric" needs require "comparator-i;ascii-numeric"',
    ]],
    ["/* no end", ["line 1, column 1: the comment has no end"]],
    ['redirect "x', ["line 1, column 10: the string has no end"]],
    ["if not { }", ["line 1, column 4: not needs a test"]],
    ["12ab;", ['line 1, column 1: unexpected "1"']],
    ["é;", ['line 1, column 1: unexpected "é"']],
  ];
  for (const [script, expected] of cases) assert.deepEqual(await faultsOf(script), expected, script);
});

Deno.test("what cannot be a mailbox is a fault where it is written, and one at run time behind a variable", async () => {
  const need = 'require ["fileinto", "variables"];\n';
  for (const name of ["", "a\r\nb", "a\x7f", "x".repeat(1_001)]) {
    assert.deepEqual(await faultsOf(`${need}fileinto "${name}";`), [
      "line 2, column 10: this is no name of a mailbox",
    ]);
  }
  assert.match(await actionsOf(`${need}fileinto "\${none}";`), /^fault line 2.*no name of a mailbox$/);
});

Deno.test("what is nested too deep, too long or too many is refused", async () => {
  const deep = `${"if true { ".repeat(40)}${"}".repeat(40)}`;
  assert.deepEqual(await faultsOf(deep), ["line 1, column 324: deeper than 32 levels"]);
  assert.match((await faultsOf("keep;".repeat(11_000)))[0]!, /more than 10000 commands and tests/);
  assert.match((await faultsOf(`# ${"x".repeat(300_000)}`))[0]!, /longer than 262144 octets/);
  assert.match((await faultsOf(`redirect [${'"a",'.repeat(1_001)}"b"];`))[0]!, /more than 1000 strings/);
});

Deno.test("a run beyond its limits keeps the message and tells where", async () => {
  const many = 'require "fileinto";\n' + Array.from({ length: 33 }, (_, i) => `fileinto "${i}";`).join("\n");
  assert.equal(await actionsOf(many), "fault line 34, column 1: more than 32 actions");
  const redirects = Array.from({ length: 6 }, (_, i) => `redirect "${i}@example.org";`).join("\n");
  assert.equal(await actionsOf(redirects), "fault line 6, column 1: more than 5 redirects");
  const outcome = await outcomeOf(redirects);
  assert.deepEqual([outcome.actions, outcome.implicitKeep?.kind], [[], "keep"]);
  const slow = `if header :contains "subject" [${'"x", '.repeat(900)}"y"] { keep; }\n`.repeat(10);
  assert.match(await actionsOf(slow, { limits: { steps: 15 } }), /^fault .*takes too long$/);
});

Deno.test("a message of ten thousand fields is looked at within the budget", async () => {
  const message = "X-A: b\n".repeat(20_000) + MESSAGE;
  assert.equal(await actionsOf('if header :matches "x-a" "?*c" { discard; }', { message }), "implicit keep");
});

Deno.test("a script cannot make one thread work long, whatever the message", async () => {
  const body = `From: a@b.example\nMIME-Version: 1.0\nContent-Type: text/html\n\n${"aB<".repeat(330_000)}\n`;
  const scripts = [
    `require ["body", "regex"];\n${'if body :regex "(a|b)*c$" { discard; }\n'.repeat(2_000)}`,
    `require ["body"];\n${'if body :contains "nowhere" { discard; }\n'.repeat(3_000)}`,
    `require ["body"];\n${'if body :raw :matches "*a*b*c*d*e?f" { discard; }\n'.repeat(3_000)}`,
    `require ["body", "comparator-i;unicode-casemap"];\n${
      'if body :raw :comparator "i;unicode-casemap" :is "x" { discard; }\n'.repeat(3_000)
    }`,
  ];
  for (const script of scripts) {
    const begin = performance.now();
    assert.match(await actionsOf(script, { message: body }), /takes too long|implicit keep/);
    // Generous: the machine is shared. Without its budget each of these takes minutes.
    assert.ok(performance.now() - begin < 15_000, script.slice(0, 80));
  }
});
