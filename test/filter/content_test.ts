/** What messages carry, by what it is: types, names, archives, and bombs that end in a finding. */
import { run } from "../../bytes/steps.ts";
import { joined } from "../../bytes/joined.ts";
import assert from "node:assert/strict";
import { gzipSync, zipSync } from "fflate";
import { encode, encodeLatin1 } from "../../bytes/decode.ts";
import { content, type ContentAction } from "../../filter/checks/content.ts";
import { inspected, inspectMessage } from "../../filter/content/attachments.ts";
import { Budget, type ContentLimits } from "../../filter/content/inspect.ts";
import { trueType } from "../../filter/content/true_type.ts";
import { MessageFindings } from "../../filter/findings.ts";
import type { Verdict } from "../../filter/verdict.ts";
import { CLIENT, sourceOf } from "./content_source.ts";

const LIMITS: ContentLimits = { depth: 4, files: 100, octets: 8_000_000 };

/** The beginning of a Windows program. */
function program(): Uint8Array {
  const octets = new Uint8Array(512);
  octets.set(encode("MZ"));
  octets[2] = 0x90;
  octets[0x3c] = 0x80;
  octets.set(encode("PE\0\0"), 0x80);
  return octets;
}

function tar(files: Record<string, Uint8Array>): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, octets] of Object.entries(files)) {
    const header = new Uint8Array(512);
    header.set(encode(name));
    header.set(encode("0000644\0"), 100);
    header.set(encode(octets.length.toString(8).padStart(11, "0") + "\0"), 124);
    header.set(encode("0ustar\x0000"), 156);
    header.set(encode("        "), 148);
    const sum = header.reduce((all, one) => all + one, 0);
    header.set(encode(sum.toString(8).padStart(6, "0") + "\0 "), 148);
    const body = new Uint8Array(Math.ceil(octets.length / 512) * 512);
    body.set(octets);
    blocks.push(header, body);
  }
  return joined([...blocks, new Uint8Array(1024)]);
}

/** A compound file with entries of these names. */
function compound(...names: string[]): Uint8Array {
  const octets = new Uint8Array(512 + 128 * (names.length + 1));
  octets.set(encodeLatin1("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"));
  ["Root Entry", ...names].forEach((name, i) => {
    const at = 512 + 128 * i;
    [...name].forEach((character, j) => octets[at + 2 * j] = character.charCodeAt(0));
    octets[at + 64] = 2 * name.length + 2;
    octets[at + 66] = i === 0 ? 5 : 1;
  });
  return octets;
}

function base64(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 0x6000) {
    text += String.fromCharCode(...octets.subarray(at, at + 0x6000));
  }
  return btoa(text).replace(/.{76}/g, "$&\r\n");
}

function withAttachment(name: string, octets: Uint8Array): string {
  return [
    "From: s@remote.example",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "",
    "See attached.",
    "--b",
    `Content-Type: application/octet-stream; name="${name}"`,
    "Content-Transfer-Encoding: base64",
    `Content-Disposition: attachment; filename="${name}"`,
    "",
    base64(octets),
    "--b--",
    "",
  ].join("\r\n");
}

async function found(message: string, limits = LIMITS): Promise<string[]> {
  const budget = new Budget(limits);
  await run(inspectMessage(sourceOf(message), budget));
  return budget.findings.map(({ kind, path, what }) => `${kind} ${path}: ${what}`);
}

const attached = (name: string, octets: Uint8Array, limits?: ContentLimits) =>
  found(withAttachment(name, octets), limits);

Deno.test("types by their first octets, whatever the name is", () => {
  const cases: [string, string][] = [
    ["\x7fELF\x02\x01", "elf"],
    ["\xca\xfe\xba\xbe\0\0\0\x34", "java-class"],
    ["dex\n035\0", "dex"],
    ["L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "shortcut"],
    ["PK\x03\x04", "zip"],
    ["Rar!\x1a\x07\x01\0", "rar"],
    ["MZ are two letters that a text may begin with", "other"],
    ["hello", "other"],
    ["", "other"],
  ];
  for (const [octets, type] of cases) assert.equal(trueType(encodeLatin1(octets)), type, octets);
  assert.equal(trueType(program()), "windows-program");
  assert.equal(trueType(tar({ a: encode("x") })), "tar");
});

Deno.test("programs are found by what they are: alone, in archives, in archives in archives", async () => {
  const zip = zipSync({ "docs/report.txt": encode("x"), "setup.dat": program() });
  assert.deepEqual(await attached("holiday.jpg", program()), ["executable holiday.jpg: windows-program"]);
  assert.deepEqual(await attached("a.zip", zip), ["executable a.zip/setup.dat: windows-program"]);
  assert.deepEqual(await attached("a.bin", gzipSync(tar({ "x/y.txt": encode("hi"), z: program() }))), [
    "executable a.bin/z: windows-program",
  ]);
  assert.deepEqual(await attached("outer.zip", zipSync({ "in.zip": zip }, { level: 0 })), [
    "executable outer.zip/in.zip/setup.dat: windows-program",
  ]);
  // A broken directory hides nothing.
  assert.deepEqual(await attached("a.zip", zip.subarray(0, zip.length - 10)), [
    "executable a.zip/setup.dat: windows-program",
  ]);
  assert.deepEqual(await attached("a.zip", joined([encode("PK\x05\x06 not at all"), zip])), [
    "executable a.zip/setup.dat: windows-program",
  ]);
  assert.deepEqual(await attached("notes.zip", zipSync({ "a.txt": encode("x".repeat(10_000)) })), []);
  const single = "Content-Transfer-Encoding: base64\r\n\r\n" + base64(program());
  assert.deepEqual(await found(single), ["executable part without a name: windows-program"]);
  assert.deepEqual(await found("Content-Type: text/plain\r\n\r\nhello\r\n"), []);
  const inside = `Content-Type: message/rfc822\r\n\r\n${withAttachment("x", program())}`;
  assert.deepEqual(await found(inside), ["executable x: windows-program"]);
});

Deno.test("scripts, disguises, macros, and what is encrypted", async () => {
  const plain = encode("x");
  assert.deepEqual(await attached("run.js", plain), ["script run.js: a script, by its name"]);
  for (const name of ["invoice.pdf.exe", "photo.jpg          .scr", "a.doc .com", "letter.txt.js"]) {
    assert.deepEqual(await attached(name, plain), [`disguised ${name}: a name that hides what it is`]);
  }
  for (const name of ["report.final.pdf", "a.tar.gz", "v1.2.txt", "mail.com.pdf"]) {
    assert.deepEqual(await attached(name, plain), [], name);
  }
  assert.deepEqual(await attached("a.zip", zipSync({ "b.pdf.vbs": plain })), [
    "disguised a.zip/b.pdf.vbs: a name that hides what it is",
  ]);
  const docm = zipSync({ "[Content_Types].xml": plain, "word/vbaProject.bin": compound("VBA") });
  assert.deepEqual(await attached("letter.docx", docm), [
    "macros letter.docx: a document with macros",
    "macros letter.docx/word/vbaProject.bin: a document with macros",
  ]);
  assert.deepEqual(await attached("old.doc", compound("WordDocument", "Macros")), [
    "macros old.doc: a document with macros",
  ]);
  assert.deepEqual(await attached("x.docx", compound("EncryptionInfo", "EncryptedPackage")), [
    "encrypted x.docx: an encrypted document",
  ]);
  const locked = zipSync({ "a.txt": plain });
  const central = String.fromCharCode(...locked).indexOf("PK\x01\x02");
  for (const flags of [6, central + 8]) locked[flags]! |= 1;
  assert.deepEqual(await attached("a.zip", locked), ["encrypted a.zip: an encrypted archive"]);
  assert.deepEqual(await attached("a.rar", encodeLatin1("Rar!\x1a\x07\x01\0\0\0\0\0\x21\x04\0")), [
    "encrypted a.rar: an encrypted archive",
  ]);
  assert.deepEqual(await attached("a.7z", encodeLatin1("7z\xbc\xaf\x27\x1c\0\x04")), [
    "not-seen a.7z: an archive of a kind that is not opened: 7z",
  ]);
  const msi = compound();
  msi.set([0x84, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46], 512 + 80);
  assert.deepEqual(await attached("a.txt", msi), ["executable a.txt: installer"]);
});

Deno.test("bombs end in a finding: too deep, too many files, too much inflated", async () => {
  let deep = zipSync({ "a.exe": program() });
  for (let at = 0; at < 10; at++) deep = zipSync({ "in.zip": deep });
  const [tooDeep, ...others] = await attached("deep.zip", deep);
  assert.match(tooDeep!, /^not-seen deep\.zip(\/in\.zip){4}: archives within archives$/);
  assert.deepEqual(others, []);
  const many = zipSync(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, encode("x")])));
  assert.deepEqual(await attached("many.zip", many), ["not-seen many.zip: too many files"]);
  // 60 MB of a tar in 60 kB, in a zip, next to a program: its limit is met, the memory is not.
  const zeros = new Uint8Array(60_000_000);
  zeros.set(tar({ a: new Uint8Array(100) }).subarray(0, 1024));
  const bomb = zipSync({ "bomb.tar": gzipSync(zeros), "later.exe": program() });
  const before = Deno.memoryUsage();
  const findings = await attached("bomb.zip", bomb, { ...LIMITS, octets: 4_000_000 });
  const after = Deno.memoryUsage();
  assert.equal(findings[0], "not-seen bomb.zip/bomb.tar: more inflated than is looked at");
  assert.ok(after.external - before.external < 30_000_000, "it was not unpacked");
});

Deno.test("each kind has its own action; relays of ours are never refused; virustest hears of it", async () => {
  const actions = {
    ...{ executable: "reject", script: "tag", disguised: "quarantine" },
    ...{ macros: "continue", encrypted: "tag", "not-seen": "tag" },
  } as Record<string, ContentAction> as Parameters<typeof content>[0]["actions"];
  const ask = async (message: string, relay = false): Promise<Verdict & { level: number | null }> => {
    const check = content({
      name: "content",
      actions,
      limits: LIMITS,
      isRelay: () => relay,
      inspect: inspected,
    });
    const findings = new MessageFindings();
    const verdict = await check.run({
      ...{ stage: "message", client: CLIENT, traceId: "t", sender: "a@b", recipient: "", recipients: [] },
      ...{
        message: sourceOf(message),
        notes: new Map(),
        changes: null,
        findings,
        sent: null,
        staysHere: true,
      },
    });
    return { ...verdict, level: findings.virusLevel };
  };
  const refused = await ask(withAttachment("a.txt", program()));
  assert.deepEqual([refused.action, refused.reply?.code, refused.reply?.enhanced, refused.level], [
    "reject",
    550,
    "5.7.1",
    4,
  ]);
  assert.match(
    refused.reply!.text,
    /^Such attachments are not taken: executable: windows-program in a\.txt$/,
  );
  assert.equal((await ask(withAttachment("a.txt", program()), true)).action, "quarantine");
  assert.equal((await ask(withAttachment("a.pdf.exe", encode("x")))).action, "quarantine");
  assert.equal((await ask(withAttachment("a.js", encode("x")))).action, "tag");
  const macros = await ask(withAttachment("a.doc", compound("VBA")));
  assert.deepEqual([macros.action, macros.level], ["continue", 3]);
  assert.equal((await ask("\r\nhello\r\n")).level, null);
});

Deno.test("100,000 parts and a header of 5 MB each end in a finding", async () => {
  const parts = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + "--b\r\n\r\nx\r\n".repeat(100_000) +
    "--b--\r\n";
  const found100k = await found(parts);
  assert.equal(found100k.length, 1);
  assert.match(found100k[0]!, /^not-seen message: too many parts$/);
  const long = `X-Long: ${"y".repeat(5_000_000)}\r\n` + withAttachment("a.txt", program());
  assert.deepEqual(await found(long), ["not-seen header: larger than is looked at"]);
});
