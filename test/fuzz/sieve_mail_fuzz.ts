/**
 * Fuzzing what scripts look at: messages of strangers under scripts that use every test and extension, `mailto:` addresses,
 * and rules of forms.
 *
 * Nothing throws, a run ends within its budget with the message somewhere; an address of a notice is one; the rules of a form
 * are a script without a fault (but for a mailbox that can be none), and come back out of it as they were.
 */
import assert from "node:assert/strict";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { EMPTY_HOST, type Host } from "../../sieve/host.ts";
import { parseMailto } from "../../sieve/mailto.ts";
import { MessageView } from "../../sieve/message_view.ts";
import { compileScript, type Program } from "../../sieve/program.ts";
import { type Rules, rulesIn, rulesToScript } from "../../sieve/rules.ts";
import { Finding, fuzz, mutate, Random } from "./fuzzing.ts";

const SCRIPTS = [
  `require ["variables", "fileinto", "envelope", "subaddress", "relational", "comparator-i;ascii-numeric", "imap4flags", "encoded-character"];
if header :matches ["subject", "x"] "*[?]*" { set :quotewildcard :lower "a" "\${1}\${hex:41}"; set :length "n" "\${a}"; }
if anyof (address :user :matches ["from", "to"] "*", address :detail "to" "d", envelope :domain :is "from" "\${a}") { addflag "\\\\Seen"; }
if header :count "ge" :comparator "i;ascii-numeric" "received" "2" { fileinto :flags "\${a} b" "x.\${n}"; }
if hasflag :contains "s" { keep; }`,
  `require ["date", "index", "relational", "variables", "body", "fileinto"];
if date :index 1 :last :zone "+0100" "received" "iso8601" "x" { set "d" "y"; }
if date :originalzone :matches "date" "std11" "*" { set "d" "\${1}"; }
if allof (currentdate :value "ge" "julian" "1", header :index 2 "received" "b") { stop; }
if body :text :contains ["hi", "\${d}"] { fileinto "t"; } elsif body :content ["text", "message/rfc822"] :matches "*a*b" { discard; } elsif body :raw :contains "--b" { keep; }`,
  `require ["foreverypart", "mime", "extracttext", "variables", "editheader", "regex", "duplicate"];
foreverypart :name "x" { if header :mime :anychild :param ["name", "charset"] :matches "content-type" "*" { extracttext :first 20 :upper "t"; }
 if exists :mime "content-id" { break :name "x"; } if header :mime :subtype "content-type" "html" { set "h" "1"; } }
if header :regex "subject" "(.*)[[:digit:]]+(x|\${t})?" { addheader :last "X-T" "\${1}"; deleteheader :index 1 :contains "received" "y"; }
if duplicate :header "message-id" :seconds 60 { discard; }
if header :contains "x-t" "\${t}" { keep; }`,
  `require ["vacation", "ereject", "enotify", "variables", "copy", "special-use", "mailbox", "fileinto", "spamtest", "relational", "comparator-i;ascii-numeric", "environment", "extlists"];
if header :matches "subject" "*" { set "s" "\${1}"; }
if spamtest :value "ge" :comparator "i;ascii-numeric" "5" { fileinto :specialuse "\\\\Junk" :create "\${s}"; }
if header :list "from" ":addrbook:default" { redirect :copy "\${s}"; }
if notify_method_capability "mailto:\${s}" "online" "maybe" { stop; }
notify :message "\${s}" "mailto:a@b.test?subject=\${s}";
vacation :subject "\${s}" :from "\${s}" :handle "\${s}" "\${s}";`,
];
const MESSAGES = [
  'From: =?utf-8?q?a=20b?= <a+d@b.example>, c@d.example\r\nTo: "x" <b+d@b.example>\r\nSubject: [ab] 123\r\nReceived: x; Tue, 1 Apr 1997 09:06:31 -0800\r\n' +
  "Received: from y\r\n by z; 2 Apr 97 09:06 GMT\r\nDate: Tue, 01 Apr 1997 09:06:31 (c) EST\r\nMessage-ID: <1@x.test>\r\n" +
  'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b; name="p"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  "Content-Transfer-Encoding: quoted-printable\r\n\r\nhi=C3=BC=\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\na b\r\n" +
  "--b\r\nContent-Type: text/html; name*0*=utf-8''%C3%BC; name*1=\"x\"\r\nContent-ID: <1>\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n--b--\r\n",
  "Subject: 7\r\n\r\nhi\r\n",
];
const TOKENS = [
  ...'\r\n \r\n\t : ; , < > @ " ( ) \\ = =?utf-8?b? ?= \0 \xff \x80 --b\r\n --b--\r\n'.split(" "),
  "\r\n\r\n",
  "Content-Type: multipart/digest; boundary=c\r\n",
  "Subject: ",
  "a".repeat(300),
];
const HOST: Host = {
  ...EMPTY_HOST,
  envelope: { from: "a+b@c.test", to: "b+d@b.example" },
  now: 1_790_000_000_000,
  environment: () => "x",
  mailboxExists: () => true,
  specialUseExists: () => true,
  listHas: (_, value) => value.length % 2 === 0,
  spamPercent: 50,
  virusLevel: 1,
};

const compiled = await Promise.all(SCRIPTS.map(async (script): Promise<Program> => {
  const result = await compileScript(encode(script.replace(/\n/g, "\r\n")));
  if ("faults" in result) throw new Error(JSON.stringify(result.faults));
  return result.program;
}));

export function fuzzSieveMail(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(MESSAGES), { tokens: TOKENS, maxChanges: 6 }));
  fuzz({ make, check: checkSieveMail }, seed, runs);
}

export function checkSieveMail(input: Uint8Array): void {
  for (const program of compiled) {
    const { actions, implicitKeep, fault } = program.run(new MessageView(input), HOST);
    assert.ok(actions.length <= 32);
    if (fault !== null) assert.ok(implicitKeep !== null && actions.length === 0);
  }
}

const MAILTOS = [
  "mailto:a@b.test?subject=x%20y&body=z&amp;cc=c%40d.test",
  "mailto:a%2Cb@c.test,d@e.test?to=f@g.test&Subject=%C3%BC",
  "MAILTO:?bcc=a@b.test",
];

export function fuzzMailto(seed: number, runs: number): void {
  const tokens = ["%", "%0d%0a", "%ff", "&", "?", "=", ",", "@", "mailto:", "a@b.test,".repeat(12)];
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(MAILTOS), { tokens, maxChanges: 4 }));
  fuzz({ make, check: checkMailto }, seed, runs);
}

export function checkMailto(input: Uint8Array): void {
  const found = parseMailto(latin1(input));
  if (found === null) return;
  const all = [...found.to, ...found.cc];
  assert.ok(all.length >= 1 && all.length <= 10);
  for (const address of all) assert.match(address, /^[^\s<>,;:"]+@[^\s<>,;:"@]+$/);
}

/** Texts of one form, parted by NUL: each is put where a form has one. */
export async function fuzzRules(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  const tokens = [
    '"',
    "\\",
    "*",
    "?",
    "\r\n",
    "${a}",
    "${hex:41}",
    "}",
    "# rules:",
    "/*",
    "é",
    "\ud83d\ude00",
    "\0",
    ".\r\n",
  ];
  for (let run = 0; run < runs; run++) {
    const text = mutate(random, "value\0Box/a\0a@b.test\0text\0X-Name", { tokens, maxChanges: 6 });
    const input = encode(text);
    try {
      await checkRules(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkRules(input: Uint8Array): Promise<void> {
  const [value = "", mailbox = "", address = "", text = "", name = ""] = new TextDecoder().decode(input)
    .split("\0");
  const rules: Rules = {
    rules: [{
      ...{ name: value, enabled: true, match: "any", stop: true },
      conditions: [
        { field: "header", name: named(name), is: "begins", value },
        { field: "subject", is: "ends", not: true, value: text },
        { field: "recipient", is: "contains", value: address },
        { field: "body", is: "contains", value },
      ],
      actions: [{ do: "copy", mailbox: `m${mailbox}` }, { do: "flag", flag: "\\Flagged" }, { do: "keep" }],
    }],
    vacation: { from: "2026-01-01", until: null, days: 7, subject: value, text },
  };
  const script = rulesToScript(rules);
  assert.deepEqual(rulesIn(script), rules);
  const result = await compileScript(encode(script));
  if ("faults" in result) {
    return assert.deepEqual(
      new Set(result.faults.map((fault) => fault.text)),
      new Set(["this is no name of a mailbox"]),
    );
  }
  assert.equal(result.program.run(new MessageView(encode("Subject: x\r\n\r\nhi\r\n")), HOST).fault, null);
}

/** The name of a field: forms take no other. */
function named(text: string): string {
  return text.replace(/[^!-9;-~]/g, "") || "x";
}
