/**
 * TCP options of a listening socket, inherited by what it accepts: TCP_NODELAY and keepalive.
 *
 * `Deno.TlsConn` has no `setNoDelay`: the greeting would wait 42 ms for the peer's delayed acknowledgement. And no
 * connection of the runtime's can say after what time a silent peer counts as dead, which must be soon: a POP3 session
 * holds its maildrop (RFC 1939 4) until its connection ends. The runtime gives no file descriptor either, so it is
 * found by inode: `/proc/self/net/tcp{,6}` names the inode of each listening address, `/proc/self/fd` links
 * descriptors to inodes. Linux only; everywhere else, and without FFI, the answer is a reason why not: the listener
 * uses `tls: full` then, and each connection gets the system's keepalive.
 */

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
/** TCP_LISTEN in the `st` column. */
const LISTENING = "0A";

/** A peer that is gone is found out after 60 s of silence and four probes 15 s apart: two minutes. */
const OPTIONS: readonly (readonly [level: number, name: number, value: number])[] = [
  [IPPROTO_TCP, TCP_NODELAY, 1],
  [SOL_SOCKET, SO_KEEPALIVE, 1],
  [IPPROTO_TCP, TCP_KEEPIDLE, 60],
  [IPPROTO_TCP, TCP_KEEPINTVL, 15],
  [IPPROTO_TCP, TCP_KEEPCNT, 4],
];

/** Sets the options on every socket of this process that listens on the port; null, or why it cannot. */
export function setListenOptions(port: number): string | null {
  if (Deno.build.os !== "linux") return `not on ${Deno.build.os}`;
  try {
    const inodes = listeningInodes(port);
    const descriptors = descriptorsOf(inodes);
    if (descriptors.length === 0) return `no listening socket found for port ${port}`;
    const libc = Deno.dlopen("libc.so.6", {
      setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    });
    try {
      for (const descriptor of descriptors) {
        for (const [level, name, value] of OPTIONS) {
          const octets = new Uint8Array(new Int32Array([value]).buffer);
          const result = libc.symbols.setsockopt(descriptor, level, name, octets, octets.length);
          if (result !== 0) return `setsockopt ${level} ${name} failed`;
        }
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
