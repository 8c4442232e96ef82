/**
 * The file descriptor of a connection that was opened from here: the runtime tells those of accepted ones only.
 *
 * Both ends of a TCP connection together are one connection's and no other's: the descriptor that has them is its own, as long
 * as it is open. A new descriptor is the lowest that is free: connections opened one after the other have theirs close to one
 * another, so those around the last that was found are asked first, then those around the lowest that is free now, then all that
 * are open. Linux with the C library only.
 */
import { parseIpv4, parseIpv6 } from "../dns/ip_address.ts";
import { NO_DESCRIPTOR } from "./descriptor.ts";
import { hasRoom, lowestFree } from "./descriptors.ts";
import { libc } from "./libc.ts";

const AF_INET = 2;
const AF_INET6 = 10;
/** Descriptors that are asked above the last that was found, and below. */
const NEAR = 256;

/** Of this thread. */
let last = 2;
const answer = new Uint8Array(128);
const length = new Uint32Array(1);
const lengthOctets = new Uint8Array(length.buffer);

/** {@linkcode NO_DESCRIPTOR} where none is found: the runtime reads and writes then. */
export function openedDescriptor({ localAddr, remoteAddr }: Deno.TcpConn): number {
  const near = endOf(localAddr as Deno.NetAddr), far = endOf(remoteAddr as Deno.NetAddr);
  if (libc === null || near === null || far === null) return NO_DESCRIPTOR;
  for (let descriptor = last + 1; descriptor <= last + NEAR; descriptor++) {
    if (isBetween(descriptor, near, far)) return last = descriptor;
  }
  for (let descriptor = last; descriptor > Math.max(2, last - NEAR); descriptor--) {
    if (isBetween(descriptor, near, far)) return last = descriptor;
  }
  // One that cannot be listed for want of a descriptor is not worth the last of them.
  if (!hasRoom()) return NO_DESCRIPTOR;
  const free = lowestFree();
  for (let descriptor = free + NEAR; descriptor > Math.max(2, free - NEAR); descriptor--) {
    if (isBetween(descriptor, near, far)) return last = descriptor;
  }
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    if (isBetween(Number(name), near, far)) return last = Number(name);
  }
  return NO_DESCRIPTOR;
}

interface End {
  readonly family: number;
  readonly port: number;
  readonly address: Uint8Array;
}

/** Null of an address with a zone. */
function endOf({ hostname, port }: Deno.NetAddr): End | null {
  const four = parseIpv4(hostname);
  const address = four ?? parseIpv6(hostname);
  return address === null ? null : { family: four === null ? AF_INET6 : AF_INET, port, address };
}

function isBetween(descriptor: number, near: End, far: End): boolean {
  length[0] = answer.length;
  if (libc!.getsockname(descriptor, answer, lengthOctets) !== 0 || !isAt(near)) return false;
  length[0] = answer.length;
  return libc!.getpeername(descriptor, answer, lengthOctets) === 0 && isAt(far);
}

/** struct sockaddr_in and sockaddr_in6: family in the order of the machine, port, in the latter the flow, address. */
function isAt({ family, port, address }: End): boolean {
  if (answer[0]! + answer[1]! !== family || answer[2]! * 256 + answer[3]! !== port) return false;
  const start = family === AF_INET ? 4 : 8;
  return address.every((octet, at) => answer[start + at] === octet);
}
