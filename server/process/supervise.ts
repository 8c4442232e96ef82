/**
 * `--supervise`: a small parent that starts the server again when it dies, where no systemd does it.
 *
 * It waits {@linkcode FIRST_WAIT_MS}, doubling to {@linkcode MAX_WAIT_MS} while the server keeps dying soon, and gives
 * up where another try cannot help (a wrong configuration or argument). Signals are passed on. A server whose parent
 * is gone ends by itself, so that none is left over.
 */
import { EXIT } from "../exit_codes.ts";
import { ownCommand } from "./own_command.ts";

export const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;
/** A server that ran this long starts with the short wait again. */
const SETTLED_MS = 60_000;
const PARENT_CHECK_MS = 1_000;
/** Tells the server the process id of its supervisor. */
const SUPERVISOR_ENV = "VEREDUS_SUPERVISOR";
const HOPELESS: ReadonlySet<number> = new Set([EXIT.ok, EXIT.usage, EXIT.config]);

/** Runs `veredus ARGS` again and again; resolves with the code of the last run. */
export async function supervise(args: readonly string[]): Promise<number> {
  let child: Deno.ChildProcess | null = null;
  let stopping = false;
  let wake: (() => void) | null = null;
  const pass = (signal: Deno.Signal) => () => {
    if (signal !== "SIGHUP") stopping = true;
    wake?.();
    try {
      child?.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error; // ended already
    }
  };
  const listeners = (["SIGTERM", "SIGINT", "SIGHUP"] as const).map((signal) =>
    [signal, pass(signal)] as const
  );
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const [program, ...before] = ownCommand();
  let waitMs = FIRST_WAIT_MS;
  try {
    for (;;) {
      const begin = performance.now();
      child = new Deno.Command(program!, {
        args: [...before, ...args],
        env: { [SUPERVISOR_ENV]: String(Deno.pid) },
        stdin: "null",
        stdout: "inherit",
        stderr: "inherit",
      }).spawn();
      const { code, signal } = await child.status;
      child = null;
      if (stopping || HOPELESS.has(code)) return code;
      if (performance.now() - begin > SETTLED_MS) waitMs = FIRST_WAIT_MS;
      const how = signal === null ? `code ${code}` : signal;
      console.error(`veredus: the server ended with ${how}; it is started again in ${waitMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = null;
      if (stopping) return code;
      waitMs = Math.min(MAX_WAIT_MS, waitMs * 2);
    }
  } finally {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}

/** In the server: calls `orphaned` when the supervisor that started it is gone. Returns the way to stop watching. */
export function watchSupervisor(orphaned: () => void): () => void {
  const parent = Number(Deno.env.get(SUPERVISOR_ENV) ?? 0);
  if (parent === 0) return () => {};
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    orphaned();
  }, PARENT_CHECK_MS);
  return () => clearInterval(timer);
}
