/**
 * Which addresses of a host are tried first: IPv6 or IPv4, by the operator's choice and by what has been reachable.
 *
 * RFC 5321 5.1 leaves the order open; RFC 6724 has IPv6 first. A machine without a way for one family would wait for it at
 * every host: after {@linkcode FAILED_IN_A_ROW} addresses of a family in a row that could not be connected to, the other goes
 * first for {@linkcode REMEMBERED_MS}. Nothing is left out but by choice. Pure: times are arguments.
 */

export type FamilyChoice = "any" | "ipv6-first" | "ipv4-first" | "ipv6" | "ipv4";

const FAILED_IN_A_ROW = 3;
const REMEMBERED_MS = 10 * 60_000;

type Family = 4 | 6;

export class FamilyMemory {
  #failures: Record<Family, number>;
  #lastUntil: Record<Family, number>;

  constructor() {
    this.#failures = { 4: 0, 6: 0 };
    this.#lastUntil = { 4: 0, 6: 0 };
  }

  reached(address: string): void {
    const family = familyOf(address);
    this.#failures[family] = 0;
    this.#lastUntil[family] = 0;
  }

  unreachable(address: string, now: number): void {
    const family = familyOf(address);
    if (++this.#failures[family] >= FAILED_IN_A_ROW) this.#lastUntil[family] = now + REMEMBERED_MS;
  }

  /** The family that goes last now; null when both are well, or both are not. */
  last(now: number): Family | null {
    const [four, six] = [this.#lastUntil[4] > now, this.#lastUntil[6] > now];
    return four === six ? null : four ? 4 : 6;
  }
}

/** The addresses (IPv6 first, as the look-up gives them) in the order they are tried. */
export function ordered(
  addresses: readonly string[],
  { choice, memory, now }: {
    readonly choice: FamilyChoice;
    readonly memory: FamilyMemory;
    readonly now: number;
  },
): string[] {
  const of = (family: Family) => addresses.filter((address) => familyOf(address) === family);
  switch (choice) {
    case "ipv4":
      return of(4);
    case "ipv6":
      return of(6);
    case "ipv4-first":
      return [...of(4), ...of(6)];
    case "ipv6-first":
      return [...of(6), ...of(4)];
    case "any":
      return memory.last(now) === 6 ? [...of(4), ...of(6)] : [...of(6), ...of(4)];
    default:
      return choice satisfies never;
  }
}

function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}
