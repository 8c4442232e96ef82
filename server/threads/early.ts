/**
 * Workers that begin to load while main still reads its own modules and the configuration: on two cores the server is
 * ready that much earlier. Whoever starts a thread takes the one that waits for it; what nobody takes is ended.
 *
 * Not in an executable, which unpacks the native library when a Worker loads it: there TMPDIR comes first.
 */
const waiting = new Map<string, Worker>();

/** As many front ends as the configuration will probably ask for. */
export function startEarly(frontEnds: number): void {
  if (Deno.build.standalone) return;
  const entries: [string, URL][] = [["writer", new URL("./writer_worker.ts", import.meta.url)]];
  for (let at = 1; at <= frontEnds; at++) {
    entries.push([`frontend-${at}`, new URL("./frontend_worker.ts", import.meta.url)]);
  }
  for (const [name, entry] of entries) waiting.set(keyOf(entry, name), newWorker(entry, name));
}

export function takeWorker(entry: URL, name: string): Worker {
  const key = keyOf(entry, name);
  const early = waiting.get(key);
  waiting.delete(key);
  return early ?? newWorker(entry, name);
}

/** Ends those that were not taken. */
export function endEarly(): void {
  for (const worker of waiting.values()) worker.terminate();
  waiting.clear();
}

function newWorker(entry: URL, name: string): Worker {
  return new Worker(entry, { type: "module", name });
}

function keyOf(entry: URL, name: string): string {
  return `${name} ${entry.href}`;
}
