/** rspamd with Redis as the filter of Postfix + Dovecot, set up by `peers/rspamd.sh` in a folder of its own. */
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("peers/rspamd.sh", import.meta.url));

export interface Milter {
  readonly port: number;
  stop(): Promise<void>;
}

/** Null where it is not installed (Debian: rspamd redis-server). */
export async function startRspamd(
  folder: string,
  { port, redis, dns }: { readonly port: number; readonly redis: number; readonly dns: number },
): Promise<Milter | null> {
  if (!(await run([folder, "installed"])).success) return null;
  const started = await run([folder, "start", String(port), String(redis), String(dns)]);
  if (!started.success) throw new Error(`${SCRIPT} start: ${started.errors}`);
  return {
    port,
    stop: async () => {
      const { success, errors } = await run([folder, "stop"]);
      if (!success) throw new Error(`${SCRIPT} stop: ${errors}`);
    },
  };
}

async function run(args: readonly string[]): Promise<{ success: boolean; errors: string }> {
  const { success, stderr } = await new Deno.Command("bash", { args: [SCRIPT, ...args], stdout: "null" })
    .output();
  return { success, errors: new TextDecoder().decode(stderr) };
}
