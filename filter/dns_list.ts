/**
 * One list in DNS (RFC 5782) of addresses or domains: what it says of one, and whether it is to be believed at all.
 *
 * Only answers count that the operator names or the list documents (dns_list_codes.ts), all in 127.0.0.0/8. 127.0.0.1 is no entry
 * (RFC 5782 5); 127.255.255.0/24 is how lists say that they do not answer us (an open resolver, too many questions). Such an error opens the circuit at once, faults of DNS after a few: the list is
 * not asked for a while.
 *
 * Before its first use and each day a list is asked for its test entries (RFC 5782 5). One that lists what none may list, or lacks
 * what each must have, is gone or somebody else's by now: it is switched off with an alarm and tested again each hour. A list that does
 * not answer the test is no worse than one that does not answer: it stays, but counts nothing until it has answered.
 */
import { getLogger } from "@logtape/logtape";
import { reversedLabels } from "./address_block.ts";
import { Breaker } from "./breaker.ts";
import { documentedCodes, isUndocumented, publicName } from "./dns_list_codes.ts";
import { type Lookup, type LookupAnswer, recordsOf } from "./lookup.ts";
import { listFaults } from "./metrics.ts";

const log = getLogger(["veredus", "filter"]);
const CHECKED_MS = 86_400_000;
/** A list that failed its test is tested again after this. */
const AGAIN_MS = 3_600_000;
/** Lists of domains may have addresses too, and some have no test entry but 127.0.0.2. */
const TEST_ENTRIES = {
  address: {
    never: [reversedLabels("127.0.0.1")!, reversedLabels("::ffff:7f00:1")!],
    oneOf: [reversedLabels("127.0.0.2")!, reversedLabels("::ffff:7f00:2")!],
  },
  domain: { never: ["invalid", reversedLabels("127.0.0.1")!], oneOf: ["test", reversedLabels("127.0.0.2")!] },
} as const;

export interface DnsListOptions {
  readonly zone: string;
  readonly of: keyof typeof TEST_ENTRIES;
  /** Of documented answers that `codes` does not name; below 0 the list speaks for whom it lists, 0 is no entry. */
  readonly weight: number;
  /** Of certain answers, documented or not; of a bit mask the bits. */
  readonly codes: Readonly<Record<string, number>>;
  readonly lookup: Lookup;
  readonly now: () => number;
}

/** The list cannot say: it does not answer, or is left alone for that. */
export const NO_ANSWER = "no answer";

/** A weight; null: not listed, or the list is off. */
export type ListWord = number | null | typeof NO_ANSWER;

interface Tested {
  readonly at: number;
  readonly good: boolean;
}

export class DnsList {
  readonly #options: DnsListOptions;
  readonly #breaker: Breaker;
  #tested: Tested | null;
  #testing: Promise<boolean | ListTrouble> | null;

  constructor(options: DnsListOptions) {
    this.#options = options;
    this.#breaker = new Breaker(options.now);
    this.#tested = null;
    this.#testing = null;
  }

  get zone(): string {
    return this.#options.zone;
  }

  /** Its name in replies and headers. */
  get publicName(): string {
    return publicName(this.zone);
  }

  /**
   * The weight of a subject, as it stands in front of the zone (reversed address, domain): the strongest word counts, not
   * the number of them. At once where the names are known; never rejects.
   */
  weightOf(subject: string): ListWord | Promise<ListWord> {
    if (this.#off) return null;
    if (this.#breaker.open) return NO_ANSWER;
    // Both at once: a test costs no time of its own.
    const works = this.#works();
    const listing = this.#listing(subject);
    return works instanceof Promise || listing instanceof Promise
      ? Promise.all([works, listing]).then(([worked, listed]) => this.#weigh(worked, listed))
      : this.#weigh(works, listing);
  }

  #weigh(works: boolean | ListTrouble, listing: Listing): ListWord {
    const trouble = isTrouble(listing) ? listing : works instanceof ListTrouble ? works : null;
    if (trouble !== null) {
      this.#failed(trouble);
      return NO_ANSWER;
    }
    this.#breaker.worked();
    if (isTrouble(listing) || works !== true || listing.length === 0) return null;
    return strongest(listing.flatMap((answer) => this.#weights(answer)).filter((one) => one !== 0));
  }

  #weights(answer: string): readonly number[] {
    const { zone, weight, codes } = this.#options;
    const whole = codes[answer];
    return whole === undefined ? documentedCodes(zone, answer).map((code) => codes[code] ?? weight) : [whole];
  }

  get #off(): boolean {
    return this.#tested !== null && !this.#tested.good && !this.#due;
  }

  get #due(): boolean {
    const tested = this.#tested;
    return tested === null || this.#options.now() - tested.at >= (tested.good ? CHECKED_MS : AGAIN_MS);
  }

  #works(): boolean | Promise<boolean | ListTrouble> {
    if (!this.#due) return this.#tested!.good;
    return this.#testing ??= this.#test().finally(() => this.#testing = null);
  }

  async #test(): Promise<boolean | ListTrouble> {
    const { zone, of, now } = this.#options;
    const [never, oneOf] = await Promise.all(
      [TEST_ENTRIES[of].never, TEST_ENTRIES[of].oneOf].map((entries) =>
        Promise.all(entries.map((entry) => this.#listing(entry)))
      ),
    );
    const tooMuch = never!.some(listsSome);
    const enough = oneOf!.some(listsSome);
    // What is missing may be among what was not answered.
    const open = !tooMuch && (never!.every(isTrouble) || !enough)
      ? [...oneOf!, ...never!].find(isTrouble)
      : undefined;
    if (open !== undefined) return open;
    const good = enough && !tooMuch;
    if (!good) {
      listFaults.inc({ zone });
      log.error("the list {zone} is switched off: {why} (RFC 5782)", {
        zone,
        why: tooMuch ? "it lists what no list may list" : "it lacks the test entry",
      });
    } else if (this.#tested?.good === false) {
      log.info("the list {zone} is asked again: its test entries are as they must be", { zone });
    }
    this.#tested = { at: now(), good };
    return good;
  }

  /** Answers that list somebody. */
  #listing(subject: string): Listing | Promise<Listing> {
    const answer = this.#options.lookup.resolve(`${subject}.${this.zone}`, "A");
    return answer instanceof Promise ? answer.then((late) => this.#listed(late)) : this.#listed(answer);
  }

  #listed(answer: LookupAnswer<"A">): Listing {
    const records = recordsOf(answer);
    if (records === null) return new ListTrouble("no answer", false);
    if (records.length === 0) return LISTS_NOBODY;
    const answers = records.map(({ address }) => address);
    return answers.some((address) => address.startsWith("127.255.255."))
      ? new ListTrouble(`it says ${answers.join(" ")}`, true)
      : answers.filter((address) => this.#lists(address));
  }

  /** Of a list that we do not know any answer may list somebody, for its test: what counts is weighed. */
  #lists(answer: string): boolean {
    const { zone, codes } = this.#options;
    return answer.startsWith("127.") && answer !== "127.0.0.1" &&
      (codes[answer] !== undefined || !isUndocumented(zone, answer));
  }

  #failed({ why, refused }: ListTrouble): void {
    const { zone } = this;
    listFaults.inc({ zone });
    if (this.#breaker.failed(refused)) {
      log.warn("the list {zone} is left alone for a while: {why}", { zone, why });
    }
  }
}

/** The list did not say whether it lists somebody. */
class ListTrouble {
  readonly why: string;
  /** It was no accident: it does not answer us. */
  readonly refused: boolean;

  constructor(why: string, refused: boolean) {
    this.why = why;
    this.refused = refused;
  }
}

type Listing = readonly string[] | ListTrouble;
const LISTS_NOBODY: Listing = [];

function isTrouble(listing: Listing): listing is ListTrouble {
  return listing instanceof ListTrouble;
}

function listsSome(listing: Listing): boolean {
  return !isTrouble(listing) && listing.length > 0;
}

/** The one that is furthest from 0, the first of equals; null of none. */
export function strongest(weights: readonly number[]): number | null {
  return weights.reduce<number | null>(
    (most, one) => most === null || Math.abs(one) > Math.abs(most) ? one : most,
    null,
  );
}

/** A domain that can be looked up in a list, in lower case; null of anything else. */
export function listableDomain(name: string): string | null {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(name) && name.length < 200 ? name : null;
}
