/**
 * `deno run -A bench/queue.ts [--only NAME]... [--messages 20000] [--dir DIR] [--no-peer]`: the queue on its way out.
 *
 * - `send-1`, `send-50`, `send-500`: an accepted queue to 50 domains whose server is so many milliseconds away and offers
 *   PIPELINING and CHUNKING, 20 connections each, from the first connection to the last message, beside Postfix at its best;
 * - `data-1`, `data-50`, `data-500`: the same where it does not offer CHUNKING;
 * - `open`: the time until a queue of 1,000,000 recipients has its first connection, and how much memory it takes;
 * - `dead`: what 500,000 recipients of a destination that nobody can reach cost the others: pairs of runs without and with them, one
 *   after the other, and the middle of what the pairs say.
 *
 * Each server runs alone. Everything is removed at the end.
 */
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { ENGINE_FLAGS } from "../server/process/own_command.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { freeBase } from "./free_ports.ts";
import { LoadGenerator, type RunningLoad } from "./load.ts";
import { describe, machineFacts } from "./machine.ts";
import { processTree, residentOctets } from "./memory.ts";
import { fillQueue, type QueueFilling } from "./queue/fill.ts";
import { cells, type Row } from "./row.ts";

const { values: args } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    messages: { type: "string", default: "20000" },
    dir: { type: "string" },
    "no-peer": { type: "boolean", default: false },
  },
});
const DOMAINS = 50;
const SENDING = [
  { figure: "send-1", delay: 1, chunking: 1 },
  { figure: "send-50", delay: 50, chunking: 1 },
  { figure: "send-500", delay: 500, chunking: 1 },
  { figure: "data-1", delay: 1, chunking: 0 },
  { figure: "data-50", delay: 50, chunking: 0 },
  { figure: "data-500", delay: 500, chunking: 0 },
];
/** Postfix is faster with connections it keeps to far destinations, and with new ones to near ones (RESULTS.md has both). */
const PEER_KEEPS_FROM_MS = 100;
const DEAD_PAIRS = 5;
const BASE = freeBase(24_000), SINK = BASE + 999, PEER = freeBase(BASE + 1_100) + 25;
const PATIENCE_MS = 300_000;
const SERVER = fileURLToPath(new URL("queue/server.ts", import.meta.url));
const PEER_SCRIPT = fileURLToPath(new URL("peers/postfix_queue.sh", import.meta.url));

const messages = Number(args.messages);
const folder = args.dir ?? Deno.makeTempDirSync({ prefix: "veredus-bench-queue-" });
// Postfix works as users of its own.
Deno.chmodSync(folder, 0o755);
const wanted = (name: string) => args.only.length === 0 || args.only.includes(name);
const domainOf = (recipient: number) => `d${recipient % DOMAINS}.test`;

interface Sent {
  /** From the first connection to the last message. */
  readonly seconds: number;
  /** From the start of the process to the first connection, by two clocks: only differences mean something. */
  readonly openedAfter: number;
  readonly residentOctets: number;
}

async function filled(filling: QueueFilling): Promise<string> {
  const data = `${folder}/data-${crypto.randomUUID()}`;
  new DataFolder(data).create();
  await fillQueue(data, filling);
  return data;
}

/** A queue that is sent more than once is filled once. */
async function copyOf(data: string): Promise<string> {
  const copy = `${folder}/data-${crypto.randomUUID()}`;
  const { success } = await new Deno.Command("cp", { args: ["-r", data, copy] }).output();
  if (!success) throw new Error(`${data} could not be copied`);
  return copy;
}

/** Runs the server on the data until the sink has so many. */
async function sendAll(data: string, count: number, delay: number, chunking = 0): Promise<Sent> {
  const sink = await startSink(count, delay, chunking);
  const begin = Date.now();
  const child = new Deno.Command("sh", {
    args: [
      ...["-c", 'exec "$@" >>"$0" 2>&1', `${folder}/server.log`, Deno.execPath(), "run", "-A", ENGINE_FLAGS],
      ...[SERVER, data, String(BASE), String(SINK), String(DOMAINS)],
    ],
    stdin: "null",
  }).spawn();
  let ended = false;
  try {
    const line = await Promise.race([sink.line(PATIENCE_MS), child.status.then(() => "ended" as const)]);
    if (line === "ended") {
      ended = true;
      throw new Error(`the server ended:\n${Deno.readTextFileSync(`${folder}/server.log`).slice(-2_000)}`);
    }
    if (line === null) throw new Error(`not all of ${count} messages came within ${PATIENCE_MS} ms`);
    const resident = residentOctets(processTree(child.pid));
    const at = line["at"]! - line["secs"]!;
    return { seconds: line["secs"]!, openedAfter: at - begin / 1_000, residentOctets: resident };
  } finally {
    if (!ended) child.kill("SIGKILL");
    await child.status;
    await sink.end();
    Deno.removeSync(data, { recursive: true });
  }
}

function startSink(msgs: number, delay: number, chunking: number): Promise<RunningLoad> {
  return generator.start("sink", SINK, { sources: 1, msgs, delay, chunking });
}

async function peer(count: number, delay: number, chunking: number): Promise<number> {
  const dir = `${folder}/postfix-${delay}`;
  const run = async (...words: string[]) => {
    const { success, stderr } = await new Deno.Command(PEER_SCRIPT, { args: [dir, ...words], stdin: "null" })
      .output();
    if (!success) throw new Error(`postfix ${words[0]}: ${new TextDecoder().decode(stderr)}`);
  };
  await run(
    "start",
    String(PEER),
    String(SINK),
    String(DOMAINS),
    delay >= PEER_KEEPS_FROM_MS ? "keep" : "new",
  );
  try {
    for (let domain = 0; domain < DOMAINS; domain++) {
      await generator.run("smtp", PEER, {
        ...{ conns: 10, msgs: Math.floor(count / DOMAINS), size: 4_096, keep: 1, pipe: 1 },
        ...{ from: "example.test", domain: `d${domain}.test`, prefix: "r", users: 100 },
      });
    }
    const all = Math.floor(count / DOMAINS) * DOMAINS;
    const sink = await startSink(all, delay, chunking);
    try {
      await run("send");
      const line = await sink.line(PATIENCE_MS);
      if (line === null) {
        throw new Error(`postfix did not send all of ${all} messages within ${PATIENCE_MS} ms`);
      }
      return all / line["secs"]!;
    } finally {
      await sink.end();
    }
  } finally {
    await run("stop");
    Deno.removeSync(dir, { recursive: true });
  }
}

function print(row: Row): void {
  console.log(`| ${cells(row).join(" | ")} |`);
}

const generator = LoadGenerator.compile(folder);
try {
  console.log(describe(machineFacts(folder, !args["no-peer"])));
  for (const { figure, delay, chunking } of SENDING) {
    if (!wanted(figure)) continue;
    const { seconds } = await sendAll(
      await filled({ messages, recipientsEach: 1, domainOf }),
      messages,
      delay,
      chunking,
    );
    const theirs = args["no-peer"] ? null : await peer(messages, delay, chunking);
    print({
      ...{
        figure,
        what: `an accepted queue of ${messages} to ${DOMAINS} domains, ${delay} ms away${
          chunking ? "" : ", without CHUNKING"
        }`,
        unit: "/s",
      },
      ...{ ours: messages / seconds, peer: theirs, budget: { kind: "ratio", least: 5 }, note: "" },
    });
  }
  if (wanted("open")) {
    // The same work over as many connections: what is left is what the length of the queue makes.
    const small = await sendAll(await filled({ messages: 1_000, recipientsEach: 1, domainOf }), 1_000, 100);
    const many = await filled({ messages: 10_000, recipientsEach: 100, domainOf });
    const large = await sendAll(many, 1_000, 100);
    print({
      ...{
        figure: "open",
        what: "a queue of 1,000,000 recipients: to its first connection, longer than one of 1,000",
      },
      ...{
        unit: "s",
        ours: large.openedAfter - small.openedAfter,
        peer: null,
        budget: { kind: "below", most: 2 },
      },
      note: "",
    });
    print({
      ...{ figure: "open", what: "the same, resident memory above one of 1,000", unit: "MB" },
      ...{ ours: (large.residentOctets - small.residentOctets) / 1e6, peer: null },
      ...{ budget: { kind: "below", most: 64 }, note: "after 1,000 messages of both" },
    });
  }
  if (wanted("dead")) {
    const plain = await filled({ messages, recipientsEach: 1, domainOf });
    const crowded = await filled({ messages: 5_000, recipientsEach: 100, domainOf: () => "dead.test" });
    await fillQueue(crowded, { messages, recipientsEach: 1, domainOf });
    const pairs: { readonly alone: number; readonly beside: number }[] = [];
    for (let pair = 0; pair < DEAD_PAIRS; pair++) {
      const { seconds: alone } = await sendAll(await copyOf(plain), messages, 1);
      const { seconds: beside } = await sendAll(await copyOf(crowded), messages, 1);
      pairs.push({ alone, beside });
    }
    const lost = pairs.map(({ alone, beside }) => (1 - alone / beside) * 100).sort((one, other) =>
      one - other
    );
    print({
      ...{
        figure: "dead",
        what: "500,000 recipients of a dead destination: what the others lose, the middle of pairs",
        unit: "%",
      },
      ...{ ours: lost[lost.length >> 1]!, peer: null, budget: { kind: "below", most: 5 } },
      note: pairs.map(({ alone, beside }) =>
        `${(messages / alone).toFixed(0)} and ${(messages / beside).toFixed(0)} a second`
      ).join("; "),
    });
  }
} finally {
  Deno.removeSync(folder, { recursive: true });
}
