/**
 * A next hop on loopback that notes when each message of the crash run was accepted: by its marker, answers of vacation by
 * whom they answer.
 *
 * It offers PIPELINING and CHUNKING, and is as far away as it is told: then each reply leaves that much later, and several
 * messages are under way at once. A message counts from its last octet on, answered or not: no server that has it whole
 * would throw it away because the client is gone.
 */
import { createHash } from "node:crypto";
import { Wire, WireClosed } from "../lib/wire.ts";

/** One whole message. */
export interface Acceptance {
  /** The process that sent it. */
  readonly life: number;
  /** performance.now(), of its last octet. */
  readonly at: number;
  /** Of all its octets: a message that is sent again is the same, one that was made again is another. */
  readonly digest: string;
  /** When its 250 was on its way to the client; Infinity before. */
  answeredAt: number;
}

/** What an answer of vacation is noted by. */
export function answerTo(sender: string): string {
  return `vacation ${sender}`;
}

/** Acceptances are noted by the message's marker. */
export class Sink {
  readonly received = new Map<string, Acceptance[]>();
  /** Counts the processes of the server under test; set before each is started. */
  life = 0;
  /** How far away it is: milliseconds, for connections from now on. */
  delayMs = 0;
  /** Messages that came while the answer to one before them, on the same connection, was still to come. */
  behind = 0;
  readonly port: number;
  #listener: Deno.TcpListener;
  #done: Promise<void>;

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#done = this.#accept();
  }

  async close(): Promise<void> {
    this.#listener.close();
    await this.#done;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#serve(new Wire(conn, 600_000)).catch((error) => {
        if (!(error instanceof WireClosed)) throw error; // the server under test was killed
      });
    }
  }

  async #serve(wire: Wire): Promise<void> {
    const replies = new Replies(wire, this.delayMs);
    const { life } = this;
    replies.say("220 sink.test ESMTP");
    let chunks = "";
    for (;;) {
      const line = await wire.line();
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "EHLO") {
        const offers = ["PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8"];
        replies.say(
          ["sink.test", ...offers.slice(0, -1)].map((word) => `250-${word}\r\n`).join("") +
            `250 ${offers.at(-1)}`,
        );
      } else if (verb === "BDAT") {
        const [, count = "", last] = line.split(" ");
        chunks += new TextDecoder("latin1").decode(await wire.octets(Number(count)));
        if (last === undefined) replies.say("250 more");
        else {
          this.#took(life, chunks.split("\r\n").slice(0, -1), replies);
          chunks = "";
        }
      } else if (verb === "DATA") {
        replies.say("354 go");
        const lines: string[] = [];
        for (let text = await wire.line(); text !== "."; text = await wire.line()) {
          lines.push(text.startsWith(".") ? text.slice(1) : text);
        }
        this.#took(life, lines, replies);
      } else if (verb === "QUIT") {
        replies.say("221 bye");
        return await replies.said();
      } else replies.say("250 ok");
    }
  }

  #took(life: number, lines: readonly string[], replies: Replies): void {
    let marker = "", to = "", answer = false;
    const hash = createHash("sha256");
    for (const line of lines) {
      hash.update(`${line}\r\n`, "latin1");
      if (line.startsWith("X-Crash: ")) marker = line.slice(9);
      else if (line.startsWith("Auto-Submitted: auto-replied")) answer = true;
      else if (line.startsWith("To: ")) to = line.slice(4).replace(/[<>]/g, "");
    }
    if (marker === "" && answer) marker = answerTo(to);
    const acceptance: Acceptance = {
      ...{ life, at: performance.now(), digest: hash.digest("hex") },
      answeredAt: Infinity,
    };
    this.received.set(marker, [...this.received.get(marker) ?? [], acceptance]);
    if (replies.messages++ > 0) this.behind++;
    replies.say("250 ok", () => {
      replies.messages--;
      acceptance.answeredAt = performance.now();
    });
  }
}

/** Replies on their way, in order, each so much later than what it answers came. */
class Replies {
  /** Answers to messages that are not given yet. */
  messages = 0;
  readonly #wire: Wire;
  readonly #delayMs: number;
  #last: Promise<void> = Promise.resolve();

  constructor(wire: Wire, delayMs: number) {
    this.#wire = wire;
    this.#delayMs = delayMs;
  }

  say(text: string, given: () => void = () => {}): void {
    const due = performance.now() + this.#delayMs;
    this.#last = this.#last.then(async () => {
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      given();
      await this.#wire.write(`${text}\r\n`);
    });
    this.#last.catch(() => this.#wire.close()); // who reads from it is told
  }

  async said(): Promise<void> {
    await this.#last;
  }
}
