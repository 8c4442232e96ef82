/** What users did with past mail of one origin, as a strength: 1 all of it went into Junk, -1 all of it was kept. */
import type { Standing } from "./surroundings.ts";

/** So many messages leave half of the doubt. */
const DOUBT = 3;

/** What speaks for an origin counts only where it is proven: anybody can write a name into From. */
export function standing(known: Standing | null, proven: boolean): number {
  if (known === null) return 0;
  const all = known.spam + known.ham;
  if (all === 0) return 0;
  const strength = (known.spam - known.ham) / all * all / (all + DOUBT);
  return strength < 0 && !proven ? 0 : strength;
}
