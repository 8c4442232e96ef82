/**
 * TCP_NODELAY on a listening socket, inherited by what it accepts.
 *
 * `Deno.TlsConn` has no `setNoDelay`: the greeting would wait 42 ms for the peer's delayed acknowledgement. The
 * runtime gives no file descriptor either, so it is found by inode: `/proc/self/net/tcp{,6}` names the inode of
 * each listening address, `/proc/self/fd` links descriptors to inodes. Linux only; everywhere else, and without
 * FFI, the answer is a reason why not, and the listener uses `tls: full`.
 */

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
/** TCP_LISTEN in the `st` column. */
const LISTENING = "0A";

/** Sets the option on every socket of this process that listens on the port; null, or why it cannot. */
export function setNoDelayOnListener(port: number): string | null {
  if (Deno.build.os !== "linux") return `not on ${Deno.build.os}`;
  try {
    const inodes = listeningInodes(port);
    const descriptors = descriptorsOf(inodes);
    if (descriptors.length === 0) return `no listening socket found for port ${port}`;
    const libc = Deno.dlopen("libc.so.6", {
      setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    });
    try {
      const on = new Uint8Array(new Int32Array([1]).buffer);
      for (const descriptor of descriptors) {
        const result = libc.symbols.setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, on, on.length);
        if (result !== 0) return "setsockopt failed";
      }
    } finally {
      libc.close();
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Inodes of all sockets on this machine's network namespace that listen on the port. */
function listeningInodes(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of tableLines(table)) {
      // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
      const columns = line.trim().split(/\s+/);
      const inode = columns[9];
      if (columns[3] === LISTENING && columns[1]?.endsWith(`:${wanted}`) && inode) inodes.add(inode);
    }
  }
  return inodes;
}

function tableLines(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // no IPv6 in this kernel
    throw error;
  }
}

function descriptorsOf(inodes: Set<string>): number[] {
  const descriptors: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    let link: string;
    try {
      link = Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue; // closed meanwhile
      throw error;
    }
    if (link.startsWith("socket:[") && inodes.has(link.slice(8, -1))) descriptors.push(Number(name));
  }
  return descriptors;
}
