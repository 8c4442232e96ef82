/**
 * The real server as a process of its own, for tests that kill, restart and talk to it.
 *
 * It runs in a process group of its own (`setsid`), so that SIGKILL reaches a supervising parent and its child
 * at the same instant, as a power switch would.
 */
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(import.meta.resolve("../../main.ts"));

export interface ServerOptions {
  readonly dataDir: string;
  /** Added to every standard port; the caller keeps ranges apart (see `freeOffset`). */
  readonly offset: number;
  readonly password?: string;
  /** Further arguments of `veredus start`. */
  readonly args?: readonly string[];
  /** Runs this instead of `deno run -A main.ts` (a compiled executable, or a tracer in front). */
  readonly command?: readonly string[];
  readonly env?: Record<string, string>;
  /** Milliseconds until the ports must answer. */
  readonly readyWithinMs?: number;
}

export class ServerProcess {
  readonly options: ServerOptions;
  readonly readyAfterMs: number;
  #child: Deno.ChildProcess;
  #log: string[];
  #ended: Promise<Deno.CommandStatus>;
  #running = true;

  private constructor(
    options: ServerOptions,
    parts: {
      child: Deno.ChildProcess;
      log: string[];
      ended: Promise<Deno.CommandStatus>;
      readyAfterMs: number;
    },
  ) {
    this.options = options;
    this.#child = parts.child;
    this.#log = parts.log;
    this.#ended = parts.ended;
    this.#ended.then(() => this.#running = false);
    this.readyAfterMs = parts.readyAfterMs;
  }

  /** Starts it and resolves when SMTP, submission, IMAP and POP3 accept connections. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const begin = performance.now();
    const child = spawn(options);
    const log: string[] = [];
    for (const stream of [child.stdout, child.stderr]) collect(stream, log);
    const ended = child.status;
    let exited: Deno.CommandStatus | null = null;
    ended.then((status) => exited = status);
    const ports = [25, 587, 143, 110].map((port) => port + options.offset);
    const deadline = begin + (options.readyWithinMs ?? 60_000);
    for (const port of ports) {
      while (!await answers(port)) {
        if (exited !== null || performance.now() > deadline) {
          kill(child.pid);
          const { code } = await ended;
          const how = exited === null ? "in time" : `and ended with ${code}`;
          throw new Error(`the server did not open port ${port} ${how}:\n${log.join("")}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    return new ServerProcess(options, { child, log, ended, readyAfterMs: performance.now() - begin });
  }

  /** Starts it and kills it `ms` later, wherever it is in its start. */
  static async startAndKill(options: ServerOptions, ms: number): Promise<void> {
    const child = spawn(options);
    for (const stream of [child.stdout, child.stderr]) collect(stream, []);
    await new Promise((resolve) => setTimeout(resolve, ms));
    kill(child.pid);
    await child.status;
  }

  /** Process id, also of its process group. */
  get pid(): number {
    return this.#child.pid;
  }

  /** False once the process ended, however it did. */
  get running(): boolean {
    return this.#running;
  }

  /** Everything it wrote so far. */
  get output(): string {
    return this.#log.join("");
  }

  port(standard: number): number {
    return standard + this.options.offset;
  }

  /** SIGKILL to what runs below a tracer in front, which then ends by itself and has written down everything. */
  async killTraced(): Promise<void> {
    const children = Deno.readTextFileSync(`/proc/${this.pid}/task/${this.pid}/children`).trim();
    for (const pid of children.split(" ").filter((pid) => pid !== "")) Deno.kill(Number(pid), "SIGKILL");
    await this.#ended;
  }

  /** SIGKILL to the whole group; resolves when it is gone. */
  async kill(): Promise<void> {
    kill(this.#child.pid);
    await this.#ended;
  }

  /** SIGTERM and the wait for its end; SIGKILL after `withinMs`. */
  async stop(withinMs = 15_000): Promise<Deno.CommandStatus> {
    try {
      Deno.kill(this.#child.pid, "SIGTERM");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // ended by itself
    }
    const timer = setTimeout(() => kill(this.#child.pid), withinMs);
    const status = await this.#ended;
    clearTimeout(timer);
    return status;
  }
}

function spawn(options: ServerOptions): Deno.ChildProcess {
  return new Deno.Command("setsid", {
    args: [
      ...(options.command ?? [Deno.execPath(), "run", "-A", MAIN]),
      "start",
      "--data",
      options.dataDir,
      "--port-offset",
      String(options.offset),
      "--password",
      options.password ?? "secret",
      ...(options.args ?? []),
    ],
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Whether somebody takes connections there. */
export async function answers(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    const { ConnectionRefused, ConnectionReset } = Deno.errors; // reset: its socket is open, nobody accepts yet
    if (error instanceof ConnectionRefused || error instanceof ConnectionReset) return false;
    throw error;
  }
}

function kill(pid: number): void {
  // A negative id names the process group; `kill` of the shell's tools takes it, Deno.kill does not.
  new Deno.Command("kill", { args: ["-KILL", "--", `-${pid}`], stderr: "null" }).outputSync();
}

async function collect(stream: ReadableStream<Uint8Array>, log: string[]): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) log.push(decoder.decode(chunk, { stream: true }));
}
