/** Ports for servers that are measured: standard ones plus an offset. */

/** A server's own, and that of the sink behind it. */
const PORTS = [25, 80, 110, 143, 465, 587, 993, 995, 999, 4190];
/** From here on the system gives ports to clients: a busy generator has had most of them. */
const CLIENT_PORTS = 32_768;
/** Between two servers. */
const STEP = 1_100;

/**
 * An offset at which all are free; the second server takes the next range. It is this process's until it ends, so that of two
 * that begin together neither drives the servers of the other.
 */
export function freeBase(from: number): number {
  for (let base = from; base + Math.max(...PORTS) < CLIENT_PORTS; base += STEP) {
    if (claim(base) && PORTS.every((port) => isFree(base + port))) return base;
  }
  throw new Error("no free range of ports found");
}

/** By a socket that nothing else wants and that is never closed. */
function claim(base: number): boolean {
  return binds(() => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: base }));
}

function isFree(port: number): boolean {
  return binds(() => Deno.listen({ hostname: "127.0.0.1", port }).close());
}

function binds(bind: () => unknown): boolean {
  try {
    bind();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
