/**
 * Memory that the C library holds back, given to the system again.
 *
 * What the native side has freed (compiled code's scratch memory, password hashes, the database's pages) stays in glibc's
 * arenas, one for each thread, and is resident until somebody asks for it: after a start that had to compile everything some
 * 80 MB. JavaScript's heaps are not touched; the engine shrinks them by itself (own_command.ts).
 */
import process from "node:process";
import { gauge } from "../../telemetry/metrics.ts";
import { libc } from "../libc.ts";

/** Milliseconds from one look to the next. */
const LOOK_MS = 3_000;
/** Processor time behind which something may have been freed, milliseconds. */
const WORTH_MS = 50;

/** What the process does and how it gives memory back; others in tests. */
export interface Memory {
  /** Processor time of all threads so far, milliseconds. */
  usedMs(): number;
  giveBack(): void;
}

gauge("veredus_resident_octets", "Memory of the process that is resident", {
  collect: (gauge) => gauge.set(Deno.memoryUsage().rss),
});

/** Gives memory back behind work until it is closed; null where there is no way to. */
export function keepMemorySmall(
  memory: Memory | null = processMemory(),
  lookMs = LOOK_MS,
): { close(): void } | null {
  if (memory === null) return null;
  let seen = 0; // the start counts as work
  const timer = setInterval(() => {
    const used = memory.usedMs();
    if (used - seen < WORTH_MS) return;
    memory.giveBack();
    seen = memory.usedMs();
  }, lookMs);
  return { close: () => clearInterval(timer) };
}

/** Null without glibc, and without permission for foreign calls. */
export function processMemory(): Memory | null {
  if (libc === null) return null;
  const { malloc_trim } = libc;
  return {
    usedMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    giveBack: () => void malloc_trim(0n),
  };
}
