/**
 * TCP options of a listening socket, inherited by what it accepts: TCP_NODELAY and keepalive.
 *
 * `Deno.TlsConn` has no `setNoDelay`: the greeting would wait 42 ms for the peer's delayed acknowledgement. And no
 * connection of the runtime's can say after what time a silent peer counts as dead, which must be soon: a POP3 session
 * holds its maildrop (RFC 1939 4) until its connection ends. The runtime tells no descriptor of a listener, so each
 * descriptor of the process (`/proc/self/fd`) is asked whether it listens, and where; `/proc/net/tcp` would tell too, but
 * takes 25 ms on a machine with many connections. Linux only; everywhere else, and without FFI, the answer is a reason
 * why not: the listener uses `tls: full` then, and each connection gets the system's keepalive.
 */
import { type Libc, libc, problem } from "./libc.ts";

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

/**
 * Sets the options on every socket of this process that listens on one of the ports; why it cannot, for each port where
 * that is so. One call for many: it takes as long as for one.
 */
export function setListenOptions(ports: readonly number[]): Map<number, string> {
  return libc === null ? new Map(ports.map((port) => [port, problem])) : setOn(libc, ports);
}

function setOn(libc: Libc, ports: readonly number[]): Map<number, string> {
  const missing = new Set(ports);
  const problems = new Map<number, string>();
  for (const descriptor of descriptors()) {
    const port = listeningPort(libc, descriptor);
    if (port === null || !ports.includes(port)) continue;
    missing.delete(port);
    for (const [level, name, value] of OPTIONS) {
      const octets = octetsOf(new Int32Array([value]));
      const result = libc.setsockopt(descriptor, level, name, octets, octets.length);
      if (result !== 0) problems.set(port, `setsockopt ${level} ${name} failed`);
    }
  }
  for (const port of missing) problems.set(port, `no listening socket found for port ${port}`);
  return problems;
}

function descriptors(): number[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name));
}

/** Null of what does not listen, is no socket, or was closed meanwhile. */
function listeningPort(libc: Libc, descriptor: number): number | null {
  const accepts = new Int32Array(1);
  const length = new Uint32Array([4]);
  const asked = libc.getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, octetsOf(accepts), octetsOf(length));
  if (asked !== 0 || accepts[0] !== 1) return null;
  // struct sockaddr_in and sockaddr_in6 both: family in the order of the machine, port in that of the network.
  const address = new Uint8Array(128);
  length[0] = address.length;
  if (libc.getsockname(descriptor, address, octetsOf(length)) !== 0) return null;
  const view = new DataView(address.buffer);
  const family = new Uint16Array(address.buffer, 0, 1)[0];
  return family === AF_INET || family === AF_INET6 ? view.getUint16(2) : null;
}

function octetsOf(cells: Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(cells.buffer);
}
