/** A DNS server on loopback with records from a list: for whole servers, whose threads ask over sockets. Datagrams only. */
import { CLASS_IN, decodeMessage, encodeMessage, type Message, RCODES } from "../../dns/message.ts";
import { type RecordData, typeCode } from "../../dns/rdata.ts";

export class DnsServer {
  /** `address:port`. */
  readonly at: string;
  readonly #records: readonly (readonly [name: string, data: RecordData])[];
  readonly #socket: Deno.DatagramConn;
  readonly #serving: Promise<void>;

  constructor(...records: readonly (readonly [name: string, data: RecordData])[]) {
    this.#records = records;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    this.at = `127.0.0.1:${(this.#socket.addr as Deno.NetAddr).port}`;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const [octets, from] of this.#socket) {
      const query = decodeMessage(octets);
      if (query !== null) await this.#socket.send(encodeMessage(this.#answer(query)), from);
    }
  }

  #answer(query: Message): Message {
    const [{ name, type } = { name: "", type: 0 }] = query.questions;
    const of = this.#records.filter(([owner]) => owner === name.toLowerCase());
    return {
      ...query,
      ...{ response: true, recursionAvailable: true, edns: query.edns && { ...query.edns, options: [] } },
      rcode: of.length === 0 ? RCODES.NXDOMAIN : RCODES.NOERROR,
      answers: of.filter(([, data]) => typeCode(data) === type)
        .map(([, data]) => ({ name, class: CLASS_IN, ttlSeconds: 300, data })),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#serving;
  }
}
