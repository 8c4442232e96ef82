/**
 * `deno run -A bench/writer.ts [--stores] [--groups N] [--rounds N] [SIZE]...`: what a commit costs the writer's thread, and the one that
 * asks for it, by the number of messages in it, in microseconds of processor time (which other work on the machine hardly changes).
 * With `--stores` of STOREs of a flag and not of deliveries.
 *
 * The writer in a Worker and its port as in the server; this thread stands for the front end, with 4 kB appended to its segment for each
 * message and {@linkcode MAILBOXES} mailboxes in turn.
 */
import { parseArgs } from "node:util";
import { encode } from "../bytes/decode.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openStore } from "../storage/open_store.ts";
import type { WriteOp } from "../storage/ops.ts";
import { connectWriter } from "../storage/writer_port.ts";

const MAILBOXES = 10;

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    groups: { type: "string", default: "1000" },
    rounds: { type: "string", default: "2" },
    stores: { type: "boolean", default: false },
  },
});

const folder = new DataFolder(Deno.makeTempDirSync({ prefix: "veredus-writer-" }));
folder.create();
const before = new Set([...Deno.readDirSync("/proc/self/task")].map(({ name }) => name));
const worker = new Worker(new URL("writer_thread.ts", import.meta.url), { type: "module" });
const { port1, port2 } = new MessageChannel();
const ready = new Promise<void>((resolve) => worker.onmessage = () => resolve());
worker.postMessage({ path: folder.path, port: port1 }, [port1]);
await ready;
const tid = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => name)
  .find((name) =>
    !before.has(name) && /worker-/.test(Deno.readTextFileSync(`/proc/self/task/${name}/comm`))
  )!;

const store = openStore({ folder, writer: connectWriter(port2) });
await store.write({
  kind: "put-domain",
  domain: { name: "example.test", kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" },
});
const mailboxes: number[] = [];
for (let at = 1; at <= MAILBOXES; at++) {
  await store.write({ kind: "put-account", account: { address: `d${at}@example.test` } });
  mailboxes.push(store.mailboxes.inboxOf(store.directory.account(`d${at}@example.test`)!.id)!);
}

const octets = new Uint8Array(4096).fill(0x61);
let count = 0;
async function deliver(): Promise<void> {
  const mailboxId = mailboxes[count % MAILBOXES]!;
  const recipient = `d${++count % MAILBOXES + 1}@example.test`;
  const at = Date.now();
  const spool = store.spool();
  await spool.write(octets, 0, octets.length);
  const traceId = `4k2j9x${count}`;
  const blob = await spool.store({
    ...{ accounts: [recipient], mailbox: "INBOX", internalDate: at, traceId, sender: "s@other.test" },
    recipients: [recipient],
  });
  const op: WriteOp = {
    kind: "deliver",
    content: {
      ...{ blob, headerOctets: 400, imap: new Uint8Array(560), sentAt: at, traceId, references: "" },
      preview:
        "invoice meeting project server report please thanks update and again the same words until it is long enough",
      subject: "Bench message about quarterly figures",
      from: "Bench Sender <s@other.test>",
      messageId: `<${count}.${at}@bench.test>`,
    },
    targets: [{
      ...{ mailboxId, flags: 0, keywords: "", internalDate: at },
      prefix: encode(`Return-Path: <s@other.test>\r\nDelivered-To: ${recipient}\r\n`),
    }],
    queue: null,
  };
  const result = await store.write(op);
  if (!result.ok) throw new Error(result.detail);
}

/** A STORE of the first message of a mailbox. */
async function storeFlag(): Promise<void> {
  const mailboxId = mailboxes[count++ % MAILBOXES]!;
  const mode = count % (2 * MAILBOXES) < MAILBOXES ? "add" : "remove";
  const named = { flags: 4, keywords: [], unchangedSince: null };
  const result = await store.write({ kind: "store-flags", mailboxId, uids: [[1, 1]], mode, ...named });
  if (!result.ok) throw new Error(result.detail);
}

const used = (thread: string) =>
  Number(Deno.readTextFileSync(`/proc/self/task/${thread}/schedstat`).split(" ")[0]) / 1e3;
const both = () => [used(tid), used(String(Deno.pid))] as const;
const groups = Number(args.groups);
const sizes = positionals.length === 0 ? [1, 5, 20] : positionals.map(Number);
if (args.stores) { for (const _ of mailboxes) await deliver(); }
const once = args.stores ? storeFlag : deliver;
for (let round = 0; round <= Number(args.rounds); round++) {
  for (const size of sizes) {
    const begin = both(), start = performance.now();
    for (let group = 0; group < groups; group++) {
      await Promise.all(Array.from({ length: size }, once));
    }
    const [writer, asker] = both().map((us, at) => (us - begin[at]!) / groups) as [number, number];
    const ms = (performance.now() - start) / groups;
    if (round > 0) {
      console.log(
        `${size} in a group: ${writer.toFixed(0)} us a group of the writer's, ${
          (writer / size).toFixed(1)
        } a message; ` +
          `${(asker / size).toFixed(1)} a message of this thread's; ${ms.toFixed(2)} ms`,
      );
    }
  }
}
await store.close();
worker.terminate();
Deno.removeSync(folder.path, { recursive: true });
Deno.exit(0);
