/** A queue that was accepted while nobody sent, written straight into the storage. */
import { FactsBuilder } from "../../message/facts.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import { withStore } from "../large/fill.ts";

const OCTETS = 4_096;
const AT_ONCE = 200;

export interface QueueFilling {
  readonly messages: number;
  readonly recipientsEach: number;
  /** Of the recipient so counted. */
  readonly domainOf: (recipient: number) => string;
}

export async function fillQueue(
  data: string,
  { messages, recipientsEach, domainOf }: QueueFilling,
): Promise<void> {
  await withStore(data, async (store) => {
    const octets = message();
    for (let at = 0; at < messages; at += AT_ONCE) {
      const ops = Array.from(
        { length: Math.min(AT_ONCE, messages - at) },
        (_, n) =>
          queued(store, octets, { first: (at + n) * recipientsEach, count: recipientsEach, domainOf }),
      );
      const results = await Promise.all((await Promise.all(ops)).map((op) => store.write(op)));
      const refused = results.find(({ ok }) => !ok);
      if (refused !== undefined) throw new Error(`the queue could not be filled: ${JSON.stringify(refused)}`);
    }
  });
}

async function queued(
  store: Store,
  octets: Uint8Array,
  { first, count, domainOf }: {
    readonly first: number;
    readonly count: number;
    readonly domainOf: (recipient: number) => string;
  },
): Promise<WriteOp> {
  const spool = store.spool();
  try {
    const facts = new FactsBuilder();
    facts.push(octets);
    await spool.write(octets, 0, octets.length);
    const found = facts.finish();
    const at = Date.now();
    const traceId = `bench${first}`;
    const salvage = { accounts: [], mailbox: "", internalDate: at, traceId, sender: "", recipients: [] };
    return {
      kind: "deliver",
      content: {
        blob: await spool.store(salvage),
        headerOctets: found.headerOctets,
        ...{
          imap: found.imap,
          preview: "",
          subject: "",
          from: "",
          messageId: null,
          references: "",
          sentAt: null,
        },
        traceId,
      },
      targets: [],
      queue: {
        ...{
          sender: "s@example.test",
          accountId: null,
          envelopeId: "",
          ret: "",
          eightBit: false,
          smtputf8: false,
        },
        createdAt: at,
        expiresAt: at + 5 * 86_400_000,
        recipients: Array.from({ length: count }, (_, n) => {
          const destination = domainOf(first + n);
          return {
            recipient: `r${first + n}@${destination}`,
            destination,
            notify: "",
            originalRecipient: "",
          };
        }),
      },
    };
  } finally {
    spool.discard();
  }
}

function message(): Uint8Array {
  const header = "From: s@example.test\r\nTo: r@example.test\r\nSubject: queue\r\n\r\n";
  const line = `${"x".repeat(70)}\r\n`;
  return new TextEncoder().encode((header + line.repeat(OCTETS / line.length)).slice(0, OCTETS - 2) + "\r\n");
}
