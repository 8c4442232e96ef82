/** One message on its way from a client into the store: octets to a spool, facts gathered while they pass. */
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import { partsOf } from "../../message/packed.ts";
import type { AppendMessage } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { newContent } from "../../storage/new_content.ts";
import type { NewContent } from "../../storage/ops.ts";
import { type SalvageFacts, type Spool, StorageError, type Store } from "../../storage/store.ts";
import { writeWithoutNul } from "./binary_upload.ts";
import { no } from "./context.ts";

export class Upload {
  readonly message: AppendMessage;
  #store: Store;
  #spool: Spool;
  #facts = new FactsBuilder();
  #holdsNul = false;
  /** Disk trouble: the rest is read and forgotten. */
  #failure: StorageError | null = null;

  constructor(store: Store, message: AppendMessage) {
    this.message = message;
    this.#store = store;
    this.#spool = store.spool();
  }

  /** Takes the span `[start, end)`; awaiting the result is backpressure. */
  async write(bytes: Uint8Array, start: number, end: number): Promise<void> {
    if (this.#failure !== null) return;
    try {
      const pending = this.#spool.write(bytes, start, end);
      this.#facts.push(bytes, start, end);
      // A literal may hold none (RFC 9051 9), but some do.
      if (!this.#holdsNul) this.#holdsNul = bytes.subarray(start, end).includes(0);
      if (pending !== undefined) await pending;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#failure = error;
      this.discard();
    }
  }

  /** All octets are here: makes them durable. A reply refuses them. Rejects with StorageError. */
  async store(salvage: SalvageFacts): Promise<NewContent | Reply> {
    if (this.#failure !== null) throw this.#failure;
    let facts = this.#facts.finish();
    if (this.#holdsNul) {
      const converted = await this.#convert(facts);
      if (converted === null) {
        // RFC 3516 4.4.
        return no("NUL stands outside of parts that are binary by their header", "UNKNOWN-CTE");
      }
      facts = converted;
    }
    return newContent(facts, { blob: await this.#spool.store(salvage), traceId: salvage.traceId });
  }

  /** Forgets the octets. */
  discard(): void {
    this.#spool.discard();
  }

  async #convert(received: MessageFacts): Promise<MessageFacts | null> {
    const spool = this.#store.spool();
    const facts = new FactsBuilder();
    const whole = await writeWithoutNul(this.#spool, partsOf(received.imap), async (bytes) => {
      facts.push(bytes);
      await spool.write(bytes, 0, bytes.length);
    });
    this.#spool.discard();
    this.#spool = spool;
    return whole ? facts.finish() : null;
  }
}
