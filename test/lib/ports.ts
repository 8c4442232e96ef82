/**
 * Ports for the servers of tests. A server's ports are opened with `reusePort`, so two servers that picked the same
 * free port would answer in turn: every thread that runs tests, of whatever process, has ports of its own.
 *
 * All lie below the range that the system takes for outgoing connections and for port 0.
 */
import { STANDARD_PORTS } from "../../server/config/config.ts";

/** Parts that the ports are dealt into; each thread that runs tests takes one and keeps it until it ends. */
const SHARES = 32;
const CLAIMS_FROM = 9_600;
const SINGLE = { from: 5_200, perShare: 130 };
const OFFSETS = { from: 10_020, perShare: 21, step: offsetStep() };

/** Of these ranges: `fetch` refuses to ask them (Fetch standard, "port blocking"). */
const BLOCKED: ReadonlySet<number> = new Set([
  6_000,
  6_566,
  6_665,
  6_666,
  6_667,
  6_668,
  6_669,
  6_679,
  6_697,
  10_080,
]);

const share = claimShare();
let nextSingle = 0, nextOffset = 0;

/** A port of 127.0.0.0/8 that nobody has, by TCP and UDP, and that is given to no one else. */
export function freePort(): number {
  for (let tries = 0; tries < SINGLE.perShare; tries++) {
    const port = SINGLE.from + share * SINGLE.perShare + nextSingle;
    nextSingle = (nextSingle + 1) % SINGLE.perShare;
    if (isFree(port)) return port;
  }
  throw new Error(`none of ${SINGLE.perShare} ports is free`);
}

/** A port offset whose standard mail ports are free, and that is given to no one else. */
export function freeOffset(): number {
  for (let tries = 0; tries < OFFSETS.perShare; tries++) {
    const offset = OFFSETS.from + (share * OFFSETS.perShare + nextOffset) * OFFSETS.step;
    nextOffset = (nextOffset + 1) % OFFSETS.perShare;
    if (Object.values(STANDARD_PORTS).every((port) => isFree(port + offset))) return offset;
  }
  throw new Error(`none of ${OFFSETS.perShare} port offsets is free`);
}

/** The least number modulo which no two standard ports are equal: servers whose offsets are multiples of it never meet. */
function offsetStep(): number {
  const ports = Object.values(STANDARD_PORTS);
  for (let step = ports.length;; step++) {
    if (new Set(ports.map((port) => port % step)).size === ports.length) return step;
  }
}

/** The system lets only one socket have the claim, and takes it back when the thread ends, however it ends. */
function claimShare(): number {
  for (let share = 0; share < SHARES; share++) {
    const claim = unlessTaken(() =>
      Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: CLAIMS_FROM + share })
    );
    if (claim !== null) return share; // never closed
  }
  throw new Error(`more than ${SHARES} threads run tests at once`);
}

function isFree(port: number): boolean {
  if (BLOCKED.has(port)) return false;
  const tcp = unlessTaken(() => Deno.listen({ hostname: "127.0.0.1", port }));
  if (tcp === null) return false;
  tcp.close();
  const udp = unlessTaken(() => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }));
  udp?.close();
  return udp !== null;
}

function unlessTaken<T>(bind: () => T): T | null {
  try {
    return bind();
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return null;
    throw error;
  }
}
