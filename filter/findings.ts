/**
 * What checks found out about one message beside their verdicts, for those who ask later: Sieve's virustest, for one.
 *
 * Levels are those of RFC 5235 3.: 1 tested and clean, 3 suspicious, 4 likely, 5 surely infected. Of several the highest
 * counts. 0 and 2 (cured) are never given: not tested is null, and nothing is cured here.
 */
const LEVELS = { clean: 1, suspicious: 3, likely: 4, infected: 5 } as const;
export type VirusLevel = (typeof LEVELS)[keyof typeof LEVELS];

export class MessageFindings {
  #virusLevel: VirusLevel | null = null;

  /** Null: nothing has looked. */
  get virusLevel(): VirusLevel | null {
    return this.#virusLevel;
  }

  virus(what: keyof typeof LEVELS): void {
    const level = LEVELS[what];
    if (level > (this.#virusLevel ?? 0)) this.#virusLevel = level;
  }
}
