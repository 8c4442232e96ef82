/**
 * One ManageSieve session: states, commands, limits. All transitions are here.
 *
 * RFC 5804. The driver feeds octets and asks for the next event; where accounts or scripts decide, the session is paused
 * until it is answered. Before a login nothing larger than a SASL token is kept. Replies go to {@linkcode Out}; the driver
 * flushes. Pure: no socket, clock or storage. Limits: {@linkcode ManageSieveLimits}.
 */
import { decodeBase64Strict } from "../../bytes/base64.ts";
import { encode } from "../../bytes/decode.ts";
import type { Out } from "../../bytes/out.ts";
import { type Credentials, credentialsOf, type SaslExchange, type SaslMechanisms } from "../sasl/exchange.ts";
import { type Argument, parseCommand, parseStrings, type Verb } from "./command.ts";
import { CommandFramer, type FramerLimits } from "./framer.ts";

export interface ManageSieveLimits {
  /** Octets of a line, CRLF included. */
  readonly lineOctets: number;
  /** Octets of one script, and those that are read past before the connection ends. */
  readonly scriptOctets: number;
  readonly skippedOctets: number;
  /** Octets of a SASL response. */
  readonly saslOctets: number;
  readonly commandsBeforeLogin: number;
  /** Malformed or misplaced commands in a row. */
  readonly errors: number;
}

export const DEFAULT_MANAGESIEVE_LIMITS: ManageSieveLimits = {
  lineOctets: 8_192,
  scriptOctets: 256 * 1024,
  skippedOctets: 4 * 1024 * 1024,
  saslOctets: 16 * 1024,
  commandsBeforeLogin: 100,
  errors: 20,
};

export interface ManageSieveOptions {
  readonly out: Out;
  /** Name and version. */
  readonly implementation: string;
  /** What scripts may require, and methods of notify. */
  readonly extensions: readonly string[];
  readonly notifyMethods: readonly string[];
  readonly maxRedirects: number;
  readonly tlsActive: boolean;
  readonly startTlsAvailable: boolean;
  readonly plainLoginAllowed: boolean;
  readonly mechanisms: SaslMechanisms;
  readonly limits: ManageSieveLimits;
  readonly onReply: (verb: Verb | "", reply: "OK" | "NO" | "BYE") => void;
}

/** RFC 5804 1.3. */
export type ResponseCode =
  | ""
  | "ENCRYPT-NEEDED"
  | "QUOTA/MAXSCRIPTS"
  | "QUOTA/MAXSIZE"
  | "TRYLATER"
  | "ACTIVE"
  | "NONEXISTENT"
  | "ALREADYEXISTS"
  | "WARNINGS";

/** What the owner of a script repository is to do; answered by `ok`, `refuse`, `listed` or `script`. */
export type ScriptCommand =
  | { readonly verb: "LISTSCRIPTS" }
  | { readonly verb: "GETSCRIPT" | "DELETESCRIPT" | "SETACTIVE"; readonly name: string }
  | { readonly verb: "PUTSCRIPT"; readonly name: string; readonly script: Uint8Array }
  | { readonly verb: "CHECKSCRIPT"; readonly script: Uint8Array }
  | { readonly verb: "HAVESPACE"; readonly name: string; readonly octets: number }
  | { readonly verb: "RENAMESCRIPT"; readonly name: string; readonly to: string };

export type ManageSieveEvent =
  | { readonly kind: "need-input" }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** The OK is written: flush, `dropInput`, handshake, `tlsStarted`. */
  | { readonly kind: "starttls" }
  /** The account is given up. */
  | { readonly kind: "unauthenticate" }
  | { readonly kind: "script"; readonly command: ScriptCommand }
  | { readonly kind: "close" };

const NEED_INPUT: ManageSieveEvent = { kind: "need-input" };
const STARTTLS: ManageSieveEvent = { kind: "starttls" };
const UNAUTHENTICATE: ManageSieveEvent = { kind: "unauthenticate" };
const CLOSE: ManageSieveEvent = { kind: "close" };
const EMPTY = new Uint8Array(0);
/** RFC 5804 1.6. */
// deno-lint-ignore no-control-regex
const SCRIPT_NAME = /^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$/;
const MAX_NAME = 128;

type State = "connected" | "authenticated" | "closing";

export class ManageSieveSession {
  readonly out: Out;
  state: State;
  tlsActive: boolean;
  /** The command in hand; from the closed set of verbs. */
  verb: Verb | "";
  #options: ManageSieveOptions;
  #framer: CommandFramer;
  #chunk: Uint8Array;
  #at: number;
  #waiting: boolean;
  #owner: string | null;
  #sasl: { readonly mechanism: string; readonly exchange: SaslExchange } | null;
  /** A last challenge for credentials that are wrong; what the client answers does not matter. */
  #refusal: Uint8Array | null;
  #refused: string | null;
  #commands: number;
  #errors: number;

  constructor(options: ManageSieveOptions) {
    this.#options = options;
    this.out = options.out;
    this.state = "connected";
    this.tlsActive = options.tlsActive;
    this.verb = "";
    this.#framer = new CommandFramer(this.#framerLimits());
    this.#chunk = EMPTY;
    this.#at = 0;
    this.#waiting = false;
    this.#owner = null;
    this.#sasl = null;
    this.#refusal = null;
    this.#refused = null;
    this.#commands = 0;
    this.#errors = 0;
  }

  get ended(): boolean {
    return this.state === "closing";
  }

  /** RFC 5804 1.7: the capabilities come unasked. */
  greet(): void {
    this.#capabilities("ManageSieve ready");
  }

  /** Octets from the peer, borrowed until the next `feed`; only after `need-input`. */
  feed(bytes: Uint8Array): void {
    this.#chunk = bytes;
    this.#at = 0;
  }

  next(): ManageSieveEvent {
    if (this.#waiting) throw new Error(`the session waits for an answer to ${this.verb}`);
    for (;;) {
      if (this.state === "closing") return CLOSE;
      if (this.#at >= this.#chunk.length) return NEED_INPUT;
      this.#at = this.#framer.next(this.#chunk, this.#at, this.#chunk.length);
      const event = this.#framed();
      if (event !== null) return event;
    }
  }

  #framed(): ManageSieveEvent | null {
    const { result } = this.#framer;
    switch (result) {
      case "more":
        this.#chunk = EMPTY;
        this.#at = 0;
        return null;
      case "too-long":
        this.#sasl = null;
        return this.#fault("The line is too long");
      case "too-much":
        this.end("The literal is too large");
        return null;
      case "too-large": {
        this.#sasl = null;
        const parsed = parseCommand(this.#framer.lines, this.#framer.literals);
        this.verb = parsed.verb ?? "";
        const { scriptOctets } = this.#options.limits;
        return this.#no("QUOTA/MAXSIZE", `A script has at most ${scriptOctets} octets`);
      }
      case "command":
        return this.#refused !== null
          ? this.#refuseLogin(this.#refused)
          : this.#sasl === null
          ? this.#command()
          : this.#saslResponse();
      default:
        return result satisfies never;
    }
  }

  /** The login is good; `owner` is its canonical name. */
  loggedIn(owner: string): void {
    this.#waiting = false;
    this.#owner = owner;
    this.state = "authenticated";
    this.#framer.limits = this.#framerLimits();
    this.ok("Logged in");
  }

  /** OK to what is in hand. */
  ok(text = "", code: ResponseCode = ""): void {
    this.#waiting = false;
    this.#reply("OK", code, text);
  }

  /** NO to what is in hand. */
  refuse(code: ResponseCode, text: string): void {
    this.#waiting = false;
    if (this.verb === "AUTHENTICATE" && this.#refusal !== null) {
      // RFC 7628 3.2.3: the client acknowledges the reason before the exchange is over.
      this.#string(this.#refusal.toBase64());
      this.#refusal = null;
      this.#refused = text;
      return;
    }
    this.#no(code, text);
  }

  /** The answer to LISTSCRIPTS. */
  listed(scripts: readonly { readonly name: string; readonly active: boolean }[]): void {
    for (const { name, active } of scripts) this.out.text(`${quoted(name)}${active ? " ACTIVE" : ""}\r\n`);
    this.ok();
  }

  /** The answer to GETSCRIPT. */
  script(text: string): void {
    const octets = encode(text);
    this.out.text(`{${octets.length}}\r\n`);
    this.out.octets(octets);
    this.out.text("\r\n");
    this.ok();
  }

  /** Announces the end, unasked; the next event is `close`. */
  end(text: string): void {
    if (this.state === "closing") return;
    this.#waiting = false;
    this.#reply("BYE", "", text);
    this.state = "closing";
  }

  /** Everything the peer sent so far is void (RFC 5804 2.2). */
  dropInput(): void {
    this.#framer.reset();
    this.#chunk = EMPTY;
    this.#at = 0;
  }

  /** What was learnt before TLS is forgotten, and the capabilities come again (RFC 5804 2.2). */
  tlsStarted(): void {
    this.tlsActive = true;
    this.#errors = 0;
    this.#capabilities("TLS is active");
  }

  #command(): ManageSieveEvent | null {
    const parsed = parseCommand(this.#framer.lines, this.#framer.literals);
    this.verb = parsed.verb ?? "";
    if (this.state === "connected" && ++this.#commands > this.#options.limits.commandsBeforeLogin) {
      this.end("Too many commands without a login");
      return null;
    }
    if ("fault" in parsed) return this.#fault(parsed.fault);
    const errors = this.#errors;
    const event = this.#perform(parsed.verb, parsed.arguments);
    if (this.#errors === errors) this.#errors = 0;
    return event;
  }

  #perform(verb: Verb, given: readonly Argument[]): ManageSieveEvent | null {
    const loggedIn = this.state === "authenticated";
    switch (verb) {
      case "CAPABILITY":
        return given.length > 0 ? this.#fault("CAPABILITY takes no argument") : this.#capabilities("");
      case "LOGOUT":
        this.#reply("OK", "", "Bye");
        this.state = "closing";
        return null;
      case "NOOP": {
        const [tag] = given;
        if (given.length > 1 || tag?.kind === "number") return this.#fault("NOOP takes one string");
        this.#reply("OK", "", "Nothing done", tag === undefined ? "" : `TAG ${quoted(tag.text)}`);
        return null;
      }
      case "STARTTLS":
        if (given.length > 0) return this.#fault("STARTTLS takes no argument");
        if (loggedIn || this.tlsActive) return this.#fault("TLS comes before the login, once");
        if (!this.#options.startTlsAvailable) return this.#no("", "TLS is not available here");
        this.#reply("OK", "", "Begin TLS");
        return STARTTLS;
      case "AUTHENTICATE":
        return loggedIn ? this.#fault("Logged in already") : this.#authenticate(given);
      case "UNAUTHENTICATE":
        if (!loggedIn) return this.#fault("Log in first");
        if (given.length > 0) return this.#fault("UNAUTHENTICATE takes no argument");
        this.state = "connected";
        this.#owner = null;
        this.#commands = 0;
        this.#framer.limits = this.#framerLimits();
        this.#reply("OK", "", "Logged out");
        return UNAUTHENTICATE;
      default:
        return loggedIn ? this.#scripts(verb, given) : this.#fault("Log in first");
    }
  }

  #scripts(
    verb: Exclude<Verb, "CAPABILITY" | "LOGOUT" | "NOOP" | "STARTTLS" | "AUTHENTICATE" | "UNAUTHENTICATE">,
    given: readonly Argument[],
  ): ManageSieveEvent | null {
    const [first, second] = given;
    switch (verb) {
      case "LISTSCRIPTS":
        return given.length === 0 ? this.#ask({ verb }) : this.#fault("LISTSCRIPTS takes no argument");
      case "CHECKSCRIPT":
        if (given.length !== 1 || first?.kind !== "string") return this.#fault("CHECKSCRIPT takes a script");
        return this.#ask({ verb, script: first.octets });
      case "SETACTIVE":
        // RFC 5804 2.8: the empty name makes no script active.
        if (given.length === 1 && first?.kind === "string" && first.text === "") {
          return this.#ask({ verb, name: "" });
        }
    }
    if (first?.kind !== "string") return this.#fault(`${verb} takes the name of a script`);
    if (!isName(first.text)) return this.#no("", "This is no name of a script");
    const name = first.text;
    switch (verb) {
      case "GETSCRIPT":
      case "DELETESCRIPT":
      case "SETACTIVE":
        return given.length === 1 ? this.#ask({ verb, name }) : this.#fault(`${verb} takes one name`);
      case "PUTSCRIPT":
        if (given.length !== 2 || second?.kind !== "string") {
          return this.#fault("PUTSCRIPT takes a name and a script");
        }
        return this.#ask({ verb, name, script: second.octets });
      case "HAVESPACE":
        if (given.length !== 2 || second?.kind !== "number") {
          return this.#fault("HAVESPACE takes a name and a number");
        }
        return this.#ask({ verb, name, octets: second.value });
      case "RENAMESCRIPT":
        if (given.length !== 2 || second?.kind !== "string") {
          return this.#fault("RENAMESCRIPT takes two names");
        }
        if (!isName(second.text)) return this.#no("", "This is no name of a script");
        return this.#ask({ verb, name, to: second.text });
      default:
        return verb satisfies never;
    }
  }

  #ask(command: ScriptCommand): ManageSieveEvent {
    this.#waiting = true;
    return { kind: "script", command };
  }

  #authenticate(given: readonly Argument[]): ManageSieveEvent | null {
    const [name, initial] = given;
    if (given.length > 2 || name?.kind !== "string" || initial?.kind === "number") {
      return this.#fault("AUTHENTICATE takes a mechanism and a response");
    }
    if (this.#loginDisabled()) return this.#no("ENCRYPT-NEEDED", "STARTTLS first");
    const mechanism = name.text.toUpperCase();
    const exchange = this.#options.mechanisms.get(mechanism)?.();
    if (exchange === undefined) return this.#no("", "Unknown SASL mechanism");
    this.#sasl = { mechanism, exchange };
    return initial === undefined ? this.#saslStep(null) : this.#saslText(initial.text);
  }

  #saslResponse(): ManageSieveEvent | null {
    const given = parseStrings(this.#framer.lines, this.#framer.literals);
    const [only] = typeof given === "string" ? [] : given;
    if (typeof given === "string" || given.length !== 1 || only?.kind !== "string") {
      this.#sasl = null;
      return this.#fault("Expected one string");
    }
    if (only.text !== "*") return this.#saslText(only.text);
    this.#sasl = null;
    return this.#no("", "Authentication cancelled");
  }

  #saslText(base64: string): ManageSieveEvent | null {
    const octets = decodeBase64Strict(base64);
    if (octets !== null) return this.#saslStep(octets);
    this.#sasl = null;
    return this.#fault("Expected base64");
  }

  #saslStep(response: Uint8Array | null): ManageSieveEvent | null {
    const { mechanism, exchange } = this.#sasl!;
    const step = exchange.step(response);
    if (step.kind === "challenge") {
      this.#string(step.octets.toBase64());
      return null;
    }
    this.#sasl = null;
    if (step.kind === "malformed") return this.#fault(step.text);
    this.#waiting = true;
    this.#refusal = step.refusal ?? null;
    return { kind: "credentials", credentials: credentialsOf(mechanism, step) };
  }

  #refuseLogin(text: string): null {
    this.#refused = null;
    return this.#no("", text);
  }

  #capabilities(text: string): null {
    const { implementation, extensions, notifyMethods, maxRedirects, startTlsAvailable } = this.#options;
    const offered = this.#loginDisabled() ? [] : [...this.#options.mechanisms.keys()];
    const lines: [string, string?][] = [
      ["IMPLEMENTATION", implementation],
      ["SASL", offered.join(" ")],
      ["SIEVE", extensions.join(" ")],
      ["NOTIFY", notifyMethods.join(" ")],
      ["MAXREDIRECTS", String(maxRedirects)],
      ["UNAUTHENTICATE"],
      ["LANGUAGE", "en"],
      ["VERSION", "1.0"],
    ];
    if (this.#owner !== null) lines.push(["OWNER", this.#owner]);
    if (startTlsAvailable && !this.tlsActive && this.#owner === null) lines.push(["STARTTLS"]);
    for (const [name, value] of lines) {
      this.out.text(value === undefined ? `"${name}"\r\n` : `"${name}" ${quoted(value)}\r\n`);
    }
    this.#reply("OK", "", text);
    return null;
  }

  #loginDisabled(): boolean {
    return !this.tlsActive && !this.#options.plainLoginAllowed;
  }

  #string(text: string): void {
    this.out.text(`${quoted(text)}\r\n`);
  }

  #no(code: ResponseCode, text: string): null {
    this.#reply("NO", code, text);
    return null;
  }

  #fault(text: string): null {
    this.#no("", text);
    if (++this.#errors >= this.#options.limits.errors) this.end("Too many errors");
    return null;
  }

  #reply(word: "OK" | "NO" | "BYE", code: ResponseCode, text: string, extra = ""): void {
    const inside = code === "" ? extra : code;
    this.#options.onReply(this.verb, word);
    this.out.text(
      `${word}${inside === "" ? "" : ` (${inside})`}${text === "" ? "" : ` ${quoted(text)}`}\r\n`,
    );
  }

  #framerLimits(): FramerLimits {
    const { lineOctets, scriptOctets, skippedOctets, saslOctets } = this.#options.limits;
    return this.state === "authenticated"
      ? { lineOctets, literalOctets: scriptOctets, skippedOctets, literals: 4 }
      : { lineOctets, literalOctets: saslOctets, skippedOctets: saslOctets, literals: 4 };
  }
}

/** A quoted string holds 1,024 octets, and no line end: anything else goes as a literal. */
function quoted(text: string): string {
  const octets = encode(text).length;
  if (octets <= 1_000 && !/[\r\n\0]/.test(text)) return `"${text.replace(/["\\]/g, "\\$&")}"`;
  return `{${octets}}\r\n${text}`;
}

function isName(text: string): boolean {
  return SCRIPT_NAME.test(text) && [...text].length <= MAX_NAME;
}
