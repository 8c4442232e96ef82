/**
 * One POP3 session: states, commands, limits. All transitions are here.
 *
 * RFC 1939 3 to 6, RFC 2449 (CAPA, response codes, pipelining), RFC 2595 4 (STLS), RFC 3206 (AUTH, SYS/TEMP), RFC 5034
 * (AUTH), RFC 6856 (UTF8, LANG). The driver feeds octets and asks for the next event; where accounts or storage decide,
 * the session is paused until it is answered. Commands are taken strictly one after the other, which is all that
 * PIPELINING asks for. What the maildrop's numbers and marks can answer is answered here; contents are the driver's.
 * Replies go to {@linkcode Out}; the driver flushes. Pure: no socket, clock or storage. Limits: {@linkcode Pop3Limits}.
 */
import { decodeBase64Strict } from "../../bytes/base64.ts";
import { latin1 } from "../../bytes/decode.ts";
import type { Out } from "../../bytes/out.ts";
import { LineFramer } from "../line_framer.ts";
import { type Credentials, credentialsOf, type SaslExchange, type SaslMechanisms } from "../sasl/exchange.ts";
import { type Command, parseCommand, type Verb } from "./command.ts";
import { LANGUAGES, matchLanguage } from "./language.ts";
import type { Maildrop } from "./maildrop.ts";

export interface Pop3Limits {
  /** Octets of a line, CRLF included, before and after login. SASL tokens come in lines before login. */
  readonly lineOctets: number;
  readonly lineOctetsAfterLogin: number;
  /** Commands before login. */
  readonly commandsBeforeLogin: number;
  /** Malformed or misplaced commands in a row. */
  readonly errors: number;
}

export const DEFAULT_POP3_LIMITS: Pop3Limits = {
  lineOctets: 16_384,
  lineOctetsAfterLogin: 2_048,
  commandsBeforeLogin: 100,
  errors: 20,
};

export interface Pop3SessionOptions {
  readonly out: Out;
  readonly hostName: string;
  readonly tlsActive: boolean;
  readonly startTlsAvailable: boolean;
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly mechanisms: SaslMechanisms;
  readonly limits: Pop3Limits;
  /** Hears of every reply the session writes; `verb` is "" where there was no known one. */
  readonly onReply: (verb: Verb | "", ok: boolean) => void;
  /** Told of each limit that was hit; left out: nobody is. */
  readonly onLimit?: (limit: Pop3Limit) => void;
}

/** What a client ran into: an overlong line, commands without a login, errors in a row. */
export type Pop3Limit = "line" | "commands" | "errors";

/** RFC 2449 8.1, RFC 3206, RFC 6856 5; "" is none. */
export type ResponseCode = "" | "IN-USE" | "AUTH" | "SYS/TEMP" | "SYS/PERM" | "UTF8";

/**
 * What the driver is to do. After `credentials` it answers by `loggedIn` or `refuse`, after `retrieve` by writing the
 * whole response or by `refuse`, after `update` by `updated` or `refuse`; then it asks for the next event.
 */
export type Pop3Event =
  | { readonly kind: "need-input" }
  /** More output follows: flush when there is much of it. */
  | { readonly kind: "drain" }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** The +OK is written: flush, `dropInput`, handshake, `tlsStarted`. */
  | { readonly kind: "starttls" }
  /** RETR, or TOP when `lines` is a number. */
  | { readonly kind: "retrieve"; readonly number: number; readonly lines: number | null }
  /** QUIT after login: remove the marked messages, durably. */
  | { readonly kind: "update" }
  | { readonly kind: "close" };

const NEED_INPUT: Pop3Event = { kind: "need-input" };
const DRAIN: Pop3Event = { kind: "drain" };
const STARTTLS: Pop3Event = { kind: "starttls" };
const UPDATE: Pop3Event = { kind: "update" };
const CLOSE: Pop3Event = { kind: "close" };
/** Lines of a listing between two looks at the output. */
const LISTING_BATCH = 1_000;
const EMPTY = new Uint8Array(0);

type State = "authorization" | "transaction" | "closing";
type Waiting = "" | "credentials" | "update";

export class Pop3Session {
  readonly out: Out;
  state: State = "authorization";
  tlsActive: boolean;
  /** Set by the UTF8 command: headers in UTF-8 may be sent (RFC 6856 2.1). */
  utf8 = false;
  /** The command in hand, for logs and metrics; from the closed set of verbs. */
  verb: Verb | "" = "";

  #options: Pop3SessionOptions;
  #framer: LineFramer;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  #waiting: Waiting = "";
  #maildrop: Maildrop | null = null;
  #user: string | null = null;
  #sasl: { readonly mechanism: string; readonly exchange: SaslExchange } | null = null;
  /** What is said before a login is refused, and the refusal that waits for the client's answer to it. */
  #lastChallenge: Uint8Array | null = null;
  #refusedLogin: string | null = null;
  #listing: { readonly verb: "LIST" | "UIDL"; next: number } | null = null;
  #commands = 0;
  #errors = 0;

  constructor(options: Pop3SessionOptions) {
    this.#options = options;
    this.out = options.out;
    this.tlsActive = options.tlsActive;
    this.#framer = new LineFramer(options.limits.lineOctets);
  }

  get ended(): boolean {
    return this.state === "closing";
  }

  /** True between commands: a timeout here is idleness. */
  get betweenCommands(): boolean {
    return this.#waiting === "" && this.#sasl === null && this.#refusedLogin === null &&
      !this.#framer.partial;
  }

  /** Without a timestamp: APOP is not offered, it needs passwords in clear on the server (RFC 1939 7). */
  greet(): void {
    this.out.text(`+OK ${this.#options.hostName} POP3 ready\r\n`);
  }

  /** Octets from the peer, borrowed until the next `feed`; only after `need-input`. */
  feed(bytes: Uint8Array): void {
    this.#chunk = bytes;
    this.#at = 0;
  }

  next(): Pop3Event {
    if (this.#waiting !== "") throw new Error(`the session waits for an answer to ${this.verb}`);
    for (;;) {
      if (this.state === "closing") return CLOSE;
      if (this.#listing !== null) {
        this.#list(this.#listing);
        return DRAIN;
      }
      if (this.#at >= this.#chunk.length) return NEED_INPUT;
      this.#at = this.#framer.next(this.#chunk, this.#at, this.#chunk.length);
      const { result } = this.#framer;
      switch (result) {
        case "more":
          this.#chunk = EMPTY;
          this.#at = 0;
          break;
        case "too-long":
          this.#sasl = null;
          this.#refusedLogin = null;
          this.#options.onLimit?.("line");
          this.#fault("The line is too long");
          break;
        case "line": {
          const event = this.#refusedLogin !== null
            ? this.#refuseLogin(this.#refusedLogin)
            : this.#sasl === null
            ? this.#command()
            : this.#saslResponse();
          if (event !== null) return event;
          break;
        }
        default:
          return result satisfies never;
      }
    }
  }

  /** The login is good and the maildrop locked (RFC 1939 4). */
  loggedIn(maildrop: Maildrop): void {
    this.#waiting = "";
    this.#maildrop = maildrop;
    this.state = "transaction";
    this.#framer.limit = this.#options.limits.lineOctetsAfterLogin;
    this.#ok(`${count(maildrop.remaining)} (${maildrop.octets} octets)`);
  }

  /** The marked messages are removed, durably: the last reply. */
  updated(): void {
    this.#waiting = "";
    this.#ok("Bye");
    this.state = "closing";
  }

  /** -ERR to what is in hand. An update that failed ends the session too (RFC 1939 6). */
  refuse(code: ResponseCode, text: string): void {
    if (this.#waiting === "credentials" && code === "AUTH" && this.#lastChallenge !== null) {
      this.#challenge(this.#lastChallenge);
      this.#refusedLogin = text;
    } else this.#error(code, text);
    if (this.#waiting === "update") this.state = "closing";
    this.#waiting = "";
  }

  /** Announces the end, unasked; the next event is `close`. */
  end(text: string): void {
    if (this.state === "closing") return;
    this.#error("SYS/TEMP", text);
    this.#waiting = "";
    this.state = "closing";
  }

  /** Everything the peer sent so far is void (RFC 2595 4). */
  dropInput(): void {
    this.#framer.reset();
    this.#chunk = EMPTY;
    this.#at = 0;
  }

  /** What was learnt before TLS is forgotten. */
  tlsStarted(): void {
    this.tlsActive = true;
    this.#user = null;
    this.#errors = 0;
  }

  /** A whole line. Null: answered here, go on. */
  #command(): Pop3Event | null {
    const { bytes, start, end } = this.#framer;
    const parsed = parseCommand(bytes, start, end);
    if (this.state === "authorization" && ++this.#commands > this.#options.limits.commandsBeforeLogin) {
      this.#options.onLimit?.("commands");
      this.end("Too many commands without a login");
      return null;
    }
    if ("fault" in parsed) {
      this.verb = parsed.verb ?? "";
      this.#fault(parsed.fault);
      return null;
    }
    const { command } = parsed;
    this.verb = command.verb;
    const errors = this.#errors;
    const event = this.state === "authorization"
      ? this.#authorization(command)
      : this.#transaction(command, this.#maildrop!);
    if (this.#errors === errors) this.#errors = 0;
    return event;
  }

  #authorization(command: Command): Pop3Event | null {
    switch (command.verb) {
      case "CAPA":
        return this.#capabilities();
      case "LANG":
        return this.#language(command.range);
      case "QUIT":
        this.#ok("Bye");
        this.state = "closing";
        return null;
      case "STLS":
        return this.#startTls();
      case "UTF8":
        this.utf8 = true;
        return this.#ok("UTF8 enabled");
      case "USER":
        if (this.#loginDisabled()) return this.#needsTls();
        this.#user = command.user;
        return this.#ok("Send the password");
      case "PASS": {
        const user = this.#user;
        this.#user = null;
        if (user === null) return this.#fault("USER first");
        return this.#credentials("USER", { authorizationId: "", user, password: command.password });
      }
      case "AUTH":
        return this.#authenticate(command.mechanism, command.initialResponse);
      case "STAT":
      case "LIST":
      case "UIDL":
      case "RETR":
      case "TOP":
      case "DELE":
      case "RSET":
      case "NOOP":
        return this.#fault("Log in first");
      default:
        return command satisfies never;
    }
  }

  #transaction(command: Command, maildrop: Maildrop): Pop3Event | null {
    switch (command.verb) {
      case "STAT":
        return this.#ok(`${maildrop.remaining} ${maildrop.octets}`);
      case "LIST":
      case "UIDL": {
        const { message, verb } = command;
        if (message === null) {
          this.#ok(`${count(maildrop.remaining)} (${maildrop.octets} octets)`);
          this.#listing = { verb, next: 1 };
          return null;
        }
        if (!maildrop.has(message)) return this.#noSuchMessage(message, maildrop);
        return this.#ok(
          `${message} ${verb === "LIST" ? maildrop.sizeOctets(message) : maildrop.uniqueId(message)}`,
        );
      }
      case "RETR":
      case "TOP":
        if (!maildrop.has(command.message)) return this.#noSuchMessage(command.message, maildrop);
        return {
          kind: "retrieve",
          number: command.message,
          lines: command.verb === "TOP" ? command.lines : null,
        };
      case "DELE":
        if (!maildrop.has(command.message)) return this.#noSuchMessage(command.message, maildrop);
        maildrop.delete(command.message);
        return this.#ok(`Message ${command.message} is marked`);
      case "RSET":
        maildrop.reset();
        return this.#ok(`${count(maildrop.remaining)} (${maildrop.octets} octets)`);
      case "NOOP":
        return this.#ok("Nothing done");
      case "CAPA":
        return this.#capabilities();
      case "LANG":
        return this.#language(command.range);
      case "QUIT":
        this.#waiting = "update";
        return UPDATE;
      case "USER":
      case "PASS":
      case "AUTH":
      case "STLS":
      case "UTF8":
        return this.#fault("Logged in already");
      default:
        return command satisfies never;
    }
  }

  #list(listing: { readonly verb: "LIST" | "UIDL"; next: number }): void {
    const maildrop = this.#maildrop!;
    const to = Math.min(maildrop.count, listing.next + LISTING_BATCH - 1);
    let text = "";
    for (let number = listing.next; number <= to; number++) {
      if (!maildrop.has(number)) continue;
      text += listing.verb === "LIST"
        ? `${number} ${maildrop.sizeOctets(number)}\r\n`
        : `${number} ${maildrop.uniqueId(number)}\r\n`;
    }
    this.out.text(text);
    listing.next = to + 1;
    if (to < maildrop.count) return;
    this.out.text(".\r\n");
    this.#listing = null;
  }

  #noSuchMessage(number: number, maildrop: Maildrop): null {
    return this.#error("", maildrop.isDeleted(number) ? "The message is deleted" : "No such message");
  }

  #startTls(): Pop3Event | null {
    if (this.tlsActive) return this.#fault("TLS is active already");
    // RFC 6856 2.1: a client must not; what it set in clear is not carried over.
    if (this.utf8) return this.#fault("STLS comes before UTF8");
    if (!this.#options.startTlsAvailable) return this.#error("", "TLS is not available here");
    this.#ok("Begin TLS");
    return STARTTLS;
  }

  #language(range: string | null): null {
    if (range === null) {
      this.#ok("Languages:");
      for (const { tag, name } of LANGUAGES) this.out.text(`${tag} ${name}\r\n`);
      this.out.text(".\r\n");
      return null;
    }
    const language = matchLanguage(range);
    if (language === null) return this.#error("", "No such language here");
    return this.#ok(`${language.tag} ${language.changed}`);
  }

  #authenticate(mechanism: string, initialResponse: string | null): Pop3Event | null {
    if (mechanism === "") {
      this.#ok("Mechanisms:");
      if (!this.#loginDisabled()) {
        for (const name of this.#options.mechanisms.keys()) this.out.text(`${name}\r\n`);
      }
      this.out.text(".\r\n");
      return null;
    }
    if (this.#loginDisabled()) return this.#needsTls();
    const exchange = this.#options.mechanisms.get(mechanism)?.();
    if (exchange === undefined) return this.#error("", "Unknown SASL mechanism");
    this.#sasl = { mechanism, exchange };
    if (initialResponse === null) return this.#saslStep(null);
    return this.#saslText(initialResponse === "=" ? "" : initialResponse); // RFC 5034 4
  }

  #saslResponse(): Pop3Event | null {
    const { bytes, start, end } = this.#framer;
    const text = latin1(bytes, start, end);
    if (text !== "*") return this.#saslText(text);
    this.#sasl = null;
    return this.#error("", "Authentication cancelled");
  }

  #saslText(base64: string): Pop3Event | null {
    const octets = decodeBase64Strict(base64);
    if (octets !== null) return this.#saslStep(octets);
    this.#sasl = null;
    return this.#fault("Expected base64");
  }

  #saslStep(response: Uint8Array | null): Pop3Event | null {
    const { mechanism, exchange } = this.#sasl!;
    const step = exchange.step(response);
    if (step.kind === "challenge") return this.#challenge(step.octets);
    this.#sasl = null;
    if (step.kind === "malformed") return this.#fault(step.text);
    return this.#credentials(mechanism, step);
  }

  #challenge(octets: Uint8Array): null {
    this.out.text(`+ ${octets.toBase64()}\r\n`);
    return null;
  }

  #refuseLogin(text: string): null {
    this.#refusedLogin = null;
    return this.#error("AUTH", text);
  }

  #credentials(
    mechanism: string,
    given: Omit<Credentials, "mechanism"> & { readonly refusal?: Uint8Array },
  ): Pop3Event {
    this.#waiting = "credentials";
    this.#lastChallenge = given.refusal ?? null;
    return { kind: "credentials", credentials: credentialsOf(mechanism, given) };
  }

  #capabilities(): null {
    const login = !this.#loginDisabled();
    this.#ok("Capabilities:");
    let text = "TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n" +
      "EXPIRE NEVER\r\nUTF8\r\nLANG\r\n";
    if (login) text += `USER\r\nSASL ${[...this.#options.mechanisms.keys()].join(" ")}\r\n`;
    // RFC 2595 4: only while the command is permitted.
    if (this.state === "authorization" && this.#options.startTlsAvailable && !this.tlsActive && !this.utf8) {
      text += "STLS\r\n";
    }
    this.out.text(`${text}IMPLEMENTATION Veredus\r\n.\r\n`);
    return null;
  }

  #loginDisabled(): boolean {
    return !this.tlsActive && !this.#options.plainLoginAllowed;
  }

  #needsTls(): null {
    return this.#error("SYS/PERM", "Start TLS first");
  }

  #ok(text: string): null {
    this.#options.onReply(this.verb, true);
    this.out.text(`+OK ${text}\r\n`);
    return null;
  }

  #error(code: ResponseCode, text: string): null {
    this.#options.onReply(this.verb, false);
    this.out.text(code === "" ? `-ERR ${text}\r\n` : `-ERR [${code}] ${text}\r\n`);
    return null;
  }

  /** A malformed or misplaced command: too many in a row end the session. */
  #fault(text: string): null {
    this.#error("", text);
    if (++this.#errors >= this.#options.limits.errors) {
      this.#options.onLimit?.("errors");
      this.end("Too many errors");
    }
    return null;
  }
}

function count(messages: number): string {
  return messages === 1 ? "1 message" : `${messages} messages`;
}
