/**
 * Mail that waited in the queue and ends in mailboxes here, because its sender held it back (RFC 4865) or the quarantine
 * let it go: the queue gives it to this agent when its time has come, and it is filed as if it had come then. Once: that
 * it was done is noted in the same transaction, so that the queue may ask again after a crash.
 */
import type { AgentJob } from "./agents.ts";
import { agentVerdict } from "./agents.ts";
import { faultReply } from "./faults.ts";
import { FactsBuilder } from "../message/facts.ts";
import type { WriteOp, WriteResult } from "../storage/ops.ts";
import { Filing } from "./filing.ts";
import { forwardedSender } from "./forwarding.ts";
import { type PostOptions, prepareOwnMail } from "./post.ts";
import { fileByScripts, hasScripts, rejection } from "./scripts/file.ts";
import { foundInHeader, redirectFront } from "./scripts/redirect_front.ts";
import type { Verdict } from "./settle.ts";

export async function fileHeld(
  { post, hostname }: { readonly post: PostOptions; readonly hostname: string },
  job: AgentJob,
): Promise<Verdict> {
  const { message, recipient, source } = job;
  const resolution = post.resolver.resolveAddress(recipient.recipient);
  if (resolution.kind === "accepted") {
    const filing = new Filing();
    filing.add(resolution.targets);
    if (hasScripts(post.store, filing)) return await byScripts({ post, hostname }, job, filing);
  }
  const prepared = await prepareOwnMail(post, {
    octets: await source.read(0, source.octets),
    sender: message.sender,
    recipients: [recipient.recipient],
  });
  if ("refused" in prepared) return agentVerdict("permanent", "5.1.1", prepared.refused);
  return verdictOf(await post.store.write(once(post, job, prepared.operation)));
}

/** Long after the last time that the queue asks. */
const NOTED_MS = 30 * 86_400_000;

function once({ clock }: PostOptions, { recipient }: AgentJob, operation: WriteOp): WriteOp {
  const at = clock();
  const key = String(recipient.recipientId);
  return {
    kind: "once",
    row: { kind: "held-filed", key, firstAt: at, lastAt: at, count: 1, expiresAt: at + NOTED_MS, note: "" },
    ops: [operation],
  };
}

/** The recipient's scripts run when the message is filed, not when it came. */
async function byScripts(
  { post, hostname }: { readonly post: PostOptions; readonly hostname: string },
  job: AgentJob,
  filing: Filing,
): Promise<Verdict> {
  const { message, source } = job;
  const { store } = post;
  const spool = store.spool();
  try {
    const facts = new FactsBuilder();
    const octets = await source.read(0, source.octets);
    facts.push(octets);
    await spool.write(octets, 0, octets.length);
    const at = post.clock();
    const arrived = facts.finish();
    const found = foundInHeader(octets.subarray(0, arrived.headerOctets), hostname);
    const ours = message.accountId !== null;
    const given = {
      ...{ filing, spool, message: arrived, traceId: message.traceId, sender: message.sender },
      // What the quarantine let go may be of anybody; a login held its mail back itself.
      ...{ senderProven: ours, later: true, junk: false },
      ...{ client: { address: "", name: "" }, front: "" },
    };
    const filed = await fileByScripts(
      {
        ...{ post, hostname },
        frontOf: (domain, spool, message) => redirectFront(post, { spool, message, domain, ours, found }),
      },
      given,
      {
        ...{ traceId: message.traceId, sender: message.sender, accountId: null },
        ...{ eightBit: message.eightBit, smtputf8: message.smtputf8, at },
        expiresAt: at + post.queueLifetimeMs,
        senderFor: (domain) =>
          forwardedSender(store, {
            ...{ sender: message.sender, domain, now: at },
            isLocal: (address) => post.resolver.isLocal(address),
          }),
      },
    );
    if ("rejected" in filed) {
      const { enhanced, text } = rejection(filed.rejected);
      return agentVerdict("permanent", enhanced, text);
    }
    return filed.operation === null ? FILED : verdictOf(await store.write(once(post, job, filed.operation)));
  } finally {
    spool.discard();
  }
}

const FILED: Verdict = { ...agentVerdict("delivered", "2.0.0", "filed"), success: "final" };

function verdictOf(result: WriteResult): Verdict {
  if (result.ok) return FILED;
  const { code, enhanced, text } = faultReply(result.fault);
  return agentVerdict(code < 500 ? "temporary" : "permanent", enhanced, text);
}
