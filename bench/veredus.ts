/**
 * Veredus as whoever tries it starts it: `veredus start`, default policy, logs and metrics on. It runs the program that the
 * executable is made of (server/bundle.ts), under the Deno that runs this.
 */
import type { Checks } from "./checked_config.ts";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { hashPassword, type ScryptParameters } from "../auth/password_hash.ts";
import { PROGRAM } from "../server/bundle.ts";
import { ENGINE_FLAGS } from "../server/process/own_command.ts";
import { DataFolder } from "../storage/data_folder.ts";
import type { WriteOp } from "../storage/ops.ts";
import { Writer } from "../storage/writer.ts";
import { answers } from "../test/lib/server_process.ts";
import { processTree } from "./memory.ts";
import { CROWD, CROWD_SIZE, DOMAIN, PASSWORD, READERS, RECEIVERS, type Target, USERS } from "./target.ts";

const MAIN = join(PROGRAM, "main.js");
const CROWDED = fileURLToPath(new URL("crowded_server.ts", import.meta.url));
const CHECKED = fileURLToPath(new URL("checked_server.ts", import.meta.url));
/** Of its log, when it does not start. */
const LAST_WORDS = 2_000;
const READY_WITHIN_MS = 20_000;

/** What differs between servers on the same data. */
export interface StartOptions {
  readonly threads?: string;
  readonly tls?: "compact" | "full";
  /** Checks on (`checked_config.ts`), with the name server at this port. */
  readonly checked?: { readonly dns: number; readonly checks: Checks };
  /** Room for so many connections, and no full-text indexes, whose making would be measured along. */
  readonly connections?: number;
  /** Accounts keep the passwords they have, as at every start but the first. */
  readonly keepPasswords?: boolean;
}

export interface VeredusOptions extends StartOptions {
  readonly data: string;
  /** Added to every standard port. */
  readonly base: number;
  /** Next hop for mail to other domains. */
  readonly sink: number;
  /** The log goes here, as under a service manager. */
  readonly log: string;
}

export interface Veredus extends Target {
  /** From the start of the process until all mail ports took a connection. */
  readonly readyAfterMs: number;
  /** Its data folder. */
  readonly data: string;
}

const EVERYBODY = [
  ...Object.entries({ [READERS]: USERS, [RECEIVERS]: USERS, [CROWD]: CROWD_SIZE })
    .flatMap(([prefix, length]) => Array.from({ length }, (_, at) => `${prefix}${at + 1}`)),
  "s",
];

/** Accounts of readers, receivers and the crowd, and the one that sends, or others; while no server has the data. */
export async function makeAccounts(
  data: string,
  names: readonly string[] = EVERYBODY,
  hash?: ScryptParameters,
): Promise<void> {
  const folder = new DataFolder(data);
  folder.create();
  const fatal = Promise.withResolvers<never>();
  const writer = new Writer({
    databasePath: folder.database,
    segments: folder.segments,
    clock: Date.now,
    onFatal: (reason) => fatal.reject(reason),
  });
  const passwordHash = await hashPassword(PASSWORD, hash === undefined ? {} : { parameters: hash });
  const domain = {
    name: DOMAIN,
    kind: "local",
    nextHop: "",
    catchAll: "",
    subaddressSeparators: "+",
  } as const;
  const ops: WriteOp[] = [
    { kind: "put-domain", domain },
    ...names.map((name): WriteOp => ({
      kind: "put-account",
      account: { address: `${name}@${DOMAIN}`, passwordHash },
    })),
  ];
  const result = await Promise.race([writer.submit({ kind: "batch", ops }), fatal.promise]);
  await writer.close();
  if (!result.ok) throw new Error(`accounts: ${result.fault} ${result.detail}`);
}

export async function startVeredus(options: VeredusOptions): Promise<Veredus> {
  const { base } = options;
  const args = ["run", "-A", ENGINE_FLAGS, ...commandOf(options)];
  const begin = performance.now();
  // The shell gives the log file to the process and becomes it: no pipe whose reader would cost the machine.
  const child = new Deno.Command("sh", {
    args: ["-c", 'exec "$@" >>"$0" 2>&1', options.log, Deno.execPath(), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await child.status;
    clearTimeout(timer);
  };
  for (const port of [25, 587, 143, 993, 110]) {
    while (!await answers(base + port)) {
      if (ended || performance.now() - begin > READY_WITHIN_MS) {
        await stop();
        throw new Error(`veredus did not start:\n${Deno.readTextFileSync(options.log).slice(-LAST_WORDS)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  return {
    name: "Veredus",
    data: options.data,
    readyAfterMs: performance.now() - begin,
    smtp: base + 25,
    outbound: { port: base + 587, options: { from: DOMAIN, auth: `s@${DOMAIN}:${PASSWORD}` } },
    imap: base + 143,
    imaps: base + 993,
    pop3: base + 110,
    pids: () => processTree(child.pid),
    stop,
  };
}

function commandOf(options: VeredusOptions): string[] {
  const { data, base, sink, threads, tls, checked, connections, keepPasswords } = options;
  if (connections !== undefined) return [CROWDED, data, String(base), String(sink), String(connections)];
  if (checked !== undefined) return [CHECKED, data, String(base), String(checked.dns), checked.checks];
  const args = [MAIN, "start", "--data", data, "--port-offset", String(base)];
  if (keepPasswords !== true) args.push("--password", PASSWORD);
  args.push("--relay", `127.0.0.1:${sink}`);
  if (threads !== undefined) args.push("--threads", threads);
  if (tls !== undefined) args.push("--tls", tls);
  return args;
}
