/**
 * `deno run -A bench/large.ts [--only NAME]... [--rounds N] [--dir DIR] [--write]`: large mailboxes beside Dovecot.
 *
 * Mailboxes of 2,000, 10,000 and 100,000 messages are written straight into the storage of both servers, one of a million
 * into ours alone, and only with `--only million` (some ten minutes) into both; both servers then run on them, and each
 * command is timed in turns, by the same client, as they are in days of service: behind as many times that are not counted as
 * take {@linkcode WARM_MS}, at most {@linkcode MOST_WARM}, on each server. The middle of the times counts. Before the figures
 * the full-text index has caught up. Everything is removed at the end.
 */
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { bundle } from "../server/bundle.ts";
import { type Filling, fillMaildir, fillVeredus, indexVeredus } from "./large/fill.ts";
import {
  DROP,
  HUGE,
  LARGE_FIGURES,
  type LargeFigure,
  LIST,
  rowOf,
  type Times,
  WORK,
} from "./large/figures.ts";
import { hugeRows } from "./large/huge.ts";
import type { Section } from "./large/section.ts";
import { line } from "./figures/straight_lines.ts";
import type { Point } from "./line.ts";
import { ImapClient } from "./large/imap_client.ts";
import { crowdRows } from "./large/crowd.ts";
import { importRows } from "./large/import.ts";
import { mailboxRows } from "./large/mailboxes.ts";
import { fillCache, MILLION_FIGURES } from "./large/million.ts";
import { threadSeconds } from "./cpu.ts";
import { type Figures, LoadGenerator, type LoadOptions } from "./load.ts";
import { describe, machineFacts } from "./machine.ts";
import { secondsOf } from "./memory.ts";
import { peerMissing, startPeer } from "./peer.ts";
import { writeLarge } from "./results.ts";
import { cells, type Row } from "./row.ts";
import { latencies, loadCounted } from "./setting.ts";
import { DOMAIN, PASSWORD, type Target } from "./target.ts";
import { makeAccounts, type StartOptions, startVeredus } from "./veredus.ts";

const { values: args } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string", default: "5" },
    dir: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const rounds = Number(args.rounds);
const OURS = 22_000, PEER = 23_100;
/** The index of 100,000 messages takes minutes. */
const SETTLE_PATIENCE_MS = 10 * 60_000;
const WARM_MS = 1_000, MOST_WARM = 20;

/** Figures that need servers or data of their own. */
const SECTIONS: readonly (readonly [readonly string[], Section])[] = [
  [["mailboxes", "mailboxes-line"], mailboxRows],
  [["crowd", "watchers", "sessions-line"], crowdRows],
  [["import-large"], importRows],
];
const names = [
  ...LARGE_FIGURES.map(({ name }) => name),
  "pop3-drop",
  "messages-line",
  "huge",
  "million",
  ...SECTIONS.flatMap(([some]) => some),
];
const unknown = args.only.find((name) => !names.includes(name));
if (unknown !== undefined) {
  console.error(`--only ${unknown}: one of ${names.join(", ")} is needed`);
  Deno.exit(2);
}

const wanted = (name: string) => args.only.length === 0 || args.only.includes(name);
const figures = LARGE_FIGURES.filter(({ name }) => wanted(name));
const fillings = [WORK, DROP, LIST].filter(({ user }) =>
  figures.some((figure) => figure.user === user) || (user === DROP.user && wanted("pop3-drop")) ||
  (user === LIST.user && wanted("messages-line"))
);
const folder = Deno.makeTempDirSync({
  prefix: "veredus-large-",
  ...(args.dir !== undefined && { dir: resolve(args.dir) }),
});
Deno.chmodSync(folder, 0o755); // Dovecot's processes look into it as other users
const data = `${folder}/veredus`;
const rows: Row[] = [];
const running: Target[] = [];
const peerHere = await peerMissing() === null;

function add(row: Row): void {
  rows.push(row);
  console.log(cells(row).join("  "));
}

async function start(more: StartOptions = {}): Promise<Target> {
  const log = `${folder}/veredus.log`;
  const server = await startVeredus({ data, base: OURS, sink: OURS + 999, log, ...more });
  running.push(server);
  return server;
}

async function startBeside(): Promise<Target> {
  const certificate = `${data}/tls/self-signed`;
  const peer = await startPeer(`${folder}/peer`, { base: PEER, sink: PEER + 999, certificate });
  running.push(peer);
  return peer;
}

/** Waits until a server has nothing left to do behind its clients: its full-text index, above all. */
async function settled(target: Target): Promise<void> {
  const begin = performance.now();
  for (let quiet = 0; quiet < 3;) {
    const before = secondsOf(target.pids());
    await new Promise((done) => setTimeout(done, 1_000));
    quiet = secondsOf(target.pids()) - before < 0.05 ? quiet + 1 : 0;
    if (performance.now() - begin > SETTLE_PATIENCE_MS) throw new Error("the server does not come to rest");
  }
}

async function timed(client: ImapClient, figure: LargeFigure, pids: readonly number[]): Promise<Times> {
  for (const command of figure.before ?? []) await client.command(command);
  const before = threadSeconds(pids);
  const ms = await client.command(figure.command);
  const processorMs = (threadSeconds(pids) - before) * 1_000;
  for (const command of figure.after ?? []) await client.command(command);
  return { ms, processorMs };
}

function middle(times: readonly Times[]): Times {
  const of = (key: keyof Times) => times.map((one) => one[key]).sort((a, b) => a - b)[times.length >> 1]!;
  return { ms: of("ms"), processorMs: of("processorMs") };
}

async function warm(client: ImapClient, figure: LargeFigure, pids: readonly number[]): Promise<void> {
  const begin = performance.now();
  for (let round = 0; round < MOST_WARM; round++) {
    await timed(client, figure, pids);
    if (performance.now() - begin > WARM_MS) return;
  }
}

/** Each in its turn. */
async function besides(figure: LargeFigure, targets: readonly Target[]): Promise<void> {
  const clients = await Promise.all(targets.map(({ imap }) => ImapClient.login(imap, figure.user)));
  const times: Times[][] = targets.map(() => []);
  for (const client of clients) await client.command("SELECT INBOX");
  for (const [at, client] of clients.entries()) await warm(client, figure, targets[at]!.pids());
  for (let round = 0; round < rounds; round++) {
    for (const [at, client] of clients.entries()) {
      times[at]!.push(await timed(client, figure, targets[at]!.pids()));
    }
  }
  for (const client of clients) client.close();
  const [ours, peer = null] = times.map(middle);
  add(rowOf(figure, { ours: ours!, peer }));
}

/** By the load generator, in turns as {@linkcode besides}: a second each, and one before that is not counted. */
async function generated(
  generator: LoadGenerator,
  targets: readonly Target[],
  load: { readonly mode: "imap" | "pop3"; readonly user: string; readonly options: LoadOptions },
): Promise<Figures[]> {
  const { mode, user } = load;
  const options = {
    ...{ users: 1, first: Number(user.slice(1)), prefix: "u", domain: DOMAIN, pass: PASSWORD },
    ...{ conns: 1, secs: 1, ...load.options },
  };
  const runs: Figures[][] = targets.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [at, target] of targets.entries()) {
      const figures = await loadCounted({ generator }, target, mode, { port: target[mode], options });
      if (round > 0) runs[at]!.push(figures);
    }
  }
  return runs.map((some) => some.sort((a, b) => a.per_s! - b.per_s!)[some.length >> 1]!);
}

async function measure(
  generator: LoadGenerator,
  targets: readonly Target[],
  some: readonly LargeFigure[],
): Promise<void> {
  for (const figure of some) {
    if (figure.quick === true) add(await quick(generator, targets, figure));
    else await besides(figure, targets);
  }
}

/** A mailbox of a million beside Dovecot. What each makes of it once is made before, and both are started behind that. */
async function million(generator: LoadGenerator): Promise<void> {
  if (!peerHere) throw new Error(`the peer is not here: ${await peerMissing()}`);
  await fillBoth([HUGE]);
  await (await start()).stop(); // it makes the certificate
  const first = await startBeside();
  await Promise.all([indexVeredus(data), fillCache(first)]);
  await first.stop();
  const [ours, peer] = [await start(), await startBeside()];
  for (const row of await hugeRows(ours, peer, HUGE)) add(row);
  await measure(generator, [ours, peer], MILLION_FIGURES);
  await Promise.all([ours.stop(), peer.stop()]);
}

async function quick(
  generator: LoadGenerator,
  targets: readonly Target[],
  figure: LargeFigure,
): Promise<Row> {
  const options = { op: "command", word: figure.command };
  const all = await generated(generator, targets, { mode: "imap", user: figure.user, options });
  const [ours, peer = null] = all.map((one): Times => ({
    ms: 1_000 / one.per_s!,
    processorMs: one.processor_us! / 1_000,
  }));
  return rowOf(figure, { ours: ours!, peer });
}

async function pop3Drop(generator: LoadGenerator, targets: readonly Target[]): Promise<Row> {
  const options = { mailbox: DROP.count };
  const all = await generated(generator, targets, { mode: "pop3", user: DROP.user, options });
  const [ours, peer = null] = all;
  const what = `POP3, whole drops of ${DROP.count.toLocaleString("en-US")} messages`;
  const budget = { kind: "ratio", least: 1.5 } as const;
  const note = latencies({ ours: ours!, peer });
  return {
    ...{ figure: "pop3-drop", what, unit: "messages/s", budget, note },
    ...{ ours: ours!.per_s!, peer: peer?.per_s ?? null },
  };
}

/** Processor time of a FETCH by how many messages it names. */
async function messagesLine(ours: Target): Promise<Row> {
  const client = await ImapClient.login(ours.imap, LIST.user);
  await client.command("SELECT INBOX");
  const points: Point[] = [];
  for (const share of [0.2, 0.4, 0.6, 0.8, 1]) {
    const x = LIST.count * share;
    const figure = { ...LARGE_FIGURES[0]!, command: `FETCH 1:${x} (UID FLAGS RFC822.SIZE ENVELOPE)` };
    const times: Times[] = [];
    for (let round = 0; round <= rounds; round++) times.push(await timed(client, figure, ours.pids()));
    points.push({ x, y: middle(times.slice(1)).processorMs });
  }
  client.close();
  const chart = { title: "Cost of FETCH by messages", x: "messages", y: "processor time, ms" };
  return line("cost-messages", "cost of FETCH ENVELOPE by messages", chart, points);
}

async function fillBoth(all: readonly Filling[]): Promise<void> {
  await fillVeredus(data, all);
  if (peerHere) {
    for (const filling of all) {
      fillMaildir(`${folder}/peer/mail`, filling, { owner: "mail:" });
    }
  }
}

/** Also when a signal comes. */
async function cleanUp(): Promise<void> {
  for (const target of running.splice(0)) await target.stop();
  Deno.removeSync(folder, { recursive: true });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => cleanUp().finally(() => Deno.exit(1)));
}

try {
  const machine = machineFacts(folder, peerHere);
  console.log(describe(machine));
  const generator = LoadGenerator.compile(folder);
  await bundle();
  await makeAccounts(data);
  if (fillings.length > 0) {
    await fillBoth(fillings);
    const ours = await start(figures.some(({ indexed }) => indexed) ? {} : { connections: 1_000 });
    const targets = [ours];
    if (peerHere) targets.push(await startBeside());
    await settled(ours);
    await measure(generator, targets, figures);
    if (wanted("pop3-drop")) add(await pop3Drop(generator, targets));
    if (wanted("messages-line")) add(await messagesLine(ours));
    for (const target of targets) await target.stop();
  }
  const withMillion = args.only.includes("million");
  if (wanted("huge") && !withMillion) {
    await fillVeredus(data, [HUGE]);
    const server = await start({ connections: 1_000 });
    for (const row of await hugeRows(server, null, HUGE)) add(row);
    await server.stop();
  }
  if (withMillion) await million(generator);
  const many = { data, base: OURS, sink: OURS + 999, log: `${folder}/veredus.log`, generator, folder };
  for (const [names, measure] of SECTIONS) {
    const some = names.filter(wanted);
    if (some.length > 0) { for (const row of await measure(many, some)) add(row); }
  }
  if (args.write) writeLarge(rows, { machine, command: `deno run -A bench/large.ts --rounds ${rounds}` });
} finally {
  await cleanUp();
}
Deno.exit(0);
