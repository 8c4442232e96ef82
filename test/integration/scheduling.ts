/** By what policy Linux schedules the calling thread (sched(7)). */

export const SCHED_OTHER = 0, SCHED_IDLE = 5;
export const CHANNEL = "veredus-test-indexer-policy";

/** Place behind the name of the thread in `stat` (proc_pid_stat(5)). */
const POLICY = 38;

export function policyOfThread(): number {
  const stat = Deno.readTextFileSync("/proc/thread-self/stat");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[POLICY]);
}

export function ordinaryPriority(): void {
  const libc = Deno.dlopen("libc.so.6", {
    sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  });
  const result = libc.symbols.sched_setscheduler(0, SCHED_OTHER, new Int32Array([0]));
  libc.close();
  if (result !== 0) throw new Error("this test runs at the lowest priority and may not change it");
}
