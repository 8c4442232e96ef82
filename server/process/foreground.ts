/**
 * A server in the foreground of this process: logs, signals, administration, and the code it ends with.
 *
 * SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reloads. The death of the writer ends the process with
 * its reason, because a transaction may hold the lock until then. Administration is given from outside: it lives
 * beside this folder, not below it.
 */
import { getLogger } from "@logtape/logtape";
import { DataFolder, DataFolderUnusable } from "../../storage/data_folder.ts";
import { DataFolderLocked } from "../../storage/lock.ts";
import type { WriterPort } from "../../storage/writer.ts";
import { configureLogs, flushLogs, LogWriter } from "../../telemetry/log.ts";
import { CertificateError } from "../certificate.ts";
import type { Config } from "../config/config.ts";
import type { Setting, SettingsInForce } from "../config/settings.ts";
import { EXIT, type ExitCode } from "../exit_codes.ts";
import { Server, type ServerOptions, StartError } from "../run.ts";
import { keepMemorySmall } from "./memory.ts";
import { watchSupervisor } from "./supervise.ts";

const log = getLogger(["veredus", "server"]);

/** What administers a server: control socket and HTTP. */
export interface Administration {
  close(): Promise<void>;
}

export interface Hooks {
  /** Opens administration of a server that runs; throws AddrInUse when a port cannot be had. */
  administer(
    server: Server,
    options: {
      readonly local: boolean;
      readonly reload: (() => Promise<string[]>) | null;
      readonly settings?: () => readonly Setting[];
    },
  ): Promise<Administration>;
  /** Other modules as Worker entries, for tests. */
  readonly entries?: ServerOptions["entries"];
}

export interface ForegroundOptions extends Hooks {
  readonly config: Config;
  readonly local: boolean;
  readonly purpose: string;
  readonly prepare?: (writer: WriterPort) => Promise<void>;
  /** Said on standard output when everything listens. */
  readonly announce: (server: Server) => string;
  /** Reads the configuration again for SIGHUP; null: there is none. */
  readonly reread: (() => Config) | null;
  /** What the configuration file says, as far as it is in force; left out: there is none. */
  readonly settings?: SettingsInForce;
}

/** Resolves with the exit code once the server has ended. */
export async function runForeground(options: ForegroundOptions): Promise<ExitCode> {
  const { config } = options;
  const { level, areas, format } = config.logging;
  const text = format === "text" || (format === "auto" && Deno.stderr.isTerminal());
  const logs = { level, areas, format: text ? "text" : "json" } as const;
  const output = new LogWriter(Deno.stderr);
  configureLogs(logs, output);

  const signals = new Signals();
  let server: Server;
  try {
    new DataFolder(config.data).claimTemporary();
    server = await Server.start({
      config,
      local: options.local,
      purpose: options.purpose,
      logs,
      onLog: (lines) => output.write(lines),
      onFatal: (reason) => {
        flushLogs();
        output.flushSync();
        complain(`the writer died and the server ends with it: ${reason}`);
        Deno.exit(EXIT.fault);
      },
      ...(options.prepare && { prepare: options.prepare }),
      ...(options.entries && { entries: options.entries }),
    });
  } catch (error) {
    signals.close();
    output.flushSync();
    return startFailed(error);
  }

  const { reread, settings } = options;
  const reload = reread === null ? null : async () => {
    const needRestart = await server.reload(reread());
    settings?.takeOver();
    return needRestart;
  };
  const memory = keepMemorySmall();
  let administration: Administration | null = null;
  let code: ExitCode = EXIT.ok;
  try {
    administration = await options.administer(server, {
      local: options.local,
      reload,
      ...(settings !== undefined && { settings: () => settings.list() }),
    });
    console.log(options.announce(server));
    signals.onHangUp(() => hangUp(reload));
    await signals.stop;
  } catch (error) {
    code = startFailed(error);
  }
  await administration?.close();
  await server.stop();
  memory?.close();
  signals.close();
  flushLogs();
  output.flushSync();
  return code;
}

/**
 * The signals of this process, from before the start on: one that comes while the server starts is kept until it runs.
 */
class Signals {
  readonly stop: Promise<void>;
  #close: () => void;
  #hungUp: boolean;
  #hangUp: (() => void) | null;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.stop = promise;
    this.#hungUp = false;
    this.#hangUp = null;
    let asked = false;
    const stop = () => {
      if (asked) Deno.exit(EXIT.failed); // the operator does not want to wait for the drain
      asked = true;
      resolve();
    };
    const hangUp = () => {
      if (this.#hangUp === null) this.#hungUp = true;
      else this.#hangUp();
    };
    Deno.addSignalListener("SIGTERM", stop);
    Deno.addSignalListener("SIGINT", stop);
    Deno.addSignalListener("SIGHUP", hangUp);
    const unwatch = watchSupervisor(resolve);
    this.#close = () => {
      Deno.removeSignalListener("SIGTERM", stop);
      Deno.removeSignalListener("SIGINT", stop);
      Deno.removeSignalListener("SIGHUP", hangUp);
      unwatch();
    };
  }

  onHangUp(hangUp: () => void): void {
    this.#hangUp = hangUp;
    if (this.#hungUp) hangUp();
  }

  close(): void {
    this.#close();
  }
}

function hangUp(reload: (() => Promise<string[]>) | null): void {
  if (reload === null) {
    log.warn("SIGHUP: this server has no configuration file to read again");
    return;
  }
  reload().catch((error) => {
    log.error("the configuration was not taken over, the old one stays in force: {reason}", {
      reason: error instanceof Error ? error.message : String(error),
    });
  });
}

/** Trouble whose message says all there is to say. */
const REFUSED = [StartError, DataFolderUnusable, Deno.errors.PermissionDenied, Deno.errors.AddrInUse];

/** Says why, and gives the code that tells a supervisor whether trying again makes sense. */
function startFailed(error: unknown): ExitCode {
  if (error instanceof DataFolderLocked) {
    complain(`${error.message}; stop that process, or name another folder`);
    return EXIT.unavailable;
  }
  // By name: a local server never loads the reader of configuration files.
  if (error instanceof Error && (error.name === "ConfigError" || error instanceof CertificateError)) {
    complain(error.message);
    return EXIT.config;
  }
  if (error instanceof Error && REFUSED.some((kind) => error instanceof kind)) {
    complain(error.message);
    return EXIT.cannotStart;
  }
  complain(`the server could not start: ${error instanceof Error ? error.stack ?? error.message : error}`);
  return EXIT.cannotStart;
}

export function complain(text: string): void {
  console.error(`veredus: ${text}`);
}
