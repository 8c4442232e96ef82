/** Changes across threads: unpacked as they were, and only the kinds that were asked for. */
import assert from "node:assert/strict";
import type { Change } from "../../storage/changes.ts";
import { packChange, unpackChange } from "../../storage/packed_change.ts";
import { connectWriter, serveWriter } from "../../storage/writer_port.ts";
import type { WriterPort } from "../../storage/writer.ts";

const ADDRESS = { accountId: 1, mailboxId: 2, modSeq: 3 };
const CHANGES: Change[] = [
  { kind: "added", ...ADDRESS, messages: [{ uid: 7, flags: 1, keywords: "" }] },
  {
    kind: "flags",
    ...ADDRESS,
    messages: [{ uid: 7, flags: 0, keywords: "a b" }, { uid: 9, flags: 8, keywords: "" }],
  },
  { kind: "expunged", ...ADDRESS, uids: [7, 9] },
  { kind: "mailboxes", accountId: 1, deleted: [2] },
  { kind: "directory", accountId: null },
  { kind: "queue" },
];

Deno.test("changes come out of their packing as they went in", () => {
  assert.deepEqual(CHANGES.map(packChange).map(unpackChange), CHANGES);
});

Deno.test("a thread hears of the kinds of changes it names, of all when it names none", async () => {
  const { announce, port } = announcer();
  const all = heard(port(), null), some = heard(port(), ["expunged", "queue"]);
  await turn();
  announce(CHANGES);
  await turn();
  assert.deepEqual(all.changes, CHANGES);
  assert.deepEqual(some.changes.map(({ kind }) => kind), ["expunged", "queue"]);
  all.close();
  some.close();
});

/** A writer that does nothing but announce. */
function announcer(): { announce: (changes: readonly Change[]) => void; port: () => MessagePort } {
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const writer: WriterPort = {
    submit: () => Promise.reject(new Error("nothing is written here")),
    onChanges(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {},
  };
  return {
    announce: (changes) => listeners.forEach((listener) => listener(changes)),
    port() {
      const { port1, port2 } = new MessageChannel();
      serveWriter(writer, port1);
      return port2;
    },
  };
}

function heard(port: MessagePort, kinds: readonly Change["kind"][] | null) {
  const changes: Change[] = [];
  const connected = connectWriter(port, kinds);
  connected.onChanges((more) => changes.push(...more));
  return { changes, close: () => connected.close() };
}

/** Long enough for a message to the other end and its answer. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
