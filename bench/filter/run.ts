/**
 * How much spam each filter catches after 0, 10, 100 and 1,000 messages learnt, at 0.1 % false positives: ours beside bogofilter,
 * SpamAssassin and rspamd of Debian, all without network tests.
 *
 *   deno run -A bench/filter/run.ts [--splits 10] [--only NAME]...
 *
 * Ten splits in halves by hash, each half in the order its messages came; scores of all splits pooled, one threshold a filter and
 * step. Our weights and constants were chosen by the training half of split 0, whose messages stand in the test halves of other splits
 * too: the figures of all lean in our favour. Those of messages unseen, of the test half of split 0 alone whatever the split, do not:
 * both are printed, and what the shipped thresholds do. Written to bench/results/filter.json and filter.svg, beside what other filters
 * did in runs of as many splits: with `--only` they may run one at a time.
 */
import { parseArgs } from "node:util";
import { type Catch, catchOf, type Contestant, type Step, STEPS } from "./contest.ts";
import { type Sample, samples, splitOf, SPLITS } from "./corpus.ts";
import { BOGOFILTER } from "./peers/bogofilter.ts";
import { RSPAMD } from "./peers/rspamd.ts";
import { SPAMASSASSIN } from "./peers/spamassassin.ts";
import { VEREDUS } from "./peers/veredus.ts";
import { keepResults, type Kept } from "./kept.ts";

const { values } = parseArgs({
  options: { splits: { type: "string" }, only: { type: "string", multiple: true } },
});
const all = samples();
const splits = Array.from({ length: Number(values.splits ?? SPLITS) }, (_, number) => splitOf(all, number));
const folder = await Deno.makeTempDir({ prefix: "veredus-filter-bench-" });
const places = new Map<Sample, string>();
for (const [number, sample] of all.entries()) {
  const place = `${folder}/${number}`;
  await Deno.writeFile(place, sample.octets);
  places.set(sample, place);
}
const contestants: Contestant[] = [VEREDUS, BOGOFILTER, SPAMASSASSIN, RSPAMD]
  .filter(({ name }) => values.only === undefined || values.only.includes(name.toLowerCase()));
const order = splits.flatMap(({ test }) => test);
const unseen = new Set(splitOf(all, 0).test);
const kept: Kept["filters"] = {};
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const tell = (of: ReadonlyMap<Step, Catch>, threshold: number) => {
  for (const [step, { caught, threshold: at, shippedCaught, shippedFalse }] of of) {
    console.log(
      `  ${String(step).padStart(5)} learnt: ${percent(caught)} caught above ${at.toFixed(2)}; ` +
        `shipped threshold ${threshold}: ${percent(shippedCaught)} caught, ${
          (shippedFalse * 100).toFixed(2)
        } % false`,
    );
  }
};
try {
  for (const contestant of contestants) {
    const { name, threshold } = contestant;
    const began = performance.now();
    const scored = await contestant.run(splits, (sample) => places.get(sample)!);
    if (order.some(({ spam }, i) => STEPS.some((step) => scored.get(step)![i]?.spam !== spam))) {
      throw new Error(`${name}: its scores are in another order`);
    }
    console.log(`${name} (${((performance.now() - began) / 1000).toFixed(0)} s)`);
    const [of, ofUnseen] = [order.map(() => true), order.map((sample) => unseen.has(sample))].map((counts) =>
      new Map(STEPS.map((step) => [step, catchOf(scored.get(step)!.filter((_, i) => counts[i]), threshold)]))
    );
    kept[name] = { all: Object.fromEntries(of!), unseen: Object.fromEntries(ofUnseen!) };
    tell(of!, threshold);
    console.log(" of messages unseen:");
    tell(ofUnseen!, threshold);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
await keepResults(splits.length, kept);
