/**
 * Mail that the next server does not say that it takes: 8-bit octets without 8BITMIME, headers and addresses in UTF-8 without
 * SMTPUTF8. It is sent as it is, converted, or returned, as the operator says and as the standards allow.
 *
 * 8BITMIME (RFC 6152 3): nearly every server takes 8-bit octets whatever it offers, and a conversion breaks signatures over the
 * body: therefore `send` is the default, and what anybody has signed or sealed goes as it is in any case. Converted parts become
 * quoted-printable or base64 (long_lines.ts); a header that is not ASCII, and parts under multipart/signed, go as they are too.
 *
 * SMTPUTF8 (RFC 6531 3.2): nothing in UTF-8 may be sent. A recipient or a sender whose address needs it is returned (5.6.7);
 * an address in ASCII may have its mail with headers in ASCII (ascii_headers.ts), when a login of ours submitted it: what
 * strangers and other servers hand over is theirs and is returned. What was ours to sign is signed anew.
 */
import { getLogger } from "@logtape/logtape";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { ours, type RecipientResult, type TransactionResult } from "../../protocols/smtp/client_result.ts";
import type { ClientTransaction } from "../../protocols/smtp/client_transaction.ts";
import type { QueuedMessage } from "../../storage/queue.ts";
import type { Spool, Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import { isSigned, writeAsciiHeaders } from "../ascii_headers.ts";
import { bodyDigest, hasEightBitFrom } from "../front_fields.ts";
import { reencodeSevenBit } from "../long_lines.ts";
import type { OutboundConnection } from "../outbound_connection.ts";
import type { MessageSource, Outgoing } from "../outgoing_message.ts";
import { authorKeys, signFront } from "../signing.ts";

const log = getLogger(["veredus", "queue"]);
const converted = counter(
  "veredus_queue_converted_total",
  "Messages written anew for a server that does not take them as they are, by what changed",
  ["what"],
);

export type EightBitRule = "send" | "convert" | "refuse";
export type Utf8HeaderRule = "convert" | "return";

export interface ConversionRules {
  readonly eightBit: EightBitRule;
  readonly utf8Headers: Utf8HeaderRule;
}

type Parts = Pick<Store, "spool" | "directory">;
/** A message written anew; `discard` when it was sent. */
type Converted = MessageSource & { readonly discard: () => void };

const PIECE_OCTETS = 64 * 1024;
const EIGHT_BIT_REFUSED = ours(
  "5.6.3",
  "the message is 8-bit, and the next server does not offer 8BITMIME",
  "mail",
);
// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

/** True where the rules have something to say. */
export function isRuled(
  transaction: ClientTransaction,
  connection: OutboundConnection,
  { eightBit }: ConversionRules,
): boolean {
  return (transaction.smtputf8 && !connection.offersSmtpUtf8) ||
    (transaction.eightBit && !connection.offersEightBit && eightBit !== "send");
}

/** Sends a message that {@linkcode isRuled}. */
export async function sendByRule(
  connection: OutboundConnection,
  outgoing: Outgoing,
  context: { readonly rules: ConversionRules; readonly store: Parts; readonly message: QueuedMessage },
): Promise<TransactionResult> {
  if (outgoing.transaction.smtputf8 && !connection.offersSmtpUtf8) {
    return await withoutUtf8(connection, outgoing, context);
  }
  const { transaction, source } = outgoing;
  const { rules, store } = context;
  if (rules.eightBit === "refuse") {
    return refusedAll(transaction, () => EIGHT_BIT_REFUSED);
  }
  const seven = await sevenBit(store, source);
  if (seven === null) return await connection.send(outgoing);
  const what = { what: "body", traceId: context.message.traceId } as const;
  return await sendConverted(connection, { ...transaction, eightBit: false }, seven, what);
}

/** Recipients whose addresses are ASCII get what can be said in it; for the others there is no way here. */
async function withoutUtf8(
  connection: OutboundConnection,
  { transaction, source }: Outgoing,
  { rules, store, message }: {
    readonly rules: ConversionRules;
    readonly store: Parts;
    readonly message: QueuedMessage;
  },
): Promise<TransactionResult> {
  const isPlain = ({ address }: { readonly address: string }) => !NOT_ASCII.test(address);
  const plain = { ...transaction, smtputf8: false, recipients: transaction.recipients.filter(isPlain) };
  if (NOT_ASCII.test(transaction.sender)) {
    return refusedAll(transaction, () => needsUtf8("its sender's address"));
  }
  if (plain.recipients.length === 0) return refusedAll(transaction, () => needsUtf8("the address"));
  const ruled = plain.eightBit && !connection.offersEightBit;
  const form = await asciiForm({ source, message, store }, {
    mayConvert: rules.utf8Headers === "convert" && message.accountId !== null,
    sevenBit: ruled && rules.eightBit === "convert",
  });
  let result: TransactionResult;
  if (form === "as-it-is") {
    const unchanged = { transaction: plain, source };
    result = isRuled(plain, connection, rules)
      ? await sendByRule(connection, unchanged, { rules, store, message })
      : await connection.send(unchanged);
  } else if ("why" in form) result = refusedAll(plain, () => needsUtf8(form.why));
  else {
    const { eightBit } = form;
    if (eightBit && ruled && rules.eightBit === "refuse") {
      form.discard();
      result = refusedAll(plain, () => EIGHT_BIT_REFUSED);
    } else {
      const what = { what: "headers", traceId: message.traceId } as const;
      result = await sendConverted(connection, { ...plain, eightBit }, form, what);
    }
  }
  let at = 0;
  return {
    ...result,
    recipients: transaction.recipients.map((recipient) =>
      isPlain(recipient) ? result.recipients[at++]! : needsUtf8("the address")
    ),
  };
}

function needsUtf8(what: string): RecipientResult {
  return ours("5.6.7", `${what} needs SMTPUTF8, which the next server does not offer`, "mail");
}

function refusedAll({ recipients }: ClientTransaction, refused: () => RecipientResult): TransactionResult {
  return { recipients: recipients.map(refused), untouched: false };
}

async function sendConverted(
  connection: OutboundConnection,
  transaction: ClientTransaction,
  source: Converted,
  { what, traceId }: { readonly what: "headers" | "body"; readonly traceId: string },
): Promise<TransactionResult> {
  converted.inc({ what });
  log.info("{remote} gets {traceId} in another form: its {what} are converted", {
    remote: connection.remote,
    traceId,
    what,
  });
  try {
    return await connection.send({ transaction: { ...transaction, sizeOctets: source.octets }, source });
  } finally {
    source.discard();
  }
}

/** The message with headers in ASCII, signed by us where it was ours to sign; or what stands in the way. */
async function asciiForm(
  { source, message, store }: {
    readonly source: MessageSource;
    readonly message: QueuedMessage;
    readonly store: Parts;
  },
  { mayConvert, sevenBit }: { readonly mayConvert: boolean; readonly sevenBit: boolean },
): Promise<"as-it-is" | { readonly why: string } | (Converted & { readonly eightBit: boolean })> {
  const spools: Spool[] = [];
  const spool = () => {
    const one = store.spool();
    spools.push(one);
    return one;
  };
  let kept: Spool | null = null;
  try {
    const from = await copied(source, spool());
    let to = spool();
    const form = await writeAsciiHeaders(from, to, {
      isOurs: (domain, selector) => store.directory.dkimKeys(domain).some((key) => key.selector === selector),
      bodyChanges: sevenBit,
    });
    if (form.kind === "is-ascii") return "as-it-is";
    if (!mayConvert) return { why: "the message" };
    if (form.kind === "impossible") return { why: form.why };
    let { facts: { headerOctets } } = form;
    if (sevenBit) {
      const encoded = spool();
      const facts = await reencodeSevenBit(to, encoded);
      if (facts !== null) [to, headerOctets] = [encoded, facts.headerOctets];
    }
    const header = await to.read(0, headerOctets);
    const keys = authorKeys(store, header);
    const front = encodeLatin1(
      await signFront(keys, { header, bodyHash: await bodyDigest(to, headerOctets), now: message.createdAt }),
    );
    kept = to;
    return {
      octets: front.length + to.octets,
      read: (start, end) => readBehind(front, to, { start, end }),
      eightBit: await hasEightBitFrom(to, 0),
      discard: () => to.discard(),
    };
  } finally {
    for (const one of spools) if (one !== kept) one.discard();
  }
}

async function readBehind(
  front: Uint8Array,
  spool: Spool,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  if (start >= front.length) return await spool.read(start - front.length, end - front.length);
  if (end <= front.length) return front.subarray(start, end);
  const rest = await spool.read(0, end - front.length);
  const octets = new Uint8Array(end - start);
  octets.set(front.subarray(start));
  octets.set(rest, front.length - start);
  return octets;
}

/** The message without 8-bit parts; null where nothing could be converted, or a signature would break. */
async function sevenBit(
  store: Pick<Store, "spool">,
  source: MessageSource,
): Promise<Converted | null> {
  const [from, to] = [store.spool(), store.spool()];
  let kept = false;
  try {
    const facts = await reencodeSevenBit(await copied(source, from), to);
    if (facts === null || isSigned(await to.read(0, facts.headerOctets))) return null;
    kept = true;
    return { octets: to.octets, read: (start, end) => to.read(start, end), discard: () => to.discard() };
  } finally {
    from.discard();
    if (!kept) to.discard();
  }
}

async function copied(source: MessageSource, to: Spool): Promise<Spool> {
  for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
    const piece = await source.read(at, Math.min(source.octets, at + PIECE_OCTETS));
    await to.write(piece, 0, piece.length);
  }
  return to;
}
