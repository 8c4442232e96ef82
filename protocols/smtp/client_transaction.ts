/**
 * One message for another server: what is asked for, whether that server can be given it, and the commands of its envelope.
 *
 * RFC 5321 3.3, SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531, 6533), DSN (RFC 3461), REQUIRETLS (RFC 8689),
 * MT-PRIORITY (RFC 6710). A parameter is sent only where it is offered. Pure.
 */
import { encode } from "../../bytes/decode.ts";
import type { Extensions } from "./client_extensions.ts";
import { ours, type RecipientResult } from "./client_result.ts";
import { unitextForm } from "./utf8_address.ts";

export interface ClientRecipient {
  readonly address: string;
  /** RFC 3461, as received; sent to peers that offer DSN. "" is none. */
  readonly notify: string;
  readonly originalRecipient: string;
}

/** One message for this peer. */
export interface ClientTransaction {
  readonly sender: string;
  readonly recipients: readonly ClientRecipient[];
  readonly sizeOctets: number;
  readonly eightBit: boolean;
  /** An address or the header is not ASCII. */
  readonly smtputf8: boolean;
  readonly ret: "" | "FULL" | "HDRS";
  readonly envelopeId: string;
  /** REQUIRETLS: the peer must offer it, under TLS. */
  readonly requireTls: boolean;
  /** RFC 6710, -9 to 9. Left out: 0. */
  readonly priority?: number;
  /** Asks about the recipients only: it ends behind RCPT, and who would be taken is "delivered". */
  readonly probe?: boolean;
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;
const XTEXT = /^[\x21-\x3c\x3e-\x7e]+$/;
/** RFC 3461 4.2. */
const MAX_ORIGINAL_RECIPIENT = 500;

/** Why this peer cannot be given the message at all; null when it can. */
export function obstacleOf(
  { sender, recipients, sizeOctets, smtputf8, requireTls }: ClientTransaction,
  extensions: Extensions,
  tlsActive: boolean,
): RecipientResult | null {
  const { maxSize } = extensions;
  if (requireTls && !(tlsActive && extensions.requireTls)) {
    return ours("5.7.30", "the message needs REQUIRETLS, which the next server does not offer", "mail");
  }
  if (smtputf8 && !extensions.smtputf8) {
    return ours("5.6.7", "the message needs SMTPUTF8, which the next server does not offer", "mail");
  }
  if (maxSize > 0 && sizeOctets > maxSize) {
    return ours(
      "5.3.4",
      `the message of ${sizeOctets} octets is over the next server's limit of ${maxSize}`,
      "mail",
    );
  }
  // Addresses come from our own grammar, which lets no control character through: this is the second lock.
  if ([sender, ...recipients.map(({ address }) => address)].some((address) => CONTROL.test(address))) {
    return ours("5.1.3", "an address holds a control character", "mail");
  }
  return null;
}

export function mailCommand(transaction: ClientTransaction, extensions: Extensions): string {
  const { sender, sizeOctets, eightBit, smtputf8, ret, envelopeId, requireTls, priority = 0 } = transaction;
  const { size, eightBitMime, dsn, mtPriority } = extensions;
  return `MAIL FROM:<${sender}>` +
    (size ? ` SIZE=${sizeOctets}` : "") +
    (eightBit && eightBitMime ? " BODY=8BITMIME" : "") +
    (smtputf8 ? " SMTPUTF8" : "") +
    (requireTls ? " REQUIRETLS" : "") +
    (mtPriority && priority !== 0 ? ` MT-PRIORITY=${priority}` : "") +
    (dsn && ret !== "" ? ` RET=${ret}` : "") +
    (dsn && XTEXT.test(envelopeId) ? ` ENVID=${envelopeId}` : "");
}

export function rcptCommand(
  { address, notify, originalRecipient }: ClientRecipient,
  { dsn }: Extensions,
  { smtputf8 }: Pick<ClientTransaction, "smtputf8">,
): string {
  const original = dsn && XTEXT.test(originalRecipient) ? stated(originalRecipient, smtputf8) : "";
  return `RCPT TO:<${address}>` +
    (dsn && XTEXT.test(notify) ? ` NOTIFY=${notify}` : "") +
    (original === "" ? "" : ` ORCPT=${original}`);
}

/** RFC 6533 3: in UTF-8 where the transaction is; in ASCII elsewhere. "" where it has become too long to be sent. */
function stated(originalRecipient: string, smtputf8: boolean): string {
  const unitext = smtputf8 && originalRecipient.startsWith("utf-8;")
    ? unitextForm(originalRecipient.slice(6))
    : null;
  const text = unitext === null ? originalRecipient : `utf-8;${unitext}`;
  return encode(text).length > MAX_ORIGINAL_RECIPIENT ? "" : text;
}
