/**
 * What judging a message costs the spam filter, step by step: `deno run -A bench/micro/spam_bench.ts`. Microseconds of processor
 * time a message, over a fifth of the corpus of bench/filter/ and over the 4 kB text that `deno task bench` delivers.
 */
import { Assessor } from "../../filter/spam/assessor.ts";
import { commonHits } from "../../filter/spam/hits.ts";
import { tokensOf } from "../../filter/spam/learner/tokens.ts";
import { Mail } from "../../filter/spam/mail.ts";
import { sketchOf } from "../../filter/spam/sketch.ts";
import type { SpamLessons } from "../../storage/spam_lessons.ts";
import { encode } from "../../bytes/decode.ts";
import { samples } from "../filter/corpus.ts";

const ROUNDS = 3;
const AROUND = {
  client: { address: "127.0.0.1", heloName: "bench.test" },
  ...{ sender: "s@example.test", reverseName: "", spf: "pass", dmarc: "none", signers: [] },
  ...{ brokenSignature: false, aligned: false, tags: [] },
};
const NOTHING_LEARNT = {
  foldedUpTo: () => 0,
  journal: () => [],
  knowledge: () => null,
} as unknown as SpamLessons;

function cpuUs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1_000;
}

function measure(what: string, all: readonly Uint8Array[]): void {
  const assessor = new Assessor(NOTHING_LEARNT);
  const mails = all.map((octets) => new Mail(octets));
  const steps: readonly [string, (octets: Uint8Array, mail: Mail) => unknown][] = [
    ["read", (octets) => new Mail(octets).runs],
    ["signals", (_, mail) => commonHits({ mail, around: null })],
    ["tokens", (_, mail) => tokensOf(mail)],
    ["sketch", (_, mail) => sketchOf(mail)],
    ["all of it", (octets) =>
      assessor.assess({
        ...{ octets, total: octets.length, around: AROUND, weights: {} },
        recipients: [{ accountId: 1, known: false, firstContact: false }],
      })],
  ];
  for (const [name, step] of steps) {
    const round = () => all.forEach((octets, i) => step(octets, mails[i]!));
    round();
    const before = cpuUs();
    for (let i = 0; i < ROUNDS; i++) round();
    console.log(`${what}, ${name}: ${((cpuUs() - before) / ROUNDS / all.length).toFixed(0)} us`);
  }
}

/** As `load/mailbench.c` makes it. */
function benchMessage(): Uint8Array {
  const words =
    "invoice meeting project server report please thanks update holiday budget review delivery customer contract"
      .split(" ");
  let text = "From: Bench Sender <s@example.test>\r\nTo: You <u@example.test>\r\n" +
    "Subject: Bench message about quarterly figures\r\nDate: Sun, 22 Nov 2026 05:00:00 +0000\r\nMIME-Version: 1.0\r\n" +
    "Content-Type: text/plain; charset=utf-8\r\n\r\n";
  for (let at = 0; text.length < 4_096; at++) {
    text += `${words[(at * 5 + (at >> 4)) % words.length]}${at % 9 === 8 ? "\r\n" : " "}`;
  }
  return encode(text);
}

measure("corpus", samples().filter((_, i) => i % 5 === 0).map(({ octets }) => octets));
measure("4 kB of words", Array<Uint8Array>(500).fill(benchMessage()));
