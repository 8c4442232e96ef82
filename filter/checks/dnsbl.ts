/**
 * Lists in DNS of clients and domains (RFC 5782), blocking and allowing: answers have weights, the sum decides.
 * Which answers count, and when a list is not asked: dns_list.ts. Lists that cannot say are told in a tag without points. Mail of a
 * relay of ours is judged when it is there, by whom the relay had it from, and never refused: it is the relay that would have to send
 * it back.
 */
import { type Blocks, reversedLabels } from "../address_block.ts";
import type { Check, CheckFacts, ClientView } from "../check.ts";
import { DnsList, listableDomain, type ListWord, NO_ANSWER } from "../dns_list.ts";
import type { Lookup } from "../lookup.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";
import { domainOf } from "./null_mx.ts";

export interface ListZone {
  readonly zone: string;
  /** What is looked up: the client's address, the domain of the sender, or the name of EHLO. */
  readonly of: "address" | "sender" | "helo";
  /** Of documented answers that `codes` does not name; below 0 the list speaks for the client, 0 is no entry. */
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
  /** Relays and backup MX of ours. */
  readonly relays: Blocks;
}

/** Whom the mail comes from; null where a relay does not say. */
type Origin = Pick<ClientView, "address" | "heloName"> | null;

interface From {
  readonly relayed: boolean;
  readonly origin: Origin;
}

interface Score {
  /** As others may know it. */
  readonly zone: string;
  readonly weight: number;
}

export function dnsbl({ name, zones, threshold, action, lookup, now, relays }: DnsblOptions): Check {
  const lists = zones.map((zone) => ({
    of: zone.of,
    list: new DnsList({ ...zone, of: zone.of === "address" ? "address" : "domain", lookup, now }),
  }));
  return {
    name,
    stages: relays.empty ? ["mail"] : ["mail", "message"],
    run(facts): Verdict | Promise<Verdict> {
      const relayed = relays.includes(facts.client.address);
      if (relayed !== (facts.stage === "message")) return CONTINUE;
      return judge(facts, { relayed, origin: relayed ? facts.sent?.judged ?? null : facts.client });
    },
  };

  /** At once where all names are known. */
  function judge(facts: CheckFacts, from: From): Verdict | Promise<Verdict> {
    const subjects = new Subjects(from.origin, facts.sender ?? "");
    const weights: (ListWord | Promise<ListWord>)[] = [];
    let [known, found] = [true, false];
    for (const { list, of } of lists) {
      const asked = subjects.of(of);
      const weight = asked === null ? null : list.weightOf(asked);
      if (weight instanceof Promise) known = false;
      if (weight !== null) found = true;
      weights.push(weight);
    }
    if (!found) return CONTINUE;
    return known
      ? verdictOf(facts, from, weights as ListWord[])
      : Promise.all(weights).then((all) => verdictOf(facts, from, all));
  }

  function verdictOf(
    { client }: CheckFacts,
    { relayed, origin }: From,
    weights: readonly ListWord[],
  ): Verdict {
    const silent = lists.filter((_, at) => weights[at] === NO_ANSWER).map(({ list }) => list.publicName);
    const scores = lists.flatMap(({ list: { publicName: zone } }, at): Score[] => {
      const weight = weights[at] ?? null;
      return typeof weight === "number" ? [{ zone, weight }] : [];
    });
    const sum = scores.reduce((total, { weight }) => total + weight, 0);
    if (sum < threshold && sum >= 0) {
      return silent.length === 0
        ? CONTINUE
        : { action: "tag", reason: `no answer of ${silent.join(", ")}`, points: 0 };
    }
    const listed = scores.map(({ zone, weight }) => `${zone} ${weight}`).join(", ");
    const handedOver = relayed ? `, of ${origin?.address ?? "whom the relay does not name"}` : "";
    const said = { reason: `score ${sum}: ${listed}${handedOver}`, points: sum };
    // What speaks for a client refuses nothing: it goes into the score.
    if (sum < 0) return { action: "tag", ...said };
    if (relayed && action === "reject") return { action: "tag", ...said };
    return { action, ...said, ...(action === "reject" && { reply: refusal(client, scores) }) };
  }
}

function refusal(client: ClientView, scores: readonly Score[]) {
  const zones = scores.filter(({ weight }) => weight > 0).map(({ zone }) => zone).join(", ");
  return {
    code: 550,
    enhanced: "5.7.1",
    text: `Client ${client.address} or its sender is listed by ${zones}`,
  };
}

/** What is looked up of one message, made once for all lists. */
class Subjects {
  readonly #origin: Origin;
  readonly #sender: string;
  #address: string | null | undefined;

  constructor(origin: Origin, sender: string) {
    this.#origin = origin;
    this.#sender = sender;
    this.#address = undefined;
  }

  of(of: ListZone["of"]): string | null {
    const origin = this.#origin;
    switch (of) {
      case "address":
        return this.#address ??= origin === null ? null : reversedLabels(origin.address);
      case "sender":
        return listableDomain(domainOf(this.#sender));
      case "helo":
        return origin === null ? null : listableDomain(origin.heloName.toLowerCase());
    }
  }
}
