/**
 * `veredus serve` as a process of its own, on port 25 of a loopback address, as production runs it.
 *
 * Port 25 needs a capability: as root the process becomes another user with CAP_NET_BIND_SERVICE (and CAP_DAC_OVERRIDE,
 * because the sources may be closed to that user). Deno asks access(2) for its packages, which knows no capabilities:
 * the user gets a cache of its own, made of links.
 */
import { stringify } from "yaml";
import { runOk, until } from "./program.ts";
import { MAIN } from "./server_process.ts";

const UNPRIVILEGED = "65534";
const PRIVILEGES = [
  ...[`--reuid=${UNPRIVILEGED}`, `--regid=${UNPRIVILEGED}`, "--clear-groups"],
  "--inh-caps=+net_bind_service,+dac_override",
  "--ambient-caps=+net_bind_service,+dac_override",
];

/** Why servers on port 25 cannot be run here; null when they can. */
export function whyNoPort25(): string | null {
  if (Deno.uid() !== 0) return "port 25 needs root";
  try {
    Deno.listen({ hostname: "127.0.0.11", port: 25 }).close();
    return null;
  } catch (error) {
    return `port 25 of 127.0.0.11: ${error instanceof Error ? error.message : error}`;
  }
}

export class ProductionServer {
  readonly address: string;
  readonly folder: string;
  readonly configFile: string;
  readonly #cache: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: Deno.ChildProcess | null = null;
  #log = "";

  private constructor(address: string, folder: string, env: Readonly<Record<string, string>>) {
    this.address = address;
    this.#env = env;
    this.folder = folder;
    this.configFile = `${folder}/veredus.yaml`;
    this.#cache = `${folder}/deno`;
  }

  /** Writes the configuration; `config` adds to data folder and listeners, `env` to the environment of the server. */
  static async create(
    address: string,
    config: Record<string, unknown>,
    env: Readonly<Record<string, string>> = {},
  ): Promise<ProductionServer> {
    const folder = await Deno.makeTempDir({ prefix: "veredus-production-" });
    const server = new ProductionServer(address, folder, env);
    await server.configure(config);
    await linkPackages(server.#cache);
    await runOk("find", [
      folder,
      "-type",
      "d",
      "-exec",
      "chown",
      `${UNPRIVILEGED}:${UNPRIVILEGED}`,
      "{}",
      "+",
    ]);
    return server;
  }

  /** Writes the configuration anew, for the next start. */
  async configure(config: Record<string, unknown>): Promise<void> {
    const mail = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"];
    await Deno.writeTextFile(
      this.configFile,
      stringify({
        data: `${this.folder}/data`,
        listeners: mail.map((protocol) => ({ protocol, address: this.address, plain_login: true })),
        drain: "2s",
        ...config,
      }),
    );
  }

  /** Runs a command of the executable on this server's configuration. */
  async command(args: string[], stdin?: string): Promise<string> {
    const { stdout } = await runOk("setpriv", [
      ...PRIVILEGES,
      ...[Deno.execPath(), "run", "-A", MAIN, ...args, "--config", this.configFile],
    ], { env: environment(this.#cache), ...(stdin !== undefined && { stdin }) });
    return stdout;
  }

  async start(): Promise<void> {
    this.#child = new Deno.Command("setpriv", {
      args: [
        ...PRIVILEGES,
        ...[Deno.execPath(), "run", "-A", MAIN, "serve", "--config", this.configFile],
      ],
      env: { ...environment(this.#cache), ...this.#env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#collect(stream);
    await until(`${this.address} to listen: ${this.#log}`, async () => {
      for (const port of [25, 587, 143, 110]) if (!await answers(this.address, port)) return false;
      return true;
    }, 20_000);
  }

  get output(): string {
    return this.#log;
  }

  /** SIGTERM and the wait for its end. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await child.status;
    clearTimeout(timer);
  }

  async remove(): Promise<void> {
    await this.stop();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) this.#log += chunk;
  }
}

function environment(denoDir: string): Record<string, string> {
  return { DENO_DIR: denoDir, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
}

/** Links to the packages in this user's cache; copies where links cannot be made. */
async function linkPackages(to: string): Promise<void> {
  const { denoDir } = JSON.parse((await runOk(Deno.execPath(), ["info", "--json"])).stdout) as {
    denoDir: string;
  };
  await Deno.mkdir(to);
  try {
    await runOk("cp", ["-al", `${denoDir}/npm`, to]);
  } catch {
    await runOk("cp", ["-a", `${denoDir}/npm`, to]); // another file system
  }
}

async function answers(hostname: string, port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
