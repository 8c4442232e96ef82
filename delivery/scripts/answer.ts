/**
 * Mail that scripts send: answers of vacation (RFC 5230 5.), notices of a refusal (RFC 5429 2.), notifications (RFC
 * 5436), and the note to an owner whose script fails. All of it is automatic mail with the null reverse-path.
 */
import { encode, latin1 } from "../../bytes/decode.ts";
import { QuotedPrintableEncoder } from "../../bytes/quoted_printable.ts";
import { formatDate } from "../../message/date.ts";
import { encodeHeaderText } from "../../message/encoded_word.ts";
import type { MessageView } from "../../sieve/message_view.ts";
import type { Mailto } from "../../sieve/mailto.ts";
import type { Notify, Vacation } from "../../sieve/outcome.ts";
import { normalizeAddress } from "../../storage/address_form.ts";
import { addressesOf, parseAddressList } from "../../message/address.ts";
import { type Answerable, type NoReply, noReply } from "../auto_reply.ts";

export interface Writer {
  /** With its angle brackets. */
  readonly messageId: string;
  readonly date: number;
  readonly hostname: string;
  /** Whose script it is: the address that the message came to, and the name that goes with it. */
  readonly address: string;
  readonly displayName: string;
}

/** RFC 5322 2.1.1, as characters of UTF-8: an entity with such a line is sent as the text it is written in. */
const LONG_LINE = /[^\r\n]{330,}/;
const MAX_SUBJECT = 500;
const MAX_REFERENCES = 20;
const LIST_FIELDS = ["list-id", "list-post", "list-unsubscribe", "list-help", "list-owner", "list-archive"];
/** RFC 5230 4.5. */
const RECIPIENT_FIELDS = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];

/** Why a message gets no vacation answer; null when it may. */
export function noVacation(
  view: MessageView,
  { sender, own, now }: Pick<Answerable, "sender" | "own" | "now">,
): NoReply | null {
  const first = (name: string) => view.fields.find((field) => field.name === name)?.value ?? null;
  const named = view.fields.filter(({ name }) => RECIPIENT_FIELDS.includes(name))
    .flatMap(({ value }) => addressesOf(value)).map((address) => normalizeAddress(address) ?? address);
  return noReply({
    sender: normalizeAddress(sender) ?? sender,
    autoSubmitted: first("auto-submitted"),
    precedence: first("precedence"),
    fromList: view.fields.some(({ name }) => LIST_FIELDS.includes(name)),
    namedRecipients: named,
    own,
    lastReplyAt: null, // kept by key, of each answer its own
    now,
  });
}

/** RFC 5230 5.: the whole answer. */
export function composeVacation(
  view: MessageView,
  vacation: Vacation,
  { writer, sender, ownFrom }: {
    readonly writer: Writer;
    readonly sender: string;
    readonly ownFrom: boolean;
  },
): Uint8Array {
  const subject = vacation.subject ?? `Auto: ${textOf(view, "subject") || "your message"}`;
  const head = [
    `From: ${fromOf(ownFrom && vacation.from !== null ? mailboxOf(vacation.from) : writer)}`,
    `To: <${sender}>`,
    ...commonFields(writer, subject),
    ...threadFields(view),
    "Auto-Submitted: auto-replied (vacation)",
    "MIME-Version: 1.0",
  ];
  const entity = vacation.mime && !LONG_LINE.test(vacation.reason);
  return entity ? withEntity(head, vacation.reason) : withText(head, vacation.reason);
}

/** RFC 5429 2.1.2: who sent it is told that it was not taken. */
export function composeRejection(
  view: MessageView,
  { writer, sender, reason }: { readonly writer: Writer; readonly sender: string; readonly reason: string },
): Uint8Array {
  return withText(
    [
      `From: ${fromOf(writer)}`,
      `To: <${sender}>`,
      ...commonFields(writer, "Your message was refused"),
      ...threadFields(view),
      "Auto-Submitted: auto-replied (rejected)",
      "MIME-Version: 1.0",
    ],
    [
      `Your message to ${writer.address} was refused by its recipient:`,
      "",
      `    Subject: ${textOf(view, "subject")}`,
      "",
      reason,
    ].join("\n"),
  );
}

/** RFC 5436 2.7. */
export function composeNotification(
  view: MessageView,
  notify: Notify,
  { writer, mailto, ownFrom }: {
    readonly writer: Writer;
    readonly mailto: Mailto;
    readonly ownFrom: boolean;
  },
): Uint8Array {
  const subject = notify.message ?? mailto.subject ?? textOf(view, "subject");
  const importance = { "1": "high", "2": "normal", "3": "low" }[notify.importance];
  return withText([
    `From: ${fromOf(ownFrom && notify.from !== null ? mailboxOf(notify.from) : writer)}`,
    `To: ${mailto.to.join(", ")}`,
    ...(mailto.cc.length > 0 ? [`Cc: ${mailto.cc.join(", ")}`] : []),
    ...commonFields(writer, subject),
    ...threadFields(view),
    `Auto-Submitted: auto-notified; owner-email="${writer.address}"`,
    `Importance: ${importance}`,
    "MIME-Version: 1.0",
  ], mailto.body ?? `A message has come from ${textOf(view, "from")}: ${textOf(view, "subject")}`);
}

export function composeFaultNote(
  { writer, script, why }: { readonly writer: Writer; readonly script: string; readonly why: string },
): Uint8Array {
  return withText(
    [
      `From: <postmaster@${writer.hostname}>`,
      `To: <${writer.address}>`,
      ...commonFields(writer, "Your mail filter has a fault"),
      "Auto-Submitted: auto-generated",
      "MIME-Version: 1.0",
    ],
    [
      `Your filter script "${script}" could not be run to its end:`,
      "",
      `    ${why}`,
      "",
      "Messages are kept in your inbox as long as this happens. You are told of this fault once.",
    ].join("\n"),
  );
}

/** The one address of a text, which has been looked at (carry_out.ts). */
function mailboxOf(text: string): Pick<Writer, "address" | "displayName"> {
  const [only] = parseAddressList(text);
  return only?.kind === "mailbox"
    ? { address: `${only.localPart}@${only.domain}`, displayName: only.name ?? "" }
    : { address: text, displayName: "" };
}

function fromOf({ address, displayName }: Pick<Writer, "address" | "displayName">): string {
  const name = encodeHeaderText(displayName.replace(/[\r\n"\\<>]+/g, " ").trim());
  if (name === "") return `<${address}>`;
  return name.startsWith("=?") ? `${name} <${address}>` : `"${name}" <${address}>`;
}

function commonFields({ messageId, date }: Writer, subject: string): string[] {
  return [
    `Subject: ${safeLine(encodeHeaderText(oneLine(subject).slice(0, MAX_SUBJECT).toWellFormed()))}`,
    `Date: ${formatDate(date)}`,
    `Message-ID: ${messageId}`,
  ];
}

/** RFC 5322 3.6.4, as RFC 5230 5.8 asks for. */
function threadFields(view: MessageView): string[] {
  const ids = (name: string) =>
    view.fields.find((field) => field.name === name)?.value.match(/<[!-;=?-~]{1,250}>/g) ?? [];
  const [id] = ids("message-id");
  if (id === undefined) return [];
  const before = ids("references").length > 0 ? ids("references") : ids("in-reply-to");
  return [`In-Reply-To: ${id}`, `References: ${[...before.slice(-MAX_REFERENCES), id].join("\r\n ")}`];
}

function textOf(view: MessageView, name: string): string {
  return oneLine(view.fields.find((field) => field.name === name)?.text ?? "").slice(0, MAX_SUBJECT);
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\0]+/g, " ").trim();
}

/** Long encoded words stand each on a line of its own. */
function safeLine(text: string): string {
  return oneLine(text).replace(/\?= =\?/g, "?=\r\n =?");
}

function withText(head: readonly string[], text: string): Uint8Array {
  const octets = encode(text.replace(/\r\n?|\n/g, "\r\n").replace(/\0/g, ""));
  const body = latin1(new QuotedPrintableEncoder().push(octets, true));
  return encode([
    ...head,
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    body,
    "",
  ].join("\r\n"));
}

/** RFC 5230 4.4: the reason is an entity, of which only MIME fields may be in the header of the answer. */
function withEntity(head: readonly string[], entity: string): Uint8Array {
  const text = entity.replace(/\r\n?|\n/g, "\r\n").replace(/\0/g, "");
  const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n");
  const header = end < 0 ? "" : text.slice(0, end);
  const body = end < 0 ? text : text.slice(end).replace(/^(?:\r\n){1,2}/, "");
  const fields = header.split(/\r\n(?![ \t])/).filter((field) => /^content-[a-z-]+[ \t]*:/i.test(field));
  return encode([...head, ...fields, "", body, ""].join("\r\n"));
}
