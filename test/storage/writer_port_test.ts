/** Operations, results and changes across threads: unpacked as they were, and only the kinds of changes that were asked for. */
import assert from "node:assert/strict";
import type { Change } from "../../storage/changes.ts";
import { packChange, unpackChange } from "../../storage/packed_change.ts";
import type { NewContent, QueueEntry, WriteOp } from "../../storage/ops.ts";
import {
  opsAsNumbers,
  opsOfNumbers,
  outcomeAsNumbers,
  outcomeOfNumbers,
} from "../../storage/number_frames.ts";
import { packOps, packResults, type ResultOf, unpackOps, unpackResults } from "../../storage/packed_ops.ts";
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

const CONTENT: NewContent = {
  blob: { segment: 3, offset: 96, length: 4096 },
  ...{ headerOctets: 400, imap: new Uint8Array([1, 2, 3]), preview: "p", subject: "s", from: "f" },
  ...{ messageId: null, references: "", sentAt: null, traceId: "t" },
};
const QUEUE: QueueEntry = {
  ...{ sender: "", accountId: null, envelopeId: "", ret: "", eightBit: true, smtputf8: false },
  ...{ createdAt: 1, expiresAt: 2, recipients: [] },
};
const target = (mailboxId: number, octets: number[]) => ({
  ...{ mailboxId, flags: 8, keywords: "a b", internalDate: 5, prefix: new Uint8Array(octets) },
});
const OPS: WriteOp[] = [
  { kind: "deliver", content: CONTENT, targets: [target(7, [9, 8])], queue: null },
  { kind: "touch-address", address: "a@b", at: 1 },
  {
    ...{
      kind: "deliver",
      content: { ...CONTENT, messageId: "<m>", sentAt: 7 },
      queue: QUEUE,
      enforceQuota: true,
    },
    targets: [target(7, []), { ...target(8, [4]), seenBy: 3 }],
    ...{ forwards: [QUEUE], teaches: "spam" },
  },
  {
    ...{ kind: "deliver", content: CONTENT, targets: [target(7, [])], queue: null, trapped: true },
  },
  { kind: "deliver", content: { ...CONTENT, imap: new Uint8Array(0) }, targets: [], queue: QUEUE },
];

Deno.test("operations and results come out of their packing as they went in, in their order", () => {
  const ops = OPS.map((op, at) => ({ id: at + 1, op, segments: at === 0 ? [] : [at, 50] }));
  assert.deepEqual(unpackOps(structuredClone(packOps(ops))), ops);
  const uid = { mailboxId: 1, uidValidity: 2, uid: 3, modSeq: 4 };
  const results: ResultOf[] = [
    { id: 1, result: { ok: true, kind: "delivered", uids: [uid, { ...uid, uid: 9 }], queueId: null } },
    { id: 2, result: { ok: false, fault: "disk-full", detail: "x" } },
    { id: 3, result: { ok: true, kind: "delivered", uids: [], queueId: 5 } },
    { id: 4, result: { ok: true, kind: "done" } },
  ];
  assert.deepEqual(unpackResults(structuredClone(packResults(results))), results);
});

const STORE = {
  ...{ kind: "store-flags", mailboxId: 2 ** 40, uids: [[1, 7], [9, 2 ** 32 - 1]], mode: "remove" },
  ...{ flags: 12, keywords: [], unchangedSince: null },
} as const satisfies WriteOp;

Deno.test("STOREs of flags are numbers and come out as they went in; with words they are none", () => {
  const ops: WriteOp[] = [STORE, { ...STORE, mode: "add", uids: [], unchangedSince: 0 }, {
    ...{ ...STORE, mode: "replace", unchangedSince: 5 },
  }];
  const submitted = ops.map((op, at) => ({ id: at + 1, op, segments: [] }));
  assert.deepEqual(opsOfNumbers(opsAsNumbers(8, submitted)!), submitted);
  const others: WriteOp[] = [
    { ...STORE, keywords: ["a"] },
    { ...STORE, teaches: "spam" },
    { ...STORE, reader: { readerId: 1, flags: 31, keywords: true } },
    { kind: "touch-address", address: "a@b", at: 1 },
  ];
  for (const op of others) {
    assert.equal(opsAsNumbers(8, [submitted[0]!, { id: 9, op, segments: [] }]), null);
  }
  assert.equal(opsAsNumbers(8, [{ ...submitted[0]!, segments: [3] }]), null);
});

Deno.test("outcomes of STOREs and deliveries are numbers and come out as they went in; with words they are none", () => {
  const flags = { kind: "flags", ...ADDRESS, messages: [{ uid: 7, flags: 0, keywords: "" }] } as const;
  const changes: Change[] = [CHANGES[0]!, flags, CHANGES[2]!];
  const uid = { mailboxId: 1, uidValidity: 2, uid: 3, modSeq: 4 };
  const results: ResultOf[] = [
    { id: 1, result: { ok: true, kind: "flags", modSeq: 2 ** 52, changed: [1, 2], modified: [3] } },
    { id: 2, result: { ok: true, kind: "delivered", uids: [uid, { ...uid, uid: 9 }], queueId: null } },
    { id: 3, result: { ok: true, kind: "delivered", uids: [], queueId: 5 } },
  ];
  for (const outcome of [{ changes, results }, { changes, results: [] }, { changes: [], results }]) {
    assert.deepEqual(outcomeOfNumbers(outcomeAsNumbers(3, outcome)!), outcome);
  }
  for (const change of [CHANGES[1]!, CHANGES[3]!]) {
    assert.equal(outcomeAsNumbers(3, { changes: [...changes, change], results }), null);
  }
  const refused: ResultOf = { id: 4, result: { ok: false, fault: "disk-full", detail: "x" } };
  assert.equal(outcomeAsNumbers(3, { changes, results: [...results, refused] }), null);
});

Deno.test("operations with and without words keep their order, there and back, and so do those that fill the ring", async () => {
  const order: number[] = [];
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const writer: WriterPort = {
    submit(op) {
      const number = op.kind === "store-flags" ? op.mailboxId : op.kind === "touch-address" ? op.at : -1;
      order.push(number);
      // Words in every third answer.
      const keywords = number % 3 === 0 ? "a" : "";
      const place = { accountId: 1, mailboxId: number, modSeq: number };
      for (const listener of listeners) {
        listener([{ kind: "flags", ...place, messages: [{ uid: 1, flags: 1, keywords }] }]);
      }
      return Promise.resolve({ ok: true, kind: "flags", modSeq: number, changed: [1], modified: [] });
    },
    onChanges(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {},
  };
  const { port1, port2 } = new MessageChannel();
  serveWriter(writer, port1);
  const connected = connectWriter(port2);
  const heard: number[] = [], answered: number[] = [];
  connected.onChanges((changes) =>
    heard.push(...changes.map((change) => "modSeq" in change ? change.modSeq : -1))
  );
  const long = Array.from({ length: 1_500 }, (_, at) => [at, at] as const);
  const expected: number[] = [];
  const all: Promise<void>[] = [];
  for (let at = 0; at < 300; at++) {
    expected.push(at);
    const op: WriteOp = at % 7 === 3
      ? { kind: "touch-address", address: "a@b", at }
      : { ...STORE, mailboxId: at, uids: at % 11 === 0 ? long : [[at, at]] };
    all.push(
      connected.submit(op).then((result) => {
        if (result.ok && result.kind === "flags") answered.push(result.modSeq);
      }),
    );
    if (at % 4 === 0) await Promise.resolve();
    if (at % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await Promise.all(all);
  assert.deepEqual(order, expected);
  assert.deepEqual(heard, expected);
  assert.deepEqual(answered, expected);
  await connected.close();
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

Deno.test("a patient thread hears of many groups at once, everything and in order", async () => {
  const { announce, port } = announcer();
  const connected = connectWriter(port(), ["expunged", "queue", "added"], { patienceMs: 20 });
  const changes: Change[] = [];
  let messages = 0;
  connected.onChanges((more) => {
    messages++;
    changes.push(...more);
  });
  await turn();
  for (let group = 0; group < 3; group++) announce(CHANGES);
  while (changes.length < 9) await turn();
  assert.deepEqual(changes.map(({ kind }) => kind).join(), "added,expunged,queue,".repeat(3).slice(0, -1));
  assert.equal(messages, 1);
  announce([CHANGES[0]!]);
  while (changes.length < 10) await turn();
  await connected.close();
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

function heard(port: MessagePort, kinds: readonly Change["kind"][] | null, patienceMs = 0) {
  const changes: Change[] = [];
  const connected = connectWriter(port, kinds, { patienceMs });
  connected.onChanges((more) => changes.push(...more));
  return { changes, close: () => connected.close() };
}

/** Long enough for a message to the other end and its answer. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
