/**
 * The operator's policy file, in a process of its own.
 *
 * A thread would not do: the runtime cannot end one that hangs in a loop (it takes a processor for ever), and one that takes
 * all memory takes the server with it. The process is this program again (process/policy.ts), which runs the file in a Worker
 * without permissions; questions and answers are lines of JSON. It is started with the server and again after its death;
 * it ends when its standard input does, so it never outlives the server.
 */
import { getLogger } from "@logtape/logtape";
import { fileURLToPath } from "node:url";
import { OutsideFault } from "../filter/outside.ts";

const log = getLogger(["veredus", "filter"]);
const MAX_ANSWER_OCTETS = 64 * 1024;
/** Wait before a process that died or hung is started again. */
const RESTART_MS = 1_000;

interface Question {
  readonly resolve: (verdict: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** From the process: how loading went, then an answer to each question. */
type Line =
  | { readonly loaded: true; readonly fault?: string }
  | { readonly id: number; readonly verdict?: unknown; readonly fault?: string };

interface Running {
  readonly child: Deno.ChildProcess;
  readonly input: WritableStreamDefaultWriter<Uint8Array>;
}

export class PolicyFile {
  #name: string;
  #path: string;
  #running: Running | null;
  #questions: Map<number, Question>;
  #next: number;
  #retryAt: number;
  /** Processes that were killed and have not ended yet. */
  #ending: Set<Promise<void>>;

  /** `name` is the check's, for the log. Throws when the file cannot be read. */
  constructor(name: string, path: string) {
    this.#name = name;
    this.#path = path;
    this.#questions = new Map();
    this.#next = 0;
    this.#retryAt = 0;
    this.#ending = new Set();
    this.#running = this.#start();
  }

  /** The verdict as the file gave it. Rejects when there is none in time. */
  async ask(facts: unknown, timeoutMs: number): Promise<unknown> {
    if (this.#running === null && performance.now() < this.#retryAt) {
      throw new OutsideFault("it is started again in a moment");
    }
    const running = this.#running ??= this.#start();
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => this.#questions.set(id, { resolve, reject }));
    this.#send(running, { id, facts });
    // It may hang in a loop: only its end helps those that come after.
    const timer = setTimeout(
      () => this.#ended(running, new OutsideFault(`no verdict within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#questions.delete(id);
    }
  }

  /** Resolves when its process is gone. */
  async close(): Promise<void> {
    this.#kill();
    await Promise.all(this.#ending);
  }

  #start(): Running {
    const source = Deno.readTextFileSync(this.#path);
    const type = this.#path.endsWith(".ts") ? "application/typescript" : "text/javascript";
    const [program, ...args] = policyCommand();
    const child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    const running = { child, input: child.stdin.getWriter() };
    this.#send(running, { load: `data:${type};charset=utf-8,${encodeURIComponent(source)}` });
    const ending: Promise<void> = this.#follow(running).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
    return running;
  }

  #send({ input }: Running, line: unknown): void {
    input.write(new TextEncoder().encode(JSON.stringify(line) + "\n"))
      .catch(() => {}); // a process that is gone is told by the end of its output
  }

  /** Resolves when its process has ended. */
  async #follow(running: Running): Promise<void> {
    let reason: Error = new OutsideFault("its process ended");
    try {
      await this.#read(running);
    } catch (error) {
      reason = error instanceof Error ? error : new Error(String(error));
    }
    this.#ended(running, reason);
    await running.child.status;
  }

  async #read({ child }: Running): Promise<void> {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        this.#received(JSON.parse(text.slice(0, end)) as Line);
        text = text.slice(end + 1);
      }
      if (text.length > MAX_ANSWER_OCTETS) {
        throw new OutsideFault(`an answer of more than ${MAX_ANSWER_OCTETS} octets`);
      }
    }
  }

  #received(line: Line): void {
    if ("loaded" in line) {
      if (line.fault !== undefined) {
        log.error("the policy file of {name}: {fault}", { name: this.#name, fault: line.fault });
      }
      return;
    }
    const question = this.#questions.get(line.id);
    if (line.fault === undefined) question?.resolve(line.verdict);
    else question?.reject(new Error(line.fault));
  }

  #ended(running: Running, reason: Error): void {
    if (this.#running !== running) return; // known already
    log.error("the policy file of {name} is started again: {reason}", {
      name: this.#name,
      reason: reason.message,
    });
    this.#kill();
    this.#retryAt = performance.now() + RESTART_MS;
    for (const { reject } of this.#questions.values()) reject(reason);
    this.#questions.clear();
  }

  #kill(): void {
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    running.input.abort().catch(() => {}); // what it has not read yet is of no use any more
    try {
      running.child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error; // it ended by itself
    }
  }
}

/** An executable has one entry, whose hidden command comes to the same module. */
function policyCommand(): string[] {
  return Deno.build.standalone ? [Deno.execPath(), "policy-file"] : [
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    fileURLToPath(new URL("./process/policy.ts", import.meta.url)),
  ];
}
