/** Figures of what is large, many or slow: 50 MB messages, connections held open, senders of an octet a second. */
import { peakDuring, residentOctets } from "../memory.ts";
import { number } from "../row.ts";
import { DELIVER, Failures, type Figure, load, memoryRow, pause, type Setting } from "../setting.ts";

const LARGE_OCTETS = 49_900_000;
const AT_ONCE = 8;
/** The budget in MB/s, unless the disk has less than twice that. */
const MOST_ASKED = 200;

/** Several at once, with their memory; the disk is measured in the same way by `cat`. */
const largeMessages: Figure = {
  name: "large",
  when: "beside",
  measure: async (setting) => {
    const { ours, effort } = setting;
    const pids = ours.pids();
    const send = (conns: number, msgs: number) =>
      load(setting, "smtp", {
        port: ours.smtp,
        options: { ...DELIVER, conns, msgs, size: LARGE_OCTETS },
      });
    await send(1, 1);
    await pause(2_000);
    const before = residentOctets(pids);
    const { peak, result } = await peakDuring(pids, send(AT_ONCE, effort.large));
    const cat = await catMegabytes(setting);
    const budget = Math.min(MOST_ASKED, cat / 2);
    return [
      {
        figure: "large",
        what: `50 MB messages, ${AT_ONCE} at once`,
        unit: "MB/s",
        ours: result.per_s! * LARGE_OCTETS / 1e6,
        peer: null,
        budget: { kind: "least", least: budget },
        note: `cat of ${AT_ONCE} such files, fdatasync: ${number(cat)} MB/s`,
      },
      memoryRow("large", "the same, growth of resident memory", { octets: peak - before, most: 64 }),
    ];
  },
};

/** `cat` of as many files at once, each synced at its end. */
async function catMegabytes({ folder }: Setting): Promise<number> {
  const source = `${folder}/cat.source`;
  Deno.writeFileSync(source, new Uint8Array(LARGE_OCTETS).map((_, i) => i % 251));
  const copies = Array.from({ length: AT_ONCE }, (_, i) => `${folder}/cat.${i}`);
  const begin = performance.now();
  const statuses = await Promise.all(
    copies.map((copy) =>
      new Deno.Command("sh", { args: ["-c", 'cat "$0" >"$1" && sync -d "$1"', source, copy] }).output()
    ),
  );
  const seconds = (performance.now() - begin) / 1_000;
  for (const file of [source, ...copies]) Deno.removeSync(file);
  if (statuses.some(({ success }) => !success)) throw new Failures("cat could not write its files");
  return AT_ONCE * LARGE_OCTETS / 1e6 / seconds;
}

/** On a server whose heap has grown to what deliveries need. */
const heldConnections: Figure = {
  name: "held",
  when: "after",
  measure: async (setting) => {
    const { effort, generator } = setting;
    const server = await setting.restart({});
    try {
      await load(setting, "smtp", { port: server.smtp, options: { ...DELIVER, msgs: 2_000 } });
      await pause(1_500);
      const pids = server.pids();
      const before = residentOctets(pids);
      const held = await generator.start("hold", server.smtp, { conns: effort.held, sources: 50 });
      await pause(2_000);
      const octets = residentOctets(pids) - before;
      await held.end();
      if (held.ready.failed !== 0) throw new Failures(`${held.ready.failed} connections could not be opened`);
      return [{
        figure: "held",
        what: "SMTP connection held open, in clear",
        unit: "kB",
        ours: octets / effort.held / 1_000,
        peer: null,
        budget: { kind: "below", most: 15 },
        note: `${number(effort.held)} connections`,
      }];
    } finally {
      await server.stop();
    }
  },
};

/** The same deliveries without and with them, in turns. */
const slowSenders: Figure = {
  name: "slow",
  when: "beside",
  measure: async (setting) => {
    const { effort, generator, ours } = setting;
    const deliver = () =>
      load(setting, "smtp", { port: ours.smtp, options: { ...DELIVER, msgs: effort.deliver.ours } });
    const alone: number[] = [], beside: number[] = [];
    for (let round = 0; round < effort.rounds; round++) {
      alone.push((await deliver()).per_s!);
      const slow = await generator.start("slow", ours.smtp, {
        ...{ prefix: DELIVER.prefix!, users: DELIVER.users!, domain: DELIVER.domain! },
        ...{ conns: effort.slow, sources: 50 },
      });
      beside.push((await deliver()).per_s!);
      await slow.end();
      if (slow.ready.failed !== 0) {
        throw new Failures(`${slow.ready.failed} slow senders could not begin a message`);
      }
    }
    const middle = (all: number[]) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
    const [without, withThem] = [middle(alone), middle(beside)];
    return [{
      figure: "slow",
      what: `deliveries lost beside ${number(effort.slow)} senders of an octet a second`,
      unit: "%",
      ours: Math.max(0, (1 - withThem / without) * 100),
      peer: null,
      budget: { kind: "below", most: 10 },
      note: `${number(without)} and ${number(withThem)} a second`,
    }];
  },
};

/** In the order they are measured. */
export const BULK: readonly Figure[] = [slowSenders, largeMessages, heldConnections];
