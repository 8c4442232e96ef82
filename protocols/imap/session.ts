/**
 * One IMAP session: states, tags, the order of commands, continuations, IDLE. All transitions are here.
 *
 * RFC 3501 3 and 6, RFC 2177, RFC 4959, RFC 5161, RFC 7888. The driver feeds octets and asks for the next event;
 * where storage or policy decides, the session is paused until it is answered. Commands are taken strictly one
 * after the other, so that pipelining is never ambiguous. Responses go to {@linkcode Out}; the driver flushes.
 * Pure: no socket, clock or storage. Limits: {@linkcode SessionLimits}.
 */
import { charClass, skipClass, TAG_CHAR } from "../../bytes/char_class.ts";
import { latin1 } from "../../bytes/decode.ts";
import type { Out } from "../../bytes/out.ts";
import { equalsFolded, SP } from "../../bytes/ascii.ts";
import { AppendProgress } from "./append_progress.ts";
import { Authentication, type AuthenticationStep } from "./authentication.ts";
import type { Command } from "./command.ts";
import { DEFAULT_COMPARATOR } from "./comparator.ts";
import { APPENDING, type CommandRule, COMMANDS, type SessionState } from "./command_table.ts";
import { parseAppendStart } from "./commands/append.ts";
import { Enabled } from "./enabled.ts";
import type { ImapEvent } from "./event.ts";
import { Framer } from "./framer.ts";
import { CommandCursor } from "./lexer.ts";
import { NOBODY, type OfAccount, OwnCommands, UNKNOWN_COMMAND } from "./own_commands.ts";
import { BAD_NAME, fault, type Reply } from "./reply.ts";
import type { SearchReturn } from "./search_program.ts";
import type { SessionOptions } from "./session_options.ts";
import { namesNumbers, UID_REQUIRED } from "./uid_only.ts";

/** RFC 7888 5: the largest non-synchronizing literal under LITERAL-. */
const LITERAL_MINUS_OCTETS = 4_096;

type Mode = "command" | "append-data" | "append-tail" | "sasl" | "idle";
type Waiting = "" | "answer" | "append";

const RETURN_ALL: SearchReturn = {
  min: false,
  max: false,
  all: true,
  count: false,
  save: false,
  partial: null,
  relevancy: false,
  update: null,
};

const NEED_INPUT: ImapEvent = { kind: "need-input" };
const CLOSE: ImapEvent = { kind: "close" };
const APPEND_END: ImapEvent = { kind: "append-end" };
const APPEND_VOID: ImapEvent = { kind: "append-void" };
const NAME = charClass("az", "AZ", "09");

export class ImapSession {
  readonly out: Out;
  state: SessionState = "not-authenticated";
  tlsActive: boolean;
  /** COMPRESS is active. */
  compressed = false;
  /** Extensions the client has enabled (RFC 5161). */
  readonly enabled = new Enabled();
  /** How texts compare in SEARCH, SORT and THREAD (RFC 5255 4). */
  comparator = DEFAULT_COMPARATOR;
  /** What the client said of itself (RFC 2971). */
  clientId: ReadonlyMap<string, string | null> | null = null;
  /** Name of the command in hand, for logs and metrics; from the closed set of the table. */
  commandName = "";

  #options: SessionOptions;
  #framer: Framer;
  #mode: Mode = "command";
  #waiting: Waiting = "";
  #tag = "*";
  /** The tagged reply of a refused command whose rest is still being dropped. */
  #refusal: Reply | null = null;
  #authentication: Authentication | null = null;
  #errors = 0;
  #closing = false;
  #append: AppendProgress;
  readonly #own: OwnCommands;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.out = options.out;
    this.tlsActive = options.tlsActive;
    this.#framer = new Framer(options.limits.beforeLogin);
    this.#append = new AppendProgress(options.limits.messageOctets);
    this.#own = new OwnCommands(this, options);
  }

  /** Tag of the command in hand, for ESEARCH. */
  get tag(): string {
    return this.#tag;
  }

  /** Largest message of APPEND (RFC 7889). */
  get appendLimitOctets(): number {
    return this.#options.limits.messageOctets;
  }

  /** Messages that one command may touch (RFC 9738); 0 is any number. */
  get messageLimit(): number {
    return this.#options.messageLimit ?? 0;
  }

  /** Messages that COPY and APPEND may bring; 0 is any number. */
  get saveLimit(): number {
    return this.#options.saveLimit ?? 0;
  }

  /** The account that is logged in may set quotas (RFC 9208 4.1.3). */
  get maySetQuota(): boolean {
    return this.#own.account.quotaSet;
  }

  /** BYE is said: nothing is answered any more. */
  get ended(): boolean {
    return this.#closing;
  }

  get idling(): boolean {
    return this.#mode === "idle" && this.#waiting === "";
  }

  /** True between commands: a timeout here is idleness. */
  get betweenCommands(): boolean {
    return this.#mode === "command" && this.#waiting === "" && this.#framer.atBoundary;
  }

  /** The greeting (RFC 3501 7.1). */
  greet(): void {
    this.out.text(`* OK [CAPABILITY ${this.#own.capabilities()}] ${this.#options.hostName} IMAP ready\r\n`);
  }

  /** Octets from the peer, borrowed until the next `feed`; only after `need-input`. */
  feed(bytes: Uint8Array): void {
    this.#framer.feed(bytes);
  }

  next(): ImapEvent {
    if (this.#waiting !== "") throw new Error(`the session waits for an answer to ${this.commandName}`);
    for (;;) {
      if (this.#closing) return CLOSE;
      const framer = this.#framer;
      const frame = framer.next(this.#mode === "sasl" || this.#mode === "idle");
      switch (frame) {
        case "need-input":
          return NEED_INPUT;
        case "command": {
          const event = this.#unit();
          if (event !== null) return event;
          break;
        }
        case "literal": {
          const event = this.#literal();
          if (event !== null) return event;
          break;
        }
        case "data":
          return { kind: "append-data", bytes: framer.bytes, start: framer.start, end: framer.end };
        case "data-end":
          this.#mode = "append-tail";
          break;
        case "too-long": {
          const voided = this.#mode === "append-tail";
          if (this.#mode === "command") this.#readTag(this.#cursor());
          this.#refusal = { status: "BAD", text: "The command is too long" };
          this.#options.onLimit?.("command");
          if (this.#mode !== "idle") this.#mode = "command";
          if (voided) return APPEND_VOID;
          break;
        }
        case "discarded": {
          const refusal = this.#refusal;
          this.#refusal = null;
          if (this.#mode === "idle") {
            this.#mode = "command";
            this.#waiting = "answer";
            return { kind: "idle-end", done: false };
          }
          if (refusal !== null) this.#write(refusal);
          break;
        }
        case "overrun":
          this.#options.onLimit?.("overrun");
          this.bye("Too much of that");
          break;
        default:
          return frame satisfies never;
      }
    }
  }

  /** The tagged reply to what is in hand. */
  answer(reply: Reply): void {
    const authentication = this.#authentication;
    this.#authentication = null;
    if (this.#waiting === "append") {
      this.#mode = "command";
      this.#refuse(reply);
    } else if (authentication !== null && reply.code === "AUTHENTICATIONFAILED") {
      this.#authentication = authentication;
      this.#authenticated(authentication.refused(reply));
    } else this.#write(reply);
    this.#waiting = "";
  }

  /** The answer to good credentials; `hidden` are capabilities not to be told, in capitals. */
  loggedIn(
    { hidden = NOBODY.hidden, quotaSet = false }: Partial<OfAccount> = {},
  ): void {
    this.#own.account = { hidden, quotaSet };
    this.state = "authenticated";
    this.#framer.limits = this.#options.limits.afterLogin;
    this.answer({ status: "OK", code: `CAPABILITY ${this.#own.capabilities()}`, text: "Logged in" });
  }

  /** Back to the state before the login; TLS stays (RFC 8437 2). The tagged OK is still to come. */
  unauthenticate(): void {
    this.state = "not-authenticated";
    this.#framer.limits = this.#options.limits.beforeLogin;
    this.enabled.clear();
    this.comparator = DEFAULT_COMPARATOR;
    this.clientId = null;
    this.#own.account = NOBODY;
  }

  /** Takes the announced message: its octets follow as `append-data`. */
  grantAppend(): void {
    this.#waiting = "";
    this.#mode = "append-data";
    if (!this.#framer.nonSync) this.out.text("+ OK\r\n");
    this.#framer.streamLiteral();
  }

  /** Everything the peer sent so far is void (RFC 3501 6.2.1). */
  dropInput(): void {
    this.#framer.dropInput();
  }

  /** What was learnt before TLS is forgotten (RFC 3501 6.2.1). */
  tlsStarted(): void {
    this.tlsActive = true;
    this.clientId = null;
    this.#errors = 0;
  }

  /** Announces the end; the next event is `close`. */
  bye(text: string, code = ""): void {
    if (this.#closing) return;
    this.out.text(code === "" ? `* BYE ${text}\r\n` : `* BYE [${code}] ${text}\r\n`);
    this.state = "logout";
    this.#closing = true;
    this.#waiting = "";
  }

  /** A whole line or command. Null: answered here, go on. */
  #unit(): ImapEvent | null {
    switch (this.#mode) {
      case "command":
        return this.#command();
      case "append-tail":
        return this.#appendTail();
      case "sasl": {
        const { bytes, start, end } = this.#framer;
        if (this.#authentication === null) throw new Error("a SASL response outside AUTHENTICATE");
        return this.#authenticated(this.#authentication.next(latin1(bytes, start, end)));
      }
      case "idle": {
        const { bytes, start, end } = this.#framer;
        this.#mode = "command";
        this.#waiting = "answer";
        return { kind: "idle-end", done: equalsFolded(bytes, { start, end }, "done") };
      }
      case "append-data":
        throw new Error("a streamed literal cannot end in a line");
      default:
        return this.#mode satisfies never;
    }
  }

  #cursor(): CommandCursor {
    const cursor = new CommandCursor(this.#framer.bytes, this.#framer.start, this.#framer.end);
    cursor.utf8Names = this.enabled.utf8;
    return cursor;
  }

  /** tag SP; a command without a readable tag is answered untagged. */
  #readTag(cursor: CommandCursor): boolean {
    const end = skipClass(
      cursor.bytes,
      { start: cursor.at, end: Math.min(cursor.end, cursor.at + 256) },
      TAG_CHAR,
    );
    this.#tag = "*";
    this.commandName = "";
    if (end === cursor.at || end >= cursor.end || cursor.bytes[end] !== SP) return cursor.fail("a tag");
    this.#tag = latin1(cursor.bytes, cursor.at, end);
    cursor.at = end + 1;
    return true;
  }

  /** The command's name in capitals, with its second word behind UID. */
  #readName(cursor: CommandCursor): string {
    const first = cursor.run(NAME, "a command")?.toUpperCase() ?? "";
    if (first !== "UID" || !cursor.take(SP)) return first;
    return `UID ${cursor.run(NAME, "a command")?.toUpperCase() ?? ""}`;
  }

  /** Why a command of this name cannot be served now; null when it can. Asked before a literal is granted. */
  #objection(name: string): Reply | null {
    const objection = this.#own.objection(name);
    if (objection !== UNKNOWN_COMMAND) this.commandName = name;
    return objection;
  }

  #command(): ImapEvent | null {
    const cursor = this.#cursor();
    if (!this.#readTag(cursor)) return this.#bad(cursor);
    const name = this.#readName(cursor);
    if (!cursor.ok) return this.#bad(cursor);
    const objection = this.#objection(name);
    if (objection !== null) return this.#write(objection);
    const rule = COMMANDS.get(name);
    if (rule === undefined) {
      // APPEND or REPLACE whose message is no literal.
      return this.#write({ status: "BAD", text: "The message must be a literal" });
    }
    const command = rule.parse(cursor);
    if (cursor.ok && cursor.at !== cursor.end) cursor.fail("the end of the command");
    if (!cursor.ok) return this.#bad(cursor);
    if (cursor.badMailboxName) return this.#badName();
    this.#errors = 0;
    return this.#run(command, rule);
  }

  /** Answers what needs nobody else; everything else is an event. */
  #run(command: Command, rule: CommandRule): ImapEvent | null {
    const own = this.#own.answer(command);
    if (own !== null) {
      this.#write(own.reply);
      return own.event ?? null;
    }
    switch (command.name) {
      case "LOGOUT":
        this.bye("Logging out");
        return this.#ok("Logout completed");
      case "LOGIN":
        this.#waiting = "answer";
        return {
          kind: "credentials",
          credentials: {
            mechanism: "LOGIN",
            authorizationId: "",
            user: command.user,
            password: command.password,
          },
        };
      case "AUTHENTICATE": {
        const authentication = Authentication.begin(this.#options.mechanisms, command.mechanism);
        if (authentication === null) {
          return this.#write({ status: "NO", code: "CANNOT", text: "Unknown SASL mechanism" });
        }
        this.#authentication = authentication;
        return this.#authenticated(authentication.first(command.initialResponse));
      }
      case "IDLE":
        this.#mode = "idle";
        this.out.text("+ idling\r\n");
        return { kind: "idle" };
    }
    if (this.enabled.uidOnly && namesNumbers(command)) return this.#write(UID_REQUIRED);
    this.enabled.note(command);
    this.#waiting = "answer";
    if (command.name === "SEARCH" && command.returns === null && this.enabled.rev2) {
      // RFC 9051 6.4.4: without RETURN the answer is ESEARCH with ALL.
      return { kind: "command", command: { ...command, returns: RETURN_ALL }, rule };
    }
    return { kind: "command", command, rule };
  }

  #literal(): ImapEvent | null {
    if (this.#mode === "append-tail") return this.#appendNext();
    const cursor = this.#cursor();
    if (!this.#readTag(cursor)) return this.#refuse(fault(cursor));
    const name = this.#readName(cursor);
    const objection = cursor.ok ? this.#objection(name) : fault(cursor);
    if (objection !== null) return this.#refuse(objection);
    const brings = APPENDING.has(name);
    const tooLong = this.#tooLong(brings);
    if (tooLong !== null) return this.#refuse(tooLong);
    const append = brings ? parseAppendStart(cursor, name) : null;
    if (!cursor.ok) return this.#refuse(fault(cursor));
    if (append === null) {
      if (!this.#framer.literalFits) return this.#refuse({ status: "BAD", text: "The literal is too large" });
      if (!this.#framer.nonSync) this.out.text("+ OK\r\n");
      this.#framer.keepLiteral();
      return null;
    }
    if (cursor.badMailboxName) return this.#refuse(BAD_NAME);
    const refusal = this.#append.begin(append, this.enabled.utf8);
    if (refusal !== null) return this.#refuse(refusal);
    this.#errors = 0;
    this.#waiting = "append";
    return { kind: "append", append };
  }

  /** A further message of APPEND (RFC 3502); what is wrong with it ends the whole command. */
  #appendNext(): ImapEvent {
    const cursor = this.#cursor();
    const message = this.#append.next(cursor);
    const refusal = (cursor.ok ? this.#tooLong(true) : fault(cursor)) ??
      this.#append.take(message, this.enabled.utf8);
    if (refusal !== null) {
      this.#mode = "command";
      this.#refuse(refusal);
      return APPEND_VOID;
    }
    this.#waiting = "append";
    return { kind: "append-next", message };
  }

  /** A non-synchronizing literal above what LITERAL- allows (RFC 7888 5); of a command that brings messages, or not. */
  #tooLong(brings: boolean): Reply | null {
    const { nonSync, literalOctets } = this.#framer;
    if (!nonSync || this.#options.literals !== "LITERAL-" || literalOctets <= LITERAL_MINUS_OCTETS) {
      return null;
    }
    const text = `Use a synchronizing literal above ${LITERAL_MINUS_OCTETS} octets`;
    return { status: "BAD", text, ...(brings && { code: "TOOBIG" }) };
  }

  /** What stands behind the last message: nothing. */
  #appendTail(): ImapEvent {
    const { bytes, start, end } = this.#framer;
    this.#mode = "command";
    if (this.#append.ends(bytes, start, end)) {
      this.#waiting = "answer";
      return APPEND_END;
    }
    this.#write({ status: "BAD", text: "Expected the end of the command behind the message" });
    return APPEND_VOID;
  }

  #authenticated(step: AuthenticationStep): ImapEvent | null {
    if (step.kind === "challenge") {
      this.#mode = "sasl";
      this.out.text(`+ ${step.base64}\r\n`);
      return null;
    }
    this.#mode = "command";
    if (step.kind === "reply") {
      this.#authentication = null;
      return this.#write(step.reply);
    }
    this.#waiting = "answer";
    return step;
  }

  /** Refuses the announced literal with its command. */
  #refuse(reply: Reply): null {
    const { nonSync } = this.#framer;
    this.#framer.refuse();
    if (nonSync) this.#refusal = reply;
    else this.#write(reply);
    return null;
  }

  #bad(cursor: CommandCursor): null {
    return this.#write(fault(cursor));
  }

  #badName(): null {
    return this.#write(BAD_NAME);
  }

  #ok(text: string): null {
    return this.#write({ status: "OK", text });
  }

  #write({ status, code, text }: Reply): null {
    this.out.text(
      code === undefined || code === ""
        ? `${this.#tag} ${status} ${text}\r\n`
        : `${this.#tag} ${status} [${code}] ${text}\r\n`,
    );
    if (status === "BAD" && ++this.#errors >= this.#options.limits.errors) {
      this.#options.onLimit?.("errors");
      this.bye("Too many errors");
    }
    return null;
  }
}
