/**
 * The mail transaction of a session of the server: from MAIL to the last octet of its message, by DATA or BDAT.
 *
 * RFC 5321 3.3 and 4.1.4 (the order of its commands), RFC 3030 (CHUNKING, BINARYMIME). A message that cannot be taken is
 * read to its true end before it is refused, and so are the octets of a refused chunk. Pure. Limits: octets of a message,
 * recipients. Hot: bench/micro/smtp_bench.ts.
 */
import type { Command } from "./command.ts";
import { MessageData } from "./message_data.ts";
import type { MailParameters } from "./parameters.ts";
import * as R from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { SmtpLimits } from "./session_options.ts";

/** None, MAIL accepted, chunks have begun. */
type Stage = "none" | "mail" | "chunks";

/** What the octets at hand are: commands (of the session), of a message, or behind its last one. */
type Mode = "command" | "data" | "chunk" | "message-end";

/** What came of reading; `refused` loses the message, `out-of-order` leaves all as it was: see {@linkcode MailTransaction.refusal}. */
export type Found = "need-input" | "nothing" | "octets" | "chunk" | "message" | "refused" | "out-of-order";

export class MailTransaction {
  /** Accepted recipients. */
  recipients = 0;
  /** What the last call of `read` found, valid until the next one: octets of the message, and why it was refused. */
  readonly data: MessageData;
  refusal: Reply | null = null;
  /** Offset behind what the last call of `read` used. */
  at = 0;

  readonly #limits: Pick<SmtpLimits, "messageOctets" | "recipients">;
  #stage: Stage = "none";
  #mode: Mode = "command";
  /** Some RCPT was refused. */
  #refusedRecipient = false;
  /** BODY=BINARYMIME. */
  #binary = false;
  #chunkLeft = 0;
  #chunkLast = false;
  /** Octets of this chunk are dropped, and this is its reply. */
  #chunkRefusal: Reply | null = null;

  constructor(limits: Pick<SmtpLimits, "messageOctets" | "recipients">) {
    this.#limits = limits;
    this.data = new MessageData(limits.messageOctets);
  }

  /** MAIL was accepted, and neither a reply to the message nor RSET has ended it. */
  get open(): boolean {
    return this.#stage !== "none";
  }

  /** Octets of a message are awaited, or were read to their end a moment ago. */
  get reading(): boolean {
    return this.#mode !== "command";
  }

  /** Message octets are awaited. */
  get streaming(): boolean {
    return this.#mode === "data" || this.#mode === "chunk";
  }

  /** A message is under way, perhaps between two of its chunks. */
  get receiving(): boolean {
    return this.streaming || this.#stage === "chunks";
  }

  /** Why there can be no MAIL now, or none of this size; null when there can. */
  mail({ size, body }: MailParameters): Reply | null {
    if (this.open) return R.NESTED_MAIL;
    if ((size ?? 0) > this.#limits.messageOctets) return R.TOO_BIG;
    this.#binary = body === "BINARYMIME";
    return null;
  }

  mailAccepted(): void {
    this.#stage = "mail";
  }

  /** Why there can be no RCPT now; null when there can. */
  rcpt(): Reply | null {
    if (this.#stage === "none") return R.MAIL_FIRST;
    if (this.#stage === "chunks") return R.BDAT_RUNNING;
    if (this.recipients < this.#limits.recipients) return null;
    this.#refusedRecipient = true;
    return R.TOO_MANY_RECIPIENTS;
  }

  rcptAnswered(accepted: boolean): void {
    if (accepted) this.recipients++;
    else this.#refusedRecipient = true;
  }

  /** Why there can be no message now; null when there can. */
  #noMessage(): Reply | null {
    if (this.#stage === "none") return R.MAIL_FIRST;
    if (this.recipients > 0) return null;
    // RFC 5321 3.3: 554 where recipients were refused, so that a pipelining client knows what is meant.
    return this.#refusedRecipient ? R.NO_VALID_RECIPIENTS : R.RCPT_FIRST;
  }

  /** Why there can be no DATA now; null when there can. */
  openData(lineEnds: "refuse" | "convert"): Reply | null {
    if (this.#stage === "chunks") return R.BDAT_RUNNING;
    const objection = this.#noMessage();
    if (objection !== null) return objection;
    if (this.#binary) return R.BINARY_NEEDS_BDAT; // RFC 3030 3
    this.data.open(lineEnds);
    return null;
  }

  /** The 354 is said. */
  startData(): void {
    this.#mode = "data";
  }

  /**
   * True for the first chunk of a message: whether it may come is to be asked. The octets of a refused chunk are read all
   * the same, and its reply follows them (RFC 3030 2).
   */
  openChunk(
    { size, last, wellFormed }: Extract<Command, { verb: "BDAT" }>,
    lineEnds: "refuse" | "convert",
  ): boolean {
    this.#mode = "chunk";
    this.#chunkLeft = size;
    this.#chunkLast = last;
    const begun = this.#stage === "chunks";
    this.#chunkRefusal = this.#noMessage() ?? (wellFormed ? null : R.SYNTAX);
    if (this.#chunkRefusal !== null) return false;
    if (size + (begun ? this.data.octets : 0) > this.#limits.messageOctets) {
      this.#chunkRefusal = R.TOO_BIG;
      return false;
    }
    if (begun) return false;
    this.data.open(this.#binary ? "binary" : lineEnds);
    return true;
  }

  startChunks(): void {
    this.#stage = "chunks";
  }

  /** The message may not come. */
  refuseChunk(reply: Reply): void {
    this.#chunkRefusal = reply;
  }

  /** Reads on in these octets, from `at` to their end; only while `reading`. */
  read(bytes: Uint8Array, at: number): Found {
    this.at = at;
    switch (this.#mode) {
      case "data":
        return this.#readData(bytes);
      case "chunk":
        return this.#readChunk(bytes);
      case "message-end":
        this.#mode = "command";
        return this.#refused(this.data.refusal) ?? "message";
      case "command":
        throw new Error("no message is being read");
      default:
        return this.#mode satisfies never;
    }
  }

  #readData(bytes: Uint8Array): Found {
    const { data } = this;
    if (this.at >= bytes.length) return "need-input";
    this.at = data.readData(bytes, this.at, bytes.length);
    return data.done ? this.#complete() : this.#octets();
  }

  #readChunk(bytes: Uint8Array): Found {
    if (this.#chunkLeft === 0) return this.#chunkEnd();
    const from = this.at;
    const end = Math.min(bytes.length, from + this.#chunkLeft);
    if (from === end) return "need-input";
    this.at = end;
    this.#chunkLeft -= end - from;
    if (this.#chunkRefusal !== null) return "nothing";
    this.data.readChunk(bytes, from, end);
    return this.#octets();
  }

  #chunkEnd(): Found {
    const refusal = this.#chunkRefusal ?? this.data.refusal;
    if (refusal === null && this.#chunkLast) return this.#complete();
    this.#mode = "command";
    return this.#refused(refusal) ?? "chunk";
  }

  /** The last octet is read: what was held back comes before the end. */
  #complete(): Found {
    this.#mode = "message-end";
    this.data.finish();
    return this.#octets();
  }

  #octets(): Found {
    return this.data.start === this.data.end ? "nothing" : "octets";
  }

  #refused(refusal: Reply | null): Found | null {
    this.refusal = refusal;
    if (refusal === null) return null;
    return refusal === R.MAIL_FIRST || refusal === R.RCPT_FIRST || refusal === R.NO_VALID_RECIPIENTS
      ? "out-of-order"
      : "refused";
  }

  /** It is over, or never was. */
  clear(): void {
    this.#stage = "none";
    this.recipients = 0;
    this.#refusedRecipient = false;
    this.#binary = false;
  }
}
