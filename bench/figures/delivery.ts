/** Figures of mail that comes in by SMTP: how much of it a second. */
import { startHaraka } from "../haraka.ts";
import { startRspamd } from "../rspamd.ts";
import type { Figures, LoadOptions } from "../load.ts";
import type { Budget, Row } from "../row.ts";
import { DELIVER, type Figure, inTurns, latencies, load, type Setting } from "../setting.ts";
import { CROWD, CROWD_SIZE, type Target } from "../target.ts";

/** Messages before those that count, on a server that was started anew: names come into its cache, code is compiled. */
const WARM = 2_000;

interface Delivery {
  readonly what: string;
  /** What differs from 4 kB to one recipient on a connection each. */
  readonly options?: LoadOptions;
  readonly msgs?: { readonly ours: number; readonly peer: number };
  readonly budget: Budget | null;
}

function deliveries(name: string, delivery: Delivery): Figure {
  return { name, when: "beside", measure: (setting) => measure(name, delivery, setting) };
}

/** Up to the mailbox, and beside it what was accepted in that time. */
async function measure(
  name: string,
  { what, options, msgs, budget }: Delivery,
  setting: Pick<Setting, "effort" | "generator" | "ours" | "peer">,
): Promise<Row[]> {
  const many = msgs ?? setting.effort.deliver;
  const figures = await inTurns(setting, "filed_per_s", (target, isPeer) =>
    load(setting, "smtp", {
      port: target.smtp,
      options: { ...DELIVER, ...options, msgs: isPeer ? many.peer : many.ours, count: target.imap },
    }));
  const { ours, peer } = figures;
  const row = { figure: name, unit: "/s" };
  return [
    {
      ...row,
      what: `deliver 4 kB, ${what}, to the mailbox`,
      ours: ours.filed_per_s!,
      peer: peer?.filed_per_s ?? null,
      budget,
      note: latencies(figures),
    },
    {
      ...row,
      what: `the same, accepted`,
      ours: ours.per_s!,
      peer: peer?.per_s ?? null,
      budget: null,
      note: "",
    },
  ];
}

/** Copies in mailboxes count: each of a message's recipients has one. */
const hundredRecipients: Figure = {
  name: "deliver-100",
  when: "beside",
  measure: (setting) =>
    measure("deliver-100", {
      what: "100 recipients a message, copies",
      options: { prefix: CROWD, users: CROWD_SIZE, rcpts: CROWD_SIZE, keep: 1, pipe: 1 },
      msgs: setting.effort.wide,
      budget: { kind: "ratio", least: 10 },
    }, setting).then(([copies]) => [copies!]),
};

/** Ours up to the mailbox, Haraka's into its queue only. */
const besideHaraka: Figure = {
  name: "deliver-haraka",
  when: "beside",
  measure: async (setting) => {
    const haraka = await startHaraka(`${setting.folder}/haraka`, setting.more);
    try {
      const { effort } = setting;
      const one = (target: { smtp: number; imap: number }, isPeer: boolean): Promise<Figures> => {
        const msgs = isPeer ? effort.deliver.peer : effort.deliver.ours;
        return load(setting, "smtp", {
          port: target.smtp,
          options: { ...DELIVER, msgs, count: target.imap },
        });
      };
      const figures = await inTurns({ ...setting, peer: haraka }, "per_s", one);
      return [{
        figure: "deliver-haraka",
        what: `the same to the mailbox; peer: ${haraka?.name ?? "Haraka"}, into its queue`,
        unit: "/s",
        ours: figures.ours.filed_per_s!,
        peer: figures.peer?.per_s ?? null,
        budget: { kind: "ratio", least: 4 },
        note: latencies(figures),
      }];
    } finally {
      await haraka?.stop();
    }
  },
};

/** The chain of checks in full, without and with what looks into messages and their senders. */
const checked: Figure = {
  name: "deliver-checked",
  when: "after",
  measure: async (setting) => {
    const names = await setting.generator.start("dns", setting.more, {});
    const rows: Row[] = [];
    try {
      for (
        const [checks, what, budget] of [
          ["policy", "policy on: lists, DNSBL, reverse DNS, HELO, rates, greylisting", {
            kind: "ratio",
            least: 8,
          }],
          ["all", "every check on: SPF, DKIM, DMARC, attachments, spam too", null],
        ] as const
      ) {
        const ours = await setting.restart({ checked: { dns: setting.more, checks } });
        const options = { ...DELIVER, msgs: WARM, count: ours.imap };
        try {
          await load(setting, "smtp", { port: ours.smtp, options });
          rows.push(
            ...await measure("deliver-checked", { what: `a connection each, ${what}`, budget }, {
              ...setting,
              ours,
            }),
          );
        } finally {
          await ours.stop();
        }
      }
    } finally {
      await names.end();
    }
    return rows;
  },
};

/** The same with the peer's mail by rspamd, and how much of the rate without checks is left, each in turns in one run. */
const filtered: Figure = {
  name: "deliver-filtered",
  when: "after",
  measure: async (setting) => {
    const { generator, more, effort, peer } = setting;
    const names = await generator.start("dns", more, {});
    const rspamd = peer === null ? null : await startRspamd(`${setting.folder}/rspamd`, {
      ...{ port: more - 1, redis: more - 2, dns: more },
    });
    const filed = async (target: Target, msgs: number) =>
      await load(setting, "smtp", { port: target.smtp, options: { ...DELIVER, msgs, count: target.imap } });
    const plain: number[] = [], ours: Figures[] = [], peers: Figures[] = [];
    try {
      if (rspamd !== null) await peer!.filterBy(rspamd.port);
      for (let round = 0; round < effort.rounds; round++) {
        for (
          const [options, rates] of [[{}, plain], [{ checked: { dns: more, checks: "all" } }, ours]] as const
        ) {
          const server = await setting.restart(options);
          await filed(server, WARM);
          const figures = await filed(server, effort.deliver.ours);
          if (rates === plain) plain.push(figures.filed_per_s!);
          else ours.push(figures);
          await server.stop();
        }
        if (rspamd !== null) peers.push(await filed(peer!, effort.deliver.peer));
      }
    } finally {
      if (rspamd !== null) await peer!.filterBy(null);
      await rspamd?.stop();
      await names.end();
    }
    const middle = <T>(all: T[], of: (one: T) => number) =>
      all.sort((a, b) => of(a) - of(b))[Math.floor(all.length / 2)];
    const rate = ({ filed_per_s = 0 }: Figures) => filed_per_s;
    const figures = { ours: middle(ours, rate)!, peer: middle(peers, rate) ?? null };
    return [
      {
        figure: "deliver-filtered",
        what: "deliver 4 kB, every check on, to the mailbox; peer: with rspamd too",
        unit: "/s",
        ours: rate(figures.ours),
        peer: figures.peer === null ? null : rate(figures.peer),
        budget: { kind: "ratio", least: 4 },
        note: latencies(figures),
      },
      {
        figure: "deliver-filtered",
        what: "the same, of the rate without checks",
        unit: "%",
        ours: rate(figures.ours) / middle(plain, (one) => one)! * 100,
        peer: null,
        budget: { kind: "least", least: 40 },
        note: "names in the cache",
      },
    ];
  },
};

/** In the order they are measured. */
export const DELIVERIES: readonly Figure[] = [
  deliveries("deliver-new", { what: "a connection each", budget: { kind: "ratio", least: 8, aim: 10 } }),
  besideHaraka,
  deliveries("deliver-keep", {
    what: "kept alive and pipelined",
    options: { keep: 1, pipe: 1 },
    budget: { kind: "ratio", least: 12, aim: 18 },
  }),
  deliveries("deliver-tls", {
    what: "STARTTLS on a connection each",
    options: { starttls: 1 },
    budget: { kind: "ratio", least: 3 },
  }),
  hundredRecipients,
];

/** On a server of their own, with another configuration. */
export const CHECKED: readonly Figure[] = [checked, filtered];
