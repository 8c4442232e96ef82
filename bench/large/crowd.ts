/** Ten thousand sessions over TLS that wait in IDLE, and a thousand that watch one mailbox: memory, and how soon all know. */
import { linesOf, openFilesLimit } from "../../server/descriptors.ts";
import { processorSeconds } from "../cpu.ts";
import { line } from "../figures/straight_lines.ts";
import type { Point } from "../line.ts";
import type { LoadOptions } from "../load.ts";
import { residentOctets } from "../memory.ts";
import type { Row } from "../row.ts";
import { DELIVER, Failures, load, MEGABYTE, memoryRow, pause } from "../setting.ts";
import { DOMAIN, PASSWORD, type Target } from "../target.ts";
import { makeAccounts, startVeredus } from "../veredus.ts";
import { fillAlike } from "./fill.ts";
import type { Place } from "./section.ts";

const CROWD = { prefix: "w", users: 1_000, domain: DOMAIN, pass: PASSWORD };
const MESSAGES = 2_000;
const WATCHERS = 1_000;
/** Or as many as open files are enough for, with some for the senders. */
const SESSIONS = Math.min(10_000, linesOf(openFilesLimit()).connection - 200);
/** Below the limit of connections for one address. */
const PER_SOURCE = 100;
const SHARES = [0.2, 0.4, 0.6, 0.8, 1];
const RECIPIENTS = 100;
/** A thousand first logins are no part of these figures. */
const CHEAP = { ln: 10, r: 8, p: 1 };
const ROUNDS = 3;
const TOLD_WITHIN_MS = 60_000;
/** What a server does not need any more some time after its clients became quiet. */
const QUIET_MS = 15_000;

export async function crowdRows(place: Place, names: readonly string[]): Promise<Row[]> {
  const accounts = Array.from({ length: CROWD.users }, (_, at) => `${CROWD.prefix}${at + 1}`);
  await makeAccounts(place.data, accounts, CHEAP);
  await fillAlike(place.data, accounts, MESSAGES);
  const rows: Row[] = [];
  if (names.includes("crowd")) rows.push(...await idleRows(place));
  if (names.includes("watchers")) rows.push(await watchedRow(place));
  if (names.includes("sessions-line")) rows.push(...await lineRows(place));
  return rows;
}

async function idleRows(place: Place): Promise<Row[]> {
  const server = await startVeredus({ ...place, connections: SESSIONS + 1_000 });
  try {
    const before = residentOctets(server.pids());
    const watch = await watching(place, server, { ...CROWD, conns: SESSIONS });
    await pause(QUIET_MS);
    const octets = residentOctets(server.pids());
    const rounds: { ms: number; processorMs: number }[] = [];
    const msgs = CROWD.users / RECIPIENTS;
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push(
        await untilTold(watch, server, () =>
          load(place, "smtp", {
            port: server.smtp,
            options: { ...DELIVER, ...CROWD, conns: 1, keep: 1, pipe: 1, rcpts: RECIPIENTS, msgs },
          })),
      );
      await pause(1_000);
    }
    await watch.end();
    const { ms, processorMs } = middleOf(rounds);
    const sessions = `${
      SESSIONS.toLocaleString("en-US")
    } sessions over TLS in IDLE on 1,000 INBOXes of 2,000 messages`;
    return [
      {
        ...memoryRow("crowd", `resident memory, ${sessions}`, { octets, most: 500 }),
        note: `${(before / MEGABYTE).toFixed(0)} MB before; opened in ${watch.ready.secs} s`,
      },
      {
        ...{
          figure: "crowd",
          what: "all of them told of a message to each INBOX",
          unit: "ms",
          ours: ms,
          peer: null,
        },
        budget: { kind: "below", most: 2_000 },
        note: `processor ${processorMs.toFixed(0)} ms, 1,000 deliveries included`,
      },
    ];
  } finally {
    await server.stop();
  }
}

/** Each point is a server of its own. */
async function lineRows(place: Place): Promise<Row[]> {
  const memory: Point[] = [], time: Point[] = [];
  for (const share of SHARES) {
    const conns = Math.round(SESSIONS * share);
    const server = await startVeredus({ ...place, connections: SESSIONS + 1_000 });
    try {
      const pids = server.pids();
      const before = { seconds: processorSeconds(pids), octets: residentOctets(pids) };
      const watch = await watching(place, server, { ...CROWD, conns });
      await pause(3_000);
      time.push({ x: conns, y: processorSeconds(pids) - before.seconds });
      memory.push({ x: conns, y: (residentOctets(pids) - before.octets) / MEGABYTE });
      await watch.end();
    } finally {
      await server.stop();
    }
  }
  const x = "sessions over TLS in IDLE, ten on each INBOX of 2,000 messages";
  return [
    line("cost-sessions", "cost of opening sessions", {
      ...{ title: "Cost of opening sessions", x, y: "processor time, s" },
    }, time),
    line("memory-sessions", "memory of sessions in IDLE", {
      ...{ title: "Memory of sessions in IDLE", x, y: "resident memory, MB" },
    }, memory),
  ];
}

async function watchedRow(place: Place): Promise<Row> {
  const server = await startVeredus(place);
  try {
    const one = { ...CROWD, users: 1 };
    const watch = await watching(place, server, { ...one, conns: WATCHERS });
    await pause(2_000);
    const rounds: { ms: number; processorMs: number }[] = [];
    for (let round = 0; round < ROUNDS * 3; round++) {
      rounds.push(
        await untilTold(
          watch,
          server,
          () =>
            load(place, "smtp", { port: server.smtp, options: { ...DELIVER, ...one, conns: 1, msgs: 1 } }),
        ),
      );
      await pause(300);
    }
    await watch.end();
    const { ms, processorMs } = middleOf(rounds);
    return {
      figure: "watchers",
      what: "one delivery told to 1,000 sessions that watch the mailbox, over TLS",
      unit: "ms",
      ours: ms,
      peer: null,
      budget: { kind: "below", most: 300 },
      note: `processor ${processorMs.toFixed(0)} ms; from the start of the sender`,
    };
  } finally {
    await server.stop();
  }
}

async function watching(place: Place, server: Target, options: LoadOptions) {
  const sources = Math.ceil(Number(options.conns) / PER_SOURCE);
  const watch = await place.generator.start("watch", server.imaps, { ...options, tls: 1, sources });
  if (watch.ready.failed !== 0) throw new Failures(`${watch.ready.failed} sessions could not be opened`);
  return watch;
}

async function untilTold(
  watch: Awaited<ReturnType<typeof watching>>,
  server: Target,
  send: () => Promise<unknown>,
): Promise<{ ms: number; processorMs: number }> {
  const pids = server.pids();
  const before = processorSeconds(pids);
  const begin = performance.now();
  const [told] = await Promise.all([watch.line(TOLD_WITHIN_MS), send()]);
  const ms = performance.now() - begin;
  if (told === null || told.lost !== 0) throw new Failures("not every session was told");
  return { ms, processorMs: (processorSeconds(pids) - before) * 1_000 };
}

function middleOf(rounds: { ms: number; processorMs: number }[]) {
  return rounds.sort((a, b) => a.ms - b.ms)[rounds.length >> 1]!;
}
