/** Our own filter, without network: signals of the octets and one user's learner. */
import { judge } from "../../../filter/spam/learner/judge.ts";
import { Knowledge } from "../../../filter/spam/learner/knowledge.ts";
import { tokensOf } from "../../../filter/spam/learner/tokens.ts";
import { Mail } from "../../../filter/spam/mail.ts";
import { commonHits, personalHits } from "../../../filter/spam/hits.ts";
import { scoreOf } from "../../../filter/spam/score.ts";
import { DEFAULT_SPAM } from "../../../server/config/defaults.ts";
import { type Contestant, type Scored, type Step, STEPS } from "../contest.ts";

export const VEREDUS: Contestant = {
  name: "Veredus",
  threshold: DEFAULT_SPAM.rules.server.junk!,
  run(splits) {
    const results = new Map<Step, Scored[]>(STEPS.map((step) => [step, []]));
    for (const { train, test } of splits) {
      const own = new Knowledge();
      let learnt = 0;
      for (const step of STEPS) {
        for (; learnt < step; learnt++) {
          const { spam, octets } = train[learnt]!;
          own.learn(tokensOf(new Mail(octets)), { spam: spam ? 1 : 0, ham: spam ? 0 : 1 });
        }
        for (const { spam, octets } of test) {
          const mail = new Mail(octets);
          const judgement = judge(tokensOf(mail), { own, shared: null });
          const facts = { mail, around: null };
          const hits = [...commonHits(facts), ...personalHits(facts, judgement)];
          results.get(step)!.push({ spam, score: scoreOf(hits, []).points });
        }
      }
    }
    return Promise.resolve(results);
  },
};
