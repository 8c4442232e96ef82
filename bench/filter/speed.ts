/**
 * Messages judged in a second of processor time, ours beside rspamd, the learner trained in both.
 *
 *   deno run -A bench/filter/speed.ts [--messages 600]
 *
 * Ours is counted in this process, rspamd with its Redis by /proc.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { commonHits, personalHits } from "../../filter/spam/hits.ts";
import { judge } from "../../filter/spam/learner/judge.ts";
import { Knowledge } from "../../filter/spam/learner/knowledge.ts";
import { tokensOf } from "../../filter/spam/learner/tokens.ts";
import { Mail } from "../../filter/spam/mail.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import { samples, splitOf } from "./corpus.ts";
import { Rspamd } from "./peers/rspamd.ts";

const { values } = parseArgs({ options: { messages: { type: "string" } } });
const LEARNT = 200;
const { train, test } = splitOf(samples(), 0);
const judged = test.slice(0, Number(values.messages ?? 600));

const own = new Knowledge();
for (const { spam, octets } of train.slice(0, LEARNT)) {
  own.learn(tokensOf(new Mail(octets)), { spam: spam ? 1 : 0, ham: spam ? 0 : 1 });
}
const once = (octets: Uint8Array) => {
  const mail = new Mail(octets);
  const facts = { mail, around: null };
  const judgement = judge(tokensOf(mail), { own, shared: null });
  return scoreOf([...commonHits(facts), ...personalHits(facts, judgement)], mail.marks);
};
for (const { octets } of judged) once(octets);
const before = process.cpuUsage();
for (const { octets } of judged) once(octets);
const { user, system } = process.cpuUsage(before);
const ours = judged.length / ((user + system) / 1_000_000);
console.log(`Veredus: ${ours.toFixed(0)} messages a processor second`);

const rspamd = await Rspamd.start();
try {
  for (const { spam, octets } of train.slice(0, LEARNT)) await rspamd.learn(octets, spam);
  for (const { octets } of judged.slice(0, 100)) await rspamd.scan(octets);
  const began = rspamd.cpuSeconds();
  for (const { octets } of judged) await rspamd.scan(octets);
  const theirs = judged.length / (rspamd.cpuSeconds() - began);
  console.log(`rspamd: ${theirs.toFixed(0)}; ratio ${(ours / theirs).toFixed(1)}`);
} finally {
  await rspamd.stop();
}
