/** How this program was started, to start it again: as an executable of its own, or from its source by Deno. */
import { fileURLToPath } from "node:url";

/**
 * Flags of the engine, which it takes at its start only.
 *
 * The space for young objects of each thread grows to 32 MB and stays there unless it is told less; what a session leaves
 * behind fits into a fraction of it. What outlives that for a moment (lines of logs, deliveries on their way) would fill the old
 * space to a multiple of what is in use before it is collected: here to 1.8 times. At 1.4 times it was collected once in 1,500
 * deliveries, and those cost 430 us of processor time each and not 380, for 10 MB less while mail came in and none behind it.
 * What a command makes is gone with that command: the engine is told not to put into the old space at once what it takes, by its
 * first look, for objects that stay. One server in three collected its old space whole every few commands for that.
 *
 * A thread that was idle for 8 s would be collected so that nothing is kept for later, and compiled code goes with that: the next
 * mail is met by code that is compiled anew, a second of processor time. Here that waits until a minute was idle.
 *
 * A message runs each function once or a few times: counted by what the engine waits for by
 * itself (400 and 3,000 calls, and 500 behind the last new type), much of the way of a message still ran uncompiled after fifteen thousand.
 */
export const ENGINE_FLAG_LIST: readonly string[] = [
  "--max-semi-space-size=4",
  "--heap-growing-percent=80",
  "--memory-reducer-delay-ms=60000",
  "--no-allocation-site-pretenuring",
  "--invocation-count-for-maglev=100",
  "--invocation-count-for-turbofan=800",
  "--minimum-invocations-after-ic-update=100",
];
/** As the runtime takes them. */
export const ENGINE_FLAGS = `--v8-flags=${ENGINE_FLAG_LIST.join(",")}`;

export function ownCommand(): string[] {
  return Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", ENGINE_FLAGS, fileURLToPath(Deno.mainModule)];
}
