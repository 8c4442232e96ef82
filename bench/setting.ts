/** What figures are measured with: the servers, the load, how long and how much, and how rounds are taken. */
import { processorSeconds } from "./cpu.ts";
import type { Figures, LoadGenerator, LoadOptions } from "./load.ts";
import { untilIdle } from "./memory.ts";
import type { Peer } from "./peer.ts";
import type { Row } from "./row.ts";
import { DOMAIN, PASSWORD, READERS, RECEIVERS, type Target, USERS } from "./target.ts";
import type { StartOptions, Veredus } from "./veredus.ts";

/** How long and how much: a full run, or a quick one that only shows that all of it works. */
export interface Effort {
  readonly secs: number;
  readonly rounds: number;
  /** Messages in the mailbox of each reader. */
  readonly mailbox: number;
  /** Messages delivered to us and to the slower peer. */
  readonly deliver: { readonly ours: number; readonly peer: number };
  readonly outbound: number;
  readonly idle: number;
  /** Deliveries before memory is looked at again; 0: not at all. */
  readonly many: number;
  /** Messages to 100 recipients each, and of 50 MB. */
  readonly wide: { readonly ours: number; readonly peer: number };
  readonly large: number;
  /** SMTP connections held open, and senders of one octet a second. */
  readonly held: number;
  readonly slow: number;
  /** Messages of the mailbox whose text is searched. */
  readonly searched: number;
  /** Messages behind each point of a line of costs. */
  readonly point: number;
}

export const FULL: Effort = {
  secs: 3,
  rounds: 3,
  mailbox: 200,
  deliver: { ours: 15_000, peer: 2_000 },
  outbound: 3_000,
  idle: 1_000,
  many: 100_000,
  wide: { ours: 600, peer: 60 },
  large: 32,
  held: 5_000,
  slow: 2_000,
  searched: 10_000,
  point: 400,
};

export const QUICK: Effort = {
  secs: 1,
  rounds: 1,
  mailbox: 60,
  deliver: { ours: 3_000, peer: 400 },
  outbound: 500,
  idle: 300,
  many: 0,
  wide: { ours: 120, peer: 20 },
  large: 8,
  held: 1_000,
  slow: 300,
  searched: 1_000,
  point: 40,
};

export interface Setting {
  readonly generator: LoadGenerator;
  readonly effort: Effort;
  readonly ours: Veredus;
  readonly peer: Peer | null;
  /** Where each server sends mail to other domains. */
  readonly sinks: { readonly ours: number; readonly peer: number };
  /** Folder on the disk that both write to. */
  readonly folder: string;
  /** Starts another Veredus on the data of `ours`, which has stopped by then. */
  restart(options: StartOptions): Promise<Veredus>;
  /** Added to every standard port of ours; and a port for whatever else a figure starts. */
  readonly ports: number;
  readonly more: number;
}

export interface Figure {
  readonly name: string;
  /** `after`: with the loaded server stopped, on its data. */
  readonly when: "beside" | "after";
  measure(setting: Setting): Promise<Row[]>;
}

/** What a figure needs and did not get. */
export class Failures extends Error {
  override readonly name = "Failures";
}

export const READ: LoadOptions = { users: USERS, prefix: READERS, domain: DOMAIN, pass: PASSWORD };
export const DELIVER: LoadOptions = { ...READ, prefix: RECEIVERS, conns: 20, size: 4096 };
export const MEGABYTE = 1024 * 1024;

export async function load(
  setting: Pick<Setting, "generator">,
  mode: string,
  at: { readonly port: number; readonly options: LoadOptions },
): Promise<Figures> {
  return await setting.generator.run(mode, at.port, at.options);
}

/**
 * Drives both in turns, and takes the middle of each one's rounds by `key`. A turn begins when neither has anything to do behind its
 * clients any more: what one indexes or files later is not to cost the other.
 */
export async function inTurns(
  setting: Pick<Setting, "effort" | "ours"> & { readonly peer: Target | null },
  key: string,
  one: (target: Target, isPeer: boolean) => Promise<Figures>,
): Promise<{ ours: Figures; peer: Figures | null }> {
  const ours: Figures[] = [], peers: Figures[] = [];
  const turn = async (target: Target, isPeer: boolean) => {
    await untilIdle([...setting.ours.pids(), ...setting.peer?.pids() ?? []]);
    return await one(target, isPeer);
  };
  for (let round = 0; round < setting.effort.rounds; round++) {
    ours.push(await turn(setting.ours, false));
    if (setting.peer !== null) peers.push(await turn(setting.peer, true));
  }
  const middle = (all: Figures[]) =>
    all.sort((a, b) => (a[key] ?? 0) - (b[key] ?? 0))[Math.floor(all.length / 2)];
  return { ours: middle(ours)!, peer: middle(peers) ?? null };
}

/** `load`, and the microseconds of processor time that the server took for each operation as `processor_us`. */
export async function loadCounted(
  setting: Pick<Setting, "generator">,
  target: Target,
  mode: string,
  at: { readonly port: number; readonly options: LoadOptions },
): Promise<Figures> {
  const before = processorSeconds(target.pids());
  const figures = await load(setting, mode, at);
  const seconds = processorSeconds(target.pids()) - before;
  return { ...figures, processor_us: seconds * 1e6 / Math.max(1, figures.done ?? 0) };
}

export function latencies(figures: { ours: Figures; peer: Figures | null }): string {
  const text = ({ p50_ms = 0, p99_ms = 0, processor_us }: Figures) =>
    `${p50_ms.toFixed(2)} / ${p99_ms.toFixed(2)} ms${
      processor_us === undefined ? "" : ` (${processor_us.toFixed(0)} us)`
    }`;
  return figures.peer === null ? text(figures.ours) : `${text(figures.ours)}; peer ${text(figures.peer)}`;
}

/**
 * Every reader's mailbox filled to the same size on each server; half of it by the way of each delivery figure. Receivers log in
 * once, to be counted: what a first login makes a server learn is no part of a delivery.
 */
export async function fill(setting: Setting): Promise<void> {
  const msgs = setting.effort.mailbox * USERS / 2;
  for (const target of setting.peer === null ? [setting.ours] : [setting.ours, setting.peer]) {
    for (const keep of [0, 1]) {
      const options = { ...DELIVER, prefix: READERS, keep, pipe: keep, msgs, count: target.imap };
      await load(setting, "smtp", { port: target.smtp, options });
    }
    await load(setting, "smtp", {
      port: target.smtp,
      options: { ...DELIVER, msgs: USERS, count: target.imap },
    });
  }
}

export function memoryRow(figure: string, what: string, value: { octets: number; most: number }): Row {
  const { octets, most } = value;
  return {
    figure,
    what,
    unit: "MB",
    ours: octets / MEGABYTE,
    peer: null,
    budget: { kind: "below", most },
    note: "",
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
