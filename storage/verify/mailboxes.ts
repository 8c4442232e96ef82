/** Counters of each mailbox against its messages and the log of what was expunged. */
import { FLAG_DELETED, FLAG_SEEN } from "../changes.ts";
import { type CheckContext, giveWay } from "./findings.ts";

const COUNTERS = ["messages", "unseen", "deleted", "size_octets", "uid_next", "highest_modseq", "recent_uid"];
const SELECT = `SELECT a.address, b.name, ${COUNTERS.map((name) => `b.${name}`).join(", ")}, count(m.uid), ` +
  `coalesce(sum(m.flags & ${FLAG_SEEN} = 0), 0), coalesce(sum(m.flags & ${FLAG_DELETED} != 0), 0), ` +
  "coalesce(sum(m.size_octets), 0), " +
  "max(b.uid_next, coalesce(max(m.uid), 0) + 1, coalesce((SELECT max(uid) FROM expunged WHERE mailbox_id = b.id), 0) + 1), " +
  "max(b.highest_modseq, coalesce(max(m.modseq), 0), " +
  "coalesce((SELECT max(modseq) FROM expunged WHERE mailbox_id = b.id), 0)) " +
  "FROM mailboxes AS b LEFT JOIN accounts AS a ON a.id = b.account_id LEFT JOIN messages AS m ON m.mailbox_id = b.id " +
  "WHERE b.id = ? GROUP BY b.id";

export async function checkMailboxes({ connection, fix, findings }: CheckContext): Promise<void> {
  const ids = connection.prepare("SELECT id FROM mailboxes ORDER BY id").raw().all() as [number][];
  const select = connection.prepare(SELECT).raw();
  for (const [id] of ids) {
    const row = select.get(id);
    if (row === undefined) continue; // deleted meanwhile
    const noted = row.slice(2, 2 + COUNTERS.length).map(Number);
    const found = row.slice(2 + COUNTERS.length).map(Number);
    // recent_uid says which messages no session has seen: any value up to uid_next is right.
    found.push(Math.min(noted.at(-1)!, found[4]!));
    const wrong = COUNTERS.map((name, i) => ({ name, noted: noted[i]!, found: found[i]! }))
      .filter((counter) => counter.noted !== counter.found);
    for (const { name, noted, found } of wrong) {
      findings.add({
        kind: "counters",
        subject: `${row[0] ?? "nobody"} ${row[1]}`,
        detail: `${name} is ${noted}, it must be ${found}`,
        fixed: fix,
      });
    }
    if (fix && wrong.length > 0) {
      connection.prepare(
        `UPDATE mailboxes SET ${wrong.map(({ name }) => `${name} = ?`).join(", ")} WHERE id = ?`,
      )
        .run(...wrong.map((counter) => counter.found), id);
    }
    findings.count("mailboxes", 1);
    findings.count("messages", found[0]!);
    await giveWay();
  }
}
