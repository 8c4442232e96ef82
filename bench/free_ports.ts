/** Ports for servers that are measured: standard ones plus an offset. */

/** An offset at which all are free; the second server takes the next range. */
export function freeBase(from: number): number {
  for (let base = from; base < 60_000; base += 1_100) {
    if ([25, 80, 110, 143, 465, 587, 993, 995, 999, 4190].every((port) => isFree(base + port))) return base;
  }
  throw new Error("no free range of ports found");
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
