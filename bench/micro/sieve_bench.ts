/**
 * Messages a second through a script of 50 rules, none of which applies until the last: every test of every rule runs.
 * `deno run -A bench/micro/sieve_bench.ts`. Budget: 5,000 a second on one core.
 */
import { encode } from "../../bytes/decode.ts";
import { EMPTY_HOST } from "../../sieve/host.ts";
import { MessageView } from "../../sieve/message_view.ts";
import { compileScript } from "../../sieve/program.ts";

const RULES = 50;
const ROUNDS = 20_000;

const rules = Array.from(
  { length: RULES },
  (_, i) =>
    `if anyof (header :contains ["list-id", "x-list"] "list-${i}.example",
             address :is :domain ["from", "sender"] "sender-${i}.example",
             header :matches "subject" "[project-${i}]*",
             allof (address :localpart ["to", "cc"] "team-${i}", size :over 100)) {
    fileinto "Folder ${i}"; stop;
  }`,
);
const script = encode(`require ["fileinto"];\n${rules.join("\n")}\n`);
const filler = Array.from(
  { length: 8 },
  (_, i) =>
    `Received: from relay${i}.example (relay${i}.example [192.0.2.${i}])\r\n\tby mx.example.test with ESMTPS id abc${i};` +
    ` Mon, 23 Nov 2026 20:09:2${i} +0000\r\n`,
).join("");
const message = encode(
  `${filler}From: "A. Sender" <someone@elsewhere.example>\r\nTo: alice@example.test, Team 49 <team-49@example.test>\r\n` +
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here\r\nDate: Mon, 23 Nov 2026 20:09:29 +0000\r\n" +
    "Message-ID: <1@elsewhere.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" +
    "A line of text as long as lines of text are.\r\n".repeat(60),
);

const compiled = await compileScript(script);
if ("faults" in compiled) throw new Error(JSON.stringify(compiled.faults));
const { program } = compiled;

/** Of this thread, so that neighbours on the machine do not count. */
function cpuNs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]);
}

function round(count: number): number {
  const begin = cpuNs();
  for (let at = 0; at < count; at++) {
    const { actions } = program.run(new MessageView(message), EMPTY_HOST);
    if (actions.length !== 1) throw new Error("the last rule applies");
  }
  return count / ((cpuNs() - begin) / 1e9);
}

round(2_000);
const rates = [round(ROUNDS), round(ROUNDS), round(ROUNDS)].sort((a, b) => a - b);
console.log(`${RULES} rules: ${Math.round(rates[1]!)} messages/s of CPU`);
const begin = cpuNs();
for (let at = 0; at < 200; at++) await compileScript(script);
console.log(`compiling them: ${((cpuNs() - begin) / 200 / 1e6).toFixed(2)} ms`);
