/**
 * The process that takes text out of attachments (extract_process.ts): files come on standard input, what was found goes to
 * standard output, both as frames (frames.ts).
 *
 * A Worker without permissions reads them, one for PDF and one for the others, made when the first such file comes. The
 * kernel ends the process that takes too much memory or processor time. It ends with its input; signals to the whole group
 * (Ctrl-C) are the server's business.
 */
import type { Extraction } from "../../search/extract/extraction.ts";
import { fileKind } from "../../search/extract/file_kind.ts";
import { EXIT, type ExitCode } from "../exit_codes.ts";
import { type ExtractLine, unpackFile } from "../extract_protocol.ts";
import type { ExtractRequest } from "../extract_side.ts";
import { framed, FrameReader } from "../frames.ts";
import { lowerPriority } from "../low_priority.ts";
import {
  forbidDumps,
  limitMemory,
  limitProcessorTime,
  processorMs,
  unlimitMemory,
} from "./resource_limits.ts";

/** Memory for all that files need, beside the program itself. */
const MEMORY_OCTETS = 640 * 1024 * 1024;
const MAX_FRAME_OCTETS = 256 * 1024 * 1024;

/** Entries of the Workers. Both addresses are written out: what goes into the executable is found by them. */
const ENTRIES = {
  pdf: new URL("../extract_pdf_worker.ts", import.meta.url),
  document: new URL("../extract_document_worker.ts", import.meta.url),
};

/** `entries`: other Workers, for tests. */
export async function extractProcess(entries: Readonly<typeof ENTRIES> = ENTRIES): Promise<ExitCode> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  lowerPriority(); // where that is not possible it competes with the others
  forbidDumps();
  const readers = new Map<keyof typeof ENTRIES, Worker>();
  const input = new FrameReader(Deno.stdin.readable, MAX_FRAME_OCTETS);
  for (let frame = await input.next(); frame !== null; frame = await input.next()) {
    const { octets, characters, timeMs } = unpackFile(frame);
    const kind = fileKind(octets) === "pdf" ? "pdf" : "document";
    const reader = readers.get(kind) ?? await loaded(entries[kind]);
    readers.set(kind, reader);
    say({ ready: true });
    const before = processorMs();
    limitProcessorTime(timeMs);
    const extraction = await ask(reader, { octets: new Uint8Array(octets), characters });
    say({ ...extraction, usedMs: Math.round(processorMs() - before) });
  }
  return EXIT.ok;
}

async function loaded(entry: URL): Promise<Worker> {
  unlimitMemory(); // an engine reserves more than it uses
  const worker = new Worker(entry, { type: "module", deno: { permissions: "none" } } as WorkerOptions);
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    console.error(event.message);
    Deno.exit(EXIT.failed);
  });
  await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
  limitMemory(MEMORY_OCTETS);
  return worker;
}

async function ask(worker: Worker, request: ExtractRequest): Promise<Extraction> {
  return await new Promise((resolve) => {
    worker.addEventListener("message", ({ data }: MessageEvent<Extraction>) => resolve(data), { once: true });
    worker.postMessage(request, [request.octets.buffer]);
  });
}

function say(line: ExtractLine): void {
  const bytes = framed(new TextEncoder().encode(JSON.stringify(line)));
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

if (import.meta.main) Deno.exit(await extractProcess());
