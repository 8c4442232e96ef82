/**
 * What one host of a destination puts off another may take: it is asked at once, over a connection of its own.
 *
 * RFC 5321 5.1: hosts are tried in order until mail gets through. One more is asked and no third: a destination that is busy as a
 * whole, or puts first attempts off, is not asked by every host it has. 5yz is the destination's word, and a connection
 * that was lost behind the end of the data may have brought the message. Its connection stays as long as the first one does; where
 * there is none to be had, nobody looks again in that time.
 */
import type { RecipientResult } from "../../protocols/smtp/client_result.ts";
import type { DueRow } from "../../storage/queue.ts";
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

/** A connection to a host with another name; null where there is none now. */
type Open = (besides: string) => Promise<OutboundConnection | null>;

export class AnotherHost {
  readonly #open: Open;
  #connection: OutboundConnection | null;
  #none: boolean;

  constructor(open: Open) {
    this.#open = open;
    this.#connection = null;
    this.#none = false;
  }

  /** The same recipients, with what the other host said of those that it was asked about. Rejects as `send` does. */
  async ask(said: readonly Said[], send: Send): Promise<readonly Said[]> {
    const putOff = said.filter(({ result }) => mayBeTakenElsewhere(result));
    if (putOff.length === 0) return said;
    const connection = await this.#ready(putOff[0]!.by.host);
    if (connection === null) return said;
    const results = await send(connection, putOff.map(({ recipient }) => recipient));
    if (results === null) return said;
    return said.map((one) => {
      const at = putOff.indexOf(one);
      return at < 0 ? one : { ...one, result: results[at]!, by: connection };
    });
  }

  async quit(): Promise<void> {
    await this.#connection?.quit();
  }

  close(): void {
    this.#connection?.close();
  }

  async #ready(besides: string): Promise<OutboundConnection | null> {
    if (this.#none || this.#connection?.usable) return this.#connection;
    this.#connection = await this.#open(besides);
    this.#none = this.#connection === null;
    return this.#connection;
  }
}

function mayBeTakenElsewhere({ outcome, reply, stage, again }: RecipientResult): boolean {
  return outcome === "temporary" && !again && (reply !== null || stage !== "data-end");
}
