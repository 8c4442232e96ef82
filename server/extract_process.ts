/**
 * The text of attachments, taken out by a process of its own (process/extract.ts).
 *
 * Files of strangers are read by large libraries: what hangs in a loop, takes all memory or breaks the engine must not be this
 * process, and the runtime cannot end a thread that hangs. The process is this program again, made for the first file, made anew
 * when one was too much for it, and ended when nothing came for a while.
 */
import { fileURLToPath } from "node:url";
import type { AttachmentLimits } from "../search/attached_files.ts";
import {
  type Extracted,
  ExtractorFault,
  type FileToRead,
  type TextExtractor,
} from "../search/text_extractor.ts";
import type { SearchConfig } from "./config/config.ts";
import { type ExtractAnswer, type ExtractLine, packFile } from "./extract_protocol.ts";
import { framed, FrameReader } from "./frames.ts";

/** Without work for so long it gives its memory back. */
const IDLE_MS = 30_000;
/** Until it has started and can read a file, at the lowest priority. */
const READY_MS = 120_000;
/** For each millisecond of processor time that a file may take, on a machine with other work. */
const PATIENCE = 30;
/** JSON makes six characters of one at most. */
const MAX_ANSWER_OCTETS = 16 * 1024 * 1024;
const HEAP_MEGABYTES = 384;
const MAX_SAID = 500;

interface Running {
  readonly child: Deno.ChildProcess;
  readonly input: WritableStreamDefaultWriter<Uint8Array>;
  readonly output: FrameReader;
  /** The end of what it says to standard error, when it is gone. */
  readonly said: Promise<string>;
}

export interface ExtractProcessOptions {
  readonly idleMs?: number;
  /** What starts the process, in place of this program. */
  readonly command?: readonly string[];
}

/** For one thread; null where files are not to be read. No process is made before the first file. */
export function attachmentsOf(
  { attachments, attachmentOctets, attachmentCharacters, attachmentTimeMs }: SearchConfig,
): { readonly extractor: TextExtractor; readonly limits: AttachmentLimits } | null {
  return !attachments ? null : {
    extractor: new ExtractProcess(),
    limits: { fileOctets: attachmentOctets, characters: attachmentCharacters, timeMs: attachmentTimeMs },
  };
}

export class ExtractProcess implements TextExtractor {
  readonly #idleMs: number;
  readonly #command: readonly string[];
  #running: Running | null;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #closed: boolean;
  /** Processes that were told to end and have not yet. */
  #ending: Set<Promise<void>>;

  constructor({ idleMs = IDLE_MS, command = extractCommand() }: ExtractProcessOptions = {}) {
    this.#idleMs = idleMs;
    this.#command = command;
    this.#running = null;
    this.#idle = undefined;
    this.#closed = false;
    this.#ending = new Set();
  }

  /** Its id while there is one; for tests. */
  get pid(): number | null {
    return this.#running?.child.pid ?? null;
  }

  async extract(file: FileToRead): Promise<Extracted> {
    if (this.#closed) throw new ExtractorFault("the server ends");
    clearTimeout(this.#idle);
    const running = this.#running ??= start(this.#command);
    try {
      return await this.#ask(running, file);
    } finally {
      if (this.#running !== null && !this.#closed) {
        this.#idle = setTimeout(() => this.#end(), this.#idleMs);
        Deno.unrefTimer(this.#idle as unknown as number);
      }
    }
  }

  /** What it is at is given up. Resolves when its process is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#end();
    await Promise.all(this.#ending);
  }

  async #ask(running: Running, file: FileToRead): Promise<Extracted> {
    const begun = performance.now();
    // When it died the answer says so.
    running.input.write(framed(packFile(file))).catch(() => {});
    let ready = false, late = false, timer = setTimeout(() => this.#kill(running), READY_MS);
    try {
      await nextLine(running);
      ready = true;
      clearTimeout(timer);
      timer = setTimeout(() => {
        late = true;
        this.#kill(running);
      }, PATIENCE * Math.max(1_000, file.timeMs));
      const { outcome, text, fault, usedMs } = await nextLine(running) as ExtractAnswer;
      return { outcome, text, fault, usedMs };
    } catch (error) {
      this.#kill(running);
      const { signal, code } = await running.child.status;
      const cause = error instanceof Error ? error.message : error;
      const fault = [signal ?? `exit ${code}`, cause, await running.said].join("; ");
      if (this.#closed) throw new ExtractorFault("the server ends");
      if (!ready) throw new ExtractorFault(`the process that reads attachments did not start: ${fault}`);
      const time = late || signal === "SIGXCPU";
      return { outcome: time ? "time" : "crashed", text: "", fault, usedMs: performance.now() - begun };
    } finally {
      clearTimeout(timer);
    }
  }

  /** By force: it has nothing to lose. */
  #end(): void {
    if (this.#running !== null) this.#kill(this.#running);
  }

  #kill(running: Running): void {
    if (this.#running !== running) return;
    this.#running = null;
    const { child, input } = running;
    input.abort().catch(() => {}); // what it has not read yet is of no use any more
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error; // it ended by itself
    }
    const ending: Promise<void> = child.status.then(async () => void await running.said)
      .finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

/** Throws an {@linkcode ExtractorFault} where the system has none for us. */
function start([program, ...args]: readonly string[]): Running {
  try {
    const child = new Deno.Command(program!, {
      args,
      env: { DENO_V8_FLAGS: `--max-old-space-size=${HEAP_MEGABYTES}` },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return {
      child,
      input: child.stdin.getWriter(),
      output: new FrameReader(child.stdout, MAX_ANSWER_OCTETS),
      said: endOf(child.stderr),
    };
  } catch (error) {
    throw new ExtractorFault(
      `no process to read attachments: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** The last that is said there, once that has ended. */
async function endOf(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of output.pipeThrough(new TextDecoderStream())) {
    text = (text + piece).slice(-MAX_SAID);
  }
  return text.trim();
}

async function nextLine({ output }: Running): Promise<ExtractLine> {
  const frame = await output.next();
  if (frame === null) throw new Error("it ended");
  return JSON.parse(new TextDecoder().decode(frame)) as ExtractLine;
}

/** An executable has one entry, whose hidden command comes to the same module. */
function extractCommand(): string[] {
  return Deno.build.standalone ? [Deno.execPath(), "extract-text"] : [
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    fileURLToPath(new URL("./process/extract.ts", import.meta.url)),
  ];
}
