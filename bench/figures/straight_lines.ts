/** Cost against size, recipients and connections: each is a straight line, and a chart. */
import { processorSeconds } from "../cpu.ts";
import { bend, lineThrough, type Point } from "../line.ts";
import { residentOctets, untilIdle } from "../memory.ts";
import type { Chart } from "../plot.ts";
import { number, type Row } from "../row.ts";
import { DELIVER, Failures, type Figure, load, MEGABYTE, pause, type Setting } from "../setting.ts";
import { CROWD, CROWD_SIZE, type Target } from "../target.ts";

/** A point may lie so far from the line, in per cent of the highest. */
const MOST_BEND = 10;
const SIZES = [100_000, 1_000_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000, 40_000_000, 49_000_000];
/** Octets behind a point of large messages. */
const POINT_OCTETS = 150_000_000;
const WARM_MESSAGES = 4;
const RECIPIENTS = [1, 10, 25, 50, 75, 100];
/** Behind the processor time of a point of connections, whose single ticks are some per cent of it. */
const OPENINGS = 4;
const SHARES = [0.1, 0.25, 0.5, 0.75, 1];

/** How far points are from a straight line, with their chart. */
export function line(
  name: string,
  what: string,
  chart: Omit<Chart, "name" | "points" | "note">,
  points: readonly Point[],
): Row {
  const { slope, base } = lineThrough(points);
  const note = `${number(base)} and ${slope.toPrecision(3)} for each; ${
    new Date().toISOString().slice(0, 10)
  }`;
  return {
    figure: name,
    what: `${what}: farthest point from a straight line`,
    unit: "%",
    ours: bend(points),
    peer: null,
    budget: { kind: "below", most: MOST_BEND },
    note: `results/${name}.svg`,
    chart: { name, ...chart, points, note },
  };
}

/** Milliseconds of processor time that the server takes for a message, with what follows its delivery. */
async function costOf(setting: Setting, options: Record<string, string | number>): Promise<number> {
  const { ours } = setting;
  const pids = ours.pids();
  const before = processorSeconds(pids);
  const { done } = await load(setting, "smtp", {
    port: ours.smtp,
    options: { ...DELIVER, conns: 1, keep: 1, pipe: 1, ...options },
  });
  if (!await untilIdle(pids)) throw new Failures("the server does not come to rest");
  return (processorSeconds(pids) - before) * 1_000 / done!;
}

const bySize: Figure = {
  name: "cost-size",
  when: "beside",
  measure: async (setting) => {
    const points: Point[] = [];
    // What large messages need is compiled before they are measured; then up and down, so that what drifts meanwhile bends nothing.
    for (const size of SIZES) await costOf(setting, { size, msgs: WARM_MESSAGES });
    const costs = new Map(SIZES.map((size) => [size, 0]));
    for (const size of [...SIZES, ...SIZES.toReversed()]) {
      const msgs = Math.max(4, Math.min(setting.effort.point, Math.round(POINT_OCTETS / size)));
      costs.set(size, costs.get(size)! + await costOf(setting, { size, msgs }) / 2);
    }
    for (const [size, y] of costs) points.push({ x: size / 1e6, y });
    const chart = { title: "Cost of a message by its size", x: "size, MB", y: "processor time, ms" };
    return [line("cost-size", "cost of a message by its size", chart, points)];
  },
};

const byRecipients: Figure = {
  name: "cost-recipients",
  when: "beside",
  measure: async (setting) => {
    const points: Point[] = [];
    for (const rcpts of RECIPIENTS) {
      const options = { prefix: CROWD, users: CROWD_SIZE, rcpts, msgs: setting.effort.point };
      points.push({ x: rcpts, y: await costOf(setting, options) });
    }
    const chart = { title: "Cost of a message by its recipients", x: "recipients", y: "processor time, ms" };
    return [line("cost-recipients", "cost of a message by its recipients", chart, points)];
  },
};

/** Opens so many connections; processor time and growth of resident memory meanwhile. */
async function opened(setting: Setting, server: Target, conns: number) {
  const pids = server.pids();
  const before = { seconds: processorSeconds(pids), octets: residentOctets(pids) };
  const held = await setting.generator.start("hold", server.smtp, { conns, sources: 50 });
  await pause(1_500);
  const seconds = processorSeconds(pids) - before.seconds, octets = residentOctets(pids) - before.octets;
  const { failed } = held.ready;
  await held.end();
  if (failed !== 0) throw new Failures(`${failed} of ${conns} connections could not be opened`);
  return { seconds, octets };
}

/**
 * Each point is a server of its own: what many connections leave behind must not help the next. Memory is that of the first
 * time, processor time the mean of several behind as many as any point has, when what they need has been compiled.
 */
const byConnections: Figure = {
  name: "cost-connections",
  when: "after",
  measure: async (setting) => {
    const time: Point[] = [], memory: Point[] = [];
    for (const share of SHARES) {
      const conns = Math.round(setting.effort.held * share);
      const server = await setting.restart({});
      try {
        await pause(1_500);
        memory.push({ x: conns, y: (await opened(setting, server, conns)).octets / MEGABYTE });
        await pause(1_500);
        await opened(setting, server, setting.effort.held);
        await pause(1_500);
        let seconds = 0;
        for (let opening = 0; opening < OPENINGS; opening++) {
          seconds += (await opened(setting, server, conns)).seconds;
          await pause(1_500);
        }
        time.push({ x: conns, y: seconds / OPENINGS * 1_000 });
      } finally {
        await server.stop();
      }
    }
    const x = "SMTP connections held open";
    return [
      line("cost-connections", "cost of opening connections", {
        title: "Cost of opening connections",
        x,
        y: "processor time, ms",
      }, time),
      line("memory-connections", "memory of connections held open", {
        title: "Memory of connections held open",
        x,
        y: "resident memory, MB",
      }, memory),
    ];
  },
};

export const STRAIGHT_LINES: readonly Figure[] = [bySize, byRecipients, byConnections];
