/**
 * The octets of one message on their way in: from the client through the gate of logins into the spool, side by side with
 * the facts that IMAP will need; then, while the message is finished, written anew where something has to change.
 *
 * Trouble while octets stream is kept until the end of data: the rest is read and forgotten. Hot: `write` runs for every
 * span of DATA; bench/micro/inbound_bench.ts.
 */
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import { LOCAL_ERROR, type Reply, TOO_BIG } from "../../protocols/smtp/reply.ts";
import type { SenderCheck } from "../../mailauth/sender_check.ts";
import type { BlobAddress } from "../../storage/ops.ts";
import type { Spool } from "../../storage/store.ts";
import { errorReply } from "../faults.ts";
import { type Span, writeWithFields } from "../front_fields.ts";
import { countMended } from "../reception_metrics.ts";
import type { GateResult, SubmissionHeader } from "../submission.ts";

const NOTHING = new Uint8Array(0);

export interface ContentOptions {
  readonly newSpool: () => Spool;
  /** Of the message as the client sends it. */
  readonly limitOctets: number;
  /** It may have octets beyond ASCII; else they are looked for when `opened` says that they matter. */
  readonly eightBit: boolean;
}

export interface Opening {
  /** Our Received. */
  readonly received: Uint8Array;
  /** Holds back and mends the header of a login; null for others. */
  readonly gate: SubmissionHeader | null;
  /** Looks at what the client sends; null where nobody asks who sent it. */
  readonly senderCheck: SenderCheck | null;
  /** It goes to a server that has to know about octets beyond ASCII. */
  readonly seeksEightBit: boolean;
}

/** At once where they are in memory: then as long as the message stays as it is. */
export function octetsOf(spool: Spool, start: number, end: number): Uint8Array | Promise<Uint8Array> {
  const until = Math.min(end, spool.octets);
  return spool.held(start, until) ?? spool.read(start, until);
}

/** Where they lie on disk, for other threads to read; null while they are in memory. */
export function placeOf(spool: Spool, start: number, end: number): Promise<BlobAddress> | null {
  const place = spool.onDisk();
  if (place === null) return null;
  return place.then(({ segment, offset }) => ({ segment, offset: offset + start, length: end - start }));
}

/** A message in the spool and what describes it. */
export interface StoredMessage {
  readonly spool: Spool;
  readonly message: MessageFacts;
}

export class Content {
  readonly #options: ContentOptions;
  /** Octets of the message as the client sent them. */
  octets: number;
  eightBit: boolean;
  /** There is NUL in what the client sent, which was not said to be binary. */
  holdsNul: boolean;
  /** Octets of ours in front, which checks do not see. */
  ownOctets: number;
  senderCheck: SenderCheck | null;
  #gate: SubmissionHeader | null;
  #seeksEightBit: boolean;
  #spool: Spool | null;
  #builder: FactsBuilder | null;
  #message: MessageFacts | null;
  #original: StoredMessage | null;
  /** Why the rest of the message is read and forgotten. */
  #refusal: Reply | null;

  constructor(options: ContentOptions) {
    this.#options = options;
    this.octets = 0;
    this.eightBit = options.eightBit;
    this.holdsNul = false;
    this.ownOctets = 0;
    this.senderCheck = null;
    this.#gate = null;
    this.#seeksEightBit = false;
    this.#spool = null;
    this.#builder = null;
    this.#message = null;
    this.#original = null;
    this.#refusal = null;
  }

  /** Once, before the first octet. */
  open({ received, gate, senderCheck, seeksEightBit }: Opening): void {
    this.#spool = this.#options.newSpool();
    this.#builder = new FactsBuilder();
    this.#gate = gate;
    this.senderCheck = senderCheck;
    this.#seeksEightBit = seeksEightBit;
    this.ownOctets = received.length;
    this.#take(received, 0, received.length);
  }

  /** Where the message lies now. */
  get spool(): Spool {
    if (this.#spool === null) throw new Error("the message is not in the spool");
    return this.#spool;
  }

  /** What describes the message as it lies in the spool. */
  get message(): MessageFacts {
    if (this.#message === null) throw new Error("the message is not complete");
    return this.#message;
  }

  /** It is of a login: what it lacked was put in. */
  get submitted(): boolean {
    return this.#gate !== null;
  }

  /** A span of what the client sends; a promise is backpressure. */
  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    this.octets += end - start;
    if (this.#refusal !== null) return undefined;
    if (this.octets > this.#options.limitOctets) return this.#refuse(TOO_BIG);
    if (this.#seeksEightBit && !this.eightBit) this.eightBit = hasEightBit(bytes, start, end);
    this.senderCheck?.write(bytes, start, end);
    if (this.#gate === null) return this.#take(bytes, start, end);
    return this.#passed(this.#gate.push(bytes, start, end), bytes, end);
  }

  /** The end of data: why the message is not taken, or null, and `message` is known from now on. */
  complete(): Reply | null | Promise<Reply | null> {
    const header = this.#refusal === null ? this.#gate?.end() ?? null : null;
    const pending = header === null ? undefined : this.#passed(header, NOTHING, 0);
    return pending === undefined ? this.#completed() : pending.then(() => this.#completed());
  }

  #completed(): Reply | null {
    if (this.#refusal !== null) return this.#refusal;
    if (this.#spool === null || this.#builder === null) return LOCAL_ERROR;
    this.#message = this.#builder.finish();
    return null;
  }

  /** As it is now it is kept beside what it is rewritten to. */
  keepOriginal(): void {
    this.#original ??= { spool: this.spool, message: this.message };
  }

  /** Null where it is not kept. */
  get original(): StoredMessage | null {
    return this.#original;
  }

  /** Writes the message anew; `message` then describes what was written. Null or a word: it stays as it is. */
  async rewrite<T extends string | null>(
    write: (from: Spool, to: Spool) => Promise<MessageFacts | T>,
  ): Promise<MessageFacts | T> {
    const from = this.spool;
    const to = this.#options.newSpool();
    try {
      const written = await write(from, to);
      if (written === null || typeof written === "string") {
        to.discard();
        return written;
      }
      this.#spool = to;
      this.#message = written;
      if (from !== this.#original?.spool) from.discard();
      return written;
    } catch (error) {
      to.discard();
      throw error;
    }
  }

  /** Header lines in front, and fields taken out: in order, without overlap. */
  async putInFront(front: string, removed: readonly Span[] = []): Promise<void> {
    await this.rewrite((from, to) => writeWithFields({ from, to }, { front, removed }));
    this.ownOctets += front.length;
  }

  /** Safe at any time and more than once. */
  forget(): void {
    this.senderCheck?.discard();
    this.#spool?.discard();
    this.#spool = null;
    this.#original?.spool.discard();
    this.#original = null;
  }

  /** Octets that go into the store, ours and the client's. */
  #take(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    const spool = this.#spool;
    const builder = this.#builder;
    if (spool === null || builder === null) return undefined;
    try {
      const pending = spool.write(bytes, start, end);
      builder.push(bytes, start, end);
      return pending?.catch((error) => this.#refuse(errorReply(error)));
    } catch (error) {
      this.#refuse(errorReply(error));
      return undefined;
    }
  }

  /** What the gate let through: a complete header or its refusal, and the rest of the span behind it. */
  #passed(gate: GateResult, bytes: Uint8Array, end: number): Promise<void> | undefined {
    switch (gate.kind) {
      case "held":
        return undefined;
      case "refused":
        return this.#refuse(gate.reply);
      case "header": {
        if (gate.mended) countMended("header");
        const pending = this.#take(gate.header, 0, gate.header.length);
        if (gate.bodyStart >= end) return pending;
        if (pending === undefined) return this.#take(bytes, gate.bodyStart, end);
        const body = bytes.slice(gate.bodyStart, end);
        return pending.then(() => this.#take(body, 0, body.length));
      }
      case "open":
        return this.#take(bytes, gate.bodyStart, end);
      default:
        return gate satisfies never;
    }
  }

  #refuse(answer: Reply): undefined {
    this.#refusal ??= answer;
    this.forget();
    return undefined;
  }
}

function hasEightBit(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return true;
  return false;
}
