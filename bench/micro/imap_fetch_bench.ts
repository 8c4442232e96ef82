/** FETCH 1:* FLAGS from the index of a large mailbox, as server/imap/fetch.ts writes it. */
import { Out } from "../../bytes/out.ts";
import { formatDateTime } from "../../protocols/imap/format/date.ts";
import { formatFlags } from "../../protocols/imap/format/flags.ts";
import { MailboxView, type UidIndex } from "../../protocols/imap/view.ts";

const COUNT = 100_000;

class Index implements UidIndex {
  count = COUNT;
  uidNext = COUNT * 2;
  #uids = Uint32Array.from({ length: COUNT }, (_, i) => i * 2 + 1);
  #flags = Uint8Array.from({ length: COUNT }, (_, i) => i % 32);
  uidAt(position: number): number {
    return this.#uids[position] ?? 0;
  }
  flagsAt(position: number): number {
    return this.#flags[position] ?? 0;
  }
  modSeqAt(): number {
    return 1;
  }
  positionOf(uid: number): number {
    return (uid - 1) / 2;
  }
  lowerBound(uid: number): number {
    return Math.ceil((uid - 1) / 2);
  }
}

const index = new Index();
const view = new MailboxView(index, 1_000);

Deno.bench(`FETCH 1:* (FLAGS), ${COUNT} messages`, () => {
  const out = new Out();
  for (let start = 1; start <= COUNT; start += 2_000) {
    let text = "";
    view.walk(start, Math.min(COUNT, start + 1_999), (sequence, uid, position) => {
      text += `* ${sequence} FETCH (FLAGS ${
        formatFlags(index.flagsAt(position), "", uid >= view.recentFrom)
      })\r\n`;
    });
    out.text(text);
    if (out.pending > 64 * 1024) out.take();
  }
});

Deno.bench("walk a large mailbox", () => {
  let sum = 0;
  view.walk(1, COUNT, (_sequence, uid) => {
    sum += uid;
  });
  if (sum === 0) throw new Error("nothing walked");
});

Deno.bench("uidOf and sequenceOf", () => {
  for (let i = 1; i < 1_000; i++) view.sequenceOf(view.uidOf(i));
});

Deno.bench("INTERNALDATE", () => {
  formatDateTime(1_700_000_000_000);
});
