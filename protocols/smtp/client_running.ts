/**
 * One transaction of the sending side as it runs: the commands that were sent, what the peer said to each, and the result
 * of every recipient.
 *
 * RFC 5321 3.3, PIPELINING (RFC 2920: MAIL, every RCPT and DATA at once), CHUNKING (RFC 3030), LMTP (RFC 2033 4.2: one
 * reply for each accepted recipient behind the data). Commands go into the `Out` of the session (client_session.ts), which
 * hands in the replies. Pure.
 */
import type { Out } from "../../bytes/out.ts";
import type { Extensions } from "./client_extensions.ts";
import {
  ours,
  positive,
  type RecipientResult,
  type Stage,
  theirs,
  type TransactionResult,
  withAgain,
} from "./client_result.ts";
import { type ClientTransaction, mailCommand, rcptCommand } from "./client_transaction.ts";
import type { RemoteReply } from "./reply_parser.ts";

/** How this peer is spoken to. */
export interface Manner {
  readonly out: Out;
  readonly extensions: Extensions;
  readonly mode: "smtp" | "lmtp";
  /** Messages go by BDAT. */
  readonly chunking: boolean;
  /** By BDAT, and without waiting for what the peer says to the envelope. */
  readonly whole: boolean;
}

/** What a reply brought. */
export type Progress =
  /** Another reply is to come. */
  | { readonly kind: "more" }
  /** The message is to be written now. */
  | { readonly kind: "data" }
  | {
    readonly kind: "end";
    /** Of the recipients that have no result of their own. */
    readonly rest: RecipientResult;
    /** What the peer is in now: `transaction` wants RSET, of `nonsense` nothing more can be had. */
    readonly peer: "idle" | "transaction" | "nonsense";
  };

/** What was sent and has no reply yet; `END` is the end of the message, `BDAT` a chunk before the last. */
type Pending =
  | { readonly verb: "RSET" | "MAIL" | "DATA" | "BDAT" | "END" }
  | { readonly verb: "RCPT"; readonly at: number };

const STAGES: Readonly<Record<Pending["verb"], Stage>> = {
  RSET: "rset",
  MAIL: "mail",
  RCPT: "rcpt",
  DATA: "data-command",
  BDAT: "data-end",
  END: "data-end",
};
const MORE: Progress = { kind: "more" };
const WRITE_DATA: Progress = { kind: "data" };
/** Replies that cannot be those to BDAT or to the RSET behind it: the peer took the message for commands. */
const OUT_OF_STEP: Progress = {
  kind: "end",
  rest: ours("4.5.0", "the peer does not follow messages by BDAT", "data-end"),
  peer: "nonsense",
};
const UNKNOWN_COMMAND: ReadonlySet<number> = new Set([500, 502, 504]);

export class RunningTransaction {
  readonly #transaction: ClientTransaction;
  readonly #manner: Manner;
  readonly #pending: Pending[];
  readonly #results: (RecipientResult | null)[];
  readonly #accepted: number[];
  /** The peer has answered a command of it. */
  #touched: boolean;
  /** Why nobody gets it, after a refused MAIL. */
  #refused: RecipientResult | null;
  /** LMTP: replies that came behind the data. */
  #answered: number;
  #empty: boolean;
  #rcptsSent: number;
  /** BDAT: the first refusal of a chunk before the last. */
  #chunkRefused: RecipientResult | null;
  #complete: boolean;

  constructor(transaction: ClientTransaction, manner: Manner) {
    this.#transaction = transaction;
    this.#manner = manner;
    this.#pending = [];
    this.#results = transaction.recipients.map(() => null);
    this.#accepted = [];
    this.#touched = false;
    this.#refused = null;
    this.#answered = 0;
    this.#empty = false;
    this.#rcptsSent = 0;
    this.#chunkRefused = null;
    this.#complete = false;
  }

  /** The message has an end that nobody gets: no recipient was accepted, but the peer asked for data. */
  get empty(): boolean {
    return this.#empty;
  }

  /** All of it was sent, to the end of the message. */
  get complete(): boolean {
    return this.#complete;
  }

  /** What the next reply is about. */
  get stage(): Stage {
    return STAGES[this.#pending[0]?.verb ?? "MAIL"];
  }

  /** MAIL, and with PIPELINING all that follows it; RSET before it where the last transaction may be open still. */
  begin({ reset }: { readonly reset: boolean }): void {
    if (reset) this.#command("RSET", { verb: "RSET" });
    if (!reset || this.#manner.extensions.pipelining) this.#envelope();
  }

  #envelope(): void {
    const { extensions, chunking } = this.#manner;
    this.#command(mailCommand(this.#transaction, extensions), { verb: "MAIL" });
    if (!extensions.pipelining) return;
    while (this.#rcptsSent < this.#transaction.recipients.length) this.#rcpt();
    if (!chunking && this.#transaction.probe !== true) this.#command("DATA", { verb: "DATA" });
  }

  #rcpt(): Progress {
    const at = this.#rcptsSent++;
    const line = rcptCommand(this.#transaction.recipients[at]!, this.#manner.extensions, this.#transaction);
    return this.#command(line, { verb: "RCPT", at });
  }

  #command(line: string, pending: Pending): Progress {
    this.#manner.out.text(`${line}\r\n`);
    this.#pending.push(pending);
    return MORE;
  }

  /** The reply to the oldest command that has none. */
  reply(reply: RemoteReply): Progress {
    const pending = this.#pending.shift()!;
    switch (pending.verb) {
      case "RSET":
        if (this.#manner.whole && !positive(reply)) return OUT_OF_STEP;
        // Else, whatever it says, MAIL shows whether the peer is in its senses.
        if (!this.#manner.extensions.pipelining) this.#envelope();
        return MORE;
      case "MAIL":
        this.#touched = true;
        if (!positive(reply)) this.#refused = theirs(reply, "mail");
        break;
      case "RCPT":
        this.#rcptReply(pending.at, reply);
        break;
      case "DATA":
        return this.#dataCommandReply(reply);
      case "BDAT":
        if (!positive(reply)) this.#chunkRefused ??= theirs(reply, "data-end");
        return MORE;
      case "END":
        return this.#endReply(reply);
      default:
        pending satisfies never;
    }
    return this.#pending.length > 0 ? MORE : this.#goOn();
  }

  /** Without PIPELINING: the next command, or the end when nobody is left to get the message. */
  #goOn(): Progress {
    const { recipients, probe } = this.#transaction;
    if (this.#refused !== null) return inTransaction(this.#refused);
    if (this.#rcptsSent < recipients.length) return this.#rcpt();
    if (this.#accepted.length === 0) return inTransaction(ours("4.5.0", "no recipient was accepted", "rcpt"));
    if (probe === true) return inTransaction(ours("4.5.0", "no answer", "rcpt"));
    return this.#manner.chunking ? WRITE_DATA : this.#command("DATA", { verb: "DATA" });
  }

  #rcptReply(at: number, reply: RemoteReply): void {
    if (this.#refused !== null) return; // 503 to what came behind a refused MAIL
    if (positive(reply)) this.#accepted.push(at);
    if (this.#transaction.probe === true || !positive(reply)) this.#results[at] = theirs(reply, "rcpt");
  }

  #dataCommandReply(reply: RemoteReply): Progress {
    this.#empty = this.#accepted.length === 0 || this.#refused !== null;
    // RFC 2920 3.1: where nobody was accepted and the peer asks for data all the same, it gets the end alone.
    if (reply.code === 354) return WRITE_DATA;
    // With MAIL or every RCPT refused, DATA was refused for that reason.
    if (this.#refused !== null) return inTransaction(this.#refused);
    // A 2xx to DATA is no SMTP: do not guess.
    const rest = positive(reply)
      ? ours("4.5.0", "the peer answered DATA without 354", "data-command")
      : theirs(reply, "data-command");
    return { kind: "end", rest, peer: reply.code < 400 ? "nonsense" : "transaction" };
  }

  /** BDAT: a part of the message as it goes on the wire. */
  chunk(octets: Uint8Array, last: boolean): void {
    const { out } = this.#manner;
    out.text(`BDAT ${octets.length}${last ? " LAST" : ""}\r\n`);
    out.octets(octets);
    if (!last) this.#pending.push({ verb: "BDAT" });
  }

  /** The message and its end were written. */
  dataSent(): void {
    this.#complete = true;
    const replies = this.#manner.mode === "lmtp" && !this.#empty ? this.#accepted.length : 1;
    for (let n = 0; n < replies; n++) this.#pending.push({ verb: "END" });
  }

  #endReply(reply: RemoteReply): Progress {
    const result = this.#chunkRefused ?? theirs(reply, "data-end");
    if (this.#refused !== null) return inTransaction(this.#refused);
    // Refused where nobody was to get it, as it should be.
    if (this.#empty || this.#accepted.length === 0) return inTransaction(result);
    if (this.#manner.whole && UNKNOWN_COMMAND.has(reply.code)) return OUT_OF_STEP;
    if (this.#manner.mode === "lmtp") {
      this.#results[this.#accepted[this.#answered++]!] = result;
      if (this.#answered < this.#accepted.length) return MORE;
    }
    return { kind: "end", rest: result, peer: this.#chunkRefused === null ? "idle" : "transaction" };
  }

  /** Recipients without a result of their own get `rest`. */
  result(rest: RecipientResult): TransactionResult {
    return {
      recipients: withAgain(this.#results.map((result) => result ?? rest)),
      untouched: !this.#touched,
    };
  }
}

function inTransaction(rest: RecipientResult): Progress {
  return { kind: "end", rest, peer: "transaction" };
}
