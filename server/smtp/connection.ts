/**
 * Driver of SMTP, submission and LMTP connections: sockets, time, logins and delivery around the pure session.
 *
 * One loop per connection pulls events from `protocols/smtp/session.ts`, asks the {@linkcode Reception} where a decision is
 * due, and flushes when input runs out, before TLS, at the end, and where the session asks (above the high-water mark). It reads only when the
 * session asks, and waits where delivery is behind: that is the backpressure. Nothing is awaited that is there already.
 * Our own faults end the session with 421 and a log line.
 */
import { getLogger, type Logger } from "@logtape/logtape";
import { Out } from "../../bytes/out.ts";
import { type ClientFacts, isReply, type Transaction, viewOf } from "../../delivery/reception.ts";
import type { SessionScreen } from "../../filter/screen.ts";
import type { Credentials, SaslMechanisms } from "../../protocols/sasl/exchange.ts";
import type { RcptParameters } from "../../protocols/smtp/parameters.ts";
import { formatPath, type Path } from "../../protocols/smtp/path.ts";
import {
  AUTH_UNAVAILABLE,
  BAD_CREDENTIALS,
  DISK_FULL,
  IDLE_TOO_LONG,
  LOCAL_ERROR,
  type Reply,
  SENDER_OK,
  SERVER_FAULT,
  SHUT_OUT,
  TOO_MANY_LOGINS,
  XCLIENT_REFUSED,
} from "../../protocols/smtp/reply.ts";
import type { SmtpEvent } from "../../protocols/smtp/event.ts";
import { SmtpSession } from "../../protocols/smtp/session.ts";
import type { LimitName } from "../../protocols/smtp/session_options.ts";
import { type Account, StorageError } from "../../storage/store.ts";
import { busyBuffers, idleBuffers } from "../buffers.ts";
import type { Deadline } from "../deadline.ts";
import { countCommand, countLimit, faults, messageOctets } from "./metrics.ts";
import type { PeerFacts, Transport } from "../transport.ts";
import { PeerGone } from "../wire.ts";
import { clientOf } from "../xclient.ts";
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

  #transport: Transport;
  #services: SmtpServices;
  #options: SmtpOptions;
  #out = new Out();
  #since: number;
  #deadline: Deadline;
  #account: Account | null = null;
  #mechanism: string | null = null;
  /** Whom the connection speaks for; its own end until XCLIENT says otherwise. */
  #peer: PeerFacts;
  #peerHelo: string | null = null;
  #trusted: boolean;
  readonly #screen: SessionScreen | null;
  #spokeEarly = false;
  /** A read that began before the greeting. */
  #early: Promise<number | null> | null = null;
  #facts: ClientFacts | null = null;
  #transaction: Transaction | null = null;
  #reversePath: Path | null = null;
  #buffer = idleBuffers.take();
  #busy: Uint8Array | null = null;
  /** Reads in a row of this message that brought little. */
  #drops = 0;
  #failures = 0;
  #limitsTold: Set<LimitName> | null = null;
  #stopReply: Reply | null = null;
  /** What is being waited for; `work` is our own, and never the peer's fault. */
  #phase: "work" | "read" | "handshake" = "work";
  #writing: Promise<void> | null = null;
  /** What the deadline is for: progress moves it on, a trickle of octets does not. */
  #deadlineOf = -1;
  /** When the message in hand must be complete, and the login done; milliseconds. */
  #messageEnds = Infinity;
  #loginEnds = Infinity;

  constructor(transport: Transport, services: SmtpServices, options: SmtpOptions) {
    const submission = options.service === "submission";
    this.id = services.newId();
    this.log = log.with({ session: this.id, address: transport.peer.address });
    this.#transport = transport;
    this.#peer = transport.peer;
    this.session = new SmtpSession({
      out: this.#out,
      hostName: services.hostName,
      service: options.service,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls,
      mechanisms: submission || (options.auth && options.service === "mx")
        ? services.mechanisms(() => this.#transport.tls)
        : NO_MECHANISMS,
      plainLoginAllowed: options.plainLoginAllowed,
      bareLineEnds: options.trusted ? "convert" : options.bareLineEnds,
      limits: options.limits,
      offers: {
        futureRelease: options.holdSeconds === 0
          ? null
          : { maxSeconds: options.holdSeconds, now: services.now },
        maxPriority: submission || options.trusted ? options.maxPriority : null,
        etrn: options.etrn,
        xclient: options.xclient,
      },
      observer: { replied: countCommand, limited: (limit) => this.#limited(limit) },
    });
    this.#trusted = options.trusted;
    this.#screen = services.reception.screen?.() ?? null;
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    if (submission) this.#loginEnds = this.#since + options.timeouts.loginMs;
    this.#deadline = services.deadlines.add(options.timeouts.commandMs, () => this.#expired());
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
    this.#stopReply ??= reply;
    if (this.#phase === "read" && !this.session.receiving) this.#leaveRead();
  }

  async run(): Promise<void> {
    this.log.debug("session opened", { tls: this.session.tlsActive, service: this.#options.service });
    try {
      if (this.#options.greetingDelayMs > 0) await this.#pause();
      this.session.greet();
      await this.#loop();
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#deadline.cancel();
      this.#discard(null);
      this.#screen?.ended(this.id);
      this.#giveBusy();
      idleBuffers.give(this.#buffer);
      this.#transport.close();
      this.log.debug("session closed", { account: this.#account?.address ?? null });
    }
  }

  async #loop(): Promise<void> {
    const { session } = this;
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input": {
          this.#awaitPeer();
          if (this.#out.pending > 0) await this.#flush();
          if (this.#endsInstead()) break;
          const { streaming } = session;
          const buffer = this.#readBuffer();
          this.#phase = "read"; // until it is done: a fault in it is the peer's
          const count = await (this.#early ?? this.#transport.read(buffer));
          this.#phase = "work";
          if (count === null) return;
          this.#early = null;
          if (streaming) this.#drops = count < TRICKLE_OCTETS ? this.#drops + 1 : 0;
          session.feed(buffer.subarray(0, count));
          break;
        }
        case "helo":
          this.#discard(null);
          this.#facts = null;
          session.accept();
          if (this.#screen !== null && !this.#known) this.#screen.greeted(viewOf(this.#client()));
          break;
        case "mail":
          this.#mail(event);
          break;
        case "rcpt": {
          const reply = this.#rcpt(event.forwardPath, event.parameters);
          const answer = reply instanceof Promise ? await reply : reply;
          if (answer.code >= 500 && !this.#known) await this.#refusedStranger(answer);
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
          await this.#finish(event.octets);
          break;
        case "discard":
          this.#discard(event.reply);
          break;
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "lookup":
          session.answer(this.#lookup(event));
          break;
        case "etrn":
          session.answer(await this.#etrn(event.text));
          break;
        case "xclient":
          this.#xclient(event.attributes);
          break;
        case "starttls":
          await this.#startTls();
          break;
        case "output":
          await this.#flush();
          break;
        case "close":
          await this.#flush();
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
      this.#messageEnds = this.#services.now() + this.#options.timeouts.messageMs;
      return this.session.accept();
    }
    this.#discard(refusal);
    this.session.answer(refusal);
  }

  async #finish(octets: number): Promise<void> {
    const transaction = this.#open;
    const { service } = this.#options;
    const answer = service === "lmtp" ? await transaction.finishEach() : await transaction.finish(); // which log it
    const replies: readonly Reply[] = "code" in answer ? [answer] : answer;
    if (replies.some(({ code }) => code < 300)) messageOctets.inc(octets);
    this.#messageEnds = Infinity;
    this.#transaction = null;
    transaction.discard();
    if (service === "lmtp") this.session.answerEach(replies);
    else this.session.answer(replies[0]!);
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
    this.#trusted = this.#options.trusts(client.peer.address);
    this.#account = null;
    this.#facts = null;
    this.session.restarted(this.#trusted ? "convert" : this.#options.bareLineEnds);
  }

  /** Forgets the transaction; `reply` is what refused its message. */
  #discard(reply: Reply | null): void {
    const transaction = this.#transaction;
    this.#messageEnds = Infinity;
    if (transaction === null) return;
    this.#transaction = null;
    transaction.discard(reply ?? undefined);
  }

  #client(): ClientFacts {
    const { session } = this;
    const { tls } = this.#transport;
    const peer = this.#peer;
    return this.#facts ??= {
      sessionId: this.id,
      address: peer.address,
      port: peer.port,
      heloName: this.#peerHelo ?? session.heloName,
      esmtp: session.esmtp,
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
    if (tarpitMs > 0) await this.#sleep(tarpitMs);
  }

  /** Waits before the greeting, and sees whether the client does. What it says is kept. */
  async #pause(): Promise<void> {
    const { greetingDelayMs, service } = this.#options;
    if (this.#known || service !== "mx" || this.session.tlsActive) return;
    this.#early = this.#transport.read(this.#buffer);
    this.#early.catch(() => {}); // told when it is awaited
    let timer: ReturnType<typeof setTimeout> | undefined;
    const quiet = new Promise<"quiet">((resolve) =>
      timer = setTimeout(() => resolve("quiet"), greetingDelayMs)
    );
    const first = await Promise.race([quiet, this.#early.catch(() => null)]);
    clearTimeout(timer);
    this.#spokeEarly = typeof first === "number";
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async #login(credentials: Credentials): Promise<void> {
    const { session } = this;
    const outcome = await this.#services.login(credentials, this.#peer, this.#transport.tls);
    switch (outcome.kind) {
      case "ok":
        this.#account = outcome.account;
        this.#mechanism = credentials.mechanism;
        this.#facts = null;
        this.#loginEnds = Infinity;
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
    await this.#flush();
    this.session.dropInput();
    this.#awaitPeer();
    this.#phase = "handshake";
    try {
      this.#transport = await this.#transport.startTls();
    } catch (error) {
      throw new PeerGone("the TLS handshake failed", { cause: error });
    } finally {
      this.#phase = "work";
    }
    this.#facts = null;
    this.#account = null;
    if (this.#options.service === "submission") {
      this.#loginEnds = this.#since + this.#options.timeouts.loginMs;
    }
    this.session.tlsStarted();
  }

  /** Nothing more is read: the session is over, or ends now. */
  #endsInstead(): boolean {
    const { session } = this;
    if (this.#stopReply !== null && !session.receiving) session.end(this.#stopReply);
    return session.ended;
  }

  /** Sets the deadline for the peer's next step. A command that comes octet by octet does not move it. */
  #awaitPeer(): void {
    const { session } = this;
    const { commandMs } = this.#options.timeouts;
    const now = this.#services.now();
    const last = Math.min(this.#messageEnds, this.#loginEnds) - now;
    if (session.streaming) {
      this.#deadlineOf = -1;
      this.#deadline.extend(Math.max(0, Math.min(commandMs, last)));
      return;
    }
    const step = session.commands;
    if (step === this.#deadlineOf && !session.betweenCommands) return;
    this.#deadlineOf = step;
    this.#deadline.extend(Math.max(0, Math.min(commandMs, last)));
  }

  /** A large one while a message streams in, the session's own otherwise, and while it comes in drops. */
  #readBuffer(): Uint8Array {
    if (!this.session.streaming) this.#drops = 0;
    else if (this.#drops <= SOME_DROPS) {
      this.#busy ??= busyBuffers.borrow();
      if (this.#busy !== null) return this.#busy;
    }
    this.#giveBusy();
    return this.#buffer;
  }

  #giveBusy(): void {
    if (this.#busy === null) return;
    busyBuffers.give(this.#busy);
    this.#busy = null;
  }

  async #flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#out.pending === 0) return;
    this.#writing = this.#write(this.#out.take());
    await this.#writing;
  }

  async #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#transport.write(bytes);
      this.#out.give(bytes);
    } catch (error) {
      throw new PeerGone("writing failed", { cause: error });
    } finally {
      this.#writing = null;
    }
  }

  #expired(): void {
    if (this.#phase === "work" && this.#writing === null) {
      // Delivery or a login takes its time: the peer is not to blame.
      return this.#deadline.extend(this.#options.timeouts.commandMs);
    }
    if (!this.session.ended) {
      countLimit("time");
      this.log.info("session timed out", { account: this.#account?.address, verbs: this.session.lastVerbs });
    }
    if (this.session.ended || this.#phase !== "read") return this.#transport.close();
    this.#stopReply = IDLE_TOO_LONG;
    this.#leaveRead();
  }

  /** Says 421 to a client we are only waiting for; closing ends the read. */
  #leaveRead(): void {
    if (this.#stopReply !== null) this.session.end(this.#stopReply);
    // A client that does not even take this is cut a little later.
    this.#deadline.extend(LAST_WORD_MS);
    this.#flush().catch((error) => this.log.debug("421 was not taken", { error })).finally(() =>
      this.#transport.close()
    );
  }

  /** Disk trouble is a reply; everything else unexpected is a fault of ours and ends the session. */
  #trouble(error: unknown): Reply {
    if (!(error instanceof StorageError)) throw error;
    this.log.error("storage failed", { error, verb: this.session.verb });
    return error.full ? DISK_FULL : LOCAL_ERROR;
  }

  async #failed(error: unknown): Promise<void> {
    if (error instanceof PeerGone || this.#phase === "read") {
      this.log.debug("connection lost", { error });
      return;
    }
    faults.inc();
    this.log.error("session failed", { error, verbs: this.session.lastVerbs });
    this.session.end(SERVER_FAULT);
    this.#deadline.extend(LAST_WORD_MS);
    await this.#flush().catch((late) => this.log.debug("421 was not taken", { error: late }));
  }
}

/** A read that brings less is a drop. After more than one in a row (a header line often comes alone) 64 kB are for others. */
const TRICKLE_OCTETS = 512;
const SOME_DROPS = 1;

/** Milliseconds for the last reply to be taken. */
const LAST_WORD_MS = 10_000;

/** Limits that honest servers run into too, with a long list or a large message. */
const HONEST: ReadonlySet<LimitName> = new Set<LimitName>(["recipients", "messageOctets"]);

function textOf({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced} ${text}`;
}
