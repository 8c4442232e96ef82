/**
 * Reads from the one client that a thread talks with, where that is near: waited for without falling asleep.
 *
 * Falling asleep, being woken and the turn of the event loop between two commands take longer than most commands. A client on this
 * machine, or beside it, says its next word sooner. So where nobody else was read from lately, `recv` is tried again and again for
 * {@linkcode NEAR_MS}, and the processor offered to others between two tries: to the client, where both share one. At
 * least once in {@linkcode STRETCH_MS} the event loop turns, for all else that the thread does.
 *
 * What is lost by it is bounded by {@linkcode Patience}. Hot (bench/run.ts --only search, bench/large.ts --only pop3-drop).
 */
import { libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
/** About what falling asleep and being woken takes on both sides. */
const NEAR_MS = 0.05;
/** Without a turn of the event loop, and one command more. */
const STRETCH_MS = 0.5;
/** Reads of one connection in a row, the event loop turning between them, before it counts as alone. */
const ALONE = 16;

/** What a wait that was answered saves. */
const GAIN_MS = 0.01;
/** Put by, at most. */
const MOST_MS = 1;
/** Behind a loss that nothing put by pays for: the time without trying, as a multiple of it. */
const REST = 100;

/**
 * Whether something is worth trying, by what came of it before. What it gains is put by and pays for what it loses; where that is
 * used up, a hundredth of the time may be lost. Milliseconds of a steady clock.
 */
export class Patience {
  #putBy = MOST_MS / 2;
  #restsUntil = 0;

  allows(now: number): boolean {
    return now >= this.#restsUntil;
  }

  gained(): void {
    this.#putBy = Math.min(MOST_MS, this.#putBy + GAIN_MS);
  }

  lost(ms: number, now: number): void {
    this.#putBy -= ms;
    if (this.#putBy > 0) return;
    this.#restsUntil = now - REST * this.#putBy;
    this.#putBy = 0;
  }
}

/** Of this thread: with waiting, and with offering the processor, which somebody else may keep for milliseconds. */
const waiting = new Patience();
const offering = new Patience();
/** Whose read was the last behind which the event loop turned, how many in a row were its, and when waiting began then. */
let last: object | null = null;
let inARow = 0;
let stretchBegan = 0;

/** `by` is read from, and the event loop turns. */
export function noteRead(by: object): void {
  inARow = by === last ? inARow + 1 : 0;
  last = by;
  stretchBegan = 0;
}

/**
 * Octets that the client of `descriptor` sends within moments, at the beginning of `into`; 0 where it sends none or is at its
 * end, where it is not alone, and where the event loop has its turn.
 */
export function readNear(by: object, descriptor: number, into: Uint8Array<ArrayBuffer>): number {
  if (libc === null || by !== last || inARow < ALONE) return 0;
  const began = performance.now();
  if (stretchBegan === 0) stretchBegan = began;
  if (began - stretchBegan > STRETCH_MS || !waiting.allows(began)) return 0;
  const offers = offering.allows(began);
  const size = BigInt(into.length);
  for (let now = began;;) {
    const count = Number(libc.recv(descriptor, into, size, MSG_DONTWAIT));
    if (count >= 0) {
      if (now > began) waiting.gained();
      return count;
    }
    if (now - began > NEAR_MS) {
      waiting.lost(NEAR_MS, now);
      return 0;
    }
    if (offers) libc.sched_yield();
    const before = now;
    now = performance.now();
    if (offers && now - before > NEAR_MS) offering.lost(now - before, now);
  }
}
