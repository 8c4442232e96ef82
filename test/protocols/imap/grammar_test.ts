/** Tables for the small productions: names, patterns, sets, dates, strings, flags. */
import assert from "node:assert/strict";
import { encode, utf8 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { formatDateTime } from "../../../protocols/imap/format/date.ts";
import { formatFlags } from "../../../protocols/imap/format/flags.ts";
import { writeFound } from "../../../protocols/imap/format/search.ts";
import { formatAstring, formatString } from "../../../protocols/imap/format/string.ts";
import { astring, CommandCursor, date, dateTime, nstring } from "../../../protocols/imap/lexer.ts";
import { ancestors, joinPattern, listMatches, matchesSlowly } from "../../../protocols/imap/list_match.ts";
import {
  decodeMailboxName,
  mailboxNameFault,
  MAX_LEVEL_OCTETS,
  MAX_LEVELS,
} from "../../../protocols/imap/mailbox_name.ts";
import {
  contains,
  formatNumbers,
  formatRanges,
  LARGEST,
  MAX_RANGES,
  rangesOf,
  resolve,
  sequenceSet,
} from "../../../protocols/imap/sequence_set.ts";
import { parseAppendStart } from "../../../protocols/imap/commands/append.ts";
import { decodeUtf7, encodeUtf7 } from "../../../protocols/imap/utf7.ts";
import { compileFetch } from "../../../protocols/imap/fetch_plan.ts";

function cursor(text: string): CommandCursor {
  const octets = encode(text);
  return new CommandCursor(octets, 0, octets.length);
}

Deno.test("modified UTF-7 both ways", () => {
  const names: [string, string][] = [
    ["INBOX", "INBOX"],
    ["~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"], // RFC 3501 5.1.3
    ["A&B", "A&-B"],
    ["&", "&-"],
    ["Entwürfe", "Entw&APw-rfe"],
    ["😀", "&2D3eAA-"],
    ["é&é", "&AOk-&-&AOk-"],
    ["\u{1}", "&AAE-"],
    ["", ""],
  ];
  for (const [name, wire] of names) {
    assert.equal(encodeUtf7(name), wire);
    assert.equal(decodeUtf7(wire), name);
  }
});

Deno.test("what is not the one canonical form of a name is none", () => {
  const wrong = [
    "A&B",
    "&Jjo",
    "&Jjo!-",
    "&U,BTFw-&ZeVnLIqe-",
    "&AGE-",
    "&ACY-",
    "&AOkA-",
    "&AOl-",
    "é",
    "a\tb",
    "&-é",
  ];
  for (const wire of wrong) assert.equal(decodeUtf7(wire), null, wire);
});

Deno.test("mailbox names from the wire", () => {
  const cases: [string, string | null][] = [
    ["inbox", "INBOX"],
    ["InBoX/Sub", "INBOX/Sub"],
    ["inboxes", "inboxes"],
    ["Inbox.x", "Inbox.x"],
    ["Grüße", "Grüße"],
    ["&AOk-", "é"],
    ["a&b", null],
  ];
  for (const [wire, name] of cases) assert.equal(decodeMailboxName(encode(wire)), name, wire);
  assert.equal(decodeMailboxName(new Uint8Array([0x61, 0xff])), null);
});

Deno.test("names that may not be created", () => {
  const wrong = [
    "",
    "a//b",
    "/a",
    "a/",
    "a\nb",
    "a*",
    "a%b",
    "..",
    "a/./b",
    "x".repeat(MAX_LEVEL_OCTETS + 1),
    Array(MAX_LEVELS + 1).fill("a").join("/"),
    Array(10).fill("x".repeat(200)).join("/"),
  ];
  for (const name of wrong) assert.notEqual(mailboxNameFault(name), null, JSON.stringify(name));
  const right = [
    "a",
    "a/b",
    "日本語",
    "with space",
    "a.b",
    "x".repeat(MAX_LEVEL_OCTETS),
    Array(MAX_LEVELS).fill("a").join("/"),
  ];
  for (const name of right) assert.equal(mailboxNameFault(name), null, name);
});

Deno.test("LIST patterns", () => {
  const cases: [string, string, boolean][] = [
    ["a/b", "*", true],
    ["a/b", "%", false],
    ["a", "%", true],
    ["a/b", "%/%", true],
    ["a/b/c", "%/%", false],
    ["a/b/c", "a*c", true],
    ["a/b/c", "a%c", false],
    ["abc", "a%c", true],
    ["abc", "abc%", true],
    ["abc", "abc*", true],
    ["abc", "ab", false],
    ["abc", "", false],
    ["", "", true],
    ["a/b", "a/*/b", false],
    ["a/x/b", "a/*/b", true],
    ["日本/語", "日*語", true],
    ["INBOX", "INBOX", true],
    ["a".repeat(200), "*a".repeat(100) + "b", false],
  ];
  for (const [name, pattern, expected] of cases) {
    assert.equal(listMatches(name, pattern), expected, `${name} ${pattern}`);
  }
  assert.equal(joinPattern("inbox", "/%"), "INBOX/%");
  assert.deepEqual(ancestors("a/b/c"), ["a", "a/b"]);
});

Deno.test("sequence sets", () => {
  const cases: [string, number, string][] = [
    ["2,4:7,9,12:*", 15, "2,4:7,9,12:15"], // RFC 3501 9
    ["*:4,5:7", 10, "4:10"],
    ["*", 3, "3"],
    ["5:3,1,2", 9, "1:5"],
    ["1,1,1", 9, "1"],
    ["9:*", 5, "5:9"],
    ["*", 0, ""],
    ["4294967295", 9, "4294967295"],
  ];
  for (const [text, largest, expected] of cases) {
    const at = cursor(text);
    const set = sequenceSet(at);
    assert.ok(at.ok && at.done, text);
    assert.equal(formatRanges(resolve(set, largest)), expected, text);
  }
  for (const wrong of ["", "0", "a", "1,", "1:", ":1", "-1", "1,,2", "4294967296", "1:0"]) {
    const at = cursor(wrong);
    sequenceSet(at);
    assert.ok(!at.ok, wrong);
  }
  const many = cursor(Array(MAX_RANGES + 1).fill("1").join(","));
  sequenceSet(many);
  assert.ok(!many.ok);
  assert.deepEqual(sequenceSet(cursor("*")), [[LARGEST, LARGEST]]);
  const ranges = rangesOf([1, 2, 3, 7, 9, 10]);
  assert.equal(formatRanges(ranges), "1:3,7,9:10");
  assert.deepEqual([0, 1, 3, 4, 7, 8, 9, 10, 11].map((n) => contains(ranges, n)), [
    false,
    true,
    true,
    false,
    true,
    false,
    true,
    true,
    false,
  ]);
  assert.equal(formatNumbers([3, 4, 9]), "3:4,9");
});

Deno.test("dates", () => {
  const good: [string, string][] = [
    ['"17-Jul-1996 02:44:25 -0700"', "1996-07-17T09:44:25.000Z"],
    ['" 7-Feb-1994 21:52:25 -0800"', "1994-02-08T05:52:25.000Z"],
    ['"01-Jan-2024 00:00:00 +0530"', "2023-12-31T18:30:00.000Z"],
    ['"29-feb-2024 23:59:60 +0000"', "2024-03-01T00:00:00.000Z"],
  ];
  for (const [text, expected] of good) {
    const at = cursor(text);
    assert.equal(new Date(dateTime(at)).toISOString(), expected);
    assert.ok(at.ok && at.done, text);
  }
  const bad = [
    '"7-Feb-1994 21:52:25 -0800"',
    '"29-Feb-2023 00:00:00 +0000"',
    '"17-Jul-96 02:44:25 -0700"',
    '"17-Jul-1996 24:00:00 +0000"',
    '"17-Jul-1996 02:44:25"',
    "17-Jul-1996",
    '"00-Jan-2024 00:00:00 +0000"',
  ];
  for (const text of bad) {
    const at = cursor(text);
    dateTime(at);
    assert.ok(!at.ok, text);
  }
  assert.equal(date(cursor("1-Feb-1994")), Date.UTC(1994, 1, 1));
  assert.equal(date(cursor('"15-AUG-2001"')), Date.UTC(2001, 7, 15));
  assert.equal(formatDateTime(Date.UTC(1996, 6, 7, 2, 4, 5)), '" 7-Jul-1996 02:04:05 +0000"');
  assert.equal(formatDateTime(Date.UTC(1996, 6, 17, 23, 59, 59)), '"17-Jul-1996 23:59:59 +0000"');
});

Deno.test("strings on the way in", () => {
  const good: [string, string][] = [
    ["abc", "abc"],
    ["]", "]"],
    ['""', ""],
    ['"a b"', "a b"],
    ['"a\\"b\\\\"', 'a"b\\'],
    ["{3}\r\na\r\n", "a\r\n"],
    ["{0+}\r\n", ""],
    ['"ü"', "ü"],
  ];
  for (const [text, expected] of good) {
    const at = cursor(text);
    assert.equal(astring(at), expected, text);
    assert.ok(at.ok && at.done, text);
  }
  for (const text of ["", "(", '"a', '"a\\n"', '"a\nb"', "{4}\r\nabc", "{x}\r\n", "%"]) {
    const at = cursor(text);
    astring(at);
    assert.ok(!at.ok, text);
  }
  // The framer hands over whole commands; the grammar does not rely on it.
  for (
    const [text, expected] of [["{4}\r\nabc", "a whole literal"], ["{4}abcd", "the end of the line"]] as const
  ) {
    const at = cursor(text);
    astring(at);
    assert.ok(at.fault?.expected.startsWith(expected), text);
  }
  const behind = cursor(" INBOX {3}\r\nabc");
  parseAppendStart(behind, "APPEND");
  assert.equal(behind.fault?.expected, "the message as a literal");
  assert.equal(nstring(cursor("NIL")), null);
  assert.equal(nstring(cursor('"NIL"')), "NIL");
  const broken = new CommandCursor(new Uint8Array([0x61, 0xff]), 0, 2);
  astring(broken);
  assert.ok(!broken.ok);
});

Deno.test("strings on the way out", () => {
  assert.equal(formatString(""), '""');
  assert.equal(formatString('a"b\\c'), '"a\\"b\\\\c"');
  assert.equal(formatString("grün"), "{5}\r\ngrün");
  assert.equal(formatString("a\r\nb"), "{4}\r\na\r\nb");
  assert.equal(formatString("a\0"), "{2}\r\na\0");
  assert.equal(formatAstring("From"), "From");
  assert.equal(formatAstring("nil"), '"nil"');
  assert.equal(formatAstring("a b"), '"a b"');
  // What we quote reads back as the same text.
  for (const text of ["", "x", 'q"\\', "ü\r\n", "{3}", "NIL", "%*("]) {
    assert.equal(astring(cursor(formatString(text))), text);
    assert.equal(astring(cursor(formatAstring(text))), text);
  }
});

Deno.test("flags and search lines", () => {
  assert.equal(formatFlags(0, "", false), "()");
  assert.equal(formatFlags(31, "", true), "(\\Seen \\Answered \\Flagged \\Deleted \\Draft \\Recent)");
  assert.equal(formatFlags(1, "$Junk a", false), "(\\Seen $Junk a)");
  assert.equal(formatFlags(0, "a", false), "(a)");
  const written = (numbers: number[], modSeq: number | null = null) => {
    const out = new Out();
    for (const _ of writeFound(out, "SEARCH", numbers, { perPiece: 2, modSeq }));
    return new TextDecoder().decode(out.take());
  };
  assert.equal(written([]), "* SEARCH\r\n");
  assert.equal(written([], 7), "* SEARCH\r\n");
  const numbers = [1, 9, 10, 99, 100, 65_535, 999_999, 1_000_000, 2 ** 31, 2 ** 32 - 1];
  assert.equal(written(numbers), `* SEARCH ${numbers.join(" ")}\r\n`);
  assert.equal(written([3, 2], 917), "* SEARCH 3 2 (MODSEQ 917)\r\n");
});

Deno.test("a FETCH plan asks for no more than it needs", () => {
  const section = { kind: "section", label: "BODY[]", peek: false } as const;
  const whole = {
    ...section,
    section: { part: [], text: "", fields: new Set<string>() },
    partial: null,
  } as const;
  const flags = compileFetch([{ kind: "FLAGS" }, { kind: "UID" }, { kind: "FLAGS" }], {
    uid: true,
    changedSince: false,
  });
  assert.deepEqual(flags.items.map((item) => item.kind), ["UID", "FLAGS"]);
  assert.ok(!flags.needsRow && !flags.needsImap && !flags.needsBody && !flags.setsSeen);
  const size = compileFetch([{ kind: "RFC822.SIZE" }], { uid: false, changedSince: false });
  assert.ok(size.needsRow && !size.needsImap);
  const envelope = compileFetch([{ kind: "ENVELOPE" }], { uid: false, changedSince: false });
  assert.ok(envelope.needsRow && envelope.needsImap && !envelope.needsBody);
  const body = compileFetch([whole], { uid: false, changedSince: false });
  assert.ok(body.needsRow && !body.needsImap && body.needsBody && body.setsSeen);
  assert.ok(!compileFetch([{ ...whole, peek: true }], { uid: false, changedSince: false }).setsSeen);
  assert.ok(
    compileFetch([{ ...whole, section: { ...whole.section, part: [1] } }], {
      uid: false,
      changedSince: false,
    }).needsImap,
  );
});

Deno.test("malformed octets in a pattern match nothing and hurt nobody", () => {
  assert.equal(listMatches("a", utf8(new Uint8Array([0xff, 0x2a]))), false);
});

Deno.test("the fast way of a pattern matches what the general one does", () => {
  const letters = ["a", "b", "/", "*", "%"];
  const words = (some: readonly string[]) => {
    let all = [""], last = [""];
    for (let length = 1; length <= 4; length++) {
      last = last.flatMap((word) => some.map((letter) => word + letter));
      all = [...all, ...last];
    }
    return all;
  };
  const names = words(letters.slice(0, 3));
  for (const pattern of words(letters)) {
    for (const name of names) {
      assert.equal(listMatches(name, pattern), matchesSlowly(name, pattern), `${name} ${pattern}`);
    }
  }
});
