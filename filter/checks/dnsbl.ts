/**
 * Lists in DNS of clients and domains (RFC 5782), blocking and allowing: answers have weights, the sum decides.
 *
 * Only answers in 127.0.0.0/8 count. 127.255.255.0/24 is how lists say that they do not answer us (an open resolver, too
 * many questions), 127.0.0.1 is no entry (RFC 5782 5): neither ever lists anybody. Such an error opens the circuit of the
 * list at once, faults of DNS after a few: it is not asked for a while, and counts nothing.
 */
import { getLogger } from "@logtape/logtape";
import { reversedLabels } from "../address_block.ts";
import { Breaker } from "../breaker.ts";
import type { Check, CheckFacts } from "../check.ts";
import { type Lookup, recordsOf } from "../lookup.ts";
import { listFaults } from "../metrics.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";
import { domainOf } from "./null_mx.ts";

const log = getLogger(["veredus", "filter"]);

export interface ListZone {
  readonly zone: string;
  /** What is looked up: the client's address, the domain of the sender, or the name of EHLO. */
  readonly of: "address" | "sender" | "helo";
  /** Of any answer; below 0 the list speaks for the client. */
  readonly weight: number;
  /** Of certain answers, in place of `weight`. */
  readonly codes: Readonly<Record<string, number>>;
}

export interface DnsblOptions {
  readonly name: string;
  readonly zones: readonly ListZone[];
  /** From this sum on the action is taken. */
  readonly threshold: number;
  readonly action: Action;
  readonly lookup: Lookup;
  readonly now: () => number;
}

interface Score {
  readonly zone: string;
  readonly weight: number;
}

export function dnsbl({ name, zones, threshold, action, lookup, now }: DnsblOptions): Check {
  const lists = zones.map((zone) => new List(zone, lookup, new Breaker(now)));
  return {
    name,
    stages: ["mail"],
    async run(facts): Promise<Verdict> {
      const scores = (await Promise.all(lists.map((list) => list.score(facts)))).filter((score) =>
        score !== null
      );
      const sum = scores.reduce((total, { weight }) => total + weight, 0);
      if (sum < threshold && sum >= 0) return CONTINUE;
      const listed = scores.map(({ zone, weight }) => `${zone} ${weight}`).join(", ");
      const said = { reason: `score ${sum}: ${listed}`, points: sum };
      // What speaks for a client refuses nothing: it goes into the score.
      if (sum < 0) return { action: "tag", ...said };
      return {
        action,
        ...said,
        ...(action === "reject" && { reply: refusal(facts, scores) }),
      };
    },
  };
}

function refusal({ client }: CheckFacts, scores: readonly Score[]) {
  const zones = scores.filter(({ weight }) => weight > 0).map(({ zone }) => zone).join(", ");
  return {
    code: 550,
    enhanced: "5.7.1",
    text: `Client ${client.address} or its sender is listed by ${zones}`,
  };
}

class List {
  #zone: ListZone;
  #lookup: Lookup;
  #breaker: Breaker;

  constructor(zone: ListZone, lookup: Lookup, breaker: Breaker) {
    this.#zone = zone;
    this.#lookup = lookup;
    this.#breaker = breaker;
  }

  /** Null where it lists nothing, or cannot say. */
  async score(facts: CheckFacts): Promise<Score | null> {
    const { zone, weight, codes } = this.#zone;
    const subject = this.#subject(facts);
    if (subject === null || this.#breaker.open) return null;
    const records = recordsOf(await this.#lookup.resolve(`${subject}.${zone}`, "A"));
    if (records === null) {
      this.#failed("no answer", this.#breaker.failed());
      return null;
    }
    const answers = records.map(({ address }) => address);
    if (answers.some((address) => address.startsWith("127.255.255."))) {
      this.#failed(`it says ${answers.join(" ")}`, this.#breaker.failed(true));
      return null;
    }
    this.#breaker.worked();
    const listing = answers.filter((address) => address.startsWith("127.") && address !== "127.0.0.1");
    if (listing.length === 0) return null;
    const [first, ...others] = listing.map((address) => codes[address] ?? weight);
    // The strongest word counts, not the number of them.
    return {
      zone,
      weight: others.reduce((most, one) => Math.abs(one) > Math.abs(most) ? one : most, first!),
    };
  }

  #subject({ client, sender }: CheckFacts): string | null {
    switch (this.#zone.of) {
      case "address":
        return reversedLabels(client.address);
      case "sender":
        return nameOrNull(domainOf(sender ?? ""));
      case "helo":
        return nameOrNull(client.heloName.toLowerCase());
    }
  }

  #failed(why: string, opened: boolean): void {
    const { zone } = this.#zone;
    listFaults.inc({ zone });
    if (opened) log.warn("the list {zone} is left alone for a while: {why}", { zone, why });
  }
}

function nameOrNull(name: string): string | null {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(name) && name.length < 200 ? name : null;
}
