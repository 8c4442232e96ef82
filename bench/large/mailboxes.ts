/** Ten thousand mailboxes in one account: LIST, and its cost by how many there are. */
import { threadSeconds } from "../cpu.ts";
import { line } from "../figures/straight_lines.ts";
import type { Row } from "../row.ts";
import { startVeredus } from "../veredus.ts";
import { makeMailboxes } from "./fill.ts";
import { ImapClient } from "./imap_client.ts";
import type { Place } from "./section.ts";

const USER = "u5";
const MOST = 10_000;
const SHARES = [0.2, 0.4, 0.6, 0.8, 1];
const ROUNDS = 41;
/** Before them, not counted: what is measured is a server that runs. Of few mailboxes as many more, so that each has done as much. */
const WARM_ROUNDS = 40;
const LIST = 'LIST "" "*"';
const COMMANDS = [
  ["LIST", LIST],
  ["LIST-STATUS", `${LIST} RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))`],
  ["LSUB", 'LSUB "" "*"'],
] as const;

export async function mailboxRows(place: Place, names: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  const points: { x: number; y: number }[] = [];
  for (const share of SHARES) {
    if (share < 1 && !names.includes("mailboxes-line")) continue;
    const count = MOST * share;
    await makeMailboxes(place.data, USER, count);
    const running = await startVeredus({ ...place, keepPasswords: true });
    try {
      const client = await ImapClient.login(running.imap, USER);
      for (const [name, command] of COMMANDS) {
        const times: number[] = [], processor: number[] = [];
        for (let round = 0; round < WARM_ROUNDS / share; round++) await client.command(command);
        for (let round = 0; round < ROUNDS; round++) {
          const before = threadSeconds(running.pids());
          times.push(await client.command(command));
          processor.push((threadSeconds(running.pids()) - before) * 1_000);
        }
        if (name === "LIST") points.push({ x: count, y: middle(processor) });
        if (share < 1) continue;
        rows.push({
          figure: "mailboxes",
          what: `${name} of ${count.toLocaleString("en-US")} mailboxes`,
          unit: "ms",
          ours: middle(times),
          peer: null,
          budget: { kind: "below", most: 100 },
          note: `processor ${middle(processor).toFixed(1)} ms`,
        });
      }
      client.close();
    } finally {
      await running.stop();
    }
  }
  if (names.includes("mailboxes-line")) {
    const chart = {
      title: "Cost of LIST by mailboxes of the account",
      x: "mailboxes",
      y: "processor time, ms",
    };
    rows.push(line("cost-mailboxes", "cost of LIST by mailboxes", chart, points));
  }
  return rows;
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
