/**
 * Delivery status notifications: bounces, delay notices and reports of success as multipart/report.
 *
 * RFC 6522 (multipart/report), RFC 3834 5 (Auto-Submitted), RFC 6533 4 (what is not ASCII); the second part is made by
 * dsn_status.ts. One notice tells of all recipients of one message that met their fate together. The third part is the
 * whole message when its sender asked for it (RET=FULL) and it is small, else its header. What others said is printable
 * already; addresses and texts are kept from breaking lines here. A notice is composed in 8-bit; where it leaves, its parts
 * are encoded to 7-bit before it is signed (RFC 6533 4.5), because nobody knows then what the servers on its way can take.
 * Pure but for the last function.
 */
import { CRLF } from "../bytes/ascii.ts";
import { encode, isAscii, latin1, utf8OrNull } from "../bytes/decode.ts";
import { Out } from "../bytes/out.ts";
import { formatDate } from "../message/date.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { QueuedMessage } from "../storage/queue.ts";
import type { Store } from "../storage/store.ts";
import { characterStart, MAX_LINE, oneLine, statusPart } from "./dsn_status.ts";
import { EN } from "./dsn_text/en.ts";
import type { Notice } from "./outcomes.ts";
import { type PostOptions, prepareOwnMail } from "./post.ts";
import { asciiDomain } from "./queue/transaction.ts";
import { getLogger } from "@logtape/logtape";

const log = getLogger(["veredus", "queue"]);

/** A message up to this size is returned whole when asked for. */
const MAX_RETURNED_OCTETS = 64 * 1024;
const MAX_RETURNED_HEADER = 32 * 1024;

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
  const report = statusPart(notice, { hostname, now });
  const words = humanText(facts);
  const encodings = [words, report.text, returned].map(encodingOf);
  const out = new Out();
  const lines = (...all: string[]) => out.text(all.map((line) => `${line}\r\n`).join(""));
  lines(
    `From: ${text.from} <postmaster@${hostname}>`,
    `To: <${asciiDomain(message.sender)}>`,
    `Subject: ${text.subject[kind]}`,
    `Date: ${formatDate(now)}`,
    `Message-ID: <${id}.dsn@${hostname}>`,
    "Auto-Submitted: auto-replied",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type=delivery-status; boundary="${boundary}"`,
    ...(encodings.includes("8bit") ? ["Content-Transfer-Encoding: 8bit"] : []),
    "",
    `--${boundary}`,
    `Content-Type: text/plain; charset=utf-8`,
    `Content-Transfer-Encoding: ${encodings[0]}`,
    "",
  );
  out.text(words);
  lines(
    "",
    `--${boundary}`,
    `Content-Type: ${report.type}`,
    ...(encodings[1] === "8bit" ? ["Content-Transfer-Encoding: 8bit"] : []),
    "",
  );
  out.text(report.text);
  lines(
    `--${boundary}`,
    `Content-Type: ${returnedType(returned, { full, smtputf8: message.smtputf8 })}`,
    `Content-Transfer-Encoding: ${encodings[2]}`,
    "",
  );
  out.octets(returned);
  lines("", `--${boundary}--`);
  return out.take();
}

/**
 * RFC 6533 4.2 and 4.3: a message that is SMTPUTF8, or a header in UTF-8, is no message/rfc822. A header that is neither ASCII nor
 * UTF-8 is no better in the new types.
 */
function returnedType(
  returned: Uint8Array,
  { full, smtputf8 }: { readonly full: boolean; readonly smtputf8: boolean },
): string {
  const end = full ? latin1(returned).indexOf("\r\n\r\n") : -1;
  const header = returned.subarray(0, end < 0 ? returned.length : end);
  const international = isAscii(header)
    ? full && smtputf8 && !isAscii(returned)
    : utf8OrNull(header) !== null;
  if (full) return international ? "message/global" : "message/rfc822";
  return international ? "message/global-headers" : "text/rfc822-headers";
}

function encodingOf(part: string | Uint8Array): "7bit" | "8bit" {
  return isAscii(typeof part === "string" ? encode(part) : part) ? "7bit" : "8bit";
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

/** Stored octets may hold a bare CR or LF: in our own mail every line ends with CRLF and none is over the limit. */
function cleanLines(octets: Uint8Array): Uint8Array {
  const out = new Out();
  let start = 0;
  for (let at = 0; at <= octets.length; at++) {
    const octet = octets[at];
    const lineEnd = octet === 0x0d || octet === 0x0a;
    if (at < octets.length && !lineEnd && at - start < MAX_LINE) continue;
    if (at === octets.length && at === start) break;
    if (at < octets.length && !lineEnd) at = characterStart(octets, at);
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
  const octets = composeDsn({
    notice,
    hostname,
    now: post.clock(),
    id: post.newId(),
    returned: full ? store.blobs.readSync(blob, 0, blob.length) : headerOf(store, message),
    full,
    text: EN,
  });
  const prepared = await prepareOwnMail(post, {
    octets,
    sender: "",
    recipients: [message.sender],
    tls: message.tls,
    sevenBit: true,
  });
  if ("operation" in prepared) return prepared.operation;
  log.warn("the notice about {traceId} has no receiver: {reason}", {
    traceId: message.traceId,
    reason: prepared.refused,
  });
  return null;
}

/** No character is cut in two where it is too long. */
function headerOf({ blobs }: Pick<Store, "blobs">, { blob, headerOctets }: QueuedMessage): Uint8Array {
  const whole = Math.min(headerOctets, blob.length);
  const header = blobs.readSync(blob, 0, Math.min(whole, MAX_RETURNED_HEADER + 1));
  return header.length <= MAX_RETURNED_HEADER
    ? header
    : header.subarray(0, characterStart(header, MAX_RETURNED_HEADER));
}
