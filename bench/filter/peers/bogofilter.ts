/** Debian's bogofilter: trained and asked in batches, thresholds as shipped. */
import { type Contestant, type Scored, type Step, STEPS } from "../contest.ts";

export const BOGOFILTER: Contestant = {
  name: "bogofilter",
  threshold: 0.99,
  async run(splits, file) {
    const results = new Map<Step, Scored[]>(STEPS.map((step) => [step, []]));
    for (const { train, test } of splits) {
      const folder = await Deno.makeTempDir({ prefix: "veredus-bogofilter-" });
      try {
        let learnt = 0;
        for (const step of STEPS) {
          const more = train.slice(learnt, step);
          learnt = step;
          for (const kind of [true, false]) {
            const files = more.filter(({ spam }) => spam === kind).map(file);
            if (files.length > 0) await run(folder, [kind ? "-s" : "-n", "-b"], files);
          }
          const said = step === 0 ? [] : await run(folder, ["-t", "-b"], test.map(file));
          test.forEach(({ spam }, i) => {
            // NAME LETTER SCORE
            results.get(step)!.push({ spam, score: step === 0 ? 0.5 : Number(said[i]!.split(" ").at(-1)) });
          });
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
    return results;
  },
};

async function run(folder: string, args: readonly string[], files: readonly string[]): Promise<string[]> {
  const child = new Deno.Command("bogofilter", {
    args: ["-d", folder, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  const output = child.output();
  await writer.write(new TextEncoder().encode(files.join("\n") + "\n"));
  await writer.close();
  const { stdout, code } = await output;
  // 0 spam, 1 ham, 2 unsure
  if (code > 2) throw new Error(`bogofilter ended with ${code}`);
  return new TextDecoder().decode(stdout).trim().split("\n");
}
