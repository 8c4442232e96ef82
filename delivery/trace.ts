/**
 * Trace fields: `Received` in front of the shared octets, `Return-Path` and `Delivered-To` in front of each copy.
 *
 * RFC 5321 4.4. Protocol names after `with`: RFC 3848 and RFC 6531 4.3. `for` stands only where the envelope has one
 * recipient, so that nobody learns of the others. The client's port is not part of the grammar and stays in the log.
 * Lines fold at 78 octets where a clause ends. What a peer said of itself goes in cleaned: it cannot end the field.
 */
import { shortLivedText } from "../bytes/arena.ts";
import { encode } from "../bytes/decode.ts";
import { formatDate } from "../message/date.ts";
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import type { ClientFacts } from "./reception.ts";

/** RFC 5322 2.1.1. */
const LINE_OCTETS = 78;
const NOT_HOST = /[^A-Za-z0-9._-]/g;
const LITERAL = /^\[[A-Za-z0-9.:-]+\]$/;

export interface ReceivedFacts {
  readonly client: ClientFacts;
  readonly hostname: string;
  readonly traceId: string;
  readonly smtputf8: boolean;
  /** The only recipient, or null when there are several. */
  readonly recipient: Path | null;
  readonly receivedAt: number;
  /** RFC 6710; left out or null where none was asked for. */
  readonly priority?: number | null;
  /** Says nothing of where a login sits: without "from", which RFC 5321 4.4 wants and RFC 5322 3.6.7 does not. */
  readonly hideLogin?: boolean;
}

/** Of bytes/arena.ts. */
export function receivedField(facts: ReceivedFacts): Uint8Array<ArrayBuffer> {
  return shortLivedText(receivedText(facts));
}

function receivedText(
  { client, hostname, traceId, smtputf8, recipient, receivedAt, priority = null, hideLogin }: ReceivedFacts,
): string {
  const peer = addressLiteral(client.address);
  const hidden = hideLogin === true && client.account !== null;
  const from = hidden ? "Received:" : `Received: from ${heloText(client.heloName)} (${peer})`;
  const by = `by ${hostname} with ${protocolName(client, smtputf8)}${tlsComment(client)}`;
  const id = `id ${traceId}${recipient === null ? "" : ` for <${formatPath(recipient)}>`}${
    priority === null ? "" : ` PRIORITY ${priority}`
  };`;
  return `${join(join(join(from, by), id), formatDate(receivedAt))}\r\n`;
}

/** Puts the clause on the last line of `text` when it fits, else on a line of its own. */
function join(text: string, clause: string): string {
  const line = text.length - (text.lastIndexOf("\n") + 1);
  return line + 1 + clause.length <= LINE_OCTETS ? `${text} ${clause}` : `${text}\r\n\t${clause}`;
}

/** The registered name of "Mail Transmission Types" (RFC 3848, RFC 6531 4.3). */
export function protocolName(client: ClientFacts, smtputf8: boolean): string {
  if (!client.esmtp) return "SMTP";
  if (client.service === "lmtp") return `${smtputf8 ? "UTF8LMTP" : "LMTP"}${client.tls === null ? "" : "S"}`;
  const secure = client.tls === null ? "" : "S";
  const authenticated = client.account === null ? "" : "A";
  return `${smtputf8 ? "UTF8SMTP" : "ESMTP"}${secure}${authenticated}`;
}

function tlsComment({ tls }: ClientFacts): string {
  if (tls === null || (tls.protocol === null && tls.cipher === null)) return "";
  return ` (${[tls.protocol, tls.cipher].filter((fact) => fact !== null).join(" ")})`;
}

/** RFC 5321 4.1.3. */
function addressLiteral(address: string): string {
  return address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
}

/** Any word may be given with HELO; what is neither a name nor a literal keeps its letters and digits. */
function heloText(name: string): string {
  if (LITERAL.test(name)) return name;
  const clean = name.replace(NOT_HOST, "-");
  return clean === "" ? "unknown" : clean;
}

/**
 * The prefix of one copy. `deliveredTo` has several addresses only where captured mail was meant for several; `more` are
 * whole header lines.
 */
export function copyPrefix(
  sender: string,
  deliveredTo: readonly string[],
  more = "",
): Uint8Array<ArrayBuffer> {
  let text = `Return-Path: <${sender}>\r\n`;
  for (const address of deliveredTo) text += `Delivered-To: ${address}\r\n`;
  return encode(text + more);
}
