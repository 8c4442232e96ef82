/**
 * The sending side of SMTP and LMTP as a pure machine: the dialogue from the greeting to QUIT, any number of messages in
 * between.
 *
 * RFC 5321 3 and 4, PIPELINING (RFC 2920), STARTTLS (RFC 3207), AUTH (RFC 4954, client_login.ts), CHUNKING (RFC 3030, where the
 * route asks for it), LMTP (RFC 2033). The replies of one transaction are told apart in client_running.ts; what stands in
 * MAIL and RCPT says client_transaction.ts. Commands go into {@linkcode ClientSession.out}; the driver flushes it when an event says so, and
 * reads when asked. Every recipient of a transaction ends with a result of its own: what the peer said to it, or that it
 * said nothing (421, a fault, a lost connection). Octets read in clear are dropped when TLS starts.
 *
 * RFC 2920 3.1: the end of a message may be followed at once by the next MAIL. `sendBehind` does that, so that a message costs
 * one round trip less; its result comes behind that of the message before. A transaction that is sent `whole` has its
 * message by BDAT behind its envelope (RFC 3030 4.2), so that any number of them can be under way; RSET stands between them, so
 * that none depends on what became of the one before, and its reply shows that the peer is still in step.
 *
 * All states and transitions of the dialogue are here. 8-bit messages go as they are to peers without 8BITMIME unless the driver has
 * converted them; an address or header that needs SMTPUTF8 is not sent to peers without.
 */
import { Out } from "../../bytes/out.ts";
import { type Extensions, extensionsOf, NO_EXTENSIONS } from "./client_extensions.ts";
import { ClientLogin, type Credentials, type LoginStep } from "./client_login.ts";
import { ours, type RecipientResult, type Stage, theirs, type TransactionResult } from "./client_result.ts";
import { type Progress, RunningTransaction } from "./client_running.ts";
import { type ClientTransaction, obstacleOf } from "./client_transaction.ts";
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
  | "transaction"
  | "quit"
  | "closed";

/** How a transaction is sent. */
export interface SendOptions {
  /** Its message goes by BDAT right behind its envelope; needs `offersWhole`. Left out: it does not. */
  readonly whole?: boolean;
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
  /** Those under way: the peer answers the first; the others were sent behind it (`sendBehind`). */
  #running: RunningTransaction[];
  /** Its message is to be written now. */
  #writing: RunningTransaction | null;
  #writingBy: "DATA" | "BDAT";
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
    this.#running = [];
    this.#writing = null;
    this.#writingBy = "DATA";
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

  get offersSmtpUtf8(): boolean {
    return this.#extensions.smtputf8;
  }

  /** The peer takes the wishes of RFC 3461 over, and tells of success itself. */
  get offersDsn(): boolean {
    return this.#extensions.dsn;
  }

  /** Messages can be sent `whole`. */
  get offersWhole(): boolean {
    return this.#extensions.pipelining && this.#extensions.chunking && this.#options.mode === "smtp";
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
      if (this.#writing !== null) return { kind: "data", by: this.#writingBy };
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
  send(transaction: ClientTransaction, options: SendOptions = {}): void {
    const obstacle = obstacleOf(transaction, this.#extensions, this.#tlsActive);
    if (obstacle !== null) {
      const recipients = transaction.recipients.map(() => obstacle);
      // Nothing is to be gained on another connection.
      this.#events.push({ kind: "result", result: { recipients, untouched: false } });
      return;
    }
    this.#state = "transaction";
    this.#begin(transaction, this.#needReset, options);
  }

  /**
   * Sends the next transaction behind the end of the last one, after its `dataSent`; its result comes behind that of the
   * one before. False where that cannot be: `send` it when ready.
   */
  sendBehind(transaction: ClientTransaction, options: SendOptions = {}): boolean {
    if (!this.takesBehind || (this.#chunking && options.whole !== true)) return false;
    if (obstacleOf(transaction, this.#extensions, this.#tlsActive) !== null) return false;
    this.#begin(transaction, options.whole === true, options);
    return true;
  }

  /** The last transaction is such that another can go behind it. */
  get takesBehind(): boolean {
    const last = this.#running.at(-1);
    return last !== undefined && last.complete && !last.empty && this.#extensions.pipelining &&
      this.#options.mode === "smtp";
  }

  #begin(transaction: ClientTransaction, reset: boolean, { whole = false }: SendOptions): void {
    const begun = new RunningTransaction(transaction, {
      out: this.out,
      extensions: this.#extensions,
      mode: this.#options.mode,
      chunking: whole || this.#chunking,
      whole,
    });
    this.#needReset = true;
    this.#running.push(begun);
    begun.begin({ reset });
    if (whole) this.#write(begun, "BDAT");
  }

  #write(transaction: RunningTransaction, by: "DATA" | "BDAT"): void {
    this.#writing = transaction;
    this.#writingBy = by;
  }

  /** Transactions without a result. */
  get underWay(): number {
    return this.#running.length;
  }

  get #chunking(): boolean {
    return this.#options.chunking === true && this.#extensions.chunking;
  }

  /** BDAT: a part of the message as it goes on the wire. */
  chunk(octets: Uint8Array, last: boolean): void {
    this.#writing!.chunk(octets, last);
  }

  /** The message and its end were written. */
  dataSent(): void {
    this.#writing?.dataSent();
    this.#writing = null;
  }

  /** True for the message of a "data" event that has no accepted recipient: write nothing but the end. */
  get emptyData(): boolean {
    return this.#writing?.empty ?? false;
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
        return this.#state;
      case "ehlo":
      case "helo":
        return "hello";
      case "handshake":
        return "starttls";
      case "deriving":
        return "auth";
      case "transaction":
      case "ready":
      case "closed":
        return this.#running[0]?.stage ?? "mail";
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
      case "transaction":
        return this.#progress(this.#running[0]!.reply(reply));
      case "quit":
        this.#state = "closed";
        return;
      case "handshake":
      case "deriving":
      case "ready":
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

  #progress(step: Progress): void {
    switch (step.kind) {
      case "more":
        return;
      case "data":
        this.#write(this.#running[0]!, this.#chunking ? "BDAT" : "DATA");
        return;
      case "end":
        if (step.peer === "idle") this.#needReset = this.#running.length > 1;
        this.#end(step.rest);
        if (step.peer !== "nonsense") return;
        this.out.text("QUIT\r\n");
        this.#broken(step.rest);
        return;
      default:
        step satisfies never;
    }
  }

  /** The first transaction is over, the next may run already: recipients without a result get `rest`. */
  #end(rest: RecipientResult): void {
    this.#events.push({ kind: "result", result: this.#running.shift()!.result(rest) });
    if (this.#running.length === 0) this.#state = "ready";
  }

  /** The connection is of no use any more; who has no reply yet gets this. */
  #broken(failure: RecipientResult): void {
    if (this.#state === "closed") return;
    this.#writing = null;
    if (this.#running.length > 0) {
      while (this.#running.length > 0) this.#end({ ...failure, outcome: "temporary" });
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
