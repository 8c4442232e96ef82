/** Dangerous attachments are taken out where the operator wants it, and the original is kept. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { verify } from "../../storage/verify.ts";
import { Bed, TAKEN } from "./checks_bed.ts";

const STRIP = "    - { check: content, action: strip, scripts: strip, macros: strip }\n";
const PROGRAM = btoa(`MZ\x90\0${"\0".repeat(56)}\x40\0\0\0PE\0\0`);

const part = (name: string, base64: string) =>
  `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n` +
  `Content-Disposition: attachment; filename="${name}"\r\n\r\n${base64}`;
const text = "\r\nSee below.";

function letter(parts: readonly string[], type = "multipart/mixed"): string {
  return "From: <s@remote.example>\r\nSubject: look\r\nMessage-ID: <m@remote.example>\r\n" +
    `Content-Type: ${type}; boundary="b"\r\n\r\n` + parts.map((one) => `--b\r\n${one}\r\n`).join("") +
    "--b--\r\n";
}

const rows = (bed: Bed) => bed.test.store.quarantine.list({}, { after: 0, limit: 10 });

Deno.test("attachments are taken out with a word in their place, and the original waits in the quarantine", async () => {
  await using bed = await Bed.open(STRIP);
  const message = letter([
    text,
    part("a.png", PROGRAM),
    part("b.txt", btoa("harmless")),
    part("a.png", PROGRAM),
  ]);
  assert.deepEqual(await bed.send({ message, to: ["alice@example.test", "bob@example.test"] }), [
    "250 2.1.5",
    ...TAKEN,
  ]);
  for (const name of ["alice", "bob"]) {
    const [stored = "", ...more] = bed.stored(name);
    assert.deepEqual(more, []);
    assert.ok(!stored.includes(PROGRAM));
    assert.ok(stored.includes("See below.") && stored.includes(part("b.txt", btoa("harmless"))));
    assert.equal(
      stored.match(/^The attachment "a\.png" was taken out of this message \(executable\)\.\r$/gm)?.length,
      2,
    );
    assert.match(
      stored,
      /^X-Veredus-Verdict: deliver;\r\n\tcontent=tag _?\(executable: windows-program in a\.png/m,
    );
    assert.ok(stored.endsWith("\r\n--b--\r\n"));
  }
  assert.deepEqual(rows(bed).map(({ recipient, dangerous }) => [recipient, dangerous]), [
    ["alice@example.test", true],
    ["bob@example.test", true],
  ]);
  assert.ok(bed.held().every((original) => original.endsWith(message)));
  const { event, checks = [] } = bed.traced.at(-1)!;
  assert.equal(event, "accepted");
  assert.match(checks[0]!.reason, /; 2 taken out, the original is in quarantine$/);
  const { problems } = await verify({
    ...{ folder: bed.test.folder, fix: false, newFacts: () => new FactsBuilder(), progress: () => {} },
  });
  assert.deepEqual(problems, []);
});

Deno.test("a message that is nothing but the attachment keeps its header", async () => {
  await using bed = await Bed.open(STRIP);
  const message = "From: <s@remote.example>\r\nSubject: one\r\nMessage-ID: <m@remote.example>\r\n" +
    part("run.js", btoa("alert(1)")) + "\r\n";
  assert.deepEqual(await bed.send({ message }), TAKEN);
  const [stored = ""] = bed.stored();
  assert.match(stored, /^Subject: one\r$/m);
  assert.match(stored, /^content-type: text\/plain; charset=us-ascii\r$/im);
  assert.doesNotMatch(stored, /^content-(transfer-encoding|disposition):/im);
  assert.match(stored, /\r\n\r\nThe attachment "run\.js" was taken out of this message \(script\)\.\r\n/);
});

Deno.test("signed and encrypted mail is spared: marked, and programs in it are refused", async () => {
  await using bed = await Bed.open(STRIP);
  const script = part("run.js", btoa("alert(1)"));
  for (
    const message of [
      letter([script, "Content-Type: application/pgp-signature\r\n\r\nxyz"], "multipart/signed"),
      letter(["Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1", script], "multipart/Encrypted"),
      letter([text, script.replace("octet-stream", "pkcs7-mime")]),
    ]
  ) {
    assert.deepEqual(await bed.send({ message }), TAKEN);
    const stored = bed.stored().at(-1)!;
    assert.ok(stored.endsWith(message), stored);
    assert.match(stored, /content=tag _?\(script: a script, by its name in run\.js_?\)/);
  }
  const signed = letter([part("a.png", PROGRAM), "\r\nxyz"], "multipart/signed");
  assert.deepEqual(await bed.send({ message: signed }), ["250 2.1.5", "550 5.7.1"]);
  assert.deepEqual(rows(bed), []);
});

Deno.test("a login is told of a program, and what goes on to others stays as it is", async () => {
  await using bed = await Bed.open(STRIP);
  await bed.test.ok({
    ...{
      kind: "put-alias",
      address: "away@example.test",
      targets: ["alice@example.test", "far@remote.example"],
    },
  });
  const program = letter([text, part("a.png", PROGRAM)]);
  const client = { ...bed.login("bob"), screen: bed.reception.screen() };
  assert.deepEqual(
    (await bed.send({ client, from: "bob@example.test", message: program })).at(-1),
    "550 5.7.1",
  );
  const message = letter([text, part("run.js", btoa("alert(1)"))]);
  assert.deepEqual(await bed.send({ to: ["away@example.test"], message }), TAKEN);
  assert.ok(bed.stored()[0]!.endsWith(message));
  assert.deepEqual(rows(bed), []);
});

Deno.test("what is left goes where scripts say, and the original is kept beside it", async () => {
  await using bed = await Bed.open(STRIP);
  const owner = String(bed.test.store.directory.account("alice@example.test")!.id);
  const of = { scope: "user", owner, name: "main" } as const;
  await bed.test.ok({
    ...{
      kind: "put-script",
      ...of,
      content: 'require ["fileinto", "mailbox"]; fileinto :create "Looked at";',
    },
  });
  await bed.test.ok({ kind: "activate-script", ...of });
  assert.deepEqual(await bed.send({ message: letter([text, part("a.png", PROGRAM)]) }), TAKEN);
  const mailbox = bed.test.mailboxId("alice", "Looked at");
  assert.equal(bed.test.store.messages.rows(mailbox, [[1, 9]], { limit: 9, withImap: false }).length, 1);
  assert.equal(rows(bed).length, 1);
});

Deno.test("out of the box nothing is taken out; strip is for content and header alone", async () => {
  await using bed = await Bed.open("    - { check: content }\n");
  const message = letter([text, part("run.js", btoa("alert(1)"))]);
  assert.deepEqual(await bed.send({ message }), TAKEN);
  assert.ok(bed.stored()[0]!.endsWith(message));
  assert.throws(
    () =>
      parseConfig(
        "hostname: mx.example.test\nfilter: { checks: [{ check: helo, action: strip }] }\n",
        "/veredus.yaml",
      ),
    /strip is for content and header alone/,
  );
});
