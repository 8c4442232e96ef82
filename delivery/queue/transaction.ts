/** What a message of the queue asks of another server, where its octets are, and what an answer says. */
import { isAscii } from "../../bytes/decode.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, pick } from "../../message/mime_parser.ts";
import type { RecipientResult } from "../../protocols/smtp/client_result.ts";
import type { ClientTransaction } from "../../protocols/smtp/client_transaction.ts";
import { replyText } from "../../protocols/smtp/reply_parser.ts";
import type { BlobAddress } from "../../storage/ops.ts";
import type { DueRecipient, QueuedMessage } from "../../storage/queue.ts";
import type { Store } from "../../storage/store.ts";
import { normalizeDomain } from "../../storage/address_form.ts";
import type { OutboundConnection } from "../outbound_connection.ts";
import type { MessageSource } from "../outgoing_message.ts";
import type { Route } from "../routes.ts";
import type { Verdict } from "../settle.ts";

type Blobs = Pick<Store, "blobs">;

/** Up to this size a message is read at once, without another thread. */
const MAX_SYNC_READ = 64 * 1024;
const PARTS_FIELDS: ReadonlySet<string> = new Set(["content-type"]);
// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

export function transactionOf(
  store: Blobs,
  message: QueuedMessage,
  recipients: readonly DueRecipient[],
): ClientTransaction {
  return {
    sender: asciiDomain(message.sender),
    recipients: recipients.map(({ recipient, notify, originalRecipient }) => ({
      address: asciiDomain(recipient),
      notify,
      originalRecipient,
    })),
    sizeOctets: message.blob.length,
    eightBit: message.eightBit,
    smtputf8: needsUtf8(store, message, recipients),
    ret: message.ret,
    envelopeId: message.envelopeId,
    requireTls: message.tls === "require",
    priority: message.priority,
  };
}

/** RFC 6531 3.2: asked for only where an address or a header is not ASCII, so that most mail passes old servers. */
function needsUtf8(
  { blobs }: Blobs,
  message: QueuedMessage,
  recipients: readonly DueRecipient[],
): boolean {
  const addresses = [message.sender, ...recipients.map(({ recipient }) => recipient)];
  if (addresses.some((address) => NOT_ASCII.test(asciiDomain(address)))) {
    return true;
  }
  if (!message.smtputf8) return false;
  const header = blobs.readSync(
    message.blob,
    0,
    Math.min(message.headerOctets, message.blob.length, MAX_SYNC_READ),
  );
  return !isAscii(header) || (message.eightBit && mayHaveUtf8Parts(blobs, message));
}

/** Headers of parts in UTF-8; those of a long message are not looked for, and may be. */
function mayHaveUtf8Parts(blobs: Blobs["blobs"], { blob }: QueuedMessage): boolean {
  if (blob.length > MAX_SYNC_READ) return true;
  let ascii = true;
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => {
    ascii &&= isAscii(block);
    return pick(block, spans, PARTS_FIELDS);
  });
  parser.push(blobs.readSync(blob, 0, blob.length), 0, blob.length);
  parser.finish();
  return !ascii;
}

/** RFC 6531 3.2, RFC 5891: an ASCII local part in a domain of U-labels needs no SMTPUTF8 when these are A-labels. */
export function asciiDomain(address: string): string {
  if (!NOT_ASCII.test(address)) return address;
  const at = address.lastIndexOf("@");
  const domain = normalizeDomain(address.slice(at + 1));
  return domain === null || NOT_ASCII.test(address.slice(0, at))
    ? address
    : `${address.slice(0, at)}@${domain}`;
}

export function sourceOf({ blobs }: Blobs, { blob }: { readonly blob: BlobAddress }): MessageSource {
  return {
    octets: blob.length,
    read: (start, end) =>
      blob.length <= MAX_SYNC_READ ? blobs.readSync(blob, start, end) : blobs.read(blob, start, end),
  };
}

/** What a peer said about a recipient, as the queue judges it. */
export function verdictOf(
  result: RecipientResult,
  { remote, offersDsn }: OutboundConnection,
  route: Route,
): Verdict {
  return {
    outcome: result.outcome,
    enhanced: result.enhanced,
    text: result.reply === null ? result.text : replyText(result.reply),
    fromPeer: result.reply !== null,
    remote,
    ...(offersDsn
      ? { success: "told-by-peer" }
      : route.kind === "host" && route.mode === "lmtp" && { success: "final" }),
  };
}
