/**
 * Fuzzing what looks into attachments: types, zip directories, tar headers, compound files, inflating; and whole messages
 * with attachments that are found, looked into, and taken out.
 *
 * Nothing throws, every entry lies within the octets, no more is inflated than the budget allows, and what takes the place of
 * attachments lies in the message, in order.
 */
import assert from "node:assert/strict";
import { gzipSync, zipSync } from "fflate";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { run } from "../../bytes/steps.ts";
import { isDisguised, isScriptName } from "../../filter/content/file_name.ts";
import { inspectMessage } from "../../filter/content/attachments.ts";
import { strip } from "../../filter/content/strip.ts";
import { MessageChanges } from "../../filter/message_source.ts";
import { inflate } from "../../filter/content/inflate.ts";
import { Budget, inspectHead, inspectWhole } from "../../filter/content/inspect.ts";
import { oleFindings } from "../../filter/content/ole_directory.ts";
import { tarEntries } from "../../filter/content/tar_entries.ts";
import { trueType } from "../../filter/content/true_type.ts";
import { zipEntries } from "../../bytes/zip_directory.ts";
import { sourceOf } from "../filter/content_source.ts";
import { Finding, fuzz, mutate, Random } from "./fuzzing.ts";

const ZIP = zipSync({
  "a.txt": encode("hello"),
  "b/c.exe": encode("MZ\x01"),
  "in.gz": gzipSync(encode("x")),
});
const TAR_HEADER = (() => {
  const header = new Uint8Array(1024);
  header.set(encode("name\0"));
  header.set(encode("00000000012\0"), 124);
  header.set(encode("0ustar\x0000"), 156);
  header.fill(0x20, 148, 156);
  header.set(
    encode(header.subarray(0, 512).reduce((sum, one) => sum + one, 0).toString(8).padStart(6, "0") + "\0"),
    148,
  );
  return header;
})();
const SEEDS = [
  latin1(ZIP),
  latin1(TAR_HEADER),
  latin1(gzipSync(TAR_HEADER)),
  "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "\0".repeat(504) + "V\0B\0A\0".padEnd(64, "\0") + "\x08\0\x01" +
  "\0".repeat(61),
  "MZ\x90" + "\0".repeat(57) + "\x40\0\0\0PE\0\0",
  "Rar!\x1a\x07\x01\0\0\0\0\0\x21\x04\0",
];
const TOKENS = [
  "PK\x03\x04",
  "PK\x01\x02",
  "PK\x05\x06",
  "\xff\xff\xff\xff",
  "\0\0\0\0",
  "\x01\0\x10\0\xff\xff\xff\xff\xff\xff\xff\xff",
  "77777777777\0",
  "\x1f\x8b\x08",
];
const LIMITS = { depth: 3, files: 20, octets: 100_000 };

const make = (random: Random) =>
  encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 6 }));

/** What is read at once. */
export function fuzzContent(seed: number, runs: number): void {
  fuzz({ make, check: checkContent }, seed, runs);
}

export function checkContent(input: Uint8Array): void {
  trueType(input);
  oleFindings(input);
  for (const { start, end } of [...zipEntries(input, 20).entries, ...tarEntries(input, 20).entries]) {
    assert.ok(start >= 0 && start <= input.length && end <= input.length);
  }
  const name = latin1(input, 0, Math.min(input.length, 200));
  isDisguised(name);
  isScriptName(name);
}

/** What waits between pieces of work: whole attachments. */
export async function fuzzArchive(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = make(random);
    try {
      await checkArchive(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkArchive(input: Uint8Array): Promise<void> {
  const budget = new Budget(LIMITS);
  if (inspectHead(input.subarray(0, 4096), "x", budget)) {
    await inspectWhole(input, { path: "x", depth: 0 }, budget);
  }
  assert.ok(budget.octets >= 0 && budget.findings.length <= 50);
  for (const form of ["deflate", "gzip"] as const) {
    assert.ok((await inflate(input, { form, most: 1_000 })).octets.length <= 1_000);
  }
}

const MAIL = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n' +
  'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
  `${btoa(latin1(ZIP))}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n` +
  "Content-Disposition: attachment; filename*=utf-8''x%2Epdf.exe\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nM=5A=\r\n\r\n" +
  '--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; name="a.js"\r\n\r\nx\r\n--c--\r\n--b--\r\n';
const MAIL_TOKENS = [
  "--b\r\n",
  "--b--\r\n",
  "\r\n\r\n",
  "multipart/",
  "boundary=",
  "base64",
  "=\r\n",
  ";",
  '"',
  "TVqQ",
];

export async function fuzzAttachments(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = encodeLatin1(mutate(random, MAIL, { tokens: MAIL_TOKENS, maxChanges: 5 }));
    try {
      await checkAttachments(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkAttachments(input: Uint8Array): Promise<void> {
  const text = latin1(input);
  const end = text.indexOf("\r\n\r\n");
  const source = { ...sourceOf(text), headerOctets: end < 0 ? input.length : end + 4 };
  const budget = new Budget(LIMITS);
  const found = await run(inspectMessage(source, budget));
  const changes = new MessageChanges();
  strip(found.filter(({ sealed }) => !sealed), changes, { reason: "x", dangerous: false });
  let at = 0;
  for (const { start, end } of changes.replaced) {
    assert.ok(start >= at && end >= start && end <= input.length);
    at = end;
  }
}
