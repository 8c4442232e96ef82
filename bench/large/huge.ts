/** SELECT of a mailbox of a million messages, its memory, and QRESYNC in it. */
import { threadSeconds } from "../cpu.ts";
import { residentOctets } from "../memory.ts";
import type { Row } from "../row.ts";
import type { Target } from "../target.ts";
import type { Filling } from "./fill.ts";
import { ImapClient } from "./imap_client.ts";

const CHANGES = 100;
/** Each command takes Dovecot a third of a second. */
const TOGETHER = 10;
const ROUNDS = 5;

/** Milliseconds, and octets for each message. */
interface Selecting {
  readonly cold: number;
  readonly coldProcessor: number;
  readonly warm: number;
  readonly resync: number;
  readonly octets: number;
}

/** `peer`: beside which it is measured, null for none. */
export async function hugeRows(target: Target, peer: Target | null, filling: Filling): Promise<Row[]> {
  const ours = await selecting(target, filling);
  const other = peer === null ? null : await selecting(peer, filling);
  const row = (
    what: string,
    of: (some: Selecting) => number,
    options: { unit: string; most: number; note?: string },
  ): Row => ({
    ...{ figure: peer === null ? "huge" : "million", what, unit: options.unit, ours: of(ours) },
    peer: other === null ? null : of(other),
    budget: { kind: "below", most: options.most },
    note: options.note ?? "",
  });
  const messages = `${filling.count.toLocaleString("en-US")} messages`;
  const memory = row(`memory of a selected mailbox, ${messages}, for each`, ({ octets }) => octets, {
    ...{ unit: "octets", most: 40 },
  });
  return [
    row(`SELECT, cold, ${messages}`, ({ cold }) => cold, {
      ...{ unit: "ms", most: 300 },
      note: `processor ${ours.coldProcessor.toFixed(0)} ms`,
    }),
    row(`SELECT, warm, ${messages}`, ({ warm }) => warm, { unit: "ms", most: 20 }),
    { ...memory, peer: null }, // of a process for each session
    row(`QRESYNC, ${messages} after ${CHANGES} changes`, ({ resync }) => resync, { unit: "ms", most: 10 }),
  ];
}

async function selecting(target: Target, { user, count }: Filling): Promise<Selecting> {
  // The way to a selected mailbox is loaded and warm; what is measured is the mailbox.
  const other = await ImapClient.login(target.imap, "u9");
  await other.command("SELECT INBOX");
  const before = residentOctets(target.pids());
  const first = await ImapClient.login(target.imap, user);
  const processor = threadSeconds(target.pids());
  const cold = await first.command("SELECT INBOX");
  const coldProcessor = (threadSeconds(target.pids()) - processor) * 1_000;
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
    for (let change = 1; change <= CHANGES; change += TOGETHER) {
      const set = Array.from({ length: TOGETHER }, (_, at) => (change + at) * 9_973);
      await first.command(`STORE ${set} ${sign}FLAGS.SILENT (\\Draft)`);
    }
    resync.push(await second.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq}))`));
    await second.command("UNSELECT");
  }
  for (const client of [other, first, second]) client.close();
  return { cold, coldProcessor, octets, warm: middle(warm), resync: middle(resync) };
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
