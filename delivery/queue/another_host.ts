/**
 * What one host of a destination puts off another may take: it is asked at once, over a connection of its own.
 *
 * RFC 5321 5.1: hosts are tried in order until mail gets through. One more is asked and no third: a destination that is busy as a
 * whole, or puts first attempts off, is not asked by every host it has. 5yz is the destination's word, and a connection
 * that was lost behind the end of the data may have brought the message. Its connection stays as long as the first one does; where
 * there is no other host to be had, nobody looks again in that time.
 *
 * It counts like any other. With no room for one more it takes the place of the first, which says QUIT, and what comes next goes over
 * it; while the first still owes answers to messages that went behind this one, nobody else is asked.
 */
import type { RecipientResult } from "../../protocols/smtp/client_result.ts";
import type { DueRow } from "../../storage/queue.ts";
import type { Besides } from "../outbound.ts";
import type { OutboundConnection } from "../outbound_connection.ts";

/** One recipient and what the last host that was asked said about it. */
export interface Said {
  readonly recipient: DueRow;
  readonly result: RecipientResult;
  readonly by: OutboundConnection;
}

/** The recipients' results, in their order; null where the peer took no command. */
type Send = (
  connection: OutboundConnection,
  recipients: readonly DueRow[],
) => Promise<readonly RecipientResult[] | null>;

export interface AnotherHostParts {
  /** A connection to another host; null where none takes mail now. */
  readonly open: (besides: Besides) => Promise<OutboundConnection | null>;
  /** Counts a connection more; false where there is no room for it. */
  readonly take: () => boolean;
  /** It does not count any more. */
  readonly leave: () => void;
}

export class AnotherHost {
  readonly #parts: AnotherHostParts;
  #connection: OutboundConnection | null;
  #none: boolean;
  /** It counts beside the first connection. */
  #counted: boolean;

  constructor(parts: AnotherHostParts) {
    this.#parts = parts;
    this.#connection = null;
    this.#none = false;
    this.#counted = false;
  }

  /** The same recipients, with what the other host said of those that it was asked about. Rejects as `send` does. */
  async ask(said: readonly Said[], send: Send): Promise<readonly Said[]> {
    const putOff = said.filter(({ result }) => mayBeTakenElsewhere(result));
    if (putOff.length === 0) return said;
    const connection = await this.#ready(putOff[0]!.by);
    if (connection === null) return said;
    const results = await send(connection, putOff.map(({ recipient }) => recipient));
    if (results === null) return said;
    return said.map((one) => {
      const at = putOff.indexOf(one);
      return at < 0 ? one : { ...one, result: results[at]!, by: connection };
    });
  }

  /** What goes on with the next message: the first connection, or this one where the first is no more. */
  inPlaceOf(first: OutboundConnection): OutboundConnection {
    const connection = this.#connection;
    if (first.usable || connection === null || !connection.usable) return first;
    first.close();
    this.#connection = null;
    this.#leave();
    return connection;
  }

  /** The first connection is at its end, and so is this one. */
  async quit(): Promise<void> {
    await this.#connection?.quit();
    this.#leave();
  }

  close(): void {
    this.#connection?.close();
    this.#leave();
  }

  async #ready(first: OutboundConnection): Promise<OutboundConnection | null> {
    if (this.#none || this.#connection?.usable) return this.#connection;
    let room = true;
    const makeRoom = async () => room = await this.#makeRoom(first);
    this.#connection = await this.#parts.open({ host: first.host, makeRoom });
    if (this.#connection === null) this.#leave();
    this.#none = this.#connection === null && room;
    return this.#connection;
  }

  async #makeRoom(first: OutboundConnection): Promise<boolean> {
    if (this.#counted || !first.open) return true;
    this.#counted = this.#parts.take();
    if (this.#counted) return true;
    if (first.owes) return false;
    await first.quit();
    return true;
  }

  #leave(): void {
    if (this.#counted) this.#parts.leave();
    this.#counted = false;
  }
}

function mayBeTakenElsewhere({ outcome, reply, stage, again }: RecipientResult): boolean {
  return outcome === "temporary" && !again && (reply !== null || stage !== "data-end");
}
