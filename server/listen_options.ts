/**
 * TCP options of a listening socket, inherited by what it accepts: TCP_NODELAY and keepalive.
 *
 * `Deno.TlsConn` has no `setNoDelay`: the greeting would wait 42 ms for the peer's delayed acknowledgement. And no
 * connection of the runtime's can say after what time a silent peer counts as dead, which must be soon: a POP3 session
 * holds its maildrop (RFC 1939 4) until its connection ends. The runtime gives no file descriptor either, so each
 * socket of the process (`/proc/self/fd`) is asked whether it listens, and where; `/proc/net/tcp` would tell too, but
 * takes 25 ms on a machine with many connections. Linux only; everywhere else, and without FFI, the answer is a reason
 * why not: the listener uses `tls: full` then, and each connection gets the system's keepalive.
 */

const AF_INET = 2;
const AF_INET6 = 10;
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const SO_ACCEPTCONN = 30;

/** A peer that is gone is found out after 60 s of silence and four probes 15 s apart: two minutes. */
const OPTIONS: readonly (readonly [level: number, name: number, value: number])[] = [
  [IPPROTO_TCP, TCP_NODELAY, 1],
  [SOL_SOCKET, SO_KEEPALIVE, 1],
  [IPPROTO_TCP, TCP_KEEPIDLE, 60],
  [IPPROTO_TCP, TCP_KEEPINTVL, 15],
  [IPPROTO_TCP, TCP_KEEPCNT, 4],
];

const SYMBOLS = {
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Sets the options on every socket of this process that listens on the port; null, or why it cannot. */
export function setListenOptions(port: number): string | null {
  if (Deno.build.os !== "linux") return `not on ${Deno.build.os}`;
  try {
    const libc = Deno.dlopen("libc.so.6", SYMBOLS);
    try {
      const descriptors = sockets().filter((descriptor) => listensOn(libc.symbols, descriptor, port));
      if (descriptors.length === 0) return `no listening socket found for port ${port}`;
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

/** Descriptors of all sockets of this process. */
function sockets(): number[] {
  const descriptors: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) descriptors.push(Number(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // closed meanwhile
    }
  }
  return descriptors;
}

function listensOn(libc: Libc, descriptor: number, port: number): boolean {
  const accepts = new Int32Array(1);
  const length = new Uint32Array([4]);
  const asked = libc.getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, octetsOf(accepts), octetsOf(length));
  if (asked !== 0 || accepts[0] !== 1) return false;
  // struct sockaddr_in and sockaddr_in6 both: family in the order of the machine, port in that of the network.
  const address = new Uint8Array(128);
  length[0] = address.length;
  if (libc.getsockname(descriptor, address, octetsOf(length)) !== 0) return false;
  const view = new DataView(address.buffer);
  const family = new Uint16Array(address.buffer, 0, 1)[0];
  return (family === AF_INET || family === AF_INET6) && view.getUint16(2) === port;
}

function octetsOf(cells: Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(cells.buffer);
}
