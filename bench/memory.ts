/** Resident memory and processor time of a server that may be several processes, from /proc. */

/** A process and all below it. */
export function processTree(root: number): number[] {
  const found = [root];
  for (let at = 0; at < found.length; at++) found.push(...childrenOf(found[at]!));
  return found;
}

/**
 * Octets: the resident set of the largest process and what the others have for themselves, so that a program loaded
 * twice counts once.
 */
export function residentOctets(pids: readonly number[]): number {
  const all = pids.flatMap((pid) => memoryOf(pid) ?? []).sort((a, b) => b.resident - a.resident);
  return all.reduce((sum, { resident, own }, at) => sum + (at === 0 ? resident : own), 0);
}

/** Processor time used so far. */
export function secondsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    // Behind the name, which may hold anything: state is field 3, utime and stime are 14 and 15.
    const fields = readOrEmpty(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  });
  return ticks.reduce((sum, value) => sum + value, 0) / 100;
}

const LOOK_MS = 400;
/** Of one look: what a server does that has nothing to do. */
const IDLE_SECONDS = 0.02;
const IDLE_LOOKS = 3;
const IDLE_WITHIN_MS = 90_000;

/** Waits until a server has done what it does behind its clients, as indexing or delivering on; false when it never ends. */
export async function untilIdle(pids: readonly number[]): Promise<boolean> {
  const end = performance.now() + IDLE_WITHIN_MS;
  let before = secondsOf(pids);
  for (let looks = 0; looks < IDLE_LOOKS;) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = secondsOf(pids);
    looks = now - before <= IDLE_SECONDS ? looks + 1 : 0;
    before = now;
  }
  return true;
}

/** The largest figure seen while `work` runs. */
export async function peakDuring<T>(
  pids: readonly number[],
  work: Promise<T>,
): Promise<{ peak: number; result: T }> {
  let peak = residentOctets(pids);
  const timer = setInterval(() => peak = Math.max(peak, residentOctets(pids)), 20);
  try {
    const result = await work;
    return { result, peak: Math.max(peak, residentOctets(pids)) };
  } finally {
    clearInterval(timer);
  }
}

/** Of each of its threads. */
function childrenOf(pid: number): number[] {
  const text = tasksOf(pid).map((task) => readOrEmpty(`/proc/${pid}/task/${task}/children`)).join(" ");
  return text.split(" ").map(Number).filter((child) => child > 0);
}

function tasksOf(pid: number): string[] {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // it has ended
    throw error;
  }
}

function memoryOf(pid: number): { resident: number; own: number } | null {
  const text = readOrEmpty(`/proc/${pid}/smaps_rollup`);
  if (text === "") return null;
  const kilobytes = (key: string) => Number(new RegExp(`^${key}: +(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  const own = kilobytes("Private_Clean") + kilobytes("Private_Dirty");
  return { resident: kilobytes("Rss") * 1024, own: own * 1024 };
}

/** A process that ends while it is looked at has no memory any more. */
function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
