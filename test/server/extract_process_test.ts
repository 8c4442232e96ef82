/** The process that takes text out of attachments: files that are too much for it end it, not the server. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encode } from "../../bytes/decode.ts";
import { type Extracted, ExtractorFault } from "../../search/text_extractor.ts";
import { ExtractProcess } from "../../server/extract_process.ts";
import { framed, FrameReader } from "../../server/frames.ts";
import { until } from "../lib/program.ts";
import { pdfBomb, pdfOf, pdfSaying } from "../search/pdf_file.ts";

async function read(reader: ExtractProcess, octets: Uint8Array, timeMs = 60_000): Promise<Extracted> {
  return await reader.extract({ octets, characters: 1_000, timeMs });
}

function isThere(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("files of both kinds are read by one process, which ends when it is idle", async () => {
  const reader = new ExtractProcess({ idleMs: 300 });
  assert.equal(reader.pid, null);
  const { outcome, text } = await read(reader, pdfSaying("a heron"));
  assert.deepEqual({ outcome, text }, { outcome: "extracted", text: "a heron" });
  const pid = reader.pid!;
  assert.ok(isThere(pid));
  assert.equal((await read(reader, encode("{\\rtf1 an egret}"))).text, "an egret");
  assert.equal((await read(reader, encode("neither"))).outcome, "unsupported");
  assert.equal(reader.pid, pid);
  assert.equal((await read(reader, pdfSaying("in no time"), 1)).text, "in no time"); // the least is a second
  await until("the process is gone", () => !isThere(pid));
  assert.equal(reader.pid, null);
  assert.equal((await read(reader, pdfSaying("again"))).text, "again");
  await reader.close();
});

Deno.test(
  {
    name: "a file that takes too long ends the process; the next one is read",
    ignore: Deno.build.os !== "linux",
  },
  async () => {
    const reader = new ExtractProcess();
    // Millions of operators: a second is not enough for them.
    const long = pdfOf(encode("q 1 0 0 1 0 0 cm /F1 1 Tf Q\n".repeat(4_000_000)), { deflated: true });
    const { outcome, text, fault } = await read(reader, long, 1_000);
    assert.deepEqual({ outcome, text }, { outcome: "time", text: "" }, fault);
    assert.match(fault, /^SIG(XCPU|KILL)/); // by the kernel, or by us where it got no processor at all
    assert.equal((await read(reader, pdfSaying("a heron"))).text, "a heron");
    await reader.close();
  },
);

Deno.test(
  {
    name: "a file that takes too much memory ends the process; the next one is read",
    ignore: Deno.build.os !== "linux",
  },
  async () => {
    const reader = new ExtractProcess();
    const large = pdfBomb(900);
    const { outcome, text, fault } = await read(reader, large);
    assert.deepEqual({ outcome, text }, { outcome: "crashed", text: "" }, fault);
    assert.equal((await read(reader, pdfSaying("a heron"))).text, "a heron");
    await reader.close();
  },
);

Deno.test("who reads files reaches nothing: no files, network, environment, programs, libraries", async () => {
  const command = [
    ...[Deno.execPath(), "run", "--quiet", "-A"],
    fileURLToPath(new URL("extract_spying.ts", import.meta.url)),
  ];
  const reader = new ExtractProcess({ command });
  for (const file of [pdfSaying("a heron"), encode("{\\rtf1 an egret}")]) {
    assert.equal((await read(reader, file)).text, "nothing");
  }
  await reader.close();
});

Deno.test("what it is at when the server ends is not the file's fault", async () => {
  const reader = new ExtractProcess();
  await read(reader, pdfSaying("a heron"));
  const { pid } = reader;
  const asked = assert.rejects(read(reader, pdfOf(encode("q Q\n".repeat(1_000_000)))), ExtractorFault);
  await reader.close();
  await asked;
  assert.ok(!isThere(pid!));
  await assert.rejects(read(reader, pdfSaying("late")), ExtractorFault);
});

Deno.test("frames come through whole however they are cut; longer ones than allowed do not", async () => {
  const frames = [encode("one"), new Uint8Array(0), encode("three")];
  const octets = new Uint8Array(frames.flatMap((frame) => [...framed(frame)]));
  for (let size = 1; size <= octets.length; size++) {
    const reader = new FrameReader(pieces(octets, size), 100);
    for (const frame of frames) assert.deepEqual(await reader.next(), frame);
    assert.equal(await reader.next(), null);
  }
  await assert.rejects(new FrameReader(pieces(octets, 4), 2).next(), RangeError);
  await assert.rejects(new FrameReader(pieces(octets.subarray(0, 5), 4), 100).next(), /within a frame/);
});

function pieces(octets: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    Array.from({ length: Math.ceil(octets.length / size) }, (_, i) => octets.slice(i * size, (i + 1) * size)),
  );
}
