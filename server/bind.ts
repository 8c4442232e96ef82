/** Ports, before anything listens on them: whether they are free, and what `*` means. */

/**
 * Makes sure that no other process has the port, and returns it (port 0: a free one). `reusePort` would share it
 * silently with another server of the same user. Throws AddrInUse.
 */
export function claimPort(address: string, port: number): number {
  const socket = onAddress(address, (hostname) => Deno.listen({ hostname, port }));
  const claimed = (socket.addr as Deno.NetAddr).port;
  socket.close();
  return claimed;
}

/** `*` is every address of both families where the machine has both, else every IPv4 address. */
export function onAddress<T>(address: string, bind: (hostname: string) => T): T {
  if (address !== "*") return bind(address);
  try {
    return bind("::");
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) throw error;
    return bind("0.0.0.0");
  }
}
