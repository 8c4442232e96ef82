/** Processor time of a server that may be several processes, from /proc. */

/** Of /proc/PID/stat; Linux has told the same to every program since long. */
const TICKS_PER_SECOND = 100;
/** Fields behind the name, which stands in parentheses and may hold anything. */
const USER = 11, SYSTEM = 12;

/** Seconds, of all threads that are or were. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ");
      ticks += Number(fields[USER]) + Number(fields[SYSTEM]);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it ended while it was looked at
    }
  }
  return ticks / TICKS_PER_SECOND;
}

/** Seconds, to the nanosecond, of the threads that are there now: for the difference that one short command makes. */
export function threadSeconds(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    try {
      for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
        nanoseconds += Number(Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0]);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it ended while it was looked at
    }
  }
  return nanoseconds / 1e9;
}
