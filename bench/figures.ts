/** The figures: what is measured, how, and which budget it has. */
import { BULK } from "./figures/bulk.ts";
import { DNS } from "./figures/dns.ts";
import { CHECKED, DELIVERIES } from "./figures/delivery.ts";
import { SEARCHES } from "./figures/search.ts";
import { STRAIGHT_LINES } from "./figures/straight_lines.ts";
import { peakDuring, residentOctets } from "./memory.ts";
import { number } from "./row.ts";
import {
  DELIVER,
  Failures,
  type Figure,
  inTurns,
  latencies,
  load,
  loadCounted,
  memoryRow,
  pause,
  READ,
  type Setting,
} from "./setting.ts";
import type { Target } from "./target.ts";

function imap(
  name: string,
  what: string,
  options: { op: string; conns: number; least: number; whole?: boolean; tls?: boolean },
): Figure {
  return {
    name,
    when: "beside",
    measure: async (setting) => {
      const { op, conns, least, whole, tls = false } = options;
      const { secs, mailbox } = setting.effort;
      const figures = await inTurns(
        setting,
        "per_s",
        (target) =>
          loadCounted(setting, target, "imap", {
            port: tls ? target.imaps : target.imap,
            options: { ...READ, op, conns, secs, mailbox, ...(tls && { tls: 1, sources: 10 }) },
          }),
      );
      const each = whole ? mailbox : 1;
      return [{
        figure: name,
        what: `IMAP ${what}, ${conns} connection${conns === 1 ? "" : "s"}`,
        unit: whole ? "messages/s" : "/s",
        ours: figures.ours.per_s! * each,
        peer: figures.peer === null ? null : figures.peer.per_s! * each,
        budget: { kind: "ratio", least },
        note: latencies(figures),
      }];
    },
  };
}

const pop3: Figure = {
  name: "pop3",
  when: "beside",
  measure: async (setting) => {
    const options = { ...READ, conns: 4, secs: setting.effort.secs };
    const figures = await inTurns(
      setting,
      "per_s",
      (target) => loadCounted(setting, target, "pop3", { port: target.pop3, options }),
    );
    return [{
      figure: "pop3",
      what: "POP3 RETR, 4 connections",
      unit: "/s",
      ours: figures.ours.per_s!,
      peer: figures.peer?.per_s ?? null,
      budget: { kind: "ratio", least: 1.5 },
      note: latencies(figures),
    }];
  },
};

/** Messages handed in and sent on before those that count: the first login, and what each server starts for its first message. */
const SENT_BEFORE = 200;

/** From the first message handed in to the last one at the sink; messages a second. */
async function sentOn(
  setting: Setting,
  target: Target,
  { sinkPort, msgs }: { readonly sinkPort: number; readonly msgs: number },
): Promise<number> {
  const sink = await setting.generator.start("sink", sinkPort, { msgs });
  try {
    const begin = performance.now();
    const { port, options } = target.outbound;
    await load(setting, "smtp", {
      port,
      options: { ...DELIVER, ...options, to: "outside.test", keep: 1, pipe: 1, msgs },
    });
    if (await sink.line(120_000) === null) {
      throw new Failures(`outbound: ${target.name} did not send all of ${msgs} messages on`);
    }
    return msgs / ((performance.now() - begin) / 1000);
  } finally {
    await sink.end();
  }
}

const outbound: Figure = {
  name: "outbound",
  when: "beside",
  measure: async (setting) => {
    const { ours, peer, sinks, effort } = setting;
    const sinkOf = (isPeer: boolean) => isPeer ? sinks.peer : sinks.ours;
    for (const target of peer === null ? [ours] : [ours, peer]) {
      await sentOn(setting, target, { sinkPort: sinkOf(target === peer), msgs: SENT_BEFORE });
    }
    const figures = await inTurns(setting, "per_s", async (target, isPeer) => ({
      per_s: await sentOn(setting, target, { sinkPort: sinkOf(isPeer), msgs: effort.outbound }),
    }));
    return [{
      figure: "outbound",
      what: "queued and sent on to a sink, 20 senders",
      unit: "/s",
      ours: figures.ours.per_s!,
      peer: figures.peer?.per_s ?? null,
      budget: null,
      note: "",
    }];
  },
};

const disk: Figure = {
  name: "disk",
  when: "beside",
  measure: async (setting) => {
    const { per_s = 0, batch_ms = 0 } = await load(setting, "disk", {
      port: 0,
      options: { dir: setting.folder, secs: Math.min(2, setting.effort.secs) },
    });
    return [{
      figure: "disk",
      what: "the disk: 4 kB messages in fdatasync'd batches of 20",
      unit: "/s",
      ours: per_s,
      peer: null,
      budget: null,
      note: `${batch_ms.toFixed(2)} ms a batch`,
    }];
  },
};

const largeMessage: Figure = {
  name: "memory-message",
  when: "beside",
  measure: async (setting) => {
    const { ours } = setting;
    const pids = ours.pids();
    const send = (size: number) =>
      load(setting, "smtp", { port: ours.smtp, options: { ...DELIVER, conns: 1, msgs: 1, size } });
    await send(1_000_000); // code that only large messages use is loaded once
    await pause(2_000);
    const before = residentOctets(pids);
    const { peak } = await peakDuring(pids, send(49_900_000));
    return [memoryRow("memory-message", "resident memory, growth during a 50 MB message", {
      octets: peak - before,
      most: 8,
    })];
  },
};

/** Resident memory of a server that has taken this many messages since its start, and served nothing else. */
const afterMany: Figure = {
  name: "memory-after",
  when: "after",
  measure: async (setting) => {
    const msgs = setting.effort.many;
    if (msgs === 0) return [];
    const server = await setting.restart({});
    try {
      await load(setting, "smtp", { port: server.smtp, options: { ...DELIVER, keep: 1, pipe: 1, msgs } });
      await pause(5_000);
      const octets = residentOctets(server.pids());
      const what = `resident memory after ${number(msgs)} deliveries`;
      return [memoryRow("memory-after", what, { octets, most: 300 })];
    } finally {
      await server.stop();
    }
  },
};

function idle(tls: "compact" | "full", most: number): Figure {
  return {
    name: `idle-${tls}`,
    when: "after",
    measure: async (setting) => {
      const server = await setting.restart({ tls });
      try {
        const ours = await idleOctets(setting, server);
        return [{
          figure: `idle-${tls}`,
          what: `idle IMAP session, tls: ${tls}`,
          unit: "kB",
          ours: ours / 1000,
          peer: tls === "full" || setting.peer === null
            ? null
            : await idleOctets(setting, setting.peer) / 1000,
          budget: { kind: "below", most },
          note: `${setting.effort.idle} sessions`,
        }];
      } finally {
        await server.stop();
      }
    },
  };
}

/** Octets that one idle session over TLS takes, on a server whose heap has grown to what logins need. */
async function idleOctets(setting: Setting, target: Target): Promise<number> {
  const options = { ...READ, tls: 1, sources: 10 };
  await load(setting, "imap", {
    port: target.imaps,
    options: { ...options, op: "login", conns: 8, secs: 3 },
  });
  await pause(1_500);
  const before = residentOctets(target.pids());
  const sessions = await setting.generator.start("idle", target.imaps, {
    ...options,
    conns: setting.effort.idle,
  });
  await pause(2_000);
  const octets = residentOctets(target.pids()) - before;
  await sessions.end();
  if (sessions.ready.failed !== 0) {
    throw new Failures(`idle: ${sessions.ready.failed} sessions of ${target.name} could not be opened`);
  }
  return octets / setting.effort.idle;
}

const startTime: Figure = {
  name: "start",
  when: "after",
  measure: async (setting) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const server = await setting.restart({ keepPasswords: true });
      times.push(server.readyAfterMs);
      await server.stop();
    }
    times.sort((a, b) => a - b);
    return [{
      figure: "start",
      what: "process start to all ports open, existing data, warm cache",
      unit: "ms",
      ours: times[2]!,
      peer: null,
      budget: { kind: "below", most: 300 },
      note: `${times[0]!.toFixed(0)} to ${times[4]!.toFixed(0)} ms in 5 starts`,
    }];
  },
};

function idleServer(name: string, what: string, options: { threads?: string; most: number }): Figure {
  return {
    name,
    when: "after",
    measure: async (setting) => {
      const { threads, most } = options;
      const server = await setting.restart(threads === undefined ? {} : { threads });
      try {
        await pause(2_000);
        return [
          memoryRow(name, `resident memory, idle, ${what}`, { octets: residentOctets(server.pids()), most }),
        ];
      } finally {
        await server.stop();
      }
    },
  };
}

/** In the order they are measured: what changes the mailboxes that others read comes last. */
export const FIGURES: readonly Figure[] = [
  disk,
  ...DELIVERIES,
  imap("fetch-1", "FETCH of a message", { op: "fetch", conns: 1, least: 1.5 }),
  imap("fetch-8", "FETCH of a message", { op: "fetch", conns: 8, least: 1.5 }),
  imap("flags", "FETCH 1:* flags", { op: "flags", conns: 1, whole: true, least: 1.5 }),
  imap("envelope", "FETCH 1:* ENVELOPE BODYSTRUCTURE", { op: "env", conns: 1, whole: true, least: 1.5 }),
  imap("header", "FETCH 1:* header fields", { op: "hdr", conns: 1, whole: true, least: 1 }),
  imap("bodies", "FETCH 1:* bodies", { op: "all", conns: 1, whole: true, least: 1.5 }),
  imap("mixed", "mixed load", { op: "mixed", conns: 8, least: 1.5 }),
  imap("store", "STORE of a message", { op: "store", conns: 8, least: 1 }),
  imap("store-all", "STORE 1:*", { op: "storeall", conns: 1, whole: true, least: 1.5 }),
  imap("search", "SEARCH UNSEEN", { op: "search", conns: 1, least: 1.5 }),
  ...SEARCHES,
  imap("login", "LOGIN, SELECT, LOGOUT", { op: "login", conns: 8, least: 2 }),
  imap("login-tls", "LOGIN, SELECT, LOGOUT over TLS", { op: "login", conns: 8, least: 1.2, tls: true }),
  pop3,
  imap("append", "APPEND of 4 kB", { op: "append", conns: 8, least: 2 }),
  outbound,
  DNS,
  largeMessage,
  afterMany,
  startTime,
  idleServer("memory-0", "threads: 0", { threads: "0", most: 120 }),
  idleServer("memory", "default threads", { most: 200 }),
  idle("compact", 25),
  idle("full", 60),
  ...CHECKED,
  ...BULK,
  ...STRAIGHT_LINES,
];
