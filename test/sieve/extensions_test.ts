/** Extensions of tests and values, a table for each: examples of their RFCs first. */
import assert from "node:assert/strict";
import { actionsOf, faultsOf, type Given, holds, outcomeOf } from "./harness.ts";

async function value(expression: string, given: Given & { readonly before?: string } = {}): Promise<string> {
  const script =
    `require ["variables", "fileinto", "enotify", "regex", "encoded-character"];\n${given.before ?? ""}\n` +
    `fileinto "=${expression}";`;
  const { actions, fault } = await outcomeOf(script, given);
  const [action] = actions;
  return fault?.text ?? (action?.kind === "fileinto" ? action.mailbox.slice(1) : "");
}

Deno.test("variables: expansion, names, modifiers (RFC 5229 3. and 4.)", async () => {
  const company = 'set "company" "ACME";';
  const cases: [string, string][] = [
    ["${full}", ""],
    ["${company}", "ACME"],
    ["${COMPANY}", "ACME"],
    ["${BAD${Company}", "${BADACME"],
    ["${President, ${Company} Inc.}", "${President, ACME Inc.}"],
    ["${fo\\\\o}", "${fo\\o}"],
    ["$", "$"],
    ["${}", "${}"],
    ["${a b}", "${a b}"],
  ];
  for (const [written, meant] of cases) {
    assert.equal(await value(written, { before: company }), meant, written);
  }
  const a = 'set "a" "juMBlEd lETteRS";';
  const modified: [string, string][] = [
    ["", "juMBlEd lETteRS"],
    [":length", "15"],
    [":lower", "jumbled letters"],
    [":upperfirst", "JuMBlEd lETteRS"],
    [":upperfirst :lower", "Jumbled letters"],
    [":lowerfirst :upper", "jUMBLED LETTERS"],
    [":encodeurl", "juMBlEd%20lETteRS"],
    [":quoteregex", "juMBlEd lETteRS"],
  ];
  for (const [modifiers, meant] of modified) {
    assert.equal(await value("${b}", { before: `${a} set ${modifiers} "b" "\${a}";` }), meant, modifiers);
  }
  assert.equal(await value("${b}", { before: 'set :quotewildcard "b" "Rock*";' }), "Rock\\*");
  assert.equal(await value("${b}", { before: 'set :quoteregex "b" "a.b(c)";' }), "a\\.b\\(c\\)");
  assert.equal(
    await value("dear${hex:20 24 7b 4e}ame}", { before: 'set "name" "Ethelbert";' }),
    "dear Ethelbert",
  );
  assert.deepEqual(
    await faultsOf('require "variables";\nset :lower :upper "a" "b";\nset "1" "b";\nset "a.b" "c";'),
    [
      "line 2, column 12: :upper and :lower exclude each other",
      "line 3, column 5: this is no name of a variable",
      "line 4, column 5: this is no name of a variable",
    ],
  );
  assert.deepEqual(await faultsOf('require ["variables", "fileinto"];\nfileinto "${foo.bar}";'), [
    'line 2, column 10: there is no namespace in "foo.bar" here',
  ]);
});

Deno.test("variables: match variables take as little as they can (RFC 5229 3.2)", async () => {
  const message =
    "List-ID: A list <coyote.acme.example.com>\nSubject: [acme-users] [fwd] version 1.0 is out\n\n";
  const before = `if header :matches "List-ID" "*<*@*" { set "w" "1"; }
    elsif header :matches "Subject" "[*] *" { set "a" "\${0}|\${1}|\${2}"; set "b" "\${01}\${3}"; }`;
  assert.equal(
    await value("${a}", { message, before }),
    "[acme-users] [fwd] version 1.0 is out|acme-users|[fwd] version 1.0 is out",
  );
  assert.equal(await value("${b}", { message, before }), "acme-users");
  const nested =
    'if header :matches "subject" "*" { if not header :matches "subject" "nothing*" { set "a" "${1}"; } }';
  assert.equal(await value("${a}", { message: "Subject: kept\n\n", before: nested }), "kept");
  const wild = 'if header :matches "subject" "?b*??" { set "a" "${1}|${2}|${3}|${4}"; }';
  assert.equal(await value("${a}", { message: "Subject: abcde\n\n", before: wild }), "a|c|d|e");
  assert.equal(
    await value("${a}", { message: "Subject: ab\u{1f600}\u{1f601}\n\n", before: wild }),
    "a||\u{1f600}|\u{1f601}",
  );
});

Deno.test("variables: string tests, and what grows without end stops", async () => {
  const given = { require: '"variables", "relational", "comparator-i;ascii-numeric"' };
  assert.equal(await holds('string :matches "one two" "one *"', given), true);
  assert.equal(await holds('string :count "eq" ["a", "", "b"] "2"', given), true);
  assert.equal(await holds('string :value "gt" :comparator "i;ascii-numeric" "10" "9"', given), true);
  const growing = 'set "a" "0123456789";' + 'set "a" "${a}${a}";'.repeat(20);
  assert.match(await value("${a}", { before: growing }), /longer than 65536/);
  const many = Array.from({ length: 300 }, (_, i) => `set "v${i}" "x";`).join("");
  assert.match(await value("", { before: many }), /more than 256 variables/);
});

Deno.test("relational: values and counts (RFC 5231)", async () => {
  const message =
    "Received: a\nReceived: b\nReceived: c\nX-Priority: 2 (high)\nTo: a@x.example, b@x.example\nCc: c@x.example\n\n";
  const given = { message, require: '"relational", "comparator-i;ascii-numeric"' };
  const numeric = ':comparator "i;ascii-numeric"';
  const cases: [string, boolean][] = [
    [`header :value "lt" ${numeric} "x-priority" "3"`, true],
    [`header :value "ge" ${numeric} "x-priority" "3"`, false],
    [`header :count "ge" ${numeric} "received" "3"`, true],
    [`header :count "gt" ${numeric} "received" ["3", "4"]`, false],
    [`address :count "eq" ${numeric} ["to", "cc"] "3"`, true],
    [`header :count "eq" ${numeric} "x-none" "0"`, true],
    ['header :value "gt" "x-priority" "1"', true],
    [`header :is ${numeric} "x-priority" "02"`, true],
    [`header :value "gt" ${numeric} "received" "9"`, true], // no number is more than any
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
  assert.match(
    (await faultsOf('require ["relational"];\nif header :value "xx" "a" "b" {}'))[0]!,
    /"xx" is none of gt/,
  );
  assert.match(
    (await faultsOf(
      'require ["comparator-i;ascii-numeric"];\nif header :contains :comparator "i;ascii-numeric" "a" "b" {}',
    ))[0]!,
    /only compares whole values/,
  );
});

Deno.test("subaddress: user and detail (RFC 5233)", async () => {
  const message = "To: ken+sieve@example.org, Joe <joe@example.org>\n\n";
  const given = {
    message,
    require: '"subaddress", "envelope"',
    host: { envelope: { from: "", to: "ken+@example.org" } },
  };
  const cases: [string, boolean][] = [
    ['address :user "to" "ken"', true],
    ['address :detail "to" "sieve"', true],
    ['address :user "to" "joe"', true],
    ['address :detail "to" ""', false],
    ['envelope :detail "to" ""', true],
    ['envelope :user "to" "ken"', true],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
});

Deno.test("imap4flags: the internal variable, variables, :flags (RFC 5232)", async () => {
  const flags = async (text: string) => {
    const { actions, implicitKeep, fault } = await outcomeOf(
      `require ["imap4flags", "fileinto", "variables"];\n${text}`,
    );
    if (fault !== null) return [fault.text];
    const [action] = actions;
    return (action?.kind === "fileinto" || action?.kind === "keep" ? action.flags : implicitKeep?.flags) ??
      null;
  };
  assert.deepEqual(await flags('setflag "\\\\seen"; keep;'), ["\\Seen"]);
  assert.deepEqual(await flags('addflag ["\\\\Deleted", "\\\\Answered"]; addflag "x \\\\DELETED y"; keep;'), [
    "\\Deleted",
    "\\Answered",
    "x",
    "y",
  ]);
  assert.deepEqual(await flags('setflag "a b c"; removeflag ["B"]; keep;'), ["a", "c"]);
  assert.deepEqual(await flags('setflag "a"; fileinto :flags "\\\\Flagged" "x";'), ["\\Flagged"]);
  assert.deepEqual(await flags('setflag "a"; fileinto :flags "" "x";'), []);
  assert.deepEqual(
    await flags('setflag "mine" "m1 m2"; addflag "mine" "m3"; fileinto :flags "${mine}" "x";'),
    ["m1", "m2", "m3"],
  );
  assert.deepEqual(await flags('setflag "\\\\Flagged";'), ["\\Flagged"]);
  assert.equal(await flags(""), null);
  const given = { require: '"imap4flags", "variables", "relational", "comparator-i;ascii-numeric"' };
  assert.equal(
    await actionsOf('require "imap4flags"; addflag ["A", "B"]; if hasflag :is "b" { discard; }'),
    "discard",
  );
  assert.equal(
    await actionsOf(
      'require ["imap4flags", "variables"]; set "f" "one two"; if hasflag :contains "f" "wo" { discard; }',
    ),
    "discard",
  );
  assert.equal(await holds('hasflag :count "ge" :comparator "i;ascii-numeric" "1"', given), false);
});

Deno.test("date and index: parts, zones, occurrences (RFC 5260)", async () => {
  const message = `Received: from c by d; Wed, 15 Mar 2006 10:00:00 +0100
Received: from a by b; Tue, 14 Mar 2006 23:59:59 -0500
Date: Tue, 14 Mar 2006 20:59:32 -0400
Subject: one
Subject: two

`;
  const given = {
    message,
    require: '"date", "index", "relational"',
    host: { now: Date.UTC(2026, 10, 24, 17, 5, 9) },
  };
  const part = (name: string, key: string) => `date :originalzone "date" "${name}" "${key}"`;
  const cases: [string, boolean][] = [
    [part("year", "2006"), true],
    [part("month", "03"), true],
    [part("day", "14"), true],
    [part("date", "2006-03-14"), true],
    [part("julian", "53808"), true],
    [part("hour", "20"), true],
    [part("minute", "59"), true],
    [part("second", "32"), true],
    [part("time", "20:59:32"), true],
    [part("iso8601", "2006-03-14T20:59:32-04:00"), true],
    [part("std11", "Tue, 14 Mar 2006 20:59:32 -0400"), true],
    [part("zone", "-0400"), true],
    [part("weekday", "2"), true],
    ['date :zone "+0000" "date" "date" "2006-03-15"', true],
    ['date "date" "hour" "00"', true],
    ['date :index 2 "received" "date" "2006-03-15"', true],
    ['date :index 1 :last :originalzone "received" "time" "23:59:59"', true],
    ['currentdate :value "ge" "date" "2026-11-24"', true],
    ['currentdate :zone "+0800" "date" "2026-11-25"', true],
    ['currentdate "weekday" "2"', true],
    ['header :index 2 "subject" "two"', true],
    ['header :index 2 :last "subject" "one"', true],
    ['header :index 3 "subject" ""', false],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
  assert.deepEqual(
    await faultsOf(
      'require ["date", "index"];\nif date "date" "fortnight" "1" {}\nif header :last "a" "b" {}\nif currentdate :zone "CET" "hour" "1" {}',
    ),
    [
      'line 2, column 16: "fortnight" is no part of a date',
      "line 3, column 11: :last needs :index",
      'line 4, column 22: a zone is written like "+0100"',
    ],
  );
});

const MULTIPART = `From: a@example.org
To: b@example.org
Subject: parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

This is a multi-part message.
--outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

gr=C3=BC=C3=9Fe from the text
--outer
Content-Type: text/html; charset=us-ascii

<p>click <b>he</b>re</p>
--outer
Content-Type: application/pdf; name="important.pdf"
Content-Disposition: attachment; filename*=utf-8''wichtig%20im%20anhang.pdf
Content-Transfer-Encoding: base64

aGVsbG8gcGRm
--outer
Content-Type: message/rfc822

From: inner@example.org
Subject: inside

inner text
--outer--
epilogue words
`;

Deno.test("body: raw, text, content (RFC 5173)", async () => {
  const given = { message: MULTIPART, require: '"body"' };
  const cases: [string, boolean][] = [
    ['body :contains "grüße"', true],
    ['body :raw :contains "grüße"', false],
    ['body :raw :contains "gr=C3=BC"', true],
    ['body :text :contains "here"', false],
    ['body :text :contains "click he re"', false],
    ['body :text :contains "he"', true],
    ['body :content "text/html" :contains "<b>he</b>re"', true],
    ['body :content "text" :contains "inner text"', true],
    ['body :content "application/pdf" :contains "hello pdf"', true],
    ['body :content "" :contains "epilogue"', true],
    ['body :content "multipart" :contains "This is a multi-part"', true],
    ['body :content "message" :contains "Subject: inside"', true],
    ['body :content "text/plain" :contains "hello pdf"', false],
    ['body :raw :contains "Subject: parts"', false],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
});

Deno.test("mime, foreverypart, extracttext (RFC 5703)", async () => {
  const given = { message: MULTIPART, require: '"mime", "relational", "comparator-i;ascii-numeric"' };
  const cases: [string, boolean][] = [
    ['header :mime :type "content-type" "multipart"', true],
    ['header :mime :anychild :contenttype "content-type" "text/html"', true],
    ['header :mime :contenttype "content-type" "text/html"', false],
    ['header :mime :anychild :subtype "content-type" "pdf"', true],
    ['header :mime :anychild :param "filename" :contains "content-disposition" "wichtig im"', true],
    ['header :mime :anychild :type "content-disposition" "attachment"', true],
    ['header :mime :anychild :count "eq" :comparator "i;ascii-numeric" "content-disposition" "1"', true],
    ['address :mime :anychild "from" "inner@example.org"', true],
    ['address "from" "inner@example.org"', false],
    ['exists :mime :anychild "content-transfer-encoding"', true],
    ['exists "content-transfer-encoding"', false],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
  const needs = 'require ["mime", "foreverypart", "fileinto", "variables", "extracttext"];\n';
  const loop = `${needs}foreverypart {
    if allof (header :mime :param "filename" :contains "Content-Disposition" "anhang",
              header :mime :subtype "Content-Type" "pdf", size :over 10) { fileinto "important"; break; }
  }`;
  assert.equal(await actionsOf(loop, { message: MULTIPART }), 'fileinto "important"');
  const extract = `${needs}foreverypart {
    if header :mime :contenttype "Content-Type" "text/plain" { extracttext :first 5 :upper "msg"; fileinto "\${msg}"; break; }
  }`;
  assert.equal(await actionsOf(extract, { message: MULTIPART }), 'fileinto "GRüßE"');
  const nested = `${needs}foreverypart :name "a" { foreverypart :name "b" {
    if header :mime :contenttype "Content-Type" "text/html" { fileinto "x"; break :name "a"; } } fileinto "y"; }`;
  assert.equal(await actionsOf(nested, { message: MULTIPART }), 'fileinto "x"');
  assert.deepEqual(
    await faultsOf(`${needs}break;\nforeverypart { break :name "z"; }\nif header :anychild "a" "b" {}`),
    [
      "line 2, column 1: break outside of a loop",
      'line 3, column 16: there is no loop "z" around',
      "line 4, column 11: :anychild needs :mime",
    ],
  );
});

Deno.test("regex: longest match, groups, linear time, no back-references (draft-ietf-sieve-regex)", async () => {
  const given = { require: '"regex", "variables"', message: "Subject: [TEST-42] Hello World\n\n" };
  const cases: [string, boolean][] = [
    ['header :regex "subject" "^\\\\[test-[0-9]+\\\\]"', true],
    ['header :comparator "i;octet" :regex "subject" "test"', false],
    ['header :regex "subject" ["^nope", "world$"]', true],
    ['header :regex "subject" "[[:digit:]]{2}"', true],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
  assert.equal(
    await value("${0}|${1}|${2}", {
      before: 'if header :regex "subject" "(wo|worl)(d?)" { }',
      message: given.message,
    }),
    "World|Worl|d",
  );
  assert.deepEqual(await faultsOf('require "regex";\nif header :regex "subject" "\\\\.(a)\\\\1" {}'), [
    "line 2, column 35: back-references like \\1 are not supported",
  ]);
  assert.match(
    (await faultsOf('require "regex";\nif header :regex "subject" "a(b" {}'))[0]!,
    /^line 2, column 29: no expression/,
  );
  const evil = { require: '"regex"', message: `Subject: ${"a".repeat(20_000)}b\n\n` };
  const begin = performance.now();
  assert.equal(await holds('header :regex "subject" "^(a+)+$"', evil), false);
  assert.ok(performance.now() - begin < 15_000);
});

Deno.test("include: scripts of the owner and of the server, variables, recursion (RFC 6609)", async () => {
  const scripts: Record<string, string> = {
    "personal/lists": 'require "fileinto"; if exists "list-id" { fileinto "lists"; stop; }',
    "global/spam":
      'require ["include", "variables"]; global "verdict"; set "verdict" "spam"; set "local" "x"; return; discard;',
    "personal/loop": 'require "include"; include "loop";',
    "personal/broken": "blub;",
    "personal/count": 'require ["include", "fileinto"]; fileinto "once";',
  };
  const find = (location: string, name: string) => {
    const text = scripts[`${location}/${name}`];
    return text === undefined ? null : new TextEncoder().encode(text);
  };
  const listed = { find, message: "List-Id: <a.b>\n\n" };
  const need = 'require ["include", "fileinto", "variables"];\n';
  assert.equal(await actionsOf(`${need}include "lists"; discard;`, listed), 'fileinto "lists"');
  assert.equal(await actionsOf(`${need}include "lists"; discard;`, { find }), "discard");
  assert.equal(
    await actionsOf(
      `${need}global "verdict"; include :global "spam"; fileinto "\${verdict}\${local}\${global.verdict}";`,
      { find },
    ),
    'fileinto "spamspam"',
  );
  assert.equal(
    await actionsOf(`${need}include "loop";`, { find }),
    'fault line 1, column 20: "loop" includes itself',
  );
  assert.equal(
    await actionsOf(`${need}include "none";`, { find }),
    'fault line 2, column 1: there is no script "none"',
  );
  assert.equal(await actionsOf(`${need}include :optional "none"; discard;`, { find }), "discard");
  assert.match(
    await actionsOf(`${need}include "broken";`, { find }),
    /"broken" has a fault in line 1: there is no command blub/,
  );
  assert.equal(
    await actionsOf(`${need}include :once "count"; include :once "count"; keep;`, { find }),
    'fileinto "once", keep',
  );
  assert.equal(await actionsOf(`${need}include "lists"; return; discard;`, { find }), "implicit keep");
  assert.deepEqual(await faultsOf('require "include";\nglobal "a";\ninclude "a/b";'), [
    'line 2, column 1: global needs require "variables"',
    "line 3, column 9: this is no name of a script",
  ]);
});

Deno.test("every extension that is offered can be required by itself; those that are left out cannot", async () => {
  const offered =
    "fileinto reject ereject envelope encoded-character variables vacation vacation-seconds relational " +
    "subaddress imap4flags spamtest spamtestplus virustest date index editheader body copy regex mailbox mailboxid " +
    "mboxmetadata servermetadata special-use duplicate enotify include environment ihave mime foreverypart extracttext " +
    "extlists redirect-dsn fcc comparator-i;octet comparator-i;ascii-casemap comparator-i;ascii-numeric " +
    "comparator-i;unicode-casemap";
  for (const name of offered.split(" ")) {
    assert.deepEqual(await faultsOf(`require "${name}"; keep;`), [], name);
  }
  for (const name of ["convert", "replace", "enclose", "redirect-deliverby", "vnd.nothing"]) {
    const [fault, ...more] = await faultsOf(`require ["fileinto", "${name}"];\nkeep;`);
    assert.match(fault ?? "", new RegExp(`^line 1, column 22: .*${name}`), name);
    assert.deepEqual(more, []);
    assert.equal(await actionsOf(`require "ihave"; if ihave "${name}" { discard; }`), "implicit keep", name);
  }
});

Deno.test("environment, ihave, error (RFC 5183, RFC 5463)", async () => {
  const host = { environment: (item: string) => item === "name" ? "Veredus" : null };
  assert.equal(await holds('environment :is "NAME" "veredus"', { require: '"environment"', host }), true);
  assert.equal(
    await holds('environment :contains "vnd.nothing" ""', { require: '"environment"', host }),
    false,
  );
  assert.equal(
    await actionsOf('require "ihave"; if ihave "fileinto" { fileinto "a"; } else { discard; }'),
    'fileinto "a"',
  );
  assert.equal(
    await actionsOf('require "ihave"; if not ihave "vnd.x" { discard; } else { blub :x 1; }'),
    "discard",
  );
  assert.equal(await actionsOf('require "ihave"; if anyof (ihave "vnd.x", true) { discard; }'), "discard");
  assert.equal(await actionsOf('require "ihave"; if ihave "vnd.x" { blub; }'), "implicit keep");
  assert.equal(await actionsOf('require "ihave"; error "no way";'), "fault line 1, column 18: no way");
});

Deno.test("editheader: later tests and actions see it, what protects against loops stays (RFC 5293)", async () => {
  const edited = async (text: string) => {
    const { actions, implicitKeep } = await outcomeOf(
      `require ["editheader", "fileinto", "copy"];\n${text}`,
      {
        message: "Received: x\nSubject: old\nX-A: one\nX-A: two\nX-A: three\n\n",
      },
    );
    const header = actions[0]?.kind === "fileinto" ? actions[0].header : implicitKeep?.header;
    return header?.map((field) => `${field.written}: ${field.text}`) ?? null;
  };
  const rest = ["received: x", "subject: old", "x-a: one", "x-a: two", "x-a: three"];
  assert.deepEqual(await edited('addheader "X-New" "väl\nue";'), ["X-New: väl ue", ...rest]);
  assert.deepEqual(await edited('addheader :last "X-New" "1";'), [...rest, "X-New: 1"]);
  assert.deepEqual(await edited('deleteheader "x-a";'), rest.slice(0, 2));
  assert.deepEqual(await edited('deleteheader :index 1 :contains "X-A" "t";'), null);
  assert.deepEqual(await edited('deleteheader :index 1 :last "X-A";'), rest.slice(0, 4));
  assert.deepEqual(await edited('deleteheader :matches "X-A" "t*";'), rest.slice(0, 3));
  assert.deepEqual(await edited('deleteheader "received"; addheader "Auto-Submitted" "no";'), null);
  assert.deepEqual(await edited('fileinto :copy "x"; deleteheader "subject";'), null);
  assert.equal(
    await actionsOf(
      'require "editheader"; deleteheader "subject"; addheader "Subject" "new"; if header "subject" "new" { discard; }',
    ),
    'deleteheader "subject", addheader "Subject", discard',
  );
  assert.deepEqual(await faultsOf('require "editheader";\naddheader "a b" "c";\ndeleteheader :last "x";'), [
    "line 2, column 11: this is no name of a field",
    "line 3, column 14: :last needs :index",
  ]);
});

Deno.test("mailboxes, metadata, special uses, lists, filters: the world is asked (RFC 5490, 9042, 8579, 6134, 5235)", async () => {
  const host = {
    mailboxExists: (name: string) => name === "Work",
    mailboxIdExists: (id: string) => id === "F7",
    specialUseExists: (mailbox: string | null, use: string) =>
      use === "\\Junk" && (mailbox ?? "Spam") === "Spam",
    metadata: (mailbox: string | null, entry: string) =>
      mailbox === null ? "s" : entry === "/private/comment" ? "mine" : null,
    listHas: (list: string, address: string) =>
      list === ":addrbook:default" ? address === "a@b.example" : null,
    spamPercent: 73,
    virusLevel: 5,
  };
  const need =
    '"mailbox", "mailboxid", "special-use", "mboxmetadata", "servermetadata", "extlists", "spamtest", ' +
    '"spamtestplus", "virustest", "relational", "comparator-i;ascii-numeric"';
  const given = { host, require: need, message: "From: a@b.example\n\n" };
  const numeric = ':comparator "i;ascii-numeric"';
  const cases: [string, boolean][] = [
    ['mailboxexists "Work"', true],
    ['mailboxexists ["Work", "Play"]', false],
    ['mailboxidexists "F7"', true],
    ['specialuse_exists "\\\\Junk"', true],
    ['specialuse_exists "Spam" "\\\\Junk"', true],
    ['specialuse_exists "Work" "\\\\Junk"', false],
    ['metadata :is "Work" "/private/comment" "MINE"', true],
    ['metadataexists "Work" ["/private/comment", "/private/x"]', false],
    ['servermetadata "/shared/admin" "s"', true],
    ['servermetadataexists "/shared/admin"', true],
    ['address :list "from" ":addrbook:default"', true],
    ['valid_ext_list ":addrbook:default"', true],
    ['valid_ext_list ["tag:none"]', false],
    [`spamtest :value "ge" ${numeric} "7"`, true],
    [`spamtest :value "eq" ${numeric} "8"`, true],
    [`spamtest :percent :value "eq" ${numeric} "73"`, true],
    [`virustest :value "eq" ${numeric} "5"`, true],
  ];
  for (const [test, expected] of cases) assert.equal(await holds(test, given), expected, test);
  const untested = { require: need };
  assert.equal(await holds(`spamtest :value "eq" ${numeric} "0"`, untested), true);
  assert.equal(await holds('spamtest :percent :count "eq" "0"', untested), true);
  assert.equal(await holds(`virustest :value "eq" ${numeric} "0"`, untested), true);
  assert.match(
    await actionsOf('require "extlists"; if header :list "from" "tag:none" { }'),
    /there is no list "tag:none"/,
  );
  const { actions } = await outcomeOf(
    'require ["fileinto", "mailbox", "special-use"]; fileinto :create :specialuse "\\\\Archive" "Old";',
  );
  assert.deepEqual(actions[0], {
    ...{ kind: "fileinto", mailbox: "Old", flags: null, create: true },
    ...{ specialUse: "\\Archive", mailboxId: null, header: null },
  });
});

Deno.test("duplicate: asks for what it is to remember (RFC 7352)", async () => {
  const asked: string[] = [];
  const host = { seen: (id: string) => (asked.push(id), id.includes("again")) };
  const run = (text: string) =>
    outcomeOf(`require ["duplicate"];\nif duplicate ${text} { discard; }`, { host });
  const first = await run("");
  assert.deepEqual(first.remembered, [{ id: '["","","<1@desert.example.org>"]', seconds: 604_800 }]);
  assert.equal(first.trace.join(), "implicit keep");
  assert.equal((await run(':handle "h" :uniqueid "again" :seconds 60')).trace.join(), "discard");
  assert.deepEqual(
    (await run(':header "subject"')).remembered[0]?.id,
    '["","header","I have a present for you"]',
  );
  assert.deepEqual((await run(':header "x-none"')).remembered, []);
  assert.match(
    (await faultsOf('require "duplicate";\nif duplicate :header "a" :uniqueid "b" {}'))[0]!,
    /exclude each other/,
  );
});
