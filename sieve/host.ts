/**
 * What scripts ask of the world around them. All answers are at hand: nothing waits.
 */
import type { Envelope } from "./run.ts";

export interface Host {
  readonly envelope: Envelope;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Minutes east of UTC: the zone of `date` and `currentdate` without `:zone`. */
  readonly zoneMinutes: number;
  /** Characters that part a local part into user and detail (RFC 5233); "" where it has no detail. */
  readonly separators: string;
  /** Items of RFC 5183; null for one that is not known. */
  environment(item: string): string | null;
  mailboxExists(name: string): boolean;
  mailboxIdExists(id: string): boolean;
  /** Null asks for any mailbox (RFC 8579 3.). */
  specialUseExists(mailbox: string | null, use: string): boolean;
  /** Null for the server's; null where there is no such entry. */
  metadata(mailbox: string | null, entry: string): string | null;
  /** Null: there is no such list. */
  listHas(list: string, value: string): boolean | null;
  /** RFC 7352: seen with this id before, and how long ago at most. */
  seen(id: string, last: boolean): boolean;
  /** Hundredths, 0 is surely wanted, 100 surely not; null was not tested (RFC 5235). */
  readonly spamPercent: number | null;
  /** 1 clean to 5 surely infected (RFC 5235 3.); null was not tested. */
  readonly virusLevel: number | null;
}

/** Knows nothing: for checks of scripts, and to build on. */
export const EMPTY_HOST: Host = {
  envelope: { from: "", to: "" },
  now: 0,
  zoneMinutes: 0,
  separators: "+",
  environment: () => null,
  mailboxExists: () => false,
  mailboxIdExists: () => false,
  specialUseExists: () => false,
  metadata: () => null,
  listHas: () => null,
  seen: () => false,
  spamPercent: null,
  virusLevel: null,
};
