/**
 * The log of what happened to each message: one line of JSON an event, in a file for each day and thread.
 *
 * It is off the path of a delivery: lines are gathered in memory and appended in one piece every half a second. A crash
 * loses the last of them and nothing else. Files of days that are over are never written again; old ones are removed.
 * Looking something up reads the files, newest first, without an index: it is rare, the hot path is not.
 */
import { join } from "node:path";
import { counter } from "../telemetry/metrics.ts";

const events = counter(
  "veredus_trace_events_total",
  "Events of the trace of messages: written, lost to a fault, dropped in a flood",
  [
    "result",
  ],
);

const GATHER_MS = 500;
/** A burst is written sooner; beyond the limit events are dropped rather than memory filled. */
const FULL_CHARS = 256 * 1024;
const MAX_CHARS = 16 * 1024 * 1024;
const DAY_MS = 86_400_000;
const SWEEP_MS = 3_600_000;
const FILE = /^(\d{4}-\d{2}-\d{2})\.[a-z0-9-]+\.jsonl$/;

export interface TraceLogOptions {
  readonly folder: string;
  /** Of this thread, in file names: a-z, 0-9 and -. */
  readonly name: string;
  readonly keepMs: number;
  readonly clock: () => number;
  /** Writing failed, once for each series of failures. */
  readonly onFault: (error: unknown) => void;
}

export class TraceLog {
  #options: TraceLogOptions;
  #lines: string[];
  #chars: number;
  #timer: ReturnType<typeof setTimeout> | null;
  #writing: Promise<void> | null;
  #failed: boolean;
  #sweptAt: number;

  constructor(options: TraceLogOptions) {
    this.#options = options;
    this.#lines = [];
    this.#chars = 0;
    this.#timer = null;
    this.#writing = null;
    this.#failed = false;
    this.#sweptAt = 0;
    Deno.mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  }

  note(event: object): void {
    if (this.#chars > MAX_CHARS) return events.inc({ result: "dropped" });
    const line = JSON.stringify(event);
    this.#lines.push(line);
    this.#chars += line.length;
    if (this.#chars > FULL_CHARS) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), GATHER_MS);
  }

  /** What was noted so far is in the file. */
  async close(): Promise<void> {
    this.#write();
    while (this.#writing !== null) await this.#writing;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #write(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#writing !== null || this.#lines.length === 0) return;
    const text = this.#lines.join("\n") + "\n";
    const count = this.#lines.length;
    this.#lines = [];
    this.#chars = 0;
    this.#writing = this.#append(text, count).finally(() => {
      this.#writing = null;
      if (this.#lines.length > 0) this.#timer ??= setTimeout(() => this.#write(), GATHER_MS);
    });
  }

  async #append(text: string, count: number): Promise<void> {
    const { folder, name, keepMs, clock, onFault } = this.#options;
    const now = clock();
    let result = "lost";
    try {
      const path = join(folder, `${dayOf(now)}.${name}.jsonl`);
      await Deno.writeTextFile(path, text, { append: true, mode: 0o600 });
      this.#failed = false;
      result = "written";
      if (now - this.#sweptAt < SWEEP_MS) return;
      this.#sweptAt = now;
      await sweep(folder, now - keepMs);
    } catch (error) {
      if (!this.#failed) onFault(error);
      this.#failed = true;
    } finally {
      events.inc({ result }, count);
    }
  }
}

/** Removes the files of days that ended before `before`. */
async function sweep(folder: string, before: number): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const day = FILE.exec(name)?.[1];
    if (day === undefined || Date.parse(`${day}T00:00:00Z`) + DAY_MS > before) continue;
    await Deno.remove(join(folder, name)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // another thread was quicker
    });
  }
}

export interface TraceQuery {
  /** Our id, a Message-ID, or an address of sender or recipient. */
  readonly about: string;
  /** Messages, newest first. */
  readonly limit: number;
}

interface Line {
  readonly at: number;
  readonly trace: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly messageId?: string;
}

/** The events of the messages that are meant: newest message first, each in order. */
export async function findTraces(folder: string, { about, limit }: TraceQuery): Promise<Line[][]> {
  const wanted = about.toLowerCase();
  const bare = wanted.replace(/^<|>$/g, "");
  const means = (line: Line) =>
    line.trace === about || line.messageId?.toLowerCase().replace(/^<|>$/g, "") === bare ||
    line.from?.toLowerCase() === bare || (line.to?.some((one) => one.toLowerCase() === bare) ?? false);
  const needle = JSON.stringify(bare).slice(1, -1);
  const messages = new Map<string, Line[]>();
  const files = await filesOf(folder);
  for (const day of [...new Set(files.map((name) => name.slice(0, 10)))].sort().reverse()) {
    const found: Line[] = [];
    for (const file of files.filter((name) => name.startsWith(day))) {
      for await (const text of linesOf(join(folder, file))) {
        if (!text.toLowerCase().includes(needle)) continue;
        const line = parsed(text);
        if (line !== null && means(line)) found.push(line);
      }
    }
    for (const line of found.sort((one, other) => other.at - one.at)) {
      if (!messages.has(line.trace) && messages.size < limit) messages.set(line.trace, []);
    }
    if (messages.size >= limit) break;
  }
  if (messages.size === 0) return [];
  for (const file of files) {
    for await (const text of linesOf(join(folder, file))) {
      const line = parsed(text);
      if (line !== null) messages.get(line.trace)?.push(line);
    }
  }
  return [...messages.values()].map((events) => events.sort((one, other) => one.at - other.at));
}

async function filesOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (FILE.test(name)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = await Deno.open(path);
  let rest = "";
  for await (const chunk of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** A line that a crash has cut is left out. */
function parsed(text: string): Line | null {
  try {
    const line = JSON.parse(text);
    return typeof line.trace === "string" && typeof line.at === "number" ? line : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}
