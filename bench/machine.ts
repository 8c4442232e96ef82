/** What the figures were measured on: enough to compare, nothing that names the machine. */

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memory: string;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly deno: string;
  readonly peer: string;
  readonly commit: string;
}

export function machineFacts(folder: string, withPeer: boolean): Machine {
  const cpu = /^model name\s*:\s*(.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? "unknown";
  const dirty = output("git", "status", "--porcelain", "--untracked-files=no") === "" ? "" : " with changes";
  const peer = `Postfix ${output("postconf", "-dh", "mail_version")}, Dovecot ${
    output("dovecot", "--version").split(" ")[0]
  }`;
  return {
    cores: navigator.hardwareConcurrency,
    processor: cpu,
    memory: `${Math.round(Deno.systemMemoryInfo().total / 1e9)} GB`,
    kernel: `Linux ${Deno.osRelease()}`,
    fileSystem: output("stat", "-f", "-c", "%T", folder),
    deno: Deno.version.deno,
    peer: withPeer ? peer : "none",
    commit: output("git", "rev-parse", "--short", "HEAD") + dirty,
  };
}

export function describe(machine: Machine): string {
  const { cores, processor, memory, kernel, fileSystem, deno, peer, commit } = machine;
  return `commit ${commit}; ${cores} cores (${processor}), ${memory}, ${kernel}, ${fileSystem}; Deno ${deno}; peer: ${peer}`;
}

/** What a program prints, "unknown" when it is not there. */
function output(program: string, ...args: string[]): string {
  try {
    const { success, stdout } = new Deno.Command(program, { args, stderr: "null" }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : "unknown";
  } catch {
    return "unknown";
  }
}
