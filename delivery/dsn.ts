/**
 * Delivery status notifications: bounces, delay notices and reports of success as multipart/report.
 *
 * RFC 3464 (message/delivery-status), RFC 6522 (multipart/report), RFC 3834 5 (Auto-Submitted), RFC 6533 (addresses
 * and headers that are not ASCII). One notice tells of all recipients of one message that met their fate together. The third part
 * is the whole message when its sender asked for it (RET=FULL) and it is small, else its header. What others said is
 * printable ASCII already; addresses and texts are kept from breaking lines here. Pure but for the last function.
 */
import { CRLF } from "../bytes/ascii.ts";
import { encode, isAscii, latin1 } from "../bytes/decode.ts";
import { Out } from "../bytes/out.ts";
import { formatDate } from "../message/date.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import { EN } from "./dsn_text/en.ts";
import type { Notice, NoticeRecipient } from "./outcomes.ts";
import { type PostOptions, prepareOwnMail } from "./post.ts";
import { getLogger } from "@logtape/logtape";

const log = getLogger(["veredus", "queue"]);

/** A message up to this size is returned whole when asked for. */
const MAX_RETURNED_OCTETS = 64 * 1024;
const MAX_RETURNED_HEADER = 32 * 1024;
/** Octets of a line of text (RFC 5321 4.5.3.1.6), less some for its prefix. */
const MAX_LINE = 900;

/** The words of a notice in one language; `{name}` stands for a value. */
export interface DsnText {
  readonly from: string;
  readonly subject: Readonly<Record<Notice["kind"], string>>;
  readonly opening: Readonly<Record<Notice["kind"], readonly string[]>>;
  readonly success: Readonly<Record<"delivered" | "relayed" | "expanded", string>>;
  readonly said: string;
  readonly reason: string;
  readonly message: readonly string[];
  readonly full: string;
  readonly headers: string;
}

export interface DsnFacts {
  readonly notice: Notice;
  /** Our name. */
  readonly hostname: string;
  readonly now: number;
  /** For Message-ID and boundary. */
  readonly id: string;
  /** The message or its header; `full` says which. */
  readonly returned: Uint8Array;
  readonly full: boolean;
  readonly text: DsnText;
}

/** The notice as octets with CRLF line ends. */
function composeDsn(facts: DsnFacts): Uint8Array {
  const { notice, hostname, now, id, full, text } = facts;
  const { message, kind } = notice;
  const returned = cleanLines(facts.returned);
  const boundary = `=_${id}.dsn`; // `=_` is never in base64 or quoted-printable; the id is not in any older message
  const report = statusReport(notice, hostname, now);
  const words = humanText(facts);
  const out = new Out();
  const lines = (...all: string[]) => out.text(all.map((line) => `${line}\r\n`).join(""));
  lines(
    `From: ${text.from} <postmaster@${hostname}>`,
    `To: <${message.sender}>`,
    `Subject: ${text.subject[kind]}`,
    `Date: ${formatDate(now)}`,
    `Message-ID: <${id}.dsn@${hostname}>`,
    "Auto-Submitted: auto-replied",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type=delivery-status; boundary="${boundary}"`,
    "",
    `--${boundary}`,
    `Content-Type: text/plain; charset=utf-8`,
    `Content-Transfer-Encoding: ${encodingOf(encode(words))}`,
    "",
  );
  out.text(words);
  lines(
    "",
    `--${boundary}`,
    "Content-Type: message/delivery-status",
    "",
  );
  out.text(report);
  lines(
    `--${boundary}`,
    `Content-Type: ${returnedType(returned, full)}`,
    `Content-Transfer-Encoding: ${encodingOf(returned)}`,
    "",
  );
  out.octets(returned);
  lines("", `--${boundary}--`);
  return out.take();
}

/** RFC 6533 4 and 5: a header in UTF-8 is no message/rfc822. */
function returnedType(returned: Uint8Array, full: boolean): string {
  const end = full ? latin1(returned).indexOf("\r\n\r\n") : -1;
  return isAscii(returned.subarray(0, end < 0 ? returned.length : end))
    ? full ? "message/rfc822" : "text/rfc822-headers"
    : full
    ? "message/global"
    : "message/global-headers";
}

function encodingOf(octets: Uint8Array): "7bit" | "8bit" {
  return isAscii(octets) ? "7bit" : "8bit";
}

function humanText({ notice, hostname, full, text }: DsnFacts): string {
  const { message, recipients, kind } = notice;
  const values: Record<string, string> = {
    host: hostname,
    until: formatDate(message.expiresAt),
    arrived: formatDate(message.createdAt),
    trace: message.traceId,
  };
  const lines = [
    ...text.opening[kind],
    "",
    ...recipients.flatMap((about) => [
      `<${about.recipient.recipient}>`,
      ...(kind === "success"
        ? [
          text
            .success[about.action === "relayed" || about.action === "expanded" ? about.action : "delivered"],
        ]
        : []),
      ...(about.text === "" ? [] : [
        about.fromPeer
          ? fill(text.said, { remote: about.remote, text: about.text })
          : fill(text.reason, { text: about.text }),
      ]),
      "",
    ]),
    ...text.message,
    full ? text.full : text.headers,
  ];
  return lines.map((line) => `${oneLine(fill(line, values))}\r\n`).join("");
}

function fill(template: string, values: Record<string, string>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** RFC 3464 2.1: fields of the message, then a block for each recipient. */
function statusReport({ kind, message, recipients }: Notice, hostname: string, now: number): string {
  const blocks = [
    [
      `Reporting-MTA: dns; ${hostname}`,
      ...(message.envelopeId === "" ? [] : [`Original-Envelope-Id: ${unxtext(message.envelopeId)}`]),
      `X-Veredus-Id: ${message.traceId}`,
      `Arrival-Date: ${formatDate(message.createdAt)}`,
    ],
    ...recipients.map((about) => [
      ...(about.recipient.originalRecipient === ""
        ? []
        : [`Original-Recipient: ${originalRecipient(about.recipient.originalRecipient)}`]),
      `Final-Recipient: ${typedAddress(about.recipient.recipient)}`,
      `Action: ${about.action}`,
      `Status: ${about.enhanced}`,
      ...(about.remote === "" ? [] : [`Remote-MTA: dns; ${remoteMta(about)}`]),
      ...(about.text === ""
        ? []
        : [`Diagnostic-Code: ${about.fromPeer ? "smtp" : "X-Veredus"}; ${about.text}`]),
      `Last-Attempt-Date: ${formatDate(now)}`,
      ...(kind === "delay" ? [`Will-Retry-Until: ${formatDate(message.expiresAt)}`] : []),
    ]),
  ];
  return blocks.map((block) => block.map((line) => `${oneLine(line)}\r\n`).join("") + "\r\n").join("");
}

/** `mx.example.org[192.0.2.1]:25` names a host and how it was reached; the host is what the field is for. */
function remoteMta({ remote }: NoticeRecipient): string {
  return /^([^[\]:]+)\[/.exec(remote)?.[1] ?? remote.replace(/:\d+$/, "");
}

/** RFC 3464 2.2.1 and 2.3.1: the fields hold the octets that xtext stood for. */
function unxtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (_all, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function originalRecipient(stated: string): string {
  const semicolon = stated.indexOf(";");
  return `${stated.slice(0, semicolon)}; ${unxtext(stated.slice(semicolon + 1))}`;
}

/** RFC 6533 3: `utf-8; ` with everything beyond printable ASCII as \x{HEX}, so that the part stays ASCII. */
function typedAddress(address: string): string {
  if (/^[\x20-\x7e]*$/.test(address)) return `rfc822; ${address}`;
  const escaped = [...address].map((character) =>
    /^[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]$/.test(character)
      ? character
      : `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`
  );
  return `utf-8; ${escaped.join("")}`;
}

/** No line of a value's choosing, and none too long. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  const line = text.replace(/[\x00-\x1f\x7f]+/g, " ");
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}...` : line;
}

/** Stored octets may hold a bare CR or LF: in our own mail every line ends with CRLF and none is over the limit. */
function cleanLines(octets: Uint8Array): Uint8Array {
  const out = new Out();
  let start = 0;
  for (let at = 0; at <= octets.length; at++) {
    const octet = octets[at];
    const lineEnd = octet === 0x0d || octet === 0x0a;
    if (at < octets.length && !lineEnd && at - start < MAX_LINE) continue;
    if (at === octets.length && at === start) break;
    out.octets(octets, start, at);
    out.octets(CRLF);
    if (octet === 0x0d && octets[at + 1] === 0x0a) at++;
    start = lineEnd ? at + 1 : at;
  }
  return out.take();
}

export interface NoticeParts {
  readonly store: Store;
  readonly post: PostOptions;
  readonly hostname: string;
}

/** The operation that files a notice; null when its receiver does not exist. Rejects with StorageError. */
export async function noticeOperation(parts: NoticeParts, notice: Notice): Promise<WriteOp | null> {
  const { store, post, hostname } = parts;
  const { message } = notice;
  const { blob } = message;
  // RFC 3461 4.3: only failures return the message; RFC 8689 5: never of mail that must stay under TLS.
  const full = notice.kind === "failure" && message.ret === "FULL" && message.tls !== "require" &&
    blob.length <= MAX_RETURNED_OCTETS;
  const header = Math.min(message.headerOctets, blob.length, MAX_RETURNED_HEADER);
  const octets = composeDsn({
    notice,
    hostname,
    now: post.clock(),
    id: post.newId(),
    returned: store.blobs.readSync(blob, 0, full ? blob.length : header),
    full,
    text: EN,
  });
  const prepared = await prepareOwnMail(post, {
    octets,
    sender: "",
    recipients: [message.sender],
    tls: message.tls,
  });
  if ("operation" in prepared) return prepared.operation;
  log.warn("the notice about {traceId} has no receiver: {reason}", {
    traceId: message.traceId,
    reason: prepared.refused,
  });
  return null;
}
