/** Runs `veredus ...` as a process of its own: commands to their end, servers until they are told to stop. */
import { MAIN } from "../lib/server_process.ts";
import { type ProgramResult, run, until } from "../lib/program.ts";

const COMMAND = [Deno.execPath(), "run", "-A", "--quiet", MAIN];
const ENV = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };

/** A command to its end. */
export async function veredus(args: string[], options: { stdin?: string } = {}): Promise<ProgramResult> {
  return await run(COMMAND[0]!, [...COMMAND.slice(1), ...args], { env: ENV, timeoutMs: 60_000, ...options });
}

/** A command to its end on a terminal of 100 columns (script of util-linux): all that it shows there. */
export async function onTerminal(args: readonly string[]): Promise<ProgramResult> {
  const command = [...COMMAND, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const shown = ["-qec", `stty cols 100; exec ${command}`, "/dev/null"];
  return await run("script", shown, { env: { ...ENV, TERM: "xterm", SHELL: "/bin/sh" }, timeoutMs: 60_000 });
}

export interface RunningOptions {
  /** In front of the program, as `setpriv ...` or a shell that ignores a signal. */
  readonly before?: readonly string[];
  /** In place of `deno run -A main.ts`. */
  readonly command?: readonly string[];
  readonly env?: Record<string, string>;
}

/** A server, or whatever runs until it is stopped. */
export class Running {
  readonly child: Deno.ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ends: Promise<Deno.CommandStatus>;

  constructor(args: readonly string[], options: RunningOptions = {}) {
    const [program, ...rest] = [...options.before ?? [], ...options.command ?? COMMAND, ...args];
    this.child = new Deno.Command(program!, {
      args: rest,
      env: { ...ENV, ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const both = Promise.all([
      this.#collect(this.child.stdout, (text) => this.stdout += text),
      this.#collect(this.child.stderr, (text) => this.stderr += text),
    ]);
    this.#ends = this.child.status.then(async (status) => {
      await both;
      return status;
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Waits for words on either stream. */
  async said(words: string | RegExp, withinMs = 30_000): Promise<void> {
    let ended = false;
    this.#ends.then(() => ended = true);
    await until(`"${words}" in:\n${this.stdout}\n${this.stderr}`, () => {
      const found = typeof words === "string"
        ? (this.stdout + this.stderr).includes(words)
        : words.test(this.stdout + this.stderr);
      if (found) return true;
      if (ended) throw new Error(`it ended without "${words}":\n${this.stdout}\n${this.stderr}`);
      return null;
    }, withinMs);
  }

  kill(signal: Deno.Signal): void {
    this.child.kill(signal);
  }

  /** Its end; SIGKILL when it takes too long, which is an error. */
  async ended(withinMs = 20_000): Promise<Deno.CommandStatus> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.child.kill("SIGKILL");
    }, withinMs);
    const status = await this.#ends;
    clearTimeout(timer);
    if (late) throw new Error(`it did not end within ${withinMs} ms:\n${this.stdout}\n${this.stderr}`);
    return status;
  }

  async stop(): Promise<Deno.CommandStatus> {
    this.kill("SIGTERM");
    return await this.ended();
  }

  async #collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
  }
}

/** What a server in local mode says last when it starts. */
export const READY = "Ctrl-C ends it";

/** `veredus start`, ready, with the password "secret". */
export async function startLocal(
  data: string,
  offset: number,
  more: readonly string[] = [],
): Promise<Running> {
  const folder = ["--data", data, "--port-offset", String(offset)];
  const server = new Running(["start", ...folder, "--password", "secret", ...more]);
  await server.said(READY);
  return server;
}

/** A data folder that is removed at the end, whatever happened. */
export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-process-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
