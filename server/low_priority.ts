/** Work that waits for everything else, by Linux' scheduler. */

/** Runs where a processor has nothing else to do, and a thread that wakes takes such a processor as a free one. */
const SCHED_IDLE = 5;

/**
 * For the calling thread and those it makes from here on; returns why not, "" when it is done. Linux schedules by thread: 0 is
 * the calling one, and a foreign call runs on the thread that makes it.
 */
export function lowerPriority(): string {
  try {
    const libc = Deno.dlopen("libc.so.6", {
      sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
    });
    const result = libc.symbols.sched_setscheduler(0, SCHED_IDLE, new Int32Array([0]));
    libc.close();
    return result === 0 ? "" : "it is not allowed";
  } catch (error) {
    // No such library, or no permission for foreign calls.
    return error instanceof Error ? error.message : String(error);
  }
}
