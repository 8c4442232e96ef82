/**
 * Driver of SMTP, submission and LMTP connections: logins and delivery around the pure session.
 *
 * One loop per connection pulls events from `protocols/smtp/session.ts`, asks the {@linkcode Reception} where a decision is
 * due, and flushes when input runs out, before TLS, at the end, and where the session asks (above the high-water mark). It reads only when the
 * session asks, and waits where delivery is behind: that is the backpressure. Nothing is awaited that is there already.
 * Socket and time are the matter of {@linkcode SmtpIo}. Our own faults end the session with 421 and a log line.
 */
import { getLogger, type Logger } from "@logtape/logtape";
import { type ClientFacts, isReply, type Transaction, viewOf } from "../../delivery/reception.ts";
import type { SessionScreen } from "../../filter/screen.ts";
import type { Credentials, SaslMechanisms } from "../../protocols/sasl/exchange.ts";
import type { RcptParameters } from "../../protocols/smtp/parameters.ts";
import { formatPath, type Path } from "../../protocols/smtp/path.ts";
import {
  AUTH_UNAVAILABLE,
  BAD_CREDENTIALS,
  BARE_LINE_END,
  DISK_FULL,
  LOCAL_ERROR,
  type Reply,
  SENDER_OK,
  SHUT_OUT,
  TOO_MANY_LOGINS,
  XCLIENT_REFUSED,
} from "../../protocols/smtp/reply.ts";
import type { SmtpEvent } from "../../protocols/smtp/event.ts";
import { SmtpSession } from "../../protocols/smtp/session.ts";
import type { LimitName } from "../../protocols/smtp/session_options.ts";
import type { Account } from "../../storage/directory_view.ts";
import { StorageError } from "../../storage/store.ts";
import type { PeerFacts, Transport } from "../transport.ts";
import { clientOf } from "../xclient.ts";
import { SmtpIo } from "./io.ts";
import {
  countBareLineEnd,
  countCommand,
  countExtension,
  countLimit,
  countLogin,
  countMailExtensions,
  countRcptExtensions,
  countSoftened,
  countTarpitted,
  messageOctets,
} from "./metrics.ts";
import type { SmtpOptions, SmtpServices } from "./options.ts";

/** A session as administration sees it. */
export interface SmtpSessionInfo {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly account: string | null;
  readonly heloName: string;
  /** The last verb. */
  readonly command: string;
}

const log = getLogger(["veredus", "smtp"]);
const NO_MECHANISMS: SaslMechanisms = new Map();

export class Connection {
  readonly id: string;
  readonly session: SmtpSession;
  readonly log: Logger;

  #io: SmtpIo;
  #services: SmtpServices;
  #options: SmtpOptions;
  #since: number;
  #account: Account | null = null;
  #mechanism: string | null = null;
  /** Whom the connection speaks for; its own end until XCLIENT says otherwise. */
  #peer: PeerFacts;
  #peerHelo: string | null = null;
  #peerEsmtp: boolean | null = null;
  #trusted: boolean;
  readonly #screen: SessionScreen | null;
  #spokeEarly = false;
  #facts: ClientFacts | null = null;
  #transaction: Transaction | null = null;
  #reversePath: Path | null = null;
  #failures = 0;
  #limitsTold: Set<LimitName> | null = null;

  constructor(transport: Transport, services: SmtpServices, options: SmtpOptions) {
    const submission = options.service === "submission";
    this.id = services.newId();
    this.log = log.with({ session: this.id, address: transport.peer.address });
    this.#peer = transport.peer;
    this.#io = new SmtpIo(transport, {
      log: this.log,
      deadlines: services.deadlines,
      timeouts: options.timeouts,
      now: services.now,
      account: () => this.#account?.address ?? null,
    });
    this.session = new SmtpSession({
      out: this.#io.out,
      hostName: services.hostName,
      service: options.service,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls && !options.hidden.has("STARTTLS"),
      mechanisms: submission || (options.auth && options.service === "mx")
        ? services.mechanisms(() => this.#io.transport.tls)
        : NO_MECHANISMS,
      plainLoginAllowed: options.plainLoginAllowed,
      bareLineEnds: options.trusted ? "convert" : options.bareLineEnds,
      limits: options.limits,
      hidden: options.hidden,
      tlsRequired: options.tlsRequired,
      softBounce: options.softBounce,
      offers: {
        futureRelease: options.holdSeconds === 0
          ? null
          : { maxSeconds: options.holdSeconds, now: services.now },
        maxPriority: submission || options.trusted ? options.maxPriority : null,
        etrn: options.etrn,
        xclient: options.xclient,
      },
      observer: {
        replied: countCommand,
        limited: (limit) => this.#limited(limit),
        softened: countSoftened,
      },
    });
    this.#io.session = this.session;
    this.#trusted = options.trusted;
    this.#screen = services.reception.screen?.() ?? null;
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    if (submission) this.#io.loginEnds = this.#since + options.timeouts.loginMs;
  }

  info(): SmtpSessionInfo {
    return {
      id: this.id,
      address: this.#peer.address,
      since: this.#since,
      tls: this.session.tlsActive,
      account: this.#account?.address ?? null,
      heloName: this.session.heloName,
      command: this.session.verb,
    };
  }

  /** Ends the session now, or when the message that is being received has its reply. */
  stop(reply: Reply): void {
    this.#io.stop(reply);
  }

  async run(): Promise<void> {
    this.log.debug("session opened", { tls: this.session.tlsActive, service: this.#options.service });
    try {
      this.#askAtConnect();
      if (this.#options.greetingDelayMs > 0) await this.#pause();
      this.session.greet();
      await this.#loop();
    } catch (error) {
      await this.#io.failed(error);
    } finally {
      this.#discard(null);
      this.#screen?.ended(this.id);
      this.#io.close();
      const { pipelined } = this.session;
      if (pipelined) countExtension("PIPELINING");
      this.log.debug("session closed", { account: this.#account?.address ?? null, pipelined });
    }
  }

  async #loop(): Promise<void> {
    const { session } = this;
    const io = this.#io;
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input": {
          const flushed = io.awaitPeer();
          if (flushed !== undefined) await flushed;
          if (io.endsInstead()) break;
          if (!io.feed(await io.read())) return;
          break;
        }
        case "helo":
          this.#discard(null);
          this.#facts = null;
          session.accept();
          this.#early?.greeted(viewOf(this.#client()));
          break;
        case "mail":
          this.#mail(event);
          break;
        case "rcpt": {
          const reply = this.#rcpt(event.forwardPath, event.parameters);
          const answer = reply instanceof Promise ? await reply : reply;
          if (answer.code >= 500 && !this.#known) await this.#refusedStranger(answer);
          if (answer.code < 300) countRcptExtensions(event.parameters);
          this.#answerRcpt(event.forwardPath, answer);
          break;
        }
        case "begin": {
          const began = this.#open.begin();
          this.#begun(began instanceof Promise ? await began : began);
          break;
        }
        case "data": {
          const written = this.#open.write(event.bytes, event.start, event.end);
          if (written !== undefined) await written;
          break;
        }
        case "message":
          await this.#finish(event);
          break;
        case "discard":
          this.#discard(event.reply);
          break;
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "lookup":
          session.answer(this.#told(event.verb, event.text, this.#lookup(event)));
          break;
        case "etrn":
          session.answer(this.#told("ETRN", event.text, await this.#etrn(event.text)));
          break;
        case "xclient":
          this.#xclient(event.attributes);
          break;
        case "starttls":
          await this.#startTls();
          break;
        case "output":
          await io.flush();
          break;
        case "close":
          await io.flushLast();
          return;
        default:
          return event satisfies never;
      }
    }
  }

  /** The transaction that the session says there is. */
  get #open(): Transaction {
    if (this.#transaction === null) throw new Error("the session is in a transaction that is not there");
    return this.#transaction;
  }

  #mail(event: Extract<SmtpEvent, { kind: "mail" }>): void {
    this.#discard(null);
    let answer: Transaction | Reply;
    try {
      answer = this.#services.reception.mail(this.#client(), event);
    } catch (error) {
      answer = this.#trouble(error);
    }
    this.#reversePath = event.reversePath;
    if (isReply(answer)) {
      this.log.info("MAIL refused", { from: formatPath(event.reversePath), reply: textOf(answer) });
      this.session.answer(answer);
      return;
    }
    this.#transaction = answer;
    countMailExtensions(event.parameters);
    this.session.answer(SENDER_OK);
  }

  #rcpt(path: Path, parameters: RcptParameters): Reply | Promise<Reply> {
    try {
      const reply = this.#open.rcpt(path, parameters);
      return reply instanceof Promise ? reply.catch((error) => this.#trouble(error)) : reply;
    } catch (error) {
      return this.#trouble(error);
    }
  }

  #answerRcpt(path: Path, reply: Reply): void {
    if (reply.code >= 300) {
      this.log.info("RCPT refused", {
        trace: this.#open.traceId,
        from: formatPath(this.#reversePath),
        to: formatPath(path),
        reply: textOf(reply),
      });
    }
    this.session.answer(reply);
  }

  #begun(refusal: Reply | null): void {
    if (refusal === null) {
      this.#io.messageEnds = this.#services.now() + this.#options.timeouts.messageMs;
      return this.session.accept();
    }
    this.#discard(refusal);
    this.session.answer(refusal);
  }

  async #finish(found: Extract<SmtpEvent, { kind: "message" }>): Promise<void> {
    const transaction = this.#open;
    const { service } = this.#options;
    const answer = service === "lmtp" ? await transaction.finishEach(found) : await transaction.finish(found); // which log it
    const replies: readonly Reply[] = "code" in answer ? [answer] : answer;
    if (replies.some(({ code }) => code < 300)) messageOctets.inc(found.octets);
    this.#io.messageEnds = Infinity;
    this.#transaction = null;
    transaction.discard();
    if (service === "lmtp") this.session.answerEach(replies);
    else this.session.answer(replies[0]!);
  }

  #told(verb: string, about: string, reply: Reply): Reply {
    this.log.info("{verb} of {about}: {reply}", { verb, about, reply: textOf(reply) });
    return reply;
  }

  #lookup({ verb, text }: Extract<SmtpEvent, { kind: "lookup" }>): Reply {
    try {
      return this.#services.reception.lookup(this.#client(), { verb, text });
    } catch (error) {
      return this.#trouble(error);
    }
  }

  async #etrn(text: string): Promise<Reply> {
    try {
      return await this.#services.reception.etrn(this.#client(), text);
    } catch (error) {
      return this.#trouble(error);
    }
  }

  /** From here on the connection speaks for another client (a filter or proxy in front of us). */
  #xclient(attributes: ReadonlyMap<string, string>): void {
    const client = clientOf(attributes, this.#peer);
    if (client === null) return this.session.answer(XCLIENT_REFUSED);
    if (this.#services.banned?.(client.peer.address) === true) return this.session.answer(SHUT_OUT);
    this.log.debug("speaks for {client}", { client: client.peer.address });
    this.#peer = client.peer;
    this.#peerHelo = client.heloName ?? this.#peerHelo;
    this.#peerEsmtp = client.esmtp ?? this.#peerEsmtp;
    this.#trusted = this.#options.trusts(client.peer.address);
    this.#account = null;
    this.#screen?.another(this.id);
    this.#facts = null;
    this.session.restarted(this.#trusted ? "convert" : this.#options.bareLineEnds);
  }

  /** Forgets the transaction; `reply` is what refused its message. */
  #discard(reply: Reply | null): void {
    const transaction = this.#transaction;
    this.#io.messageEnds = Infinity;
    if (transaction === null) return;
    this.#transaction = null;
    if (reply === BARE_LINE_END) countBareLineEnd();
    transaction.discard(reply ?? undefined);
  }

  #client(): ClientFacts {
    const { session } = this;
    const { tls } = this.#io.transport;
    const peer = this.#peer;
    return this.#facts ??= {
      sessionId: this.id,
      address: peer.address,
      port: peer.port,
      heloName: this.#peerHelo ?? session.heloName,
      esmtp: this.#peerEsmtp ?? session.esmtp,
      tls: tls === null ? null : { protocol: tls.protocol, cipher: tls.cipher },
      service: this.#options.service,
      account: this.#account,
      mechanism: this.#account === null ? null : this.#mechanism,
      trusted: this.#trusted,
      screen: this.#screen,
      spokeEarly: this.#spokeEarly,
    };
  }

  /** A login or a trusted network: neither is treated as a stranger. */
  get #known(): boolean {
    return this.#account !== null || this.#trusted || this.#options.service === "lmtp";
  }

  /** Counted each time, told once. */
  #limited(limit: LimitName): void {
    countLimit(limit);
    if (!HONEST.has(limit)) this.#offence("protocol");
    if (this.#limitsTold?.has(limit)) return;
    (this.#limitsTold ??= new Set()).add(limit);
    this.log.info("limit {limit} reached", { limit, account: this.#account?.address });
  }

  #offence(offence: "unknown-user" | "protocol"): void {
    if (!this.#known) this.#services.offence?.(this.#peer.address, offence);
  }

  async #refusedStranger({ enhanced }: Reply): Promise<void> {
    if (enhanced === "5.1.1") this.#offence("unknown-user");
    const { tarpitMs } = this.#options;
    if (tarpitMs === 0) return;
    countTarpitted();
    await this.#sleep(tarpitMs);
  }

  /** The checks of strangers, before they have said more than EHLO; null where there are none for this client. */
  get #early(): SessionScreen | null {
    return this.#known || this.#options.service !== "mx" ? null : this.#screen;
  }

  /** A filter that will speak for others says first for whom. */
  #askAtConnect(): void {
    if (this.#options.xclient || this.#early?.asksAtConnect !== true) return;
    this.#early.connected(viewOf(this.#client()));
    this.#facts = null; // whether it speaks too early is not known yet
  }

  /** Waits before the greeting, and sees whether the client does. What it says is kept. */
  async #pause(): Promise<void> {
    const { greetingDelayMs, service } = this.#options;
    if (this.#known || service !== "mx" || this.session.tlsActive) return;
    this.#spokeEarly = await this.#io.speaksWithin(greetingDelayMs);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async #login(credentials: Credentials): Promise<void> {
    const { session } = this;
    const outcome = await this.#services.login(credentials, this.#peer, this.#io.transport.tls);
    switch (outcome.kind) {
      case "ok":
        this.#account = outcome.account;
        this.#mechanism = credentials.mechanism;
        this.#facts = null;
        this.#io.loginEnds = Infinity;
        countLogin(credentials.mechanism);
        this.log.info("logged in", { account: outcome.account.address, mechanism: credentials.mechanism });
        return session.authenticated();
      case "wrong":
        session.answer(BAD_CREDENTIALS);
        if (++this.#failures < this.#options.loginFailures) return;
        countLimit("logins");
        return session.end(TOO_MANY_LOGINS);
      case "unavailable":
        return session.answer(AUTH_UNAVAILABLE);
      case "blocked":
        countLimit("logins");
        return session.answer(TOO_MANY_LOGINS);
      default:
        return outcome satisfies never;
    }
  }

  async #startTls(): Promise<void> {
    this.#discard(null);
    await this.#io.startTls();
    this.log.debug("TLS begins: {protocol}", { protocol: this.#io.transport.tls?.protocol ?? "unknown" });
    this.#facts = null;
    this.#account = null;
    if (this.#options.service === "submission") {
      this.#io.loginEnds = this.#since + this.#options.timeouts.loginMs;
    }
    this.session.tlsStarted();
  }

  /** Disk trouble is a reply; everything else unexpected is a fault of ours and ends the session. */
  #trouble(error: unknown): Reply {
    if (!(error instanceof StorageError)) throw error;
    this.log.error("storage failed", { error, verb: this.session.verb });
    return error.full ? DISK_FULL : LOCAL_ERROR;
  }
}

/** Limits that honest servers run into too, with a long list or a large message. */
const HONEST: ReadonlySet<LimitName> = new Set<LimitName>(["recipients", "messageOctets"]);

function textOf({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced} ${text}`;
}
