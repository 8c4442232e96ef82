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
import { PIGEONHOLE_EXTENSIONS, SCRIPTS } from "./sieve_scripts.ts";

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
  sieve_extensions = ${PIGEONHOLE_EXTENSIONS}
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
