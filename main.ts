/**
 * Entry: begins to load what a server will need, then the program (program.ts).
 *
 * Workers that are asked for before anything else is read load beside it: the server is ready that much earlier.
 */
import { frontEnds } from "./server/config/config.ts";
import { later } from "./server/later.ts";
import { startEarly } from "./server/threads/early.ts";

if (
  ["start", "serve"].includes(Deno.args[0] ?? "") &&
  !/ --supervise\b| --threads[ =]/.test(` ${Deno.args.join(" ")}`)
) {
  startEarly(frontEnds("auto", navigator.hardwareConcurrency));
}

const { run } = await later<typeof import("./program.ts")>(new URL("./program.ts", import.meta.url));
Deno.exit(await run());
