/** Runs a program of the system for a test and says plainly which package is missing. */

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Debian's package of each program that the peer tests use. */
const PACKAGES: Record<string, string> = {
  swaks: "swaks",
  curl: "curl",
  msmtp: "msmtp",
  mpop: "mpop",
  fetchmail: "fetchmail",
  mbsync: "isync",
  offlineimap: "offlineimap3",
  doveadm: "dovecot-core",
  postfix: "postfix",
  "sieve-test": "dovecot-sieve",
  "sieve-connect": "sieve-connect",
  "smtp-source": "postfix",
  "smtp-sink": "postfix",
  nsd: "nsd",
  dig: "bind9-dnsutils",
  strace: "strace",
  script: "bsdutils",
};

/** Runs it to its end; a program that is not installed is an error that names its package. */
export async function run(
  program: string,
  args: string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      env: { LC_ALL: "C", ...options.env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`${program} is not installed: apt-get install ${PACKAGES[program] ?? program}`);
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Like {@linkcode run}, and an exit code other than 0 is an error with everything the program said. */
export async function runOk(
  program: string,
  args: string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const result = await run(program, args, options);
  if (result.code !== 0) {
    throw new Error(
      `${program} ${args.join(" ")} exited with ${result.code}:\n${result.stdout}\n${result.stderr}`,
    );
  }
  return result;
}

/** Polls until `check` answers something other than null or false, or fails after `withinMs`. */
export async function until<T>(
  what: string,
  check: () => Promise<T | null | false> | T | null | false,
  withinMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await check();
    if (value !== null && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
