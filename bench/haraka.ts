/** Haraka as a further peer for what it does too, set up by `peers/haraka.sh` in a folder of its own. */
import { fileURLToPath } from "node:url";
import type { Target } from "./target.ts";

const SCRIPT = fileURLToPath(new URL("peers/haraka.sh", import.meta.url));

/** Null where npm cannot bring it. */
export async function startHaraka(folder: string, port: number): Promise<Target | null> {
  const installed = await run([folder, "install"]);
  if (!installed.success) return null;
  const started = await run([folder, "start", String(port)]);
  if (!started.success) throw new Error(`${SCRIPT} start: ${started.errors}`);
  return {
    name: `Haraka ${installed.text}`,
    smtp: port,
    outbound: { port, options: {} },
    ...{ imap: 0, imaps: 0, pop3: 0 },
    pids: () => [],
    stop: async () => {
      const { success, errors } = await run([folder, "stop"]);
      if (!success) throw new Error(`${SCRIPT} stop: ${errors}`);
    },
  };
}

async function run(args: readonly string[]): Promise<{ success: boolean; text: string; errors: string }> {
  const { success, stdout, stderr } = await new Deno.Command("bash", { args: [SCRIPT, ...args] }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout).trim(), errors: decoder.decode(stderr) };
}
