/**
 * The load generator: compiles `load/*.c`, runs it, reads its line of figures.
 *
 * It is C with one blocking thread a connection, so that it costs the machine little, and the same for every server.
 */
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("load/", import.meta.url));
/** Longer than any figure may take. */
const PATIENCE_MS = 600_000;

/** Numbers by key, as `mailbench` printed them. */
export type Figures = Readonly<Record<string, number>>;

/** A run that did not work; the message holds what the generator said. */
export class LoadFailed extends Error {
  override readonly name = "LoadFailed";
}

export type LoadOptions = Readonly<Record<string, string | number>>;

export class LoadGenerator {
  #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws LoadFailed with the compiler's words. */
  static compile(folder: string): LoadGenerator {
    const path = `${folder}/mailbench`;
    const files = [...Deno.readDirSync(SOURCES)].filter(({ name }) => name.endsWith(".c"))
      .map(({ name }) => SOURCES + name);
    const args = ["-O2", "-D_GNU_SOURCE", "-pthread", "-o", path, ...files, "-lssl", "-lcrypto"];
    const { success, stderr } = new Deno.Command("gcc", { args, stderr: "piped" }).outputSync();
    if (!success) throw new LoadFailed(`gcc: ${new TextDecoder().decode(stderr)}`);
    return new LoadGenerator(path);
  }

  /** One run to its end. Throws LoadFailed where an operation failed, with what was the matter with the first. */
  async run(mode: string, port: number, options: LoadOptions): Promise<Figures> {
    const args = argumentsOf(mode, port, options);
    const { stdout, stderr } = await new Deno.Command(this.#path, {
      args,
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).output();
    const figures = parseFigures(new TextDecoder().decode(stdout));
    if (figures.failed === 0) return figures;
    const words = new TextDecoder().decode(stderr).trim() || "no figures";
    const count = figures.failed === undefined ? "" : `${figures.failed} operations failed, the first: `;
    throw new LoadFailed(`${mode} at port ${port}: ${count}${words}`);
  }

  /** One that runs beside: `ready` is its first line, `end` ends it and gives its last line. */
  async start(mode: string, port: number, options: LoadOptions): Promise<RunningLoad> {
    const child = new Deno.Command(this.#path, {
      args: argumentsOf(mode, port, options),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = linesOf(child.stdout);
    const first = await lines.next();
    if (first.done) throw new LoadFailed(`mailbench ${mode} ended at once`);
    return new RunningLoad(child, { lines, ready: parseFigures(first.value) });
  }
}

export class RunningLoad {
  readonly ready: Figures;
  #child: Deno.ChildProcess;
  #lines: AsyncGenerator<string>;

  constructor(
    child: Deno.ChildProcess,
    parts: { readonly lines: AsyncGenerator<string>; readonly ready: Figures },
  ) {
    this.#child = child;
    this.#lines = parts.lines;
    this.ready = parts.ready;
  }

  /** Its next line, or null when it does not come in time. */
  async line(withinMs: number): Promise<Figures | null> {
    const timer = Promise.withResolvers<null>();
    const id = setTimeout(() => timer.resolve(null), withinMs);
    const line = await Promise.race([this.#lines.next(), timer.promise]);
    clearTimeout(id);
    return line === null || line.done ? null : parseFigures(line.value);
  }

  async end(): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
    await this.#child.stdin.close().catch(() => {});
    await this.#child.status;
    await this.#lines.return(undefined);
  }
}

function argumentsOf(mode: string, port: number, options: LoadOptions): string[] {
  return [
    mode,
    "127.0.0.1",
    String(port),
    ...Object.entries(options).map(([key, value]) => `${key}=${value}`),
  ];
}

function parseFigures(text: string): Figures {
  const pairs = text.trim().split(/\s+/).map((pair) => pair.split("="));
  return Object.fromEntries(
    pairs.filter((pair) => pair.length === 2).map(([key, value]) => [key, Number(value)]),
  );
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
