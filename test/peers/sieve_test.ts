/**
 * Pigeonhole over the same scripts and messages: the same actions; and sieve-connect against our repository.
 *
 * Needs Debian's dovecot-sieve and sieve-connect.
 */
import assert from "node:assert/strict";
import { MessageView } from "../../sieve/message_view.ts";
import { EMPTY_HOST } from "../../sieve/host.ts";
import { compileScript } from "../../sieve/program.ts";
import type { Outcome } from "../../sieve/outcome.ts";
import { run } from "../lib/program.ts";
import { freeOffset } from "../lib/ports.ts";
import { ServerProcess } from "../lib/server_process.ts";
import { crlf } from "../sieve/harness.ts";

const FROM = "sender@remote.example";
const TO = "me+detail@here.example";
const CONF = (folder: string) =>
  `protocols =
ssl = no
log_path = /dev/stderr
mail_location = maildir:${folder}/mail
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
recipient_delimiter = +
mail_attribute_dict = file:${folder}/attributes
plugin {
  sieve_extensions = +vacation-seconds +editheader +spamtest +spamtestplus +virustest +mboxmetadata +servermetadata +special-use
  sieve_editheader_protected = X-Protected
}
`;

const MESSAGES: Readonly<Record<string, string>> = {
  plain: `Return-Path: <${FROM}>
Received: from a by b; Tue, 1 Apr 1997 09:06:31 -0800
From: "A. Sender" <sender@remote.example>
To: me@here.example, Other <other+tag@here.example>
Cc: third@else.example
Subject: [list] Hello World 42
Date: Tue, 1 Apr 1997 09:06:31 -0800
Message-ID: <1@remote.example>
X-Priority: 2 (high)

Body of the message.
`,
  encoded: `From: =?iso-8859-1?q?Andr=E9?= <andre@remote.example>
To: undisclosed-recipients:;
Subject: =?utf-8?b?R3LDvMOfZQ==?= =?utf-8?q?_aus?=
 =?utf-8?q?_M=C3=BCnchen?=
Sender: owner-list@lists.example
List-Id: A list <list.lists.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
`,
  parts: `From: p@remote.example
To: me@here.example
Subject: parts
Subject: second
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain

text with words
--b
Content-Type: text/html

<p>markup <b>bold</b></p>
--b
Content-Type: application/pdf; name="important.pdf"
Content-Disposition: attachment; filename="important.pdf"
Content-Transfer-Encoding: base64

aGVsbG8gcGRm
--b--
epilogue
`,
  empty: `From: nobody@remote.example

`,
};

const SCRIPTS: readonly string[] = [
  "",
  "keep;",
  "discard;",
  "stop; discard;",
  'redirect "a@b.example";',
  'require "fileinto"; if header :contains "subject" "hello" { fileinto "A"; } elsif exists "list-id" { fileinto "B"; } else { fileinto "C"; }',
  'require "fileinto"; if header :is "subject" "Grüße aus München" { fileinto "A"; }',
  'require "fileinto"; if header :comparator "i;octet" :contains "subject" "hello" { fileinto "A"; }',
  'require "fileinto"; if address :localpart ["to", "cc"] "third" { fileinto "A"; }',
  'require "fileinto"; if address :domain "from" "REMOTE.example" { fileinto "A"; }',
  'require "fileinto"; if address :all :is "from" "andre@remote.example" { fileinto "A"; }',
  'require "fileinto"; if size :over 300 { fileinto "big"; } else { fileinto "small"; }',
  'require "fileinto"; if not exists ["to", "subject"] { fileinto "odd"; }',
  'require "fileinto"; if header :matches "subject" "*?orld 4?" { fileinto "A"; }',
  'require "fileinto"; if header :matches "x-none" "*" { fileinto "A"; }',
  'require "fileinto"; if anyof (allof (true, not false), false) { fileinto "A"; fileinto "A"; keep; }',
  'require ["fileinto", "envelope", "subaddress"]; if envelope :detail "to" "detail" { fileinto "A"; } if address :user "to" "other" { fileinto "B"; } if address :detail "to" "tag" { fileinto "C"; }',
  'require ["fileinto", "envelope"]; if envelope :is "from" "sender@remote.example" { fileinto "A"; }',
  'require ["fileinto", "variables"]; if header :matches "subject" "[*] *" { fileinto "${1}/${2}"; }',
  'require ["fileinto", "variables"]; set :upperfirst :lower "a" "hELLO"; set :length "n" "${a}"; set :quotewildcard "q" "a*b"; fileinto "${a}-${n}-${q}-${nothing}-${2}";',
  'require ["fileinto", "variables"]; set "a" "x"; if string :is "${a}" ["y", "x"] { fileinto "${A}${bad name}${a}"; }',
  'require ["fileinto", "encoded-character"]; fileinto "${hex:41 42}-${unicode:e9}-${hex:zz}";',
  'require ["fileinto", "relational", "comparator-i;ascii-numeric"]; if header :value "lt" :comparator "i;ascii-numeric" "x-priority" "3" { fileinto "urgent"; }',
  'require ["fileinto", "relational", "comparator-i;ascii-numeric"]; if address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] "3" { fileinto "many"; }',
  'require ["fileinto", "relational"]; if header :count "eq" ["subject"] "2" { fileinto "two"; }',
  'require ["fileinto", "imap4flags"]; setflag "\\\\Seen $A"; addflag ["\\\\flagged", "$a"]; removeflag "$A"; fileinto "A"; if hasflag "\\\\seen" { fileinto :flags "$B" "B"; }',
  'require ["imap4flags"]; addflag "\\\\Flagged"; keep :flags ["\\\\Answered"];',
  'require ["fileinto", "copy"]; fileinto :copy "A"; redirect :copy "x@y.example";',
  'require ["reject"]; reject "no";',
  'require ["reject"]; if header :contains "subject" "hello" { reject "no"; }',
  'require ["vacation"]; vacation "gone";',
  'require ["fileinto", "date", "relational"]; if date :originalzone "date" "hour" "09" { fileinto "morning"; } if date :zone "+0000" "date" "hour" "17" { fileinto "utc"; } if date :value "le" "date" "year" "1997" { fileinto "old"; }',
  'require ["fileinto", "date"]; if date "received" "weekday" "2" { fileinto "tuesday"; } if date :zone "+0000" "date" "julian" "50539" { fileinto "julian"; }',
  'require ["fileinto", "index"]; if header :index 2 "subject" "second" { fileinto "A"; } if header :index 1 :last "subject" "second" { fileinto "B"; }',
  'require ["fileinto", "body"]; if body :contains "words" { fileinto "A"; } if body :raw :contains "aGVsbG8" { fileinto "B"; } if body :content "text" :contains "bold" { fileinto "C"; } if body :content "application/pdf" :contains "hello pdf" { fileinto "D"; }',
  'require ["fileinto", "body"]; if body :text :contains "Grüße" { fileinto "A"; }',
  'require ["fileinto", "regex", "variables"]; if header :regex "subject" "hello (w[a-z]+) ([0-9]+)" { fileinto "${1}-${2}"; }',
  'require ["fileinto", "editheader"]; addheader "X-New" "one"; deleteheader :index 1 "subject"; if header "x-new" "one" { fileinto "A"; } if exists "subject" { fileinto "B"; }',
  'require ["fileinto", "mime", "foreverypart"]; foreverypart { if header :mime :subtype "content-type" "pdf" { fileinto "pdf"; break; } }',
  'require ["fileinto", "mime"]; if header :mime :anychild :param "filename" :matches "content-disposition" "*.pdf" { fileinto "A"; } if header :mime :type "content-type" "multipart" { fileinto "B"; }',
  'require ["fileinto", "mime", "foreverypart", "extracttext", "variables"]; foreverypart { if header :mime :contenttype "content-type" "text/plain" { extracttext :first 2 :upper "t"; fileinto "${t}"; break; } }',
  'require ["fileinto", "ihave"]; if ihave "vnd.nothing" { blub; } elsif ihave "fileinto" { fileinto "A"; }',
  'require ["fileinto", "environment"]; if environment :matches "name" "*" { fileinto "A"; }',
  'require ["fileinto", "mailbox"]; if mailboxexists "NoSuch" { fileinto "A"; } else { fileinto "B"; }',
  'require ["fileinto", "enotify"]; if valid_notify_method ["mailto:a@b.example"] { fileinto "A"; } if notify_method_capability "mailto:a@b.example" "online" "maybe" { fileinto "B"; }',
  'require ["fileinto", "duplicate"]; if duplicate { fileinto "again"; }',
  'require ["fileinto", "include", "variables"]; global "a"; set "a" "x"; fileinto "${global.a}"; return;',
  'if header :contains ["subject", "from"] ["hello", "remote"] { discard; } # end',
  // Extensions that are hidden there unless they are switched on.
  'require ["vacation", "vacation-seconds"]; vacation :seconds 3600 "gone";',
  'require ["fileinto", "spamtest", "relational", "comparator-i;ascii-numeric"]; if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "untested"; }',
  'require ["fileinto", "spamtestplus", "relational", "comparator-i;ascii-numeric"]; if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "1" { fileinto "spam"; }',
  'require ["fileinto", "virustest", "relational", "comparator-i;ascii-numeric"]; if virustest :value "ge" :comparator "i;ascii-numeric" "1" { fileinto "tested"; } else { fileinto "untested"; }',
  'require ["fileinto", "special-use"]; if specialuse_exists "\\\\Junk" { fileinto "A"; } else { fileinto "B"; }',
  'require ["fileinto", "mboxmetadata"]; if metadataexists "INBOX" "/private/comment" { fileinto "A"; } else { fileinto "B"; }',
  'require ["fileinto", "servermetadata"]; if servermetadataexists "/shared/comment" { fileinto "A"; } else { fileinto "B"; }',
  // Not taken: both must say so.
  "blub;",
  'fileinto "x";',
  'require "fileinto"; fileinto;',
  'if header :is :contains "a" "b" { keep; }',
  "if true { keep; } else { } else { }",
  'require ["variables"]; set "1" "x";',
  'require ["foreverypart"]; break;',
  'redirect "a@b.example, c@d.example";',
];

Deno.test("Pigeonhole does the same with the same scripts and messages", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-sieve-" });
  await Deno.chmod(folder, 0o777);
  try {
    await Deno.writeTextFile(`${folder}/dovecot.conf`, CONF(folder));
    for (const [name, text] of Object.entries(MESSAGES)) {
      await Deno.writeFile(`${folder}/${name}.eml`, crlf(text));
    }
    const differences: string[] = [];
    for (const script of SCRIPTS) {
      await Deno.writeFile(`${folder}/s.sieve`, crlf(script));
      for (const [name, text] of Object.entries(MESSAGES)) {
        const [ours, theirs] = [await oursOf(script, text), await theirsOf(folder, name)];
        if (ours !== theirs) {
          differences.push(`${script}\n  ${name}: ours   ${ours}\n  ${name}: theirs ${theirs}`);
        }
      }
    }
    assert.deepEqual(differences, [], differences.join("\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function oursOf(script: string, message: string): Promise<string> {
  const compiled = await compileScript(crlf(script));
  if ("faults" in compiled) return "refused";
  const outcome = compiled.program.run(new MessageView(crlf(message)), {
    ...EMPTY_HOST,
    envelope: { from: FROM, to: TO },
    now: Date.now(),
    zoneMinutes: -new Date().getTimezoneOffset(),
    environment: (item) => item === "name" ? "Veredus" : null,
  });
  return outcome.fault === null ? lines(actionsOf(outcome)) : `fault: ${outcome.fault.text}`;
}

function actionsOf({ actions, implicitKeep }: Outcome): string[] {
  const all: string[] = [];
  const flagged = (flags: readonly string[] | null) =>
    [...flags ?? []].map((flag) => flag.toLowerCase()).sort();
  for (const action of implicitKeep === null ? actions : [...actions, implicitKeep]) {
    switch (action.kind) {
      case "keep":
        all.push(["store INBOX", ...flagged(action.flags)].join(" "));
        break;
      case "fileinto":
        all.push([`store ${action.mailbox.trim()}`, ...flagged(action.flags)].join(" "));
        break;
      case "redirect":
        all.push(`redirect ${action.address}`);
        break;
      case "reject":
        all.push(`reject ${action.reason}`);
        break;
      case "vacation":
      case "notify":
        all.push(action.kind);
        break;
      case "discard":
        break;
      default:
        action satisfies never;
    }
  }
  return all;
}

function lines(all: readonly string[]): string {
  return [...new Set(all)].sort().join("; ");
}

/** What sieve-test prints, in the same words. */
async function theirsOf(folder: string, message: string): Promise<string> {
  const { code, stdout, stderr } = await run("chrt", [
    ...["-i", "0", "sieve-test", "-c", `${folder}/dovecot.conf`, "-f", FROM, "-a", TO, "-r", TO],
    ...[`${folder}/s.sieve`, `${folder}/${message}.eml`],
  ]);
  if (/failed to compile/.test(stderr)) return "refused";
  assert.equal(code, 0, stderr);
  const all: string[] = [];
  for (const line of stdout.split("\n")) {
    const store = /^ \* store message in folder: (.*)$/.exec(line)?.[1];
    const flags = /^ +\+ add IMAP flags: (.*)$/.exec(line)?.[1];
    const redirect = /^ \* redirect message to: <?([^>]*)>?$/.exec(line)?.[1];
    const reject = /^ \* reject message with reason: (.*)$/.exec(line)?.[1];
    if (store !== undefined) all.push(`store ${store.trim()}`);
    else if (flags !== undefined) all.push([all.pop(), ...flags.toLowerCase().split(/\s+/).sort()].join(" "));
    else if (redirect !== undefined) all.push(`redirect ${redirect}`);
    else if (reject !== undefined) all.push(`reject ${reject}`);
    else if (line.startsWith(" * send vacation message")) all.push("vacation");
    else if (line.startsWith(" * send notification")) all.push("notify");
  }
  return lines(all);
}

Deno.test("sieve-connect uploads, lists, activates, downloads and removes", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "veredus-sieve-connect-" });
  const server = await ServerProcess.start({ dataDir, offset: freeOffset(), password: "secret" });
  try {
    const passwords = `${dataDir}/password`;
    const file = `${dataDir}/holiday.sieve`;
    await Deno.writeTextFile(passwords, "secret\n");
    await Deno.writeTextFile(file, 'require "vacation";\r\nvacation "gone";\r\n');
    const connect = async (...options: string[]) => {
      const { code, stdout, stderr } = await run("chrt", [
        ...["-i", "0", "sieve-connect", "--server", "127.0.0.1", "--port", String(server.port(4190))],
        ...["--user", "alice@example.test", "--passwordfd", "0", "--nosslverify", "--notlsverify"],
        ...options,
      ], { stdin: "secret\n" });
      return { code, text: `${stdout}${stderr}` };
    };
    const uploaded = await connect("--upload", "--localsieve", file, "--remotesieve", "holiday");
    assert.equal(uploaded.code, 0, uploaded.text);
    assert.match((await connect("--list")).text, /holiday/);
    assert.equal((await connect("--activate", "--remotesieve", "holiday")).code, 0);
    assert.match((await connect("--list")).text, /holiday.*ACTIVE/i);
    assert.match(
      (await connect("--download", "--remotesieve", "holiday", "--localsieve", "-")).text,
      /vacation "gone"/,
    );
    assert.equal((await connect("--deactivate")).code, 0);
    assert.equal((await connect("--delete", "--remotesieve", "holiday")).code, 0);
    assert.doesNotMatch((await connect("--list")).text, /holiday/);
    await Deno.writeTextFile(file, "blub;\r\n");
    const refused = await connect("--upload", "--localsieve", file, "--remotesieve", "bad");
    assert.match(refused.text, /line 1, column 1: there is no command blub/);
  } finally {
    await server.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
});
