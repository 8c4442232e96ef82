/** What is filed in one transaction with the message: the report of success to its sender, events for webhooks. */
import type { MessageFacts } from "../../message/facts.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import type { BlobAddress, QueueTls, WriteOp } from "../../storage/ops.ts";
import { noticeOperation } from "../dsn.ts";
import { eventsOf } from "../queue/webhooks.ts";
import { provesSender } from "../scripts/file.ts";
import type { Mail } from "./mail.ts";

export interface FiledFacts {
  readonly message: MessageFacts;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tls: QueueTls;
}

/** Null where nothing ever goes beside it. */
export function besideOf(
  mail: Mail,
  facts: FiledFacts,
): ((blob: BlobAddress) => Promise<WriteOp | null>) | null {
  const webhooks = mail.setting.options.webhooks ?? [];
  if (mail.envelope.reports.length === 0 && webhooks.length === 0) return null;
  return async (blob) => {
    const report = mail.envelope.reports.length === 0 ? null : await successReport(mail, { ...facts, blob });
    const events = eventsOf(webhooks, {
      ...{ event: "accepted", at: facts.at, traceId: mail.traceId, sender: mail.envelope.sender },
      recipients: mail.envelope.taken().map(({ path }) => formatPath(path)),
      ...{ reply: "", remote: mail.client.address },
    });
    if (events.length === 0) return report;
    const told: WriteOp = { kind: "put-events", events, at: facts.at };
    return report === null ? told : { kind: "batch", ops: [report, told] };
  };
}

/**
 * A stranger's address may be forged: what it asks to be told of success goes to it only where SPF, or a signature of its
 * domain, says that it sent the message.
 */
export function mayAskForSuccess({ findings, envelope: { sender } }: Mail): boolean {
  // Null: a login, or a client that the operator has not checked. DMARC vouches for another address, that of From.
  return findings === null || provesSender(findings, sender);
}

async function successReport(
  { traceId, client, envelope, content, setting: { post, options: { store, hostname } } }: Mail,
  { blob, message, at, tls }: FiledFacts & { readonly blob: BlobAddress },
): Promise<WriteOp | null> {
  const { sender, smtputf8, reports, parameters: { envelopeId, ret } } = envelope;
  return await noticeOperation({ store, post, hostname }, {
    kind: "success",
    message: {
      ...{ queueId: 0, traceId, sender, accountId: client.account?.id ?? null },
      ...{ envelopeId, ret, eightBit: content.eightBit, smtputf8, createdAt: at, expiresAt: at },
      ...{ blob, headerOctets: message.headerOctets, tls, priority: 0 },
    },
    recipients: reports.map(({ address, action, originalRecipient }) => ({
      recipient: {
        ...{ recipientId: 0, queueId: 0, recipient: address, destination: "", notify: "SUCCESS" },
        ...{ originalRecipient, attempts: 0, delayNotified: false, nextAttemptAt: at },
      },
      ...{ action, enhanced: "2.0.0", text: "", fromPeer: false, remote: "" },
    })),
  });
}
