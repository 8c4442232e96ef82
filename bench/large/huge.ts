/** SELECT of a mailbox of a million messages, its memory, and QRESYNC in it: ours alone, a peer needs minutes to fill. */
import { threadSeconds } from "../cpu.ts";
import { residentOctets } from "../memory.ts";
import type { Row } from "../row.ts";
import type { Target } from "../target.ts";
import type { Filling } from "./fill.ts";
import { ImapClient } from "./imap_client.ts";

const CHANGES = 100;
const ROUNDS = 5;

export async function hugeRows(
  target: Target,
  { user, count }: Filling,
): Promise<Row[]> {
  // The way to a selected mailbox is loaded and warm; what is measured is the mailbox.
  const other = await ImapClient.login(target.imap, "u9");
  await other.command("SELECT INBOX");
  const before = residentOctets(target.pids());
  const first = await ImapClient.login(target.imap, user);
  const processor = threadSeconds(target.pids());
  const cold = await first.command("SELECT INBOX");
  const coldProcessorMs = (threadSeconds(target.pids()) - processor) * 1_000;
  await new Promise((done) => setTimeout(done, 2_000));
  const octets = (residentOctets(target.pids()) - before) / count;
  const second = await ImapClient.login(target.imap, user);
  const warm: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    warm.push(await second.command("SELECT INBOX"));
    await second.command("UNSELECT");
  }
  await second.command("ENABLE QRESYNC");
  const resync: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const reply = await second.reply("SELECT INBOX");
    const validity = /UIDVALIDITY (\d+)/.exec(reply)?.[1], modSeq = /HIGHESTMODSEQ (\d+)/.exec(reply)?.[1];
    await second.command("UNSELECT");
    const sign = round % 2 === 0 ? "+" : "-";
    for (let change = 1; change <= CHANGES; change++) {
      await first.command(`STORE ${change * 9_973} ${sign}FLAGS.SILENT (\\Draft)`);
    }
    resync.push(await second.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq}))`));
    await second.command("UNSELECT");
  }
  for (const client of [other, first, second]) client.close();
  const row = (
    figure: string,
    what: string,
    options: { value: number; unit: string; most: number; note?: string },
  ): Row => ({
    figure: "huge",
    what: `${figure}, ${count.toLocaleString("en-US")} messages${what}`,
    unit: options.unit,
    ours: options.value,
    peer: null,
    budget: { kind: "below", most: options.most },
    note: options.note ?? "",
  });
  return [
    row("SELECT, cold", "", {
      ...{ value: cold, unit: "ms", most: 300 },
      note: `processor ${coldProcessorMs.toFixed(0)} ms`,
    }),
    row("SELECT, warm", "", { value: middle(warm), unit: "ms", most: 20 }),
    row("memory of a selected mailbox", ", for each", { value: octets, unit: "octets", most: 40 }),
    row("QRESYNC", ` after ${CHANGES} changes`, { value: middle(resync), unit: "ms", most: 10 }),
  ];
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
