/**
 * Composition root: argv to a running server or to a command.
 *
 * Everything is imported when its command is chosen, so that a server starts fast and main of the threaded shape
 * never loads a protocol driver or the admin API before somebody asks for it.
 */
import { Command } from "commander";
import type { Hooks } from "./server/process/foreground.ts";
import denoJson from "./deno.json" with { type: "json" };

const VERSION = denoJson.version;

const hooks: Hooks = {
  administer: async (server, options) =>
    await (await import("./admin/serve.ts")).administer(server, { version: VERSION, ...options }),
};

const program = new Command("veredus")
  .description("A complete mail server in one executable.")
  .version(VERSION, "--version", "print the version")
  .showHelpAfterError();

program.command("start")
  .description("run a server to try on this machine: loopback only, nothing leaves it")
  .option("--data <DIR>", "data folder", "./veredus-data")
  .option("--port-offset <N>", "added to every standard port", "1000")
  .option("--password <TEXT>", "password of the local accounts (made and printed at the first start)")
  .option("--relay <HOST:PORT>", "next hop for mail to other domains (default: captured here)")
  .option("--threads <N>", "front-end threads; 0: everything in one thread", "auto")
  .option("--address <ADDRESS>", "loopback address to listen on", "127.0.0.1")
  .option("--log-level <LEVEL>", "trace, debug, info, warning, error or fatal", "info")
  .option("--supervise", "start the server again when it dies")
  .action(async ({ supervise, ...options }) => {
    if (supervise) return await supervised();
    const { start } = await import("./server/process/start.ts");
    Deno.exit(await start(options, hooks));
  });

async function supervised(): Promise<never> {
  const { supervise } = await import("./server/process/supervise.ts");
  Deno.exit(await supervise(Deno.args.filter((arg) => arg !== "--supervise")));
}

await program.parseAsync(Deno.args, { from: "user" });
