/**
 * The sending side of SMTP and LMTP as a pure machine: greeting to QUIT, any number of messages in between.
 *
 * RFC 5321 3 and 4, PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461),
 * REQUIRETLS (RFC 8689), STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954), LMTP (RFC 2033: one reply for each recipient behind the data).
 * Commands go into {@linkcode ClientSession.out}; the driver flushes it when an event says so, and reads when asked.
 * Every recipient of a transaction ends with a result of its own: what the peer said to it, or that it said nothing
 * (421, a fault, a lost connection). Octets read in clear are dropped when TLS starts.
 *
 * All states and transitions are here. 8-bit messages go as they are to peers without 8BITMIME: nearly all of them
 * take it, and recoding would break signatures. An address or header that needs SMTPUTF8 is not sent to peers without.
 */
import { encodeBase64 } from "../../bytes/base64.ts";
import { encode } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import {
  DEFAULT_REPLY_LIMITS,
  type RemoteReply,
  type ReplyLimits,
  ReplyParser,
  replyText,
} from "./reply_parser.ts";

/** What the session waits for; the driver has a time-out for each (RFC 5321 4.5.3.2). */
export type Stage =
  | "greeting"
  | "hello"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data-command"
  | "data-end"
  | "rset"
  | "quit";

export interface ClientOptions {
  readonly mode: "smtp" | "lmtp";
  readonly helloName: string;
  /** `required`: no mail without TLS. `off`: no STARTTLS (also when TLS is active from the start). */
  readonly starttls: "off" | "offered" | "required";
  /** TLS is active from the start. */
  readonly tlsActive: boolean;
  readonly credentials: { readonly user: string; readonly password: string } | null;
  /** Sends the password in clear, because the operator said `tls: none`. */
  readonly clearPassword: boolean;
  readonly limits?: ReplyLimits;
}

export interface ClientRecipient {
  readonly address: string;
  /** RFC 3461, as received; sent to peers that offer DSN. "" is none. */
  readonly notify: string;
  readonly originalRecipient: string;
}

/** One message for this peer. */
export interface ClientTransaction {
  readonly sender: string;
  readonly recipients: readonly ClientRecipient[];
  readonly sizeOctets: number;
  readonly eightBit: boolean;
  /** An address or the header is not ASCII. */
  readonly smtputf8: boolean;
  readonly ret: "" | "FULL" | "HDRS";
  readonly envelopeId: string;
  /** REQUIRETLS: the peer must offer it, under TLS. */
  readonly requireTls: boolean;
}

export interface RecipientResult {
  readonly outcome: "delivered" | "temporary" | "permanent";
  /** RFC 3463. */
  readonly enhanced: string;
  /** What the peer said; null when the words are ours. */
  readonly reply: RemoteReply | null;
  /** Ours, where the peer said nothing; "" else. */
  readonly text: string;
  readonly stage: Stage;
  /** 452 4.5.3 in a transaction that others got through: send it at once in another one. */
  readonly again: boolean;
}

export interface TransactionResult {
  /** In the order of the transaction's recipients. */
  readonly recipients: readonly RecipientResult[];
  /** The peer took no command of it (an idle connection it has closed): safe to send at once on a new one. */
  readonly untouched: boolean;
}

export type ClientEvent =
  /** Flush `out`, read, `feed`. */
  | { readonly kind: "need-input"; readonly stage: Stage }
  /** Flush nothing more: run the handshake, then `tlsStarted`. */
  | { readonly kind: "starttls" }
  /** The peer refused STARTTLS; the session goes on in clear. */
  | { readonly kind: "starttls-refused"; readonly reply: RemoteReply }
  /** Ready for `send` or `quit`. */
  | { readonly kind: "ready" }
  /** Write the message and its end, flush, then `dataSent`. */
  | { readonly kind: "data" }
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

interface Extensions {
  readonly pipelining: boolean;
  readonly size: boolean;
  /** Largest message; 0 is unknown. */
  readonly maxSize: number;
  readonly eightBitMime: boolean;
  readonly smtputf8: boolean;
  readonly starttls: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  readonly auth: ReadonlySet<string>;
}

const NO_EXTENSIONS: Extensions = {
  pipelining: false,
  size: false,
  maxSize: 0,
  eightBitMime: false,
  smtputf8: false,
  starttls: false,
  dsn: false,
  requireTls: false,
  auth: new Set(),
};

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
}

export class ClientSession {
  readonly out: Out;
  readonly #options: ClientOptions;
  #parser: ReplyParser;
  #state: State;
  #extensions: Extensions;
  #tlsActive: boolean;
  #authenticated: boolean;
  /** Lines still to send in an AUTH LOGIN exchange. */
  #authLines: string[];
  #pending: Pending[];
  #running: Running | null;
  /** RCPTs of the transaction sent so far, without pipelining. */
  #rcptsSent: number;
  /** The last transaction left the peer in one: RSET comes before the next. */
  #needReset: boolean;
  #events: ClientEvent[];

  constructor(options: ClientOptions) {
    this.out = new Out();
    this.#options = options;
    this.#parser = new ReplyParser(options.limits ?? DEFAULT_REPLY_LIMITS);
    this.#state = "greeting";
    this.#extensions = NO_EXTENSIONS;
    this.#tlsActive = options.tlsActive;
    this.#authenticated = false;
    this.#authLines = [];
    this.#pending = [];
    this.#running = null;
    this.#rcptsSent = 0;
    this.#needReset = false;
    this.#events = [];
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get tlsActive(): boolean {
    return this.#tlsActive;
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
      if (this.#state === "data") return { kind: "data" };
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

  /** Starts a transaction; only when ready. Its end is a "result". */
  send(transaction: ClientTransaction): void {
    const running: Running = {
      transaction,
      results: transaction.recipients.map(() => null),
      accepted: [],
      touched: false,
      refused: null,
      answered: 0,
      empty: false,
    };
    this.#running = running;
    this.#rcptsSent = 0;
    const obstacle = this.#obstacle(transaction);
    if (obstacle !== null) {
      running.touched = true; // nothing to gain on another connection
      return this.#end(obstacle);
    }
    this.#state = "envelope";
    if (this.#needReset) {
      this.#command("RSET", { verb: "RSET" });
      if (!this.#extensions.pipelining) return;
    }
    this.#envelope(transaction);
  }

  /** MAIL, and with PIPELINING all that follows it. */
  #envelope(transaction: ClientTransaction): void {
    this.#needReset = true;
    this.#command(this.#mail(transaction), { verb: "MAIL" });
    if (!this.#extensions.pipelining) return;
    while (this.#rcptsSent < transaction.recipients.length) this.#rcpt();
    this.#command("DATA", { verb: "DATA" });
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

  /** RFC 4954 4: PLAIN with its initial response, or LOGIN. */
  #authenticate(): void {
    const { credentials, clearPassword } = this.#options;
    if (credentials === null || this.#authenticated) {
      this.#state = "ready";
      return;
    }
    if (!this.#tlsActive && !clearPassword) {
      return this.#unusable(
        ours("4.7.11", "the password is not sent without TLS (tls: none allows it)", "auth"),
      );
    }
    const { user, password } = credentials;
    if (this.#extensions.auth.has("PLAIN")) {
      this.out.text(`AUTH PLAIN ${encodeBase64(encode(`\0${user}\0${password}`))}\r\n`);
      this.#authLines = [];
    } else if (this.#extensions.auth.has("LOGIN")) {
      this.out.text("AUTH LOGIN\r\n");
      this.#authLines = [encodeBase64(encode(user)), encodeBase64(encode(password))];
    } else {
      return this.#unusable(ours("4.7.0", "the peer offers neither AUTH PLAIN nor AUTH LOGIN", "auth"));
    }
    this.#state = "auth";
  }

  #authReply(reply: RemoteReply): void {
    const line = this.#authLines.shift();
    if (reply.code === 334 && line !== undefined) {
      this.out.text(`${line}\r\n`);
      return;
    }
    if (reply.code !== 235) return this.#unusable(theirs(reply, "auth"));
    this.#authenticated = true;
    this.#state = "ready";
  }

  /** Why this peer cannot be given the message at all; null when it can. */
  #obstacle(
    { sender, recipients, sizeOctets, smtputf8, requireTls }: ClientTransaction,
  ): RecipientResult | null {
    const { maxSize } = this.#extensions;
    if (requireTls && !(this.#tlsActive && this.#extensions.requireTls)) {
      return ours("5.7.30", "the message needs REQUIRETLS, which the next server does not offer", "mail");
    }
    if (smtputf8 && !this.#extensions.smtputf8) {
      return ours("5.6.7", "the message needs SMTPUTF8, which the next server does not offer", "mail");
    }
    if (maxSize > 0 && sizeOctets > maxSize) {
      return ours(
        "5.3.4",
        `the message of ${sizeOctets} octets is over the next server's limit of ${maxSize}`,
        "mail",
      );
    }
    // Addresses come from our own grammar, which lets no control character through: this is the second lock.
    if ([sender, ...recipients.map(({ address }) => address)].some((address) => CONTROL.test(address))) {
      return ours("5.1.3", "an address holds a control character", "mail");
    }
    return null;
  }

  #mail({ sender, sizeOctets, eightBit, smtputf8, ret, envelopeId, requireTls }: ClientTransaction): string {
    const { size, eightBitMime, dsn } = this.#extensions;
    return `MAIL FROM:<${sender}>` +
      (size ? ` SIZE=${sizeOctets}` : "") +
      (eightBit && eightBitMime ? " BODY=8BITMIME" : "") +
      (smtputf8 ? " SMTPUTF8" : "") +
      (requireTls ? " REQUIRETLS" : "") +
      (dsn && ret !== "" ? ` RET=${ret}` : "") +
      (dsn && XTEXT.test(envelopeId) ? ` ENVID=${envelopeId}` : "");
  }

  #rcpt(): void {
    const at = this.#rcptsSent++;
    const { address, notify, originalRecipient } = this.#running!.transaction.recipients[at]!;
    const { dsn } = this.#extensions;
    this.#command(
      `RCPT TO:<${address}>` + (dsn && XTEXT.test(notify) ? ` NOTIFY=${notify}` : "") +
        (dsn && XTEXT.test(originalRecipient) ? ` ORCPT=${originalRecipient}` : ""),
      { verb: "RCPT", at },
    );
  }

  #command(line: string, pending: Pending): void {
    this.out.text(`${line}\r\n`);
    this.#pending.push(pending);
  }

  #envelopeReply(reply: RemoteReply): void {
    const pending = this.#pending.shift()!;
    const running = this.#running!;
    switch (pending.verb) {
      case "RSET":
        // Whatever it says, MAIL shows whether the peer is in its senses.
        if (!this.#extensions.pipelining) this.#envelope(running.transaction);
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
    if (this.#rcptsSent < running.transaction.recipients.length) return this.#rcpt();
    if (running.accepted.length === 0) return this.#end(ours("4.5.0", "no recipient was accepted", "rcpt"));
    this.#command("DATA", { verb: "DATA" });
  }

  #rcptReply(running: Running, at: number, reply: RemoteReply): void {
    if (running.refused !== null) return; // 503 to what came behind a refused MAIL
    if (positive(reply)) running.accepted.push(at);
    else running.results[at] = theirs(reply, "rcpt");
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
    const result = theirs(reply, "data-end");
    if (running.empty) return this.#end(running.refused ?? result);
    if (this.#options.mode === "lmtp") {
      running.results[running.accepted[running.answered++]!] = result;
      if (running.answered < running.accepted.length) return;
    }
    this.#needReset = false;
    this.#end(result);
  }

  /** The transaction is over: recipients without a result get `rest`. */
  #end(rest: RecipientResult): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    this.#pending = [];
    const results = running.results.map((result) => result ?? rest);
    const through = results.some(({ outcome }) => outcome === "delivered");
    this.#events.push({
      kind: "result",
      result: {
        recipients: through
          ? results.map((result) => tooMany(result) ? { ...result, again: true } : result)
          : results,
        untouched: !running.touched,
      },
    });
    this.#state = "ready";
  }

  /** The connection is of no use any more; who has no reply yet gets this. */
  #broken(failure: RecipientResult): void {
    if (this.#state === "closed") return;
    if (this.#running !== null) this.#end({ ...failure, outcome: "temporary" });
    else if (this.#state !== "ready" && this.#state !== "quit") {
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

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;
const XTEXT = /^[\x21-\x3c\x3e-\x7e]+$/;
const NUMBER = /^\d{1,15}$/;

function positive({ code }: RemoteReply): boolean {
  return code >= 200 && code < 300;
}

function theirs(reply: RemoteReply, stage: Stage): RecipientResult {
  const outcome = positive(reply) ? "delivered" : reply.code >= 500 ? "permanent" : "temporary";
  // RFC 5321 4.5.3.1.10: 552 to RCPT is an old way to say 452.
  const temporary552 = stage === "rcpt" && reply.code === 552 &&
    (reply.enhanced === "" || reply.enhanced === "5.5.3");
  const kind = temporary552 ? "temporary" : outcome;
  return {
    outcome: kind,
    enhanced: temporary552 ? "4.5.3" : reply.enhanced !== "" ? reply.enhanced : defaultEnhanced(kind),
    reply,
    text: "",
    stage,
    again: false,
  };
}

function defaultEnhanced(outcome: RecipientResult["outcome"]): string {
  return outcome === "delivered" ? "2.0.0" : outcome === "permanent" ? "5.0.0" : "4.0.0";
}

function ours(enhanced: string, text: string, stage: Stage): RecipientResult {
  return {
    outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
    enhanced,
    reply: null,
    text,
    stage,
    again: false,
  };
}

/** 452 4.5.3, or 452 to RCPT without an enhanced code. */
function tooMany({ stage, reply, enhanced }: RecipientResult): boolean {
  if (stage !== "rcpt" || reply === null) return false;
  return enhanced === "4.5.3" || (reply.code === 452 && reply.enhanced === "");
}

function extensionsOf(reply: RemoteReply): Extensions {
  let found: Extensions = NO_EXTENSIONS;
  // The first line is the peer's name.
  for (const line of reply.lines.slice(1)) {
    const [word = "", ...values] = line.trim().split(/[ =]+/);
    switch (word.toUpperCase()) {
      case "PIPELINING":
        found = { ...found, pipelining: true };
        break;
      case "SIZE":
        found = { ...found, size: true, maxSize: NUMBER.test(values[0] ?? "") ? Number(values[0]) : 0 };
        break;
      case "8BITMIME":
        found = { ...found, eightBitMime: true };
        break;
      case "SMTPUTF8":
        found = { ...found, smtputf8: true };
        break;
      case "STARTTLS":
        found = { ...found, starttls: true };
        break;
      case "REQUIRETLS":
        found = { ...found, requireTls: true };
        break;
      case "DSN":
        found = { ...found, dsn: true };
        break;
      case "AUTH":
        found = { ...found, auth: new Set([...found.auth, ...values.map((value) => value.toUpperCase())]) };
        break;
    }
  }
  return found;
}
