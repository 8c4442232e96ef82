/** Debian's SpamAssassin without network tests, its Bayes minimum at 1 (spamassassin.pl does the work). */
import { TextLineStream } from "./lines.ts";
import { type Contestant, type Scored, type Step, STEPS } from "../contest.ts";

export const SPAMASSASSIN: Contestant = {
  name: "SpamAssassin",
  threshold: 5,
  async run(splits, file) {
    const results = new Map<Step, Scored[]>(STEPS.map((step) => [step, []]));
    const folder = await Deno.makeTempDir({ prefix: "veredus-spamassassin-" });
    const child = new Deno.Command("perl", {
      args: [new URL("./spamassassin.pl", import.meta.url).pathname, folder],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const writer = child.stdin.getWriter();
    const lines = new TextLineStream(child.stdout);
    const say = (text: string) => writer.write(new TextEncoder().encode(text + "\n"));
    try {
      for (const [number, { train, test }] of splits.entries()) {
        const place = `${folder}/${number}`;
        await Deno.mkdir(place);
        await say(`split ${place}`);
        let learnt = 0;
        for (const step of STEPS) {
          for (; learnt < step; learnt++) {
            await say(`learn ${file(train[learnt]!)} ${train[learnt]!.spam ? 1 : 0}`);
          }
          if (step > 0) await say("sync");
          for (const sample of test) {
            await say(`${step === 0 ? "rules" : "scan"} ${file(sample)}`);
            results.get(step)!.push({ spam: sample.spam, score: Number(await lines.next()) });
          }
        }
      }
      await writer.close();
      await child.status;
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    return results;
  },
};
