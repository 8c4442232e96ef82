/**
 * One SMTP, submission or LMTP session of the server: states, the order of commands, message data. All transitions are
 * here.
 *
 * RFC 5321 3 and 4.1.4, RFC 2920 (PIPELINING), RFC 3030 (CHUNKING, BINARYMIME), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC
 * 6409, RFC 2033 (LMTP: LHLO, a reply for each recipient), RFC 4865, RFC 8689, RFC 1985.
 * The driver feeds octets and asks for the next event; where policy or storage decides, the session is paused until it is
 * answered. Commands are taken strictly one after the other, so that pipelining is never ambiguous. Replies go to
 * {@linkcode Out}; the driver flushes. A message that cannot be taken is read to its true end before it is refused.
 * Pure: no socket, clock or storage. Limits: {@linkcode SmtpLimits}.
 */
import { latin1 } from "../../bytes/decode.ts";
import { packAt } from "../../bytes/keyword.ts";
import { HIGH_WATER_OCTETS, type Out } from "../../bytes/out.ts";
import { LineFramer, type LineResult } from "../line_framer.ts";
import type { Credentials, SaslMechanisms } from "../sasl/exchange.ts";
import { AuthDialog, type AuthStep } from "./auth_dialog.ts";
import { AUTH, type Command, parseCommand, verbAt } from "./command.ts";
import { ehloReply } from "./extensions.ts";
import { MessageData } from "./message_data.ts";
import type { MailParameters, RcptParameters } from "./parameters.ts";
import type { Path } from "./path.ts";
import * as R from "./reply.ts";
import { encodeReply, type Reply } from "./reply.ts";

export interface SmtpLimits {
  /** CRLF included (RFC 5321 4.5.3.1.4). */
  readonly commandLineOctets: number;
  /** Of the AUTH command and of each response in its exchange (RFC 4954 4). */
  readonly authLineOctets: number;
  readonly messageOctets: number;
  /** Accepted recipients of one message. */
  readonly recipients: number;
  readonly commands: number;
  /** Permanent refusals since the last accepted message. */
  readonly errors: number;
}

/** The names of {@linkcode SmtpLimits} and what else is refused for its size, for metrics. */
export type LimitName = keyof SmtpLimits;

export interface SmtpSessionOptions {
  readonly out: Out;
  readonly hostName: string;
  /** `submission` wants a login before MAIL (RFC 6409 4.3); `lmtp` speaks RFC 2033. */
  readonly service: "mx" | "submission" | "lmtp";
  readonly tlsActive: boolean;
  readonly startTlsAvailable: boolean;
  /** SASL mechanisms by name in capitals; none: no AUTH. */
  readonly mechanisms: SaslMechanisms;
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  /** What a bare CR or LF in a message means; for logins it is always `convert`. */
  readonly bareLineEnds: "refuse" | "convert";
  readonly limits: SmtpLimits;
  readonly offers?: Offers;
  /** Told of each reply (the verb is of a closed set, "" when none was understood) and each limit that was hit. */
  readonly observer: SessionObserver;
}

/** What is offered to some clients only. */
export interface Offers {
  /** FUTURERELEASE (RFC 4865): seconds that mail may be held, and the time in milliseconds. */
  readonly futureRelease: { readonly maxSeconds: number; readonly now: () => number } | null;
  /** ETRN (RFC 1985). */
  readonly etrn: boolean;
  /** The client may say for whom it speaks. */
  readonly xclient: boolean;
}

export const NO_OFFERS: Offers = { futureRelease: null, etrn: false, xclient: false };

export interface SessionObserver {
  replied(verb: string, code: number): void;
  limited(limit: LimitName): void;
}

/**
 * What the driver is to do. After `helo`, `mail`, `rcpt`, `begin`, `message`, `credentials`, `lookup`, `etrn` and
 * `xclient` the session waits for `accept` or `answer` (`authenticated`, `answerEach`, `restarted`). Spans live until the
 * next call of `next`.
 */
export type SmtpEvent =
  | { readonly kind: "need-input" }
  /** Many replies wait: flush them before more are made. */
  | { readonly kind: "output" }
  /** A transaction in hand is over (RFC 5321 4.1.4). */
  | { readonly kind: "helo"; readonly verb: "HELO" | "EHLO" | "LHLO"; readonly name: string }
  | { readonly kind: "mail"; readonly reversePath: Path | null; readonly parameters: MailParameters }
  | { readonly kind: "rcpt"; readonly forwardPath: Path; readonly parameters: RcptParameters }
  /** Before the 354 or the first chunk. */
  | { readonly kind: "begin" }
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly start: number; readonly end: number }
  | { readonly kind: "message"; readonly octets: number }
  /** The transaction is over without a message. `reply` is what refused one that was being sent, and is written. */
  | { readonly kind: "discard"; readonly reply: Reply | null }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** Who an address is, or who is behind it. */
  | { readonly kind: "lookup"; readonly verb: "VRFY" | "EXPN"; readonly text: string }
  /** Mail held for a domain is to be sent now. */
  | { readonly kind: "etrn"; readonly text: string }
  /** The client speaks for another one. */
  | { readonly kind: "xclient"; readonly attributes: ReadonlyMap<string, string> }
  /** A transaction in hand is over. The 220 is written: flush, `dropInput`, handshake, `tlsStarted`. */
  | { readonly kind: "starttls" }
  | { readonly kind: "close" };

type Mode = "command" | "sasl" | "data" | "chunk" | "message-end";
/** What the event in hand waits for. */
type Waiting =
  | ""
  | "helo"
  | "mail"
  | "rcpt"
  | "data"
  | "bdat"
  | "message"
  | "credentials"
  | "lookup"
  | "etrn"
  | "xclient";
/** Where in a transaction: none, MAIL accepted, chunks have begun. */
type Transaction = "none" | "mail" | "chunks";

const NEED_INPUT: SmtpEvent = { kind: "need-input" };
const OUTPUT: SmtpEvent = { kind: "output" };
const CLOSE: SmtpEvent = { kind: "close" };
const BEGIN: SmtpEvent = { kind: "begin" };
const DISCARD: SmtpEvent = { kind: "discard", reply: null };
const STARTTLS: SmtpEvent = { kind: "starttls" };
const NO_OCTETS = new Uint8Array(0);
/** Verbs kept for the log line of a fault. */
const KEPT_VERBS = 8;

export class SmtpSession {
  readonly out: Out;
  tlsActive: boolean;
  loggedIn = false;
  /** Argument of the last EHLO or HELO; "" before it. */
  heloName = "";
  esmtp = false;
  /** The verb in hand, from a closed set; "" when it was not understood. */
  verb = "";
  /** Accepted recipients of the transaction. */
  recipients = 0;

  #options: SmtpSessionOptions;
  #offers: Offers;
  #limits: SmtpLimits;
  #framer: LineFramer;
  #data: MessageData;
  #chunk: Uint8Array = NO_OCTETS;
  #at = 0;
  #mode: Mode = "command";
  #waiting: Waiting = "";
  #transaction: Transaction = "none";
  /** Some RCPT of the transaction was refused. */
  #refusedRecipient = false;
  /** BODY=BINARYMIME. */
  #binary = false;
  #pendingName = "";
  #chunkLeft = 0;
  #chunkLast = false;
  /** Octets of this chunk are dropped, and this is its reply. */
  #chunkRefusal: Reply | null = null;
  #auth: AuthDialog | null = null;
  /** What is said before a login is refused, and the refusal that waits for the client's answer to it. */
  #lastChallenge: string | null = null;
  #refusedLogin: Reply | null = null;
  #commands = 0;
  #errors = 0;
  #closing = false;
  #verbs: string[] = [];

  constructor(options: SmtpSessionOptions) {
    this.out = options.out;
    this.tlsActive = options.tlsActive;
    this.#options = options;
    this.#offers = options.offers ?? NO_OFFERS;
    this.#limits = options.limits;
    this.#framer = new LineFramer(Math.max(options.limits.commandLineOctets, this.#authLineOctets()));
    this.#data = new MessageData(options.limits.messageOctets);
  }

  /** The last reply is said: nothing is answered any more. */
  get ended(): boolean {
    return this.#closing;
  }

  /** True between commands: a timeout here is idleness. */
  get betweenCommands(): boolean {
    return this.#mode === "command" && this.#waiting === "" && !this.#framer.partial;
  }

  /** Message octets are awaited: large reads pay. */
  get streaming(): boolean {
    return this.#mode === "data" || this.#mode === "chunk";
  }

  /** A message is under way: it is received to its end before the session is ended from outside. */
  get receiving(): boolean {
    return this.streaming || this.#transaction === "chunks";
  }

  /** Commands so far: what has grown is progress. */
  get commands(): number {
    return this.#commands;
  }

  /** The last verbs, oldest first. */
  get lastVerbs(): string {
    return this.#verbs.join(" ");
  }

  /** The greeting (RFC 5321 3.1). */
  greet(): void {
    this.out.text(`220 ${this.#options.hostName} ${this.#options.service === "lmtp" ? "LMTP" : "ESMTP"}\r\n`);
  }

  /** Octets from the peer, borrowed until the next `feed`; only after `need-input`. */
  feed(bytes: Uint8Array): void {
    this.#chunk = bytes;
    this.#at = 0;
  }

  next(): SmtpEvent {
    if (this.#waiting !== "") throw new Error(`the session waits for an answer to ${this.#waiting}`);
    for (;;) {
      if (this.#closing) return this.#close();
      if (this.out.pending > HIGH_WATER_OCTETS) return OUTPUT;
      const event = this.#step();
      if (event !== null) return event;
    }
  }

  /** Goes on: EHLO is greeted, DATA gets its 354. */
  accept(): void {
    const waiting = this.#waiting;
    this.#waiting = "";
    switch (waiting) {
      case "helo":
        return this.#greeted();
      case "data":
        this.#mode = "data";
        this.#reply(R.START_MAIL);
        return;
      case "bdat":
        this.#transaction = "chunks";
        return;
      default:
        throw new Error(`accept() is no answer to ${waiting}`);
    }
  }

  /** The reply to what is in hand. MAIL and RCPT count when it is 2xx; 421 ends the session in every place. */
  answer(reply: Reply): void {
    const waiting = this.#waiting;
    this.#waiting = "";
    switch (waiting) {
      case "mail":
        if (reply.code < 300) this.#transaction = "mail";
        break;
      case "rcpt":
        if (reply.code < 300) this.recipients++;
        else this.#refusedRecipient = true;
        break;
      case "data":
        this.#clear();
        break;
      case "bdat":
        this.#clear();
        this.#chunkRefusal = reply;
        return;
      case "message":
        if (reply.code < 300) this.#errors = 0;
        this.#clear();
        break;
      case "credentials":
        if (reply.code === 535 && this.#lastChallenge !== null) {
          this.#refusedLogin = reply;
          this.#challenge(this.#lastChallenge);
          return;
        }
        break;
      case "helo":
      case "lookup":
      case "etrn":
      case "xclient":
        break;
      case "":
        throw new Error("nothing waits for an answer");
      default:
        return waiting satisfies never;
    }
    this.#reply(reply);
  }

  /** The answers to a message, one for each accepted recipient in order (RFC 2033 4.2). */
  answerEach(replies: readonly Reply[]): void {
    if (this.#waiting !== "message") throw new Error("no message waits for answers");
    this.#waiting = "";
    if (replies.some(({ code }) => code < 300)) this.#errors = 0;
    this.#clear();
    for (const reply of replies) this.#reply(reply);
  }

  /** XCLIENT was taken: everything begins anew, with a greeting. */
  restarted(lineEnds: "refuse" | "convert"): void {
    this.#waiting = "";
    this.#options = { ...this.#options, bareLineEnds: lineEnds };
    this.loggedIn = false;
    this.heloName = "";
    this.esmtp = false;
    this.greet();
    this.#options.observer.replied(this.verb, 220);
  }

  /** The answer to good credentials. */
  authenticated(): void {
    this.loggedIn = true;
    this.answer(R.AUTHENTICATED);
  }

  /** Everything the peer sent so far is void (RFC 3207 4.2). */
  dropInput(): void {
    this.#chunk = NO_OCTETS;
    this.#at = 0;
    this.#framer.reset();
  }

  /** What was learnt before TLS is forgotten (RFC 3207 4.2). */
  tlsStarted(): void {
    this.tlsActive = true;
    this.loggedIn = false;
    this.heloName = "";
    this.esmtp = false;
  }

  /** Says the last reply, outside of any command; the next event is `close`. */
  end(reply: Reply): void {
    if (this.#closing) return;
    this.out.text(encodeReply(reply));
    this.#options.observer.replied("", reply.code);
    this.#waiting = "";
    this.#closing = true;
  }

  /** One unit of input. Null: answered here, go on. */
  #step(): SmtpEvent | null {
    switch (this.#mode) {
      case "command":
      case "sasl":
        return this.#readLine();
      case "data":
        return this.#readData();
      case "chunk":
        return this.#readChunk();
      case "message-end":
        return this.#messageEnd();
      default:
        return this.#mode satisfies never;
    }
  }

  #close(): SmtpEvent {
    if (this.#transaction === "none") return CLOSE;
    this.#clear();
    return DISCARD;
  }

  #readLine(): SmtpEvent | null {
    const framer = this.#framer;
    if (this.#at >= this.#chunk.length) return NEED_INPUT;
    this.#at = framer.next(this.#chunk, this.#at, this.#chunk.length);
    if (framer.result === "more") return NEED_INPUT;
    if (this.#mode === "sasl") {
      return this.#saslLine(framer.result);
    }
    if (++this.#commands > this.#limits.commands) {
      this.#options.observer.limited("commands");
      this.end(R.TOO_MANY_COMMANDS);
      return null;
    }
    const { bytes, start, end, result } = framer;
    if (result === "too-long") {
      this.#begin("");
      return this.#reply(this.#tooLong(this.#authLineOctets() > 0 ? "authLineOctets" : "commandLineOctets"));
    }
    if (end + 2 - start > this.#limits.commandLineOctets && packAt(bytes, start) !== AUTH) {
      this.#begin("");
      return this.#reply(this.#tooLong("commandLineOctets"));
    }
    this.#begin(verbAt(bytes, start, end));
    const parsed = parseCommand(bytes, start, end);
    return "refused" in parsed ? this.#reply(parsed.refused) : this.#run(parsed.command);
  }

  #begin(verb: string): void {
    this.verb = verb;
    this.#verbs.push(verb === "" ? "?" : verb);
    if (this.#verbs.length > KEPT_VERBS) this.#verbs.shift();
  }

  /** Carries out what needs nobody else; everything else is an event. */
  #run(command: Command): SmtpEvent | null {
    switch (command.verb) {
      case "HELO":
      case "EHLO":
      case "LHLO":
        // RFC 2033 4.1: LHLO there and nowhere else.
        if ((command.verb === "LHLO") !== (this.#options.service === "lmtp")) {
          return this.#reply(R.UNKNOWN_COMMAND);
        }
        this.#pendingName = command.name;
        this.#clear();
        return this.#ask("helo", { kind: "helo", verb: command.verb, name: command.name });
      case "MAIL":
        return this.#mail(command);
      case "RCPT":
        return this.#rcpt(command);
      case "DATA":
        return this.#transaction === "chunks" ? this.#reply(R.BDAT_RUNNING) : this.#startData();
      case "BDAT":
        return this.#startChunk(command);
      case "RSET":
        this.#reply(R.RESET_OK);
        return this.#discard();
      case "NOOP":
        return this.#reply(R.NOOP_OK);
      case "QUIT":
        this.#reply(R.BYE);
        this.#closing = true;
        return null;
      case "VRFY":
      case "EXPN":
        return this.#ask("lookup", { kind: "lookup", verb: command.verb, text: command.text });
      case "HELP":
        return this.#reply(this.#help());
      case "ETRN":
        if (!this.#offers.etrn) return this.#reply(R.NOT_IMPLEMENTED);
        if (this.heloName === "") return this.#reply(R.EHLO_FIRST);
        // RFC 1985 5.1: not within a transaction.
        if (this.#transaction !== "none") return this.#reply(R.NOT_IN_TRANSACTION);
        return this.#ask("etrn", { kind: "etrn", text: command.text });
      case "XCLIENT":
        if (!this.#offers.xclient) return this.#reply(R.NOT_IMPLEMENTED);
        if (this.#transaction !== "none") return this.#reply(R.NOT_IN_TRANSACTION);
        return this.#ask("xclient", { kind: "xclient", attributes: command.attributes });
      case "STARTTLS":
        return this.#startTls();
      case "AUTH":
        return this.#startAuth(command.mechanism, command.initialResponse);
      default:
        return command satisfies never;
    }
  }

  #greeted(): void {
    const esmtp = this.verb !== "HELO";
    this.heloName = this.#pendingName;
    this.esmtp = esmtp;
    const { hostName } = this.#options;
    this.out.text(esmtp ? this.#ehloReply() : `250 ${hostName}\r\n`);
    this.#options.observer.replied(this.verb, 250);
  }

  #ehloReply(): string {
    const { hostName, startTlsAvailable, mechanisms } = this.#options;
    const { futureRelease, etrn, xclient } = this.#offers;
    return ehloReply({
      hostName,
      messageOctets: this.#limits.messageOctets,
      recipients: this.#limits.recipients,
      startTls: startTlsAvailable && !this.tlsActive,
      tlsActive: this.tlsActive,
      mechanisms: this.loggedIn || this.#authNeedsTls() ? "" : [...mechanisms.keys()].join(" "),
      futureRelease: futureRelease === null
        ? null
        : { maxSeconds: futureRelease.maxSeconds, nowMs: futureRelease.now() },
      etrn,
      xclient,
    });
  }

  /** RFC 5321 4.1.1.8. */
  #help(): Reply {
    const { service, startTlsAvailable, mechanisms } = this.#options;
    const verbs = [
      ...(service === "lmtp" ? ["LHLO"] : ["EHLO", "HELO"]),
      ...["MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT"],
      ...(startTlsAvailable && !this.tlsActive ? ["STARTTLS"] : []),
      ...(mechanisms.size > 0 ? ["AUTH"] : []),
      ...(this.#offers.etrn ? ["ETRN"] : []),
    ];
    return { code: 214, enhanced: "2.0.0", text: "Commands:", more: [verbs.join(" "), "See RFC 5321"] };
  }

  #mail(command: Extract<Command, { verb: "MAIL" }>): SmtpEvent | null {
    if (this.heloName === "") return this.#reply(R.EHLO_FIRST);
    if (this.#transaction !== "none") return this.#reply(R.NESTED_MAIL);
    if (this.#options.service === "submission" && !this.loggedIn) {
      return this.#reply(this.#authNeedsTls() ? R.TLS_REQUIRED : R.AUTH_REQUIRED);
    }
    const { reversePath, parameters } = command;
    if ((parameters.size ?? 0) > this.#limits.messageOctets) {
      this.#options.observer.limited("messageOctets");
      return this.#reply(R.TOO_BIG);
    }
    const objection = this.#notOffered(parameters);
    if (objection !== null) return this.#reply(objection);
    this.#binary = parameters.body === "BINARYMIME";
    return this.#ask("mail", { kind: "mail", reversePath, parameters });
  }

  /** Parameters of extensions that this session has not been offered. */
  #notOffered({ requireTls, hold }: MailParameters): Reply | null {
    if (requireTls && !this.tlsActive) return R.UNKNOWN_PARAMETER;
    if (hold === null) return null;
    const { futureRelease } = this.#offers;
    if (futureRelease === null) return R.UNKNOWN_PARAMETER;
    const seconds = "forSeconds" in hold ? hold.forSeconds : (hold.untilMs - futureRelease.now()) / 1_000;
    return seconds > futureRelease.maxSeconds ? R.HOLD_TOO_LONG : null;
  }

  #rcpt({ forwardPath, parameters }: Extract<Command, { verb: "RCPT" }>): SmtpEvent | null {
    if (this.#transaction === "none") return this.#reply(R.MAIL_FIRST);
    if (this.#transaction === "chunks") return this.#reply(R.BDAT_RUNNING);
    if (this.recipients >= this.#limits.recipients) {
      this.#options.observer.limited("recipients");
      this.#refusedRecipient = true;
      return this.#reply(R.TOO_MANY_RECIPIENTS);
    }
    return this.#ask("rcpt", { kind: "rcpt", forwardPath, parameters });
  }

  /** Why there can be no message now; null when there can. */
  #noMessage(): Reply | null {
    if (this.#transaction === "none") return R.MAIL_FIRST;
    if (this.recipients > 0) return null;
    // RFC 5321 3.3: 554 where recipients were refused, so that a pipelining client knows what is meant.
    return this.#refusedRecipient ? R.NO_VALID_RECIPIENTS : R.RCPT_FIRST;
  }

  #startData(): SmtpEvent | null {
    const objection = this.#noMessage();
    if (objection !== null) return this.#reply(objection);
    if (this.#binary) return this.#reply(R.BINARY_NEEDS_BDAT); // RFC 3030 3
    this.#data.open(this.#lineEnds());
    return this.#ask("data", BEGIN);
  }

  /** The octets of a refused chunk are read all the same, and its reply follows them (RFC 3030 2). */
  #startChunk({ size, last, wellFormed }: Extract<Command, { verb: "BDAT" }>): SmtpEvent | null {
    this.#mode = "chunk";
    this.#chunkLeft = size;
    this.#chunkLast = last;
    const begun = this.#transaction === "chunks";
    this.#chunkRefusal = this.#noMessage() ?? (wellFormed ? null : R.SYNTAX);
    if (this.#chunkRefusal !== null) return null;
    if (size + (begun ? this.#data.octets : 0) > this.#limits.messageOctets) {
      this.#chunkRefusal = R.TOO_BIG;
      return null;
    }
    if (begun) return null;
    this.#data.open(this.#binary ? "binary" : this.#lineEnds());
    return this.#ask("bdat", BEGIN);
  }

  #readData(): SmtpEvent | null {
    const data = this.#data;
    if (this.#at >= this.#chunk.length) return NEED_INPUT;
    this.#at = data.readData(this.#chunk, this.#at, this.#chunk.length);
    if (data.done) return this.#complete();
    return this.#span();
  }

  #readChunk(): SmtpEvent | null {
    if (this.#chunkLeft === 0) return this.#chunkEnd();
    const from = this.#at;
    const end = Math.min(this.#chunk.length, from + this.#chunkLeft);
    if (from === end) return NEED_INPUT;
    this.#at = end;
    this.#chunkLeft -= end - from;
    if (this.#chunkRefusal !== null) return null;
    this.#data.readChunk(this.#chunk, from, end);
    return this.#span();
  }

  #chunkEnd(): SmtpEvent | null {
    const refusal = this.#chunkRefusal ?? this.#data.refusal;
    if (refusal === null && this.#chunkLast) return this.#complete();
    this.#mode = "command";
    if (refusal === null) return this.#reply(R.CHUNK_OK);
    // A sequence error leaves the transaction as it was; with a chunk lost, the message is lost.
    if (refusal === R.MAIL_FIRST || refusal === R.RCPT_FIRST || refusal === R.NO_VALID_RECIPIENTS) {
      return this.#reply(refusal);
    }
    return this.#lost(refusal);
  }

  /** The last octet is read: what was held back comes before the end. */
  #complete(): SmtpEvent | null {
    this.#mode = "message-end";
    this.#data.finish();
    return this.#span();
  }

  #span(): SmtpEvent | null {
    const { bytes, start, end } = this.#data;
    return start === end ? null : { kind: "data", bytes, start, end };
  }

  #messageEnd(): SmtpEvent | null {
    this.#mode = "command";
    const { refusal, octets } = this.#data;
    return refusal === null ? this.#ask("message", { kind: "message", octets }) : this.#lost(refusal);
  }

  /** Refuses a message that was being sent. */
  #lost(reply: Reply): SmtpEvent | null {
    if (reply === R.TOO_BIG) this.#options.observer.limited("messageOctets");
    this.#reply(reply);
    if (this.#transaction === "none") return null; // the driver refused it, and knows
    this.#clear();
    return { kind: "discard", reply };
  }

  #startTls(): SmtpEvent | null {
    if (this.tlsActive) return this.#reply(R.TLS_ACTIVE);
    if (!this.#options.startTlsAvailable) return this.#reply(R.NOT_IMPLEMENTED);
    this.#reply(R.READY_FOR_TLS);
    this.#clear();
    return STARTTLS;
  }

  #startAuth(mechanism: string, initialResponse: string | null): SmtpEvent | null {
    const { mechanisms } = this.#options;
    if (mechanisms.size === 0) return this.#reply(R.NOT_IMPLEMENTED);
    if (this.loggedIn) return this.#reply(R.AUTH_DONE);
    if (!this.esmtp) return this.#reply(R.EHLO_FIRST);
    if (this.#transaction !== "none") return this.#reply(R.AUTH_IN_TRANSACTION);
    if (this.#authNeedsTls()) return this.#reply(R.AUTH_NEEDS_TLS);
    const exchange = mechanisms.get(mechanism)?.();
    if (exchange === undefined) return this.#reply(R.UNKNOWN_MECHANISM);
    this.#auth = new AuthDialog(mechanism, exchange);
    return this.#authStep(this.#auth.begin(initialResponse));
  }

  #saslLine(result: LineResult): SmtpEvent | null {
    if (this.#refusedLogin !== null) {
      const reply = this.#refusedLogin;
      this.#refusedLogin = null;
      return this.#authStep({ kind: "refused", reply });
    }
    if (this.#auth === null || result === "too-long") {
      return this.#authStep({ kind: "refused", reply: this.#tooLong("authLineOctets") });
    }
    const { bytes, start, end } = this.#framer;
    return this.#authStep(this.#auth.line(latin1(bytes, start, end)));
  }

  #authStep(step: AuthStep): SmtpEvent | null {
    if (step.kind === "challenge") return this.#challenge(step.base64);
    this.#mode = "command";
    this.#auth = null;
    if (step.kind === "refused") return this.#reply(step.reply);
    this.#lastChallenge = step.refusal;
    return this.#ask("credentials", { kind: "credentials", credentials: step.credentials });
  }

  #challenge(base64: string): null {
    this.#mode = "sasl";
    this.out.text(`334 ${base64}\r\n`);
    return null;
  }

  #authNeedsTls(): boolean {
    return !this.tlsActive && !this.#options.plainLoginAllowed;
  }

  /** 0: there is no AUTH here. */
  #authLineOctets(): number {
    return this.#options.mechanisms.size === 0 ? 0 : this.#limits.authLineOctets;
  }

  #lineEnds(): "refuse" | "convert" {
    return this.loggedIn ? "convert" : this.#options.bareLineEnds;
  }

  #tooLong(limit: LimitName): Reply {
    this.#options.observer.limited(limit);
    return R.LINE_TOO_LONG;
  }

  /** RSET and what implies it. */
  #discard(): SmtpEvent | null {
    if (this.#transaction === "none") return null;
    this.#clear();
    return DISCARD;
  }

  #clear(): void {
    this.#transaction = "none";
    this.recipients = 0;
    this.#refusedRecipient = false;
    this.#binary = false;
  }

  #ask(waiting: Waiting, event: SmtpEvent): SmtpEvent {
    this.#waiting = waiting;
    return event;
  }

  #reply(reply: Reply): null {
    this.out.text(encodeReply(reply));
    this.#options.observer.replied(this.verb, reply.code);
    if (reply.code === 421) this.#closing = true;
    else if (reply.code >= 500 && ++this.#errors >= this.#limits.errors) {
      this.#options.observer.limited("errors");
      this.end(R.TOO_MANY_ERRORS);
    }
    return null;
  }
}
