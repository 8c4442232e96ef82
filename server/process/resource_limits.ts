/** Limits that the kernel holds a process of ours to (setrlimit(2)). Linux with glibc; elsewhere there are none. */
import process from "node:process";

const RLIMIT_CPU = 0, RLIMIT_DATA = 2, RLIMIT_CORE = 4;
/** RLIM_INFINITY */
const UNLIMITED = 0xffff_ffff_ffff_ffffn;
const libc = open();

function open() {
  if (Deno.build.os !== "linux") return null;
  return Deno.dlopen("libc.so.6", {
    getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  }).symbols;
}

/** So much memory more than now: what asks for more dies. */
export function limitMemory(octets: number): void {
  if (libc === null) return;
  const [, now] = /^VmData:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  if (now !== undefined) limit(RLIMIT_DATA, BigInt(Number(now) * 1024 + octets));
}

export function unlimitMemory(): void {
  limit(RLIMIT_DATA, UNLIMITED);
}

/** Where it dies, its memory is not written to a file. */
export function forbidDumps(): void {
  limit(RLIMIT_CORE, 0n);
}

/** Processor time from now on, a second at least and rounded up to seconds; behind it the process dies of SIGXCPU. */
export function limitProcessorTime(ms: number): void {
  limit(RLIMIT_CPU, BigInt(Math.ceil((processorMs() + Math.max(1_000, ms)) / 1000)));
}

/** Of all threads so far. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The soft limit; it can be raised again. */
function limit(resource: number, value: bigint): void {
  if (libc === null) return;
  const limits = new BigUint64Array(2);
  if (libc.getrlimit(resource, limits) !== 0) throw new Error(`limit ${resource} cannot be read`);
  limits[0] = value < limits[1]! ? value : limits[1]!;
  if (libc.setrlimit(resource, limits) !== 0) throw new Error(`limit ${resource} cannot be set`);
}
