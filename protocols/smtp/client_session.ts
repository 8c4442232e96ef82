/**
 * The sending side of SMTP and LMTP as a pure machine: greeting to QUIT, any number of messages in between.
 *
 * RFC 5321 3 and 4, PIPELINING (RFC 2920), STARTTLS (RFC 3207), AUTH (RFC 4954, client_login.ts), CHUNKING (RFC 3030, where the
 * route asks for it), LMTP (RFC 2033: one reply for each recipient behind the data); what stands in MAIL and RCPT says
 * client_transaction.ts. Commands go into {@linkcode ClientSession.out}; the driver flushes it when an event says so, and
 * reads when asked. Every recipient of a transaction ends with a result of its own: what the peer said to it, or that it
 * said nothing (421, a fault, a lost connection). Octets read in clear are dropped when TLS starts.
 *
 * RFC 2920 3.1: the end of a message may be followed at once by the next MAIL. `sendBehind` does that, so that a message costs
 * one round trip less; its result comes behind that of the message before.
 *
 * All states and transitions are here. 8-bit messages go as they are to peers without 8BITMIME unless the driver has
 * converted them; an address or header that needs SMTPUTF8 is not sent to peers without.
 */
import { Out } from "../../bytes/out.ts";
import { type Extensions, extensionsOf, NO_EXTENSIONS } from "./client_extensions.ts";
import { ClientLogin, type Credentials, type LoginStep } from "./client_login.ts";
import {
  ours,
  positive,
  type RecipientResult,
  type Stage,
  theirs,
  type TransactionResult,
  withAgain,
} from "./client_result.ts";
import { type ClientTransaction, mailCommand, obstacleOf, rcptCommand } from "./client_transaction.ts";
import {
  DEFAULT_REPLY_LIMITS,
  type RemoteReply,
  type ReplyLimits,
  ReplyParser,
  replyText,
} from "./reply_parser.ts";

export interface ClientOptions {
  readonly mode: "smtp" | "lmtp";
  readonly helloName: string;
  /** `required`: no mail without TLS. `off`: no STARTTLS (also when TLS is active from the start). */
  readonly starttls: "off" | "offered" | "required";
  /** TLS is active from the start. */
  readonly tlsActive: boolean;
  readonly credentials: Credentials | null;
  /** Sends the password in clear, because the operator said `tls: none`. */
  readonly clearPassword: boolean;
  /** Messages go by BDAT where the peer offers CHUNKING. */
  readonly chunking?: boolean;
  readonly limits?: ReplyLimits;
}

export type ClientEvent =
  /** Flush `out`, read, `feed`. */
  | { readonly kind: "need-input"; readonly stage: Stage }
  /** Flush nothing more: run the handshake, then `tlsStarted`. */
  | { readonly kind: "starttls" }
  /** Hash the password (PBKDF2, SHA-256, 32 octets), then `derived`. */
  | { readonly kind: "derive-key"; readonly salt: Uint8Array; readonly iterations: number }
  /** The peer refused STARTTLS; the session goes on in clear. */
  | { readonly kind: "starttls-refused"; readonly reply: RemoteReply }
  /** Ready for `send` or `quit`. */
  | { readonly kind: "ready" }
  /** Write the message and its end (by DATA with dots, or in calls of `chunk`), then `dataSent`. */
  | { readonly kind: "data"; readonly by: "DATA" | "BDAT" }
  | { readonly kind: "result"; readonly result: TransactionResult }
  /** No mail can be sent on this connection; another host may do better. */
  | { readonly kind: "unusable"; readonly failure: RecipientResult }
  /** Close the connection. */
  | { readonly kind: "closed" };

type State =
  | "greeting"
  | "ehlo"
  | "helo"
  | "starttls"
  | "handshake"
  | "auth"
  | "deriving"
  | "ready"
  | "envelope"
  | "data"
  | "data-end"
  | "quit"
  | "closed";

/** A command whose reply is still to come. */
type Pending =
  | { readonly verb: "RSET" | "MAIL" | "DATA" }
  | { readonly verb: "RCPT"; readonly at: number };

interface Running {
  readonly transaction: ClientTransaction;
  results: (RecipientResult | null)[];
  accepted: number[];
  /** The peer has answered a command of it. */
  touched: boolean;
  /** Why nobody gets it, after a refused MAIL. */
  refused: RecipientResult | null;
  /** LMTP: replies that came behind the data. */
  answered: number;
  /** The message has an end that nobody gets: no recipient was accepted, but the peer asked for data. */
  empty: boolean;
  /** RCPTs sent so far. */
  rcptsSent: number;
  /** BDAT: chunks before the last whose replies are still to come, and the first refusal of one. */
  chunks: number;
  chunkRefused: RecipientResult | null;
}

export class ClientSession {
  readonly out: Out;
  readonly #options: ClientOptions;
  #parser: ReplyParser;
  #state: State;
  #extensions: Extensions;
  #tlsActive: boolean;
  #authenticated: boolean;
  #login: ClientLogin | null;
  #pending: Pending[];
  /** Of `sendBehind`, while the replies of the message before are still to come. */
  #pendingBehind: Pending[];
  #running: Running | null;
  /** Its commands were sent behind the end of the running one. */
  #behind: Running | null;
  /** The last transaction left the peer in one: RSET comes before the next. */
  #needReset: boolean;
  #events: ClientEvent[];
  /** What hashing the password takes, while it is asked for. */
  #work: { readonly salt: Uint8Array; readonly iterations: number } | null;

  constructor(options: ClientOptions) {
    this.out = new Out();
    this.#options = options;
    this.#parser = new ReplyParser(options.limits ?? DEFAULT_REPLY_LIMITS);
    this.#state = "greeting";
    this.#extensions = NO_EXTENSIONS;
    this.#tlsActive = options.tlsActive;
    this.#authenticated = false;
    this.#login = null;
    this.#pending = [];
    this.#pendingBehind = [];
    this.#running = null;
    this.#behind = null;
    this.#needReset = false;
    this.#events = [];
    this.#work = null;
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get tlsActive(): boolean {
    return this.#tlsActive;
  }

  get offersEightBit(): boolean {
    return this.#extensions.eightBitMime;
  }

  /** The peer takes the wishes of RFC 3461 over, and tells of success itself. */
  get offersDsn(): boolean {
    return this.#extensions.dsn;
  }

  /** Octets of the peer, borrowed until the next "need-input". */
  feed(bytes: Uint8Array): void {
    this.#parser.feed(bytes);
  }

  next(): ClientEvent {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#state === "closed") return { kind: "closed" };
      if (this.#state === "ready") return { kind: "ready" };
      if (this.#state === "handshake") return { kind: "starttls" };
      if (this.#state === "deriving") return { kind: "derive-key", ...this.#work! };
      if (this.#state === "data") return { kind: "data", by: this.#chunking ? "BDAT" : "DATA" };
      const step = this.#parser.next();
      if (step.kind === "need-input") return { kind: "need-input", stage: this.#stage() };
      if (step.kind === "fault") this.#broken(ours("4.5.0", `the peer sent ${step.text}`, this.#stage()));
      else this.#reply(step.reply);
    }
  }

  /** The handshake is done: what was read in clear is forgotten, and the peer is greeted anew (RFC 3207 4.2). */
  tlsStarted(): void {
    this.#parser.reset();
    this.#tlsActive = true;
    this.#extensions = NO_EXTENSIONS;
    this.#hello("EHLO");
  }

  /** The hash of the password that was asked for. */
  derived(salted: Uint8Array): void {
    this.#work = null;
    this.#state = "auth";
    this.out.text(`${this.#login!.derived(salted)}\r\n`);
  }

  /** Starts a transaction; only when ready. Its end is a "result". */
  send(transaction: ClientTransaction): void {
    const running = runningOf(transaction);
    this.#running = running;
    const obstacle = obstacleOf(transaction, this.#extensions, this.#tlsActive);
    if (obstacle !== null) {
      running.touched = true; // nothing to gain on another connection
      return this.#end(obstacle);
    }
    this.#state = "envelope";
    if (this.#needReset) {
      this.#command("RSET", { verb: "RSET" });
      if (!this.#extensions.pipelining) return;
    }
    this.#envelope(running);
  }

  /**
   * Sends the envelope of the next message behind the end of this one, after `dataSent`; its transaction runs when the
   * result of this one is there. False where that cannot be: `send` it when ready.
   */
  sendBehind(transaction: ClientTransaction): boolean {
    const running = this.#running;
    if (this.#state !== "data-end" || running === null || running.empty || this.#behind !== null) {
      return false;
    }
    if (!this.#extensions.pipelining || this.#chunking || this.#options.mode === "lmtp") return false;
    if (obstacleOf(transaction, this.#extensions, this.#tlsActive) !== null) return false;
    this.#behind = runningOf(transaction);
    this.#envelope(this.#behind);
    return true;
  }

  /** A transaction runs: of `send`, or of `sendBehind` after the result of the one before. */
  get busy(): boolean {
    return this.#running !== null;
  }

  /** MAIL, and with PIPELINING all that follows it. */
  #envelope(running: Running): void {
    this.#needReset = true;
    this.#command(mailCommand(running.transaction, this.#extensions), { verb: "MAIL" });
    if (!this.#extensions.pipelining) return;
    while (running.rcptsSent < running.transaction.recipients.length) this.#rcpt(running);
    if (!this.#chunking && running.transaction.probe !== true) this.#command("DATA", { verb: "DATA" });
  }

  get #chunking(): boolean {
    return this.#options.chunking === true && this.#extensions.chunking;
  }

  /** BDAT: a part of the message as it goes on the wire. */
  chunk(octets: Uint8Array, last: boolean): void {
    this.out.text(`BDAT ${octets.length}${last ? " LAST" : ""}\r\n`);
    this.out.octets(octets);
    if (!last) this.#running!.chunks++;
  }

  /** The message and its end were written. */
  dataSent(): void {
    this.#state = "data-end";
  }

  /** True for the message of a "data" event that has no accepted recipient: write nothing but the end. */
  get emptyData(): boolean {
    return this.#running?.empty ?? false;
  }

  quit(): void {
    this.out.text("QUIT\r\n");
    this.#state = "quit";
  }

  /** The connection is gone, or the driver's time-out ran out; `text` says which. */
  lost(text: string, enhanced = "4.4.2"): void {
    this.#broken(ours(enhanced, text, this.#stage()));
  }

  #stage(): Stage {
    switch (this.#state) {
      case "greeting":
      case "starttls":
      case "auth":
      case "quit":
      case "data-end":
        return this.#state;
      case "ehlo":
      case "helo":
        return "hello";
      case "handshake":
        return "starttls";
      case "deriving":
        return "auth";
      case "data":
        return "data-end";
      case "envelope":
      case "ready":
      case "closed": {
        const verb = this.#pending[0]?.verb ?? "MAIL";
        return verb === "DATA"
          ? "data-command"
          : verb === "RCPT"
          ? "rcpt"
          : verb === "RSET"
          ? "rset"
          : "mail";
      }
      default: {
        const never: never = this.#state;
        return never;
      }
    }
  }

  #reply(reply: RemoteReply): void {
    // RFC 5321 3.8: after 421 the peer closes, whatever the command was.
    if (reply.code === 421) {
      return this.#broken(theirs(reply, this.#stage()));
    }
    switch (this.#state) {
      case "greeting":
        return reply.code === 220 ? this.#hello("EHLO") : this.#unusable(theirs(reply, "greeting"));
      case "ehlo":
      case "helo":
        return this.#helloReply(reply);
      case "starttls":
        return this.#starttlsReply(reply);
      case "auth":
        return this.#authReply(reply);
      case "envelope":
        return this.#envelopeReply(reply);
      case "data-end":
        return this.#dataReply(reply);
      case "quit":
        this.#state = "closed";
        return;
      case "handshake":
      case "deriving":
      case "ready":
      case "data":
      case "closed":
        return; // `next` asks for no reply in these
      default:
        this.#state satisfies never;
    }
  }

  #hello(verb: "EHLO" | "HELO"): void {
    const word = this.#options.mode === "lmtp" ? "LHLO" : verb;
    this.out.text(`${word} ${this.#options.helloName}\r\n`);
    this.#state = verb === "EHLO" ? "ehlo" : "helo";
  }

  #helloReply(reply: RemoteReply): void {
    if (reply.code !== 250) {
      // RFC 5321 3.2: a server that does not know EHLO is greeted by HELO, where nothing needs an extension.
      const fallback = this.#state === "ehlo" && reply.code >= 500 && this.#options.mode === "smtp" &&
        !this.#tlsActive && this.#options.starttls !== "required" && this.#options.credentials === null;
      return fallback ? this.#hello("HELO") : this.#unusable(theirs(reply, "hello"));
    }
    this.#extensions = this.#state === "ehlo" ? extensionsOf(reply) : NO_EXTENSIONS;
    if (!this.#tlsActive && this.#options.starttls !== "off") {
      if (this.#extensions.starttls) {
        this.out.text("STARTTLS\r\n");
        this.#state = "starttls";
        return;
      }
      if (this.#options.starttls === "required") {
        return this.#unusable(ours("4.7.4", "TLS is required, but the peer does not offer it", "hello"));
      }
    }
    this.#authenticate();
  }

  #starttlsReply(reply: RemoteReply): void {
    if (reply.code === 220) {
      this.#state = "handshake";
      return;
    }
    if (this.#options.starttls === "required") return this.#unusable(theirs(reply, "starttls"));
    this.#events.push({ kind: "starttls-refused", reply });
    this.#authenticate();
  }

  #authenticate(): void {
    const { credentials, clearPassword } = this.#options;
    if (credentials === null || this.#authenticated) {
      this.#state = "ready";
      return;
    }
    const secret = this.#tlsActive || clearPassword;
    this.#login = new ClientLogin(credentials, this.#extensions.auth, secret);
    const command = this.#login.start();
    if (command === null) {
      return this.#unusable(
        secret
          ? ours("4.7.0", "the peer offers none of AUTH SCRAM-SHA-256, PLAIN and LOGIN", "auth")
          : ours("4.7.11", "the password is not sent without TLS (tls: none allows it)", "auth"),
      );
    }
    this.out.text(`${command}\r\n`);
    this.#state = "auth";
  }

  #authReply(reply: RemoteReply): void {
    const step: LoginStep = this.#login!.reply(reply);
    switch (step.kind) {
      case "line":
        this.out.text(`${step.text}\r\n`);
        return;
      case "derive":
        this.#work = { salt: step.salt, iterations: step.iterations };
        this.#state = "deriving";
        return;
      case "done":
        this.#authenticated = true;
        this.#state = "ready";
        return;
      case "failed":
        return this.#unusable(step.failure);
      default:
        step satisfies never;
    }
  }

  #rcpt(running: Running): void {
    const at = running.rcptsSent++;
    this.#command(rcptCommand(running.transaction.recipients[at]!, this.#extensions), { verb: "RCPT", at });
  }

  #command(line: string, pending: Pending): void {
    this.out.text(`${line}\r\n`);
    (this.#behind === null ? this.#pending : this.#pendingBehind).push(pending);
  }

  #envelopeReply(reply: RemoteReply): void {
    const pending = this.#pending.shift()!;
    const running = this.#running!;
    switch (pending.verb) {
      case "RSET":
        // Whatever it says, MAIL shows whether the peer is in its senses.
        if (!this.#extensions.pipelining) this.#envelope(running);
        return;
      case "MAIL":
        running.touched = true;
        if (!positive(reply)) running.refused = theirs(reply, "mail");
        break;
      case "RCPT":
        this.#rcptReply(running, pending.at, reply);
        break;
      case "DATA":
        return this.#dataCommandReply(running, reply);
      default:
        pending satisfies never;
    }
    if (this.#pending.length > 0) return;
    // Without PIPELINING: the next command, or the end when nobody is left to get the message.
    if (running.refused !== null) return this.#end(running.refused);
    if (running.rcptsSent < running.transaction.recipients.length) return this.#rcpt(running);
    if (running.accepted.length === 0) return this.#end(ours("4.5.0", "no recipient was accepted", "rcpt"));
    if (running.transaction.probe === true) return this.#end(ours("4.5.0", "no answer", "rcpt"));
    if (this.#chunking) this.#state = "data";
    else this.#command("DATA", { verb: "DATA" });
  }

  #rcptReply(running: Running, at: number, reply: RemoteReply): void {
    if (running.refused !== null) return; // 503 to what came behind a refused MAIL
    if (positive(reply)) running.accepted.push(at);
    if (running.transaction.probe === true || !positive(reply)) running.results[at] = theirs(reply, "rcpt");
  }

  #dataCommandReply(running: Running, reply: RemoteReply): void {
    running.empty = running.accepted.length === 0 || running.refused !== null;
    if (reply.code === 354) {
      // RFC 2920 3.1: where nobody was accepted and the peer asks for data all the same, it gets the end alone.
      this.#state = "data";
      return;
    }
    // With MAIL or every RCPT refused, DATA was refused for that reason.
    if (running.refused !== null) return this.#end(running.refused);
    // A 2xx to DATA is no SMTP: do not guess.
    this.#end(
      positive(reply)
        ? ours("4.5.0", "the peer answered DATA without 354", "data-command")
        : theirs(reply, "data-command"),
    );
    if (reply.code < 400) this.#abandon();
  }

  #dataReply(reply: RemoteReply): void {
    const running = this.#running!;
    const result = running.chunkRefused ?? theirs(reply, "data-end");
    if (running.chunks > 0) {
      running.chunks--;
      if (!positive(reply)) running.chunkRefused ??= result;
      return;
    }
    if (running.empty) return this.#end(running.refused ?? result);
    if (this.#options.mode === "lmtp") {
      running.results[running.accepted[running.answered++]!] = result;
      if (running.answered < running.accepted.length) return;
    }
    this.#needReset = this.#behind !== null || running.chunkRefused !== null;
    this.#end(result);
  }

  /** The transaction is over: recipients without a result get `rest`. */
  #end(rest: RecipientResult): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    this.#pending = [];
    const results = running.results.map((result) => result ?? rest);
    this.#events.push({
      kind: "result",
      result: { recipients: withAgain(results), untouched: !running.touched },
    });
    this.#state = "ready";
    this.#next();
  }

  /** The transaction whose envelope was sent already. */
  #next(): void {
    const next = this.#behind;
    if (next === null) return;
    this.#behind = null;
    this.#running = next;
    this.#pending = this.#pendingBehind;
    this.#pendingBehind = [];
    this.#state = "envelope";
  }

  /** The connection is of no use any more; who has no reply yet gets this. */
  #broken(failure: RecipientResult): void {
    if (this.#state === "closed") return;
    if (this.#running !== null) {
      while (this.#running !== null) this.#end({ ...failure, outcome: "temporary" });
    } else if (this.#state !== "ready" && this.#state !== "quit") {
      this.#events.push({ kind: "unusable", failure: { ...failure, outcome: "temporary" } });
    }
    this.#state = "closed";
  }

  /** A 2xx or 3xx where it makes no sense is no way to go on either. */
  #unusable(failure: RecipientResult): void {
    const { reply, stage } = failure;
    this.#events.push({
      kind: "unusable",
      failure: reply !== null && reply.code < 400
        ? ours("4.5.0", `the peer answered ${replyText(reply)}`, stage)
        : failure,
    });
    this.#abandon();
  }

  #abandon(): void {
    this.out.text("QUIT\r\n");
    this.#state = "closed";
  }
}

function runningOf(transaction: ClientTransaction): Running {
  return {
    transaction,
    results: transaction.recipients.map(() => null),
    accepted: [],
    touched: false,
    refused: null,
    answered: 0,
    empty: false,
    rcptsSent: 0,
    chunks: 0,
    chunkRefused: null,
  };
}
