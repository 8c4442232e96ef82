/**
 * The dialogue of one SMTP, submission or LMTP session of the server: who may say which command when, and the replies. The
 * order within a mail transaction, and its message, are those of transaction.ts.
 *
 * RFC 5321 3 and 4.1.4, RFC 2920 (PIPELINING), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 6409, RFC 2033 (LMTP: LHLO, a
 * reply for each recipient), RFC 4865, RFC 8689, RFC 1985.
 * The driver feeds octets and asks for the next event; where policy or storage decides, the session is paused until it is
 * answered. Commands are taken strictly one after the other, so that pipelining is never ambiguous. Replies go to
 * {@linkcode Out}; the driver flushes. Pure: no socket, clock or storage. Limits: {@linkcode SmtpLimits}. Hot:
 * bench/micro/smtp_bench.ts.
 */
import { latin1 } from "../../bytes/decode.ts";
import { packAt } from "../../bytes/keyword.ts";
import { HIGH_WATER_OCTETS, type Out } from "../../bytes/out.ts";
import { LineFramer, type LineResult } from "../line_framer.ts";
import { AuthDialog, type AuthStep } from "./auth_dialog.ts";
import { AUTH, type Command, parseCommand, verbAt } from "./command.ts";
import type { SmtpEvent } from "./event.ts";
import { ehloReply, helpReply, usesHidden } from "./extensions.ts";
import type { MailParameters } from "./parameters.ts";
import * as R from "./reply.ts";
import { encodeReply, type Reply } from "./reply.ts";
import {
  type HideableKeyword,
  type LimitName,
  NO_OFFERS,
  NOTHING_HIDDEN,
  type Offers,
  type SmtpLimits,
  type SmtpSessionOptions,
} from "./session_options.ts";
import { MailTransaction } from "./transaction.ts";

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

const NEED_INPUT: SmtpEvent = { kind: "need-input" };
const OUTPUT: SmtpEvent = { kind: "output" };
const CLOSE: SmtpEvent = { kind: "close" };
const BEGIN: SmtpEvent = { kind: "begin" };
const DISCARD: SmtpEvent = { kind: "discard", reply: null };
const STARTTLS: SmtpEvent = { kind: "starttls" };
const NO_OCTETS = new Uint8Array(0);
/** What is refused before STARTTLS where TLS is required; the other commands of a transaction have no MAIL before them. */
const NEED_TLS: ReadonlySet<string> = new Set(["MAIL", "AUTH", "VRFY", "EXPN", "ETRN"]);
/** Whose refusals lose mail. */
const OF_MAIL: ReadonlySet<string> = new Set(["MAIL", "RCPT", "DATA", "BDAT"]);
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
  /** The client has sent on without waiting for a reply (RFC 2920). */
  pipelined = false;

  #options: SmtpSessionOptions;
  #offers: Offers;
  readonly #hidden: ReadonlySet<HideableKeyword>;
  #limits: SmtpLimits;
  #framer: LineFramer;
  #input: Uint8Array = NO_OCTETS;
  #at = 0;
  #waiting: Waiting = "";
  readonly #transaction: MailTransaction;
  #pendingName = "";
  /** From AUTH to the reply to its credentials; `challenged`: the next line is the client's response. */
  #auth: AuthDialog | null = null;
  #challenged = false;
  #commands = 0;
  #errors = 0;
  /** The priority that MAIL was given in place of the one it asked for; null where that was granted. */
  #lowered: number | null = null;
  #closing = false;
  #verbs: string[] = [];

  constructor(options: SmtpSessionOptions) {
    this.out = options.out;
    this.tlsActive = options.tlsActive;
    this.#options = options;
    this.#offers = options.offers ?? NO_OFFERS;
    this.#hidden = options.hidden ?? NOTHING_HIDDEN;
    this.#limits = options.limits;
    this.#framer = new LineFramer(Math.max(options.limits.commandLineOctets, this.#authLineOctets()));
    this.#transaction = new MailTransaction(options.limits);
  }

  /** The last reply is said: nothing is answered any more. */
  get ended(): boolean {
    return this.#closing;
  }

  /** True between commands: a timeout here is idleness. */
  get betweenCommands(): boolean {
    return !this.#transaction.reading && !this.#challenged && this.#waiting === "" && !this.#framer.partial;
  }

  /** Message octets are awaited: large reads pay. */
  get streaming(): boolean {
    return this.#transaction.streaming;
  }

  /** A message is under way: it is received to its end before the session is ended from outside. */
  get receiving(): boolean {
    return this.#transaction.receiving;
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
    this.#input = bytes;
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
        this.#transaction.startData();
        this.#reply(R.START_MAIL);
        return;
      case "bdat":
        return this.#transaction.startChunks();
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
        if (reply.code < 300) this.#transaction.mailAccepted();
        if (reply.code === 250 && this.#lowered !== null) return void this.#reply(R.loweredTo(this.#lowered));
        break;
      case "rcpt":
        this.#transaction.rcptAnswered(reply.code < 300);
        break;
      case "data":
        this.#transaction.clear();
        break;
      case "bdat":
        this.#transaction.clear();
        this.#transaction.refuseChunk(reply);
        return;
      case "message":
        if (reply.code < 300) this.#errors = 0;
        this.#transaction.clear();
        break;
      case "credentials":
        if (reply.code === 535) return void this.#authStep(this.#auth!.refuse(reply));
        this.#auth = null;
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
    this.#transaction.clear();
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
    this.#input = NO_OCTETS;
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
    return this.#transaction.reading ? this.#readMessage() : this.#readLine();
  }

  #close(): SmtpEvent {
    return this.#discard() ?? CLOSE;
  }

  #readLine(): SmtpEvent | null {
    const framer = this.#framer;
    if (this.#at >= this.#input.length) return NEED_INPUT;
    this.#at = framer.next(this.#input, this.#at, this.#input.length);
    if (framer.result === "more") return NEED_INPUT;
    if (this.#at < this.#input.length) this.pipelined = true;
    if (this.#challenged) return this.#saslLine(framer.result);
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
    if (this.#options.tlsRequired === true && !this.tlsActive && NEED_TLS.has(command.verb)) {
      return this.#reply(R.TLS_REQUIRED);
    }
    switch (command.verb) {
      case "HELO":
      case "EHLO":
      case "LHLO":
        // RFC 2033 4.1: LHLO there and nowhere else.
        if ((command.verb === "LHLO") !== (this.#options.service === "lmtp")) {
          return this.#reply(R.UNKNOWN_COMMAND);
        }
        this.#pendingName = command.name;
        this.#transaction.clear();
        return this.#ask("helo", { kind: "helo", verb: command.verb, name: command.name });
      case "MAIL":
        return this.#mail(command);
      case "RCPT":
        return this.#rcpt(command);
      case "DATA":
        return this.#startData();
      case "BDAT":
        if (!this.#transaction.openChunk(command, this.#lineEnds())) return null;
        if (!this.#hidden.has("CHUNKING")) return this.#ask("bdat", BEGIN);
        this.#transaction.refuseChunk(R.NOT_IMPLEMENTED);
        return null;
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
        return this.#reply(helpReply(this.#options, this));
      case "ETRN":
        if (!this.#offers.etrn) return this.#reply(R.NOT_IMPLEMENTED);
        if (this.heloName === "") return this.#reply(R.EHLO_FIRST);
        // RFC 1985 5.1: not within a transaction.
        if (this.#transaction.open) return this.#reply(R.NOT_IN_TRANSACTION);
        return this.#ask("etrn", { kind: "etrn", text: command.text });
      case "XCLIENT":
        if (!this.#offers.xclient) return this.#reply(R.NOT_IMPLEMENTED);
        if (this.#transaction.open) return this.#reply(R.NOT_IN_TRANSACTION);
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
    this.out.text(esmtp ? ehloReply(this.#options, this) : `250 ${hostName}\r\n`);
    this.#options.observer.replied(this.verb, 250);
  }

  #mail({ reversePath, parameters }: Extract<Command, { verb: "MAIL" }>): SmtpEvent | null {
    if (this.heloName === "") return this.#reply(R.EHLO_FIRST);
    if (this.#options.service === "submission" && !this.loggedIn) {
      return this.#reply(this.#authNeedsTls() ? R.TLS_REQUIRED : R.AUTH_REQUIRED);
    }
    const objection = this.#transaction.mail(parameters) ?? this.#notOffered(parameters);
    if (objection !== null) return this.#refuse(objection);
    const granted = this.#granted(parameters);
    this.#lowered = granted === parameters ? null : granted.priority;
    return this.#ask("mail", { kind: "mail", reversePath, parameters: granted });
  }

  /** RFC 6710 4.1: who asks for a higher priority than it may have gets the highest that it may. */
  #granted(parameters: MailParameters): MailParameters {
    const { priority } = parameters;
    const { maxPriority } = this.#offers;
    if (priority === null || maxPriority === null || priority <= maxPriority) return parameters;
    return { ...parameters, priority: maxPriority };
  }

  /** Parameters of extensions that this session has not been offered. */
  #notOffered(parameters: MailParameters): Reply | null {
    const { requireTls, hold, priority } = parameters;
    if (requireTls && !this.tlsActive) return R.UNKNOWN_PARAMETER;
    if (this.#hidden.size > 0 && usesHidden(parameters, this.#hidden)) return R.UNKNOWN_PARAMETER;
    if (priority !== null && this.#offers.maxPriority === null) return R.UNKNOWN_PARAMETER;
    if (hold === null) return null;
    const { futureRelease } = this.#offers;
    if (futureRelease === null) return R.UNKNOWN_PARAMETER;
    const seconds = "forSeconds" in hold ? hold.forSeconds : (hold.untilMs - futureRelease.now()) / 1_000;
    return seconds > futureRelease.maxSeconds ? R.HOLD_TOO_LONG : null;
  }

  #rcpt({ forwardPath, parameters }: Extract<Command, { verb: "RCPT" }>): SmtpEvent | null {
    const objection = this.#transaction.rcpt();
    if (objection !== null) return this.#refuse(objection);
    const { notify, originalRecipient } = parameters;
    if (this.#hidden.has("DSN") && notify + originalRecipient !== "") return this.#reply(R.UNKNOWN_PARAMETER);
    return this.#ask("rcpt", { kind: "rcpt", forwardPath, parameters });
  }

  #startData(): SmtpEvent | null {
    const objection = this.#transaction.openData(this.#lineEnds());
    return objection === null ? this.#ask("data", BEGIN) : this.#reply(objection);
  }

  #readMessage(): SmtpEvent | null {
    const transaction = this.#transaction;
    const found = transaction.read(this.#input, this.#at);
    this.#at = transaction.at;
    switch (found) {
      case "need-input":
        return NEED_INPUT;
      case "nothing":
        return null;
      case "octets": {
        const { bytes, start, end } = transaction.data;
        return { kind: "data", bytes, start, end };
      }
      case "chunk":
        return this.#reply(R.CHUNK_OK);
      case "message": {
        const { octets, holdsNul } = transaction.data;
        return this.#ask("message", { kind: "message", octets, holdsNul });
      }
      case "out-of-order":
        return this.#reply(transaction.refusal!);
      case "refused":
        return this.#lost(transaction.refusal!);
      default:
        return found satisfies never;
    }
  }

  /** Refuses a message that was being sent. */
  #lost(reply: Reply): SmtpEvent | null {
    this.#refuse(reply);
    if (!this.#transaction.open) return null; // the driver refused it, and knows
    this.#transaction.clear();
    return { kind: "discard", reply };
  }

  #startTls(): SmtpEvent | null {
    if (this.tlsActive) return this.#reply(R.TLS_ACTIVE);
    if (!this.#options.startTlsAvailable) return this.#reply(R.NOT_IMPLEMENTED);
    this.#reply(R.READY_FOR_TLS);
    this.#transaction.clear();
    return STARTTLS;
  }

  #startAuth(mechanism: string, initialResponse: string | null): SmtpEvent | null {
    const { mechanisms } = this.#options;
    if (mechanisms.size === 0) return this.#reply(R.NOT_IMPLEMENTED);
    if (this.loggedIn) return this.#reply(R.AUTH_DONE);
    if (!this.esmtp) return this.#reply(R.EHLO_FIRST);
    if (this.#transaction.open) return this.#reply(R.AUTH_IN_TRANSACTION);
    if (this.#authNeedsTls()) return this.#reply(R.AUTH_NEEDS_TLS);
    const exchange = mechanisms.get(mechanism)?.();
    if (exchange === undefined) return this.#reply(R.UNKNOWN_MECHANISM);
    this.#auth = new AuthDialog(mechanism, exchange);
    return this.#authStep(this.#auth.begin(initialResponse));
  }

  #saslLine(result: LineResult): SmtpEvent | null {
    const auth = this.#auth!;
    if (result === "too-long" && !auth.refusing) {
      return this.#authStep({ kind: "refused", reply: this.#tooLong("authLineOctets") });
    }
    const { bytes, start, end } = this.#framer;
    return this.#authStep(auth.line(latin1(bytes, start, end)));
  }

  #authStep(step: AuthStep): SmtpEvent | null {
    this.#challenged = step.kind === "challenge";
    switch (step.kind) {
      case "challenge":
        this.out.text(`334 ${step.base64}\r\n`);
        return null;
      case "credentials":
        return this.#ask("credentials", { kind: "credentials", credentials: step.credentials });
      case "refused":
        this.#auth = null;
        return this.#reply(step.reply);
      default:
        return step satisfies never;
    }
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
    if (!this.#transaction.open) return null;
    this.#transaction.clear();
    return DISCARD;
  }

  #ask(waiting: Waiting, event: SmtpEvent): SmtpEvent {
    this.#waiting = waiting;
    return event;
  }

  /** A refusal for its size is one of a limit too. */
  #refuse(reply: Reply): null {
    if (reply === R.TOO_BIG) this.#options.observer.limited("messageOctets");
    else if (reply === R.TOO_MANY_RECIPIENTS) this.#options.observer.limited("recipients");
    return this.#reply(reply);
  }

  #reply(reply: Reply): null {
    const told = this.#softened(reply);
    this.out.text(encodeReply(told));
    this.#options.observer.replied(this.verb, told.code);
    if (reply.code === 421) this.#closing = true;
    else if (reply.code >= 500 && ++this.#errors >= this.#limits.errors) {
      this.#options.observer.limited("errors");
      this.end(R.TOO_MANY_ERRORS);
    }
    return null;
  }

  /** What the client hears in place of a refusal for good. */
  #softened(reply: Reply): Reply {
    if (reply.code < 500 || this.#options.softBounce !== true || !OF_MAIL.has(this.verb)) return reply;
    this.#options.observer.softened?.();
    return R.softened(reply);
  }
}
