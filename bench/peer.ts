/** Postfix + Dovecot beside us, set up by `peers/postfix_dovecot.sh` in a folder of their own. */
import { fileURLToPath } from "node:url";
import { processTree } from "./memory.ts";
import type { Target } from "./target.ts";

const SCRIPT = fileURLToPath(new URL("peers/postfix_dovecot.sh", import.meta.url));

/** Why the peer cannot run here; null when it can. */
export function peerMissing(): string | null {
  if (Deno.uid() !== 0) return "Postfix starts only as root";
  for (const file of ["/usr/sbin/postfix", "/usr/sbin/dovecot", "/usr/lib/dovecot/lmtp"]) {
    try {
      Deno.statSync(file);
    } catch {
      return `${file} is not installed (Debian: postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd)`;
    }
  }
  return null;
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
