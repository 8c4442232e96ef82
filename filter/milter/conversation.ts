/**
 * One session's conversation with a milter: negotiation, the steps in their order, and the changes at the end.
 *
 * Sockets and time are given. Every wait has the deadline, which `progress` moves on, up to a limit; the replies of one
 * step are limited in number and the new body in size. After trouble the conversation is over.
 */
import type { MacroLists, MacroStep } from "./macros.ts";
import {
  ACTIONS,
  ALL_STEPS,
  encodePacket,
  type MilterReply,
  PacketReader,
  parseReply,
  STEP,
  uint32,
  utf8Strings,
} from "./packet.ts";
import { OutsideFault } from "../outside.ts";
import type { ByteStream } from "../stream.ts";

export class MilterFault extends OutsideFault {
  override readonly name = "MilterFault";
}

/** Replies to one step, progress and changes included. */
const MAX_REPLIES = 10_000;
const MAX_PROGRESS_MS = 120_000;

export class Conversation {
  #stream: ByteStream;
  #reader: PacketReader;
  #timeoutMs: number;
  #steps: number;
  /** What it wants to be told instead of the usual. */
  macroLists: MacroLists;

  private constructor(stream: ByteStream, timeoutMs: number) {
    this.#stream = stream;
    this.#reader = new PacketReader();
    this.#timeoutMs = timeoutMs;
    this.#steps = 0;
    this.macroLists = new Map();
  }

  /** Negotiates. Rejects with MilterFault. */
  static async open(stream: ByteStream, timeoutMs: number): Promise<Conversation> {
    const conversation = new Conversation(stream, timeoutMs);
    await conversation.#write("O", uint32(6, ACTIONS, ALL_STEPS));
    const reply = await conversation.#reply();
    if (reply.kind !== "options") throw new MilterFault(`${reply.kind} to the negotiation`);
    if (reply.version < 2) throw new MilterFault(`protocol version ${reply.version}`);
    // Some (rspamd) name every action they know, whatever was offered.
    conversation.#steps = reply.steps & ALL_STEPS;
    conversation.macroLists = reply.macros;
    return conversation;
  }

  /** True when the milter wants this step. */
  wants(without: number): boolean {
    return (this.#steps & without) === 0;
  }

  /** Macros for the step that follows. */
  async macros(step: MacroStep, values: readonly (readonly [string, string])[]): Promise<void> {
    const pairs = utf8Strings(...values.flat());
    const data = new Uint8Array(1 + pairs.length);
    data[0] = step.charCodeAt(0);
    data.set(pairs, 1);
    await this.#write("D", data);
  }

  /** Sends a step; its answer, or "continue" where the milter does not answer. */
  async step(command: string, data: Uint8Array, noReply: number): Promise<MilterReply> {
    await this.#write(command, data);
    if (noReply !== 0 && (this.#steps & noReply) !== 0) return { kind: "continue" };
    const reply = await this.#reply();
    if (reply.kind === "skip" && !(command === "B" && (this.#steps & STEP.SKIP) !== 0)) {
      return { kind: "continue" };
    }
    return reply;
  }

  /** The end of the message: changes go to `change`, the last reply comes back. */
  async end(change: (reply: MilterReply) => void): Promise<MilterReply> {
    await this.#write("E");
    for (let count = 0; count < MAX_REPLIES; count++) {
      const reply = await this.#reply();
      switch (reply.kind) {
        case "add-header":
        case "insert-header":
        case "change-header":
        case "body":
        case "quarantine":
        case "sender":
        case "add-recipient":
        case "remove-recipient":
          change(reply);
          break;
        case "options":
        case "skip":
          throw new MilterFault(`${reply.kind} at the end of the message`);
        default:
          return reply;
      }
    }
    throw new MilterFault("too many replies");
  }

  async abort(): Promise<void> {
    await this.#write("A");
  }

  close(): void {
    this.#write("Q").catch(() => {}).finally(() => this.#stream.close()); // a word of farewell, no more
  }

  async #write(command: string, data?: Uint8Array): Promise<void> {
    await this.#within(this.#stream.write(encodePacket(command, data)), this.#timeoutMs);
  }

  /** The next reply that is not `progress`. */
  async #reply(): Promise<MilterReply> {
    const last = performance.now() + Math.max(MAX_PROGRESS_MS, this.#timeoutMs);
    for (let count = 0; count < MAX_REPLIES && performance.now() < last; count++) {
      const packet = await this.#packet();
      const reply = parseReply(packet);
      if (reply === null) throw new MilterFault(`reply ${JSON.stringify(packet.command)} makes no sense`);
      if (reply.kind !== "progress") return reply;
    }
    throw new MilterFault("it makes progress for ever");
  }

  async #packet() {
    for (;;) {
      const packet = this.#reader.next();
      if (packet !== null) return packet;
      if (this.#reader.broken) throw new MilterFault("a packet of impossible length");
      const bytes = await this.#within(this.#stream.read(), this.#timeoutMs);
      if (bytes === null) throw new MilterFault("it closed the connection");
      this.#reader.push(bytes);
    }
  }

  async #within<T>(work: Promise<T>, ms: number): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new MilterFault(`no answer within ${ms} ms`)), ms);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
