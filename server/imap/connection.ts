/**
 * One IMAP connection: the loop that pulls events from the session and carries them out by the handlers beside it.
 *
 * It flushes when input runs out, before TLS, at the end, and above the high-water mark, and reads only when the session
 * asks: that is the backpressure. Our own faults end the session with BYE and a log line.
 */
import { setImmediate } from "node:timers";
import { getLogger, type Logger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS, Out } from "../../bytes/out.ts";
import type { Command } from "../../protocols/imap/command.ts";
import type { CommandRule } from "../../protocols/imap/command_table.ts";
import { NO_NAMESPACES } from "../../protocols/imap/namespaces.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { asksNumbers } from "../../protocols/imap/search_program.ts";
import { ImapSession } from "../../protocols/imap/session.ts";
import type { Credentials } from "../../protocols/sasl/exchange.ts";
import type { AttachedFiles } from "../../search/attached_files.ts";
import type { IndexReader } from "../../search/index_reader.ts";
import type { Account } from "../../storage/directory_view.ts";
import { StorageError, type Store } from "../../storage/store.ts";
import { BUSY_OCTETS, SessionBuffer } from "../buffers.ts";
import { CompressedTransport } from "../compressed_transport.ts";
import type { Deadline } from "../deadline.ts";
import type { Transport } from "../transport.ts";
import { PeerGone, Wire } from "../wire.ts";
import { Appending, beginAppend } from "./append.ts";
import type { Change } from "../../storage/changes.ts";
import { bad, type ImapContext, no, ok, type Selected } from "./context.ts";
import { runCommand } from "./dispatch.ts";
import { Idling } from "./idle.ts";
import { countCommand, countLimit, faults } from "./metrics.ts";
import type { ImapOptions, ImapServices, SharingOptions } from "./options.ts";
import type { Notifications } from "./notify.ts";
import { refreshRights } from "./rights.ts";
import { leave } from "./select.ts";
import { tell } from "./tell.ts";

/** Commands whose expunges are told whatever NOTIFY says. */
const OWN_CHANGES: ReadonlySet<string> = new Set(["EXPUNGE", "MOVE"]);
/** Work at a stretch before other sessions get a turn. */
const MAX_TURN_MS = 8;

/** A session as administration sees it. */
export interface ImapSessionInfo {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly account: string | null;
  readonly mailbox: string | null;
  readonly command: string;
  readonly idling: boolean;
}

export class Connection implements ImapContext {
  readonly id: string;
  readonly store: Store;
  readonly indexes: IndexReader | null;
  readonly attached: AttachedFiles | null;
  readonly session: ImapSession;
  readonly sharing: SharingOptions;
  readonly scriptEvent: ImapContext["scriptEvent"];
  readonly out: Out;
  readonly log: Logger;
  account: Account | null = null;
  selected: Selected | null = null;
  annotations: Map<string, number> | null = null;
  notifications: Notifications | null = null;

  #watchers: Set<Connection>;
  readonly #wire: Wire;
  #services: ImapServices;
  #options: ImapOptions;
  #since: number;
  #deadline: Deadline;
  #buffer = new SessionBuffer();
  #append: Appending | null = null;
  /** What came in clear behind the end of compression. */
  #behind: Uint8Array | null = null;
  #idling: Idling | null = null;
  #failures = 0;
  #stopText: string | null = null;
  #reading = false;
  #pushing: Promise<void> | null = null;
  /** Something came while it was told. */
  #again = false;
  #turn = 0;
  #drainSoon = false;

  /** `watchers`: where it puts itself while it wants to hear of every change. */
  constructor(
    transport: Transport,
    services: ImapServices,
    { options, watchers }: { readonly options: ImapOptions; readonly watchers: Set<Connection> },
  ) {
    this.#watchers = watchers;
    this.id = services.newId();
    this.store = services.store;
    this.indexes = services.indexes;
    this.attached = services.attached;
    this.sharing = options.sharing;
    this.scriptEvent = services.scriptEvent ?? null;
    this.out = new Out();
    this.log = getLogger(["veredus", "imap"]).with({ session: this.id, address: transport.peer.address });
    this.session = new ImapSession({
      out: this.out,
      hostName: services.hostName,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls,
      plainLoginAllowed: options.plainLoginAllowed,
      literals: options.literals,
      mechanisms: services.mechanisms(() => this.#wire.transport.tls),
      serverId: new Map([["name", "Veredus"]]),
      limits: options.limits,
      namespaces: options.sharing.scope === "off" ? NO_NAMESPACES : options.sharing.namespaces,
      sieveUrl: services.scriptEvent === undefined ? "" : options.sieveUrl,
      messageLimit: options.messageLimit,
      saveLimit: options.saveLimit,
      onLimit: (limit) => {
        countLimit(limit);
        this.log.info("limit {limit} reached", { limit, account: this.account?.address });
        if (this.account === null) services.offence?.(transport.peer.address, "protocol");
      },
    });
    this.#wire = new Wire(transport, {
      out: this.out,
      log: this.log,
      writes: (octets) => {
        if (octets > BUSY_OCTETS) this.#deadline.extend(options.timeouts.stallMs);
      },
    });
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    this.#deadline = services.deadlines.add(options.timeouts.beforeLoginMs, () => this.#expired());
  }

  now(): number {
    return this.#services.now();
  }

  newTraceId(): string {
    return this.#services.newId();
  }

  watch(notifications: Notifications): void {
    this.notifications = notifications;
    this.#watchers.add(this);
  }

  /** A change of any account; for those who watch (RFC 5465). */
  noteChange(change: Change): void {
    if (this.notifications?.note(change)) this.changed();
  }

  changed(): void {
    if (this.session.idling) this.#idling?.wake();
    else if (this.#reading && this.session.ended) this.#leaveRead();
    else if (this.notifications !== null) {
      this.#again = true;
      if (this.#reading && this.session.betweenCommands) this.#push();
    }
  }

  drain(): Promise<void> | undefined {
    const full = this.#drainSoon || this.out.pending > HIGH_WATER_OCTETS;
    if (!full && performance.now() - this.#turn <= MAX_TURN_MS) return undefined;
    return this.#breathe(full);
  }

  drainSoon(): void {
    this.#drainSoon = true;
  }

  async #breathe(full: boolean): Promise<void> {
    this.#drainSoon = false;
    if (full) await this.#wire.flush();
    else await new Promise((resolve) => setImmediate(resolve)); // a timer would wait for a millisecond
    this.#turn = performance.now();
  }

  info(): ImapSessionInfo {
    return {
      id: this.id,
      address: this.#wire.transport.peer.address,
      since: this.#since,
      tls: this.session.tlsActive,
      account: this.account?.address ?? null,
      mailbox: this.selected?.mailbox.name ?? null,
      command: this.session.commandName,
      idling: this.session.idling,
    };
  }

  /** Ends the session at the next place between two commands. */
  stop(text: string): void {
    this.#stopText ??= text;
    if (this.#reading && (this.session.betweenCommands || this.session.idling)) this.#leaveRead();
  }

  /** Somebody's rights changed: a client that waits in a mailbox of another is told. */
  noteRights(): void {
    if (this.selected?.mailbox.own === false) this.changed();
  }

  /** An account was changed: a login that is no longer allowed ends. */
  checkAccount(accountId: number | null): void {
    const { account } = this;
    if (account === null || (accountId !== null && accountId !== account.id)) return;
    if (this.store.directory.accountById(account.id)?.enabled !== true) this.stop("The account was closed");
  }

  async run(): Promise<void> {
    this.log.debug("session opened", { tls: this.session.tlsActive });
    try {
      this.session.greet();
      await this.#loop();
    } catch (error) {
      await this.#wire.failed(error, () => {
        faults.inc();
        this.log.error("session failed", { error, command: this.session.commandName });
        this.session.bye("The server has a fault", "SERVERBUG");
      });
    } finally {
      this.#deadline.cancel();
      await this.#idling?.end();
      this.#dropAppend();
      this.#buffer.release();
      await this.#leave();
      this.#wire.close();
      this.log.debug("session closed", { account: this.account?.address ?? null });
    }
  }

  async #loop(): Promise<void> {
    const { session } = this;
    this.#turn = performance.now();
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          if (!await this.#read()) return;
          break;
        case "command":
          await this.#command(event.command, event.rule);
          break;
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "starttls":
          await this.#startTls();
          break;
        case "compress":
          await this.#wire.flush();
          session.dropInput();
          this.#wire.transport = new CompressedTransport(this.#wire.transport);
          break;
        case "append": {
          const begun = beginAppend(this, event.append);
          if (begun instanceof Appending) {
            this.#append = begun;
            session.grantAppend();
          } else await this.#refuseAppend(begun);
          break;
        }
        case "append-next": {
          const refused = this.#append?.next(event.message) ?? null;
          if (refused === null) session.grantAppend();
          else await this.#refuseAppend(refused);
          break;
        }
        case "append-data":
          await this.#append?.write(event.bytes, event.start, event.end);
          break;
        case "append-end": {
          const append = this.#append!; // the session says so only behind what it granted
          this.#append = null;
          const reply = await append.finish().catch((error) => this.#unavailable(error));
          await tell(this, { expunges: true, own: true });
          this.#answer(reply);
          break;
        }
        case "append-void":
          this.#dropAppend();
          break;
        case "idle":
          this.#idling = new Idling(this, {
            deadlines: this.#services.deadlines,
            stillHereMs: this.#options.timeouts.stillHereMs,
            flush: () => this.#wire.flush(),
            onEnd: (error) => this.#idleEnded(error),
          });
          this.#idling.wake();
          break;
        case "idle-end":
          await this.#idling?.end();
          this.#idling = null;
          await tell(this, { expunges: true });
          this.#answer(event.done ? ok("Idle completed") : bad("Expected DONE"));
          break;
        case "close":
          await this.#wire.flush();
          return;
        default:
          return event satisfies never;
      }
      if (this.out.pending > HIGH_WATER_OCTETS) await this.#wire.flush();
    }
  }

  async #command(command: Command, rule: CommandRule): Promise<void> {
    // ENABLE IMAP4rev2 may come while a mailbox is open.
    if (this.session.enabled.rev2 && this.selected !== null) this.selected.view.recentFrom = Infinity;
    refreshRights(this);
    if (this.session.ended) return;
    let reply: Reply;
    try {
      const running = command.name === "UNAUTHENTICATE" ? this.#unauthenticate() : runCommand(this, command);
      reply = running instanceof Promise ? await running : running;
    } catch (error) {
      reply = this.#unavailable(error);
    }
    // RFC 7162 3.2.10.2: nor while UIDs are searched for by message numbers.
    const byNumber = rule.usesSequence || ("key" in command && asksNumbers(command.key));
    const telling = tell(this, { expunges: !byNumber, own: OWN_CHANGES.has(command.name) });
    if (telling !== undefined) await telling;
    this.#answer(reply);
    if (command.name === "UNAUTHENTICATE") await this.#endCompression();
  }

  /** Disk trouble is a reply; everything else unexpected is a fault of ours and ends the session. */
  #unavailable(error: unknown): Reply {
    if (!(error instanceof StorageError)) throw error;
    this.log.error("storage failed", { error, command: this.session.commandName });
    return no("Not possible just now", "UNAVAILABLE");
  }

  async #refuseAppend(reply: Reply): Promise<void> {
    this.#dropAppend();
    await tell(this, { expunges: true });
    this.#answer(reply);
  }

  #dropAppend(): void {
    this.#append?.discard();
    this.#append = null;
  }

  #answer(reply: Reply): void {
    if (this.session.ended) return; // BYE is said already
    countCommand(this.session.commandName, reply.status);
    this.session.answer(reply);
  }

  async #login(credentials: Credentials): Promise<void> {
    const { peer, tls } = this.#wire.transport;
    const outcome = await this.#services.login(credentials, peer, tls);
    switch (outcome.kind) {
      case "ok":
        this.account = outcome.account;
        this.#deadline.extend(this.#options.timeouts.idleMs);
        countCommand(this.session.commandName, "OK");
        this.log.info("logged in", { account: outcome.account.address, mechanism: credentials.mechanism });
        return this.session.loggedIn({
          hidden: new Set(outcome.account.hiddenCapabilities),
          quotaSet: this.#options.quotaSetters.includes(outcome.account.address),
        });
      case "wrong":
        this.#answer(no("Wrong user name or password", "AUTHENTICATIONFAILED"));
        if (++this.#failures >= this.#options.loginFailures) this.session.bye("Too many failed logins");
        return;
      case "unavailable":
        return this.#answer(no("Logins are not possible just now, try again", "UNAVAILABLE"));
      case "blocked":
        return this.session.bye("Too many failed logins", "UNAVAILABLE");
      default:
        return outcome satisfies never;
    }
  }

  /** RFC 8437: the connection starts again, with the time a new one has. */
  async #unauthenticate(): Promise<Reply> {
    // 3: NO is no answer to it.
    await this.#leave();
    this.log.info("logged out", { account: this.account?.address ?? null });
    this.account = null;
    this.annotations = null;
    this.notifications = null;
    this.#watchers.delete(this);
    this.session.unauthenticate();
    this.#deadline.extend(this.#options.timeouts.beforeLoginMs);
    return ok("Unauthenticated");
  }

  /** Leaves the selected mailbox whatever becomes of it. */
  async #leave(): Promise<void> {
    await leave(this).catch((error) => this.log.warn("leaving the mailbox failed", { error }));
  }

  /** RFC 8437 4.1: compression ends behind the tagged OK; what the client sent inside it is void. */
  async #endCompression(): Promise<void> {
    const { transport } = this.#wire;
    if (!(transport instanceof CompressedTransport)) return;
    await this.#wire.flush();
    this.session.dropInput();
    this.session.compressed = false;
    this.#behind = transport.stop();
    this.#wire.transport = transport.inner;
  }

  async #startTls(): Promise<void> {
    await this.#wire.startTls(this.session);
    this.session.tlsStarted();
  }

  /** Tells what NOTIFY asked for while the client says nothing; a command that comes waits for its end. */
  #push(): void {
    this.#pushing ??= Promise.resolve().then(async () => {
      while (this.#again && !this.session.ended) {
        this.#again = false;
        const watch = this.notifications?.selected ?? null;
        await tell(this, { expunges: watch !== null && !watch.delayed });
        await this.#wire.flush();
      }
      if (this.session.ended) this.#wire.close();
    }).catch((error) => this.#idleEnded(error)).finally(() => this.#pushing = null);
  }

  /** Flushes and reads; false when the connection is over. */
  async #read(): Promise<boolean> {
    const { session } = this;
    const flushed = this.#wire.flush();
    if (flushed !== undefined) await flushed;
    if (this.#stopText !== null && (session.betweenCommands || session.idling)) {
      session.bye(this.#stopText, "UNAVAILABLE");
      return true;
    }
    if (session.ended) return true;
    const { idleMs, stallMs } = this.#options.timeouts;
    if (this.account !== null) {
      this.#deadline.extend(session.betweenCommands || session.idling ? idleMs : stallMs);
    }
    if (this.#behind !== null) {
      session.feed(this.#behind);
      this.#behind = null;
      return true;
    }
    const buffer = this.#buffer.next(this.#append?.sizeOctets);
    const near = session.idling || this.#again ? 0 : this.#wire.transport.readNear?.(buffer) ?? 0;
    if (near > 0) {
      this.#turn = performance.now();
      session.feed(this.#buffer.read(near));
      return true;
    }
    this.#reading = true;
    if (this.#again && session.betweenCommands) this.#push();
    let count: number | null;
    try {
      count = await this.#wire.transport.read(buffer);
    } catch (error) {
      if (this.#stopText === null && !session.ended) throw new PeerGone("reading failed", { cause: error });
      count = null;
    }
    this.#reading = false;
    await this.#pushing;
    if (count === null) return false;
    this.#turn = performance.now();
    session.feed(this.#buffer.read(count));
    return true;
  }

  #expired(): void {
    if (this.session.ended) return this.#wire.close();
    this.#stopText ??= "Too long without a command";
    if (this.#reading && (this.session.betweenCommands || this.session.idling)) return this.#leaveRead();
    // In the middle of a command or of a write that is not taken: there is nobody to talk to.
    this.log.info("session stalled", { command: this.session.commandName });
    this.#wire.close();
  }

  /** Says BYE to a client we are only waiting for; closing ends the read. */
  #leaveRead(): void {
    this.#idling?.end().catch((error) => this.#idleEnded(error));
    if (this.#stopText !== null) this.session.bye(this.#stopText, "UNAVAILABLE");
    this.#wire.leave();
  }

  #idleEnded(error: unknown): void {
    if (error !== null && !(error instanceof PeerGone)) {
      faults.inc();
      this.log.error("telling changes failed", { error });
    }
    this.#wire.close();
  }
}
