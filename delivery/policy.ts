/**
 * Who may send what to whom: decisions at MAIL and RCPT as tables over facts, no I/O but the cached directory.
 *
 * No open relay: without a login or a trusted network mail is taken for our own domains and for relay domains, nothing
 * else. Submission (RFC 6409 6.1, 4.3) needs a login, and the reverse-path must belong to it or be null (RFC 8098 asks
 * that of receipts). Texts reveal no more than the code does.
 */
import type { MailParameters } from "../protocols/smtp/parameters.ts";
import type { Path } from "../protocols/smtp/path.ts";
import { AUTH_REQUIRED, DISK_FULL, type Reply, reply, TOO_BIG } from "../protocols/smtp/reply.ts";
import type { ClientFacts } from "./reception.ts";
import { ownsPath, type SenderDirectory } from "./sender.ts";

const NOT_YOUR_ADDRESS = reply(550, "5.7.1", "The sender address does not belong to this login");
export const RELAYING_DENIED = reply(550, "5.7.1", "Relaying denied");
export const UNKNOWN_RECIPIENT = reply(550, "5.1.1", "No such recipient here");
export const BAD_DESTINATION = reply(550, "5.1.2", "The recipient's domain is no domain name");
export const ACCOUNT_DISABLED = reply(550, "5.2.1", "Mailbox disabled, not accepting messages");
export const ALIAS_LOOP = reply(550, "5.4.6", "The recipient's alias leads back to itself");
export const ALIAS_TOO_WIDE = reply(452, "4.5.3", "The recipient's alias names too many addresses");
export const MAILBOX_FULL = reply(552, "5.2.2", "Mailbox full");
export const MAILBOX_FULL_FOR_NOW = reply(452, "4.2.2", "Mailbox full, try again later");
export const POSTING_DENIED = reply(550, "5.7.2", "You are not permitted to write to this address");
export const BAD_BOUNCE_ADDRESS = reply(
  550,
  "5.1.1",
  "This return address was not made here, or has expired",
);
export const MAIL_LOOP = reply(554, "5.4.6", "Mail loop detected");

/** Where a recipient's domain belongs. */
export type Destination = "local" | "relay" | "foreign";

/** True when the client may send to any domain. */
export function mayRelay(client: ClientFacts): boolean {
  return client.account !== null || (client.trusted && client.service === "mx");
}

export interface MailFacts {
  readonly directory: SenderDirectory;
  readonly diskFull: boolean;
  readonly messageOctets: number;
}

/** The refusal of MAIL; null takes it. */
export function mailRefusal(
  client: ClientFacts,
  mail: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  facts: MailFacts,
): Reply | null {
  const { reversePath, parameters } = mail;
  if (client.service === "submission" && client.account === null) return AUTH_REQUIRED;
  if (facts.diskFull) return DISK_FULL;
  if (parameters.size !== null && parameters.size > facts.messageOctets) return TOO_BIG;
  if (client.account !== null && reversePath !== null) {
    if (!ownsPath(facts.directory, client.account, reversePath)) return NOT_YOUR_ADDRESS;
  }
  return null;
}
