/** Postfix + Dovecot beside us, set up by `peers/postfix_dovecot.sh` in a folder of their own. */
import { fileURLToPath } from "node:url";
import { processTree } from "./memory.ts";
import type { Target } from "./target.ts";

const SCRIPT = fileURLToPath(new URL("peers/postfix_dovecot.sh", import.meta.url));

const PROGRAMS = ["/usr/sbin/postfix", "/usr/sbin/dovecot", "/usr/lib/dovecot/lmtp"];
const PACKAGES = ["postfix", "dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"];

/** Installs what the peer needs and is not there, on Debian; why it cannot run here, null when it can. */
export async function peerMissing(): Promise<string | null> {
  if (Deno.uid() !== 0) return "Postfix starts only as root";
  if (PROGRAMS.every(isThere)) return null;
  console.log(`installing ${PACKAGES.join(" ")}`);
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    for (const args of [["update", "-qq"], install]) {
      const { success, stderr } = await new Deno.Command("apt-get", { args, env }).output();
      if (!success) console.log(new TextDecoder().decode(stderr));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // no Debian
  }
  const missing = PROGRAMS.find((file) => !isThere(file));
  return missing === undefined ? null : `${missing} is not installed (Debian: ${PACKAGES.join(" ")})`;
}

function isThere(file: string): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Postfix + Dovecot that can have their mail looked at by a milter. */
export interface Peer extends Target {
  /** Null ends it. */
  filterBy(port: number | null): Promise<void>;
}

export async function startPeer(
  folder: string,
  options: {
    readonly base: number;
    readonly sink: number;
    /** Path of our certificate and key, without .crt and .key: both servers have the same. */
    readonly certificate: string;
  },
): Promise<Peer> {
  const { base, sink, certificate } = options;
  await script([folder, "start", String(base), String(sink), certificate]);
  const masters = (await script([folder, "pids"])).trim().split(/\s+/).map(Number);
  return {
    name: "Postfix + Dovecot",
    smtp: base + 25,
    outbound: { port: base + 25, options: { from: "example.test" } },
    imap: base + 143,
    imaps: base + 993,
    pop3: base + 110,
    pids: () => [...new Set(masters.flatMap(processTree))],
    filterBy: async (port) => {
      await script([folder, "filter", port === null ? "off" : String(port)]);
    },
    stop: async () => {
      await script([folder, "stop"]);
    },
  };
}

async function script(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", { args: [SCRIPT, ...args] }).output();
  if (!success) throw new Error(`${SCRIPT} ${args[1]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
