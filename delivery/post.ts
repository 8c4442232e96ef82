/**
 * Mail we write ourselves (DSNs, notices): filed in local mailboxes or queued, by the same rules as mail that comes in.
 *
 * The octets are the whole message with its header; nothing is added but the prefix of each local copy. A recipient
 * that does not exist is left out. The operation that files the message is the caller's to commit, together with what
 * caused it: a bounce and the end of what it reports must not come apart in a crash.
 */
import { getLogger } from "@logtape/logtape";
import { encodeLatin1, isAscii, latin1 } from "../bytes/decode.ts";
import { BodyHash } from "../mailauth/dkim_canonical.ts";
import { FactsBuilder } from "../message/facts.ts";
import type { QueueTls, WriteOp } from "../storage/ops.ts";
import type { Spool, Store } from "../storage/store.ts";
import { Filing } from "./filing.ts";
import { reencodeSevenBit } from "./long_lines.ts";
import type { RecipientResolver } from "./recipients.ts";
import { authorKeys, signFront } from "./signing.ts";

const log = getLogger(["veredus", "delivery"]);

export interface PostOptions {
  readonly store: Store;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** A new trace id. */
  readonly newId: () => string;
  readonly resolver: RecipientResolver;
  readonly queueLifetimeMs: number;
  /** Of mail with the null reverse-path. */
  readonly bounceLifetimeMs: number;
}

export interface OwnMail {
  /** Header and body, CRLF line ends, no line over 998 octets. */
  readonly octets: Uint8Array;
  /** Reverse-path; "" for a DSN (RFC 3464 2). */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Left out: "". */
  readonly tls?: QueueTls;
  /** 8-bit parts are encoded where it leaves, as those of other mail that we sign. Left out: they stay as they are. */
  readonly sevenBit?: boolean;
}

/**
 * Makes the octets durable and returns the operation that files them, or why nobody can receive them. Rejects with
 * StorageError.
 */
export async function prepareOwnMail(
  options: PostOptions,
  mail: OwnMail,
): Promise<{ readonly operation: WriteOp } | { readonly refused: string }> {
  const { store, clock, resolver } = options;
  const filing = new Filing();
  const refused: string[] = [];
  for (const recipient of mail.recipients) {
    const resolution = resolver.resolveAddress(recipient);
    if (resolution.kind === "refused") refused.push(`${recipient}: ${resolution.reason}`);
    else if (!filing.add(resolution.targets)) refused.push(`${recipient}: too many recipients`);
  }
  if (filing.mailboxes + filing.remote === 0) return { refused: refused.join(", ") || "no recipients" };
  const traceId = options.newId();
  const at = clock();
  const spool = store.spool();
  let operation: WriteOp;
  try {
    const octets = filing.remote === 0 ? mail.octets : await signed(options, await forOthers(store, mail));
    const facts = await spooled(spool, octets);
    operation = await filing.operation(spool, facts, {
      traceId,
      sender: mail.sender,
      accountId: null,
      eightBit: !isAscii(octets),
      smtputf8: false,
      tls: mail.tls ?? "",
      at,
      senderFor: () => mail.sender, // ours
      expiresAt: at + (mail.sender === "" ? options.bounceLifetimeMs : options.queueLifetimeMs),
    });
  } finally {
    spool.discard();
  }
  log.info("own message written", {
    trace: traceId,
    from: mail.sender,
    recipients: mail.recipients.length,
    size: mail.octets.length,
    mailboxes: filing.mailboxes,
    queued: filing.remote,
    ...(refused.length > 0 && { refused: refused.join(", ") }),
  });
  return { operation };
}

async function forOthers(store: Store, { octets, sevenBit = false }: OwnMail): Promise<Uint8Array> {
  if (!sevenBit || isAscii(octets)) return octets;
  const [from, to] = [store.spool(), store.spool()];
  try {
    await from.write(octets, 0, octets.length);
    return await reencodeSevenBit(from, to) === null ? octets : await to.read(0, to.octets);
  } finally {
    from.discard();
    to.discard();
  }
}

/** Our own mail is signed like any other that leaves (delivery/signing.ts). */
async function signed({ store, clock }: PostOptions, octets: Uint8Array): Promise<Uint8Array> {
  const end = latin1(octets).indexOf("\r\n\r\n");
  const headerOctets = end < 0 ? octets.length : end + 4;
  const header = octets.subarray(0, headerOctets);
  const keys = authorKeys(store, header);
  if (keys.length === 0) return octets;
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  body.write(octets, headerOctets, octets.length);
  const front = encodeLatin1(await signFront(keys, { header, bodyHash: body.digest(), now: clock() }));
  const whole = new Uint8Array(front.length + octets.length);
  whole.set(front);
  whole.set(octets, front.length);
  return whole;
}

async function spooled(spool: Spool, octets: Uint8Array): Promise<ReturnType<FactsBuilder["finish"]>> {
  const facts = new FactsBuilder();
  facts.push(octets);
  await spool.write(octets, 0, octets.length);
  return facts.finish();
}
