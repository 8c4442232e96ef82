/**
 * A front end: every mail port, the protocol drivers behind them, this thread's view of the store.
 *
 * N of them share the ports in Workers of their own, or one is all there is with `threads: 0`. The settings in force
 * are read for each new connection, so a reload touches no session that runs.
 */
import { callAhead } from "../delivery/queue/call_ahead.ts";
import { type CallAhead, RecipientGate } from "../delivery/recipient_gate.ts";
import { StsPolicies } from "../delivery/security/sts_policies.ts";
import { TransportSecurity } from "../delivery/security/transport_security.ts";
import { stsFetch } from "./mail_web.ts";
import { outboundParts } from "./outbound_parts.ts";
import { denoConnector } from "./outgoing.ts";
import { getLogger } from "@logtape/logtape";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Authenticator, type LoginProtocol } from "../auth/login.ts";
import { accountOfLogin } from "../auth/login_name.ts";
import { TokenVerifier } from "../auth/oauth.ts";
import { scramOf } from "../auth/scram.ts";
import { InboundReception } from "../delivery/inbound.ts";
import type { InboundConfig } from "../delivery/inbound/setting.ts";
import { runImapEvent } from "../delivery/scripts/imap_events.ts";
import { Observations } from "../delivery/reports/observations.ts";
import { MAILBOX_MECHANISMS, SessionMechanisms, SMTP_MECHANISMS } from "../protocols/sasl/mechanisms.ts";
import type { Credentials, SaslMechanisms } from "../protocols/sasl/exchange.ts";
import type { PatternEngine } from "../filter/patterns.ts";
import { IndexFolder } from "../search/index_folder.ts";
import { IndexReader } from "../search/index_reader.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openStore } from "../storage/open_store.ts";
import type { Account, Store } from "../storage/store.ts";
import type { WriterPort } from "../storage/writer.ts";
import { type Config, isHttp, type ListenerConfig, STANDARD_PORTS } from "./config/config.ts";
import { Deadlines } from "./deadline.ts";
import { DENO_TIMERS } from "./deno_timers.ts";
import { plainAddress } from "./deno_transport.ts";
import { IdSource } from "./ids.ts";
import { ImapServer } from "./imap.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions } from "./imap/options.ts";
import type { LoginOutcome, SessionMechanismsOf } from "./login.ts";
import { Listener } from "./listener.ts";
import { MaildropLocks } from "./maildrop_locks.ts";
import {
  DEFAULT_MANAGESIEVE_OPTIONS,
  ManageSieveServer,
  type ManageSieveServerOptions,
} from "./managesieve.ts";
import { DEFAULT_POP3_OPTIONS, type Pop3Options, Pop3Server } from "./pop3.ts";
import { Bans, type Offence } from "./bans.ts";
import { buildChains, greetingDelayMs, patternsOf } from "./filter_chains.ts";
import { createResolver, type ThreadResolver } from "./resolver.ts";
import { SharedBuckets } from "./shared_buckets.ts";
import { SharedLimits } from "./shared_limits.ts";
import { steadyNow } from "./steady_clock.ts";
import type { TraceLog } from "../storage/trace_log.ts";
import { traceLog } from "./trace.ts";
import { stolenNotice } from "../delivery/stolen_notice.ts";
import { Blocks } from "../filter/address_block.ts";
import type { Chains } from "../filter/screen.ts";
import { SpamFilter } from "./spam_filter.ts";
import { linkLists } from "./link_lists.ts";
import { heldNotice } from "../delivery/spam/outgoing.ts";
import { SmtpServer } from "./smtp.ts";
import type { SmtpOptions } from "./smtp/options.ts";
import type { PartSettings, SessionInfo, ThreadPart } from "./threads/messages.ts";
import { canServeTls, TlsServer } from "./tls_transport.ts";
import type { PeerFacts, TlsFacts, Transport } from "./transport.ts";

const log = getLogger(["veredus", "server"]);

export interface FrontendSharing {
  readonly writer: WriterPort;
  readonly limits: SharedArrayBuffer;
  readonly maildropLocks: SharedArrayBuffer;
  readonly bans: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
  /** Answers of DNS. */
  readonly answers: SharedArrayBuffer;
  readonly column: number;
  /** Zero of the shared limits' times. */
  readonly epoch: number;
}

export class FrontendPart implements ThreadPart {
  readonly store: Store;
  #settings: PartSettings;
  #limits: SharedLimits;
  #deadlines: Deadlines;
  #authenticator: Authenticator;
  #tls: TlsServer | null;
  #imap: ImapServer;
  #pop3: Pop3Server;
  #manageSieve: ManageSieveServer;
  #reception: InboundReception;
  #smtp: SmtpServer;
  #tokens: TokenVerifier | null;
  #trusted: Blocks;
  #proxies: Blocks;
  #xclients: Blocks;
  #listeners: Listener[];
  #bans: Bans;
  #chains: Chains;
  readonly #observations: Observations;
  readonly #spam: SpamFilter;
  #resolver: ThreadResolver;
  #trace: TraceLog | null;
  #indexes: IndexReader | null;

  private constructor(
    settings: PartSettings,
    sharing: FrontendSharing,
    loaded: { readonly tls: TlsServer | null; readonly patterns: PatternEngine | null },
  ) {
    const { tls, patterns } = loaded;
    const { config } = settings;
    this.#settings = settings;
    this.#tls = tls;
    const folder = new DataFolder(config.data);
    this.store = openStore({
      folder,
      writer: sharing.writer,
      openSegment: true,
      minFreeOctets: config.limits.minFreeOctets,
    });
    this.#limits = new SharedLimits(sharing.limits, {
      column: sharing.column,
      epoch: sharing.epoch,
      options: limitOptions(config),
    });
    this.#bans = new Bans(sharing.bans, {
      store: this.store,
      epoch: sharing.epoch,
      clock: Date.now,
      steady: steadyNow,
      config: config.bans,
    });
    this.#bans.load();
    this.#trace = traceLog(config, `frontend-${sharing.column + 1}`);
    this.#deadlines = new Deadlines();
    this.#authenticator = new Authenticator({
      store: this.store,
      clock: steadyNow,
      failures: this.#limits,
      repeats: this.#limits,
      cacheKey: this.#limits.key,
      onFailure: (address) => this.#bans.offence(address, "login"),
      limits: { maxFailures: config.limits.loginFailuresPerAddress },
      learnScram: config.auth.scram,
    });
    this.#tokens = tokenVerifier(config);
    const ids = new IdSource();
    this.#indexes = config.search.index ? new IndexReader(new IndexFolder(folder.indexes)) : null;
    const offence = (address: string, what: Offence) => this.#bans.offence(address, what);
    this.#imap = new ImapServer({
      store: this.store,
      indexes: this.#indexes,
      deadlines: this.#deadlines,
      login: (credentials, peer, tls) => this.#login(credentials, { peer, tls, protocol: "imap" }),
      mechanisms: this.#mechanisms(MAILBOX_MECHANISMS),
      hostName: config.hostname,
      now: Date.now,
      newId: () => ids.next(),
      scriptEvent: (event) => runImapEvent({ post: this.#reception.post, hostname: config.hostname }, event),
      offence,
    });
    this.#resolver = createResolver(config.resolver, {
      folder: config.data,
      answers: sharing.answers,
    });
    this.#chains = buildChains(config.filter, {
      store: this.store,
      resolver: this.#resolver,
      buckets: new SharedBuckets(sharing.buckets, sharing.epoch),
      patterns,
      hostname: config.hostname,
      clock: Date.now,
      steady: steadyNow,
      relays: new Blocks(config.senderChecks.relays),
      notify: (login, reason) => this.#reception.noticed(stolenNotice(config, { login, reason })),
    });
    this.#spam = new SpamFilter({
      store: this.store,
      data: config.data,
      ownThread: config.threads !== 0,
      deadlineMs: config.filter.spam.deadlineMs,
    });
    // One front end learns for all.
    if (sharing.column === 0 && config.filter.spam.enabled) {
      this.store.onChange((change) => {
        if (change.kind === "lessons") this.#spam.taught();
      });
      if (this.store.spam.wishes(1).length > 0) this.#spam.taught();
    }
    this.#observations = new Observations("dmarc", { store: this.store, timers: DENO_TIMERS });
    this.#reception = new InboundReception({
      store: this.store,
      ...(config.senderChecks.reports && { observations: this.#observations }),
      chains: this.#chains,
      resolver: this.#resolver,
      ...(this.#trace !== null && { tracer: this.#trace }),
      spam: {
        filter: this.#spam,
        linkHits: linkLists(config.filter.spam.linkZones, { resolver: this.#resolver, clock: Date.now }),
        notify: (held) =>
          this.#reception.noticed(
            heldNotice({ hostname: config.hostname, administrator: config.filter.administrator }, held),
          ),
      },
      hostname: config.hostname,
      clock: Date.now,
      newId: () => ids.next(),
      config: inboundConfig(config),
      webhooks: config.webhooks,
      gate: new RecipientGate({
        store: this.store,
        clock: Date.now,
        suppress: config.queue.suppressMs > 0,
        ask: this.#callAhead(config),
      }),
    });
    this.#smtp = new SmtpServer({
      reception: this.#reception,
      deadlines: this.#deadlines,
      login: (credentials, peer, tls) => this.#login(credentials, { peer, tls, protocol: "smtp" }),
      mechanisms: this.#mechanisms(SMTP_MECHANISMS),
      hostName: config.hostname,
      now: Date.now,
      newId: () => ids.next(),
      offence,
      banned: (address) => this.#bans.banned(address),
    });
    this.#trusted = new Blocks(config.trustedNetworks);
    this.#pop3 = new Pop3Server({
      store: this.store,
      deadlines: this.#deadlines,
      locks: new MaildropLocks(sharing.maildropLocks, { column: sharing.column }),
      login: (credentials, peer, tls) => this.#login(credentials, { peer, tls, protocol: "pop3" }),
      mechanisms: this.#mechanisms(MAILBOX_MECHANISMS),
      hostName: config.hostname,
      now: Date.now,
      newId: () => ids.next(),
      offence,
    });
    this.#manageSieve = new ManageSieveServer({
      store: this.store,
      deadlines: this.#deadlines,
      login: (credentials, peer, tls) => this.#login(credentials, { peer, tls, protocol: "managesieve" }),
      mechanisms: this.#mechanisms(MAILBOX_MECHANISMS),
      implementation: "Veredus",
      now: Date.now,
      newId: () => ids.next(),
      offence,
    });
    this.#proxies = new Blocks(config.proxyNetworks);
    this.#xclients = new Blocks(config.xclientNetworks);
    const mine = config.listeners.filter(({ protocol, address }) =>
      !isHttp(protocol) && (sharing.column === 0 || !address.startsWith("unix:"))
    );
    this.#listeners = mine.map((listener) =>
      new Listener(listener, {
        limits: this.#limits,
        banned: (address) => this.#bans.banned(address),
        tls,
        certificate: settings.certificates[0] ?? null,
        isProxy: config.proxyNetworks.length === 0 ? null : (address) => this.#proxies.includes(address),
        hostname: config.hostname,
        serve: (transport, of) => this.#serve(transport, of),
      })
    );
  }

  /** Opens the store and every port. Throws when one of them cannot be opened. */
  static async open(settings: PartSettings, sharing: FrontendSharing): Promise<FrontendPart> {
    const part = new FrontendPart(settings, sharing, {
      tls: await tlsServer(settings),
      patterns: await patternsOf(settings.config.filter),
    });
    try {
      await part.#ensureScramSecret();
      Listener.openAll(part.#listeners);
    } catch (error) {
      await part.drain(0);
      throw error;
    }
    return part;
  }

  /** The first front end to start makes it; the others are refused, because it is there. */
  async #ensureScramSecret(): Promise<void> {
    if (!this.#settings.config.auth.scram || this.store.directory.secrets(SCRAM_SECRET).length > 0) return;
    const value = randomBytes(32).toString("base64");
    await this.store.write({ kind: "rotate-secret", name: SCRAM_SECRET, value, ifBefore: 0, keep: 1 });
  }

  sessions(): SessionInfo[] {
    return [
      ...this.#imap.sessions().map((session): SessionInfo => ({
        id: session.id,
        protocol: "imap",
        address: session.address,
        since: session.since,
        tls: session.tls,
        account: session.account,
        doing: session.idling
          ? `IDLE in ${session.mailbox}`
          : session.mailbox === null
          ? session.command
          : `${session.command} in ${session.mailbox}`,
      })),
      ...this.#pop3.sessions().map(({ command, ...session }): SessionInfo => ({
        ...session,
        protocol: "pop3",
        doing: command,
      })),
      ...this.#manageSieve.sessions().map(({ command, ...session }): SessionInfo => ({
        ...session,
        protocol: "managesieve",
        doing: command,
      })),
      ...this.#smtp.sessions().map(({ command, heloName, ...session }): SessionInfo => ({
        ...session,
        protocol: "smtp",
        doing: heloName === "" ? command : `${command} from ${heloName}`,
      })),
    ];
  }

  endSession(id: string): boolean {
    return this.#imap.end(id) || this.#smtp.end(id) || this.#pop3.end(id) ||
      this.#manageSieve.end(id);
  }

  /** Questions to the next hops of relay domains. */
  #callAhead(config: Config): CallAhead {
    const { store } = this;
    const resolver = this.#resolver;
    const security = new TransportSecurity({
      options: { ...config.outboundTls, learned: "off" },
      ...{ resolver, store, clock: Date.now },
      policies: new StsPolicies({
        store,
        resolver,
        clock: Date.now,
        fetch: stsFetch({ connector: denoConnector(), resolver, timers: DENO_TIMERS, random: Math.random }),
      }),
      observations: new Observations("tls", { store, timers: DENO_TIMERS }),
    });
    return callAhead(outboundParts(config, { resolver, security }));
  }

  reload(settings: PartSettings): void {
    const changed =
      settings.certificates.some((certificate, at) =>
        certificate.certificatePem !== this.#settings.certificates[at]?.certificatePem
      ) || settings.certificates.length !== this.#settings.certificates.length;
    this.#settings = settings;
    this.#limits.configure(limitOptions(settings.config));
    this.#bans.configure(settings.config.bans);
    this.#trusted = new Blocks(settings.config.trustedNetworks);
    this.#proxies = new Blocks(settings.config.proxyNetworks);
    this.#xclients = new Blocks(settings.config.xclientNetworks);
    this.#reception.configure(inboundConfig(settings.config));
    const [first] = settings.certificates;
    if (!changed || first === undefined) return;
    this.#tls?.replace(settings.certificates);
    for (const listener of this.#listeners) listener.replaceCertificate(first);
  }

  async drain(withinMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    this.#imap.shutdown();
    this.#pop3.shutdown();
    this.#manageSieve.shutdown();
    this.#smtp.shutdown();
    const drained = Promise.all(this.#listeners.map((listener) => listener.drained()));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLong = new Promise<void>((resolve) => timer = setTimeout(resolve, withinMs));
    await Promise.race([drained, tooLong]);
    clearTimeout(timer);
    const left = this.#listeners.reduce((sum, listener) => sum + listener.connections, 0);
    if (left > 0) {
      log.warn("{left} connections did not end within {withinMs} ms and are cut", { left, withinMs });
      for (const listener of this.#listeners) listener.cut();
      await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, CUT_MS))]);
    }
    this.#authenticator.close();
    await Promise.all([this.#chains.strangers.close(), this.#chains.logins.close()]);
    this.#resolver.close();
    await this.#observations.flush();
    await this.#trace?.close();
    this.#deadlines.close();
    this.#indexes?.close();
    await this.#spam.close();
    await this.store.close();
  }

  async #serve(transport: Transport, listener: ListenerConfig): Promise<void> {
    switch (listener.protocol) {
      case "smtp":
      case "submission":
      case "submissions":
      case "lmtp":
        return await this.#smtp.serve(transport, this.#smtpOptions(listener, transport.peer));
      case "imap":
      case "imaps":
        return await this.#imap.serve(transport, this.#imapOptions(listener, transport.peer));
      case "pop3":
      case "pop3s":
        return await this.#pop3.serve(transport, this.#pop3Options(listener, transport.peer));
      case "managesieve":
        return await this.#manageSieve.serve(transport, this.#manageSieveOptions(listener, transport.peer));
      default:
        transport.close();
    }
  }

  /** The account that SCRAM, a token or a certificate has shown; null refuses. */
  async #proven({ user, proof }: Credentials, tls: TlsFacts | null): Promise<Account | null> {
    const { directory } = this.store;
    switch (proof?.kind) {
      case "scram":
        return proof.matches ? accountOfLogin(directory, user) : null;
      case "token": {
        const address = await this.#tokens?.verify(proof.token) ?? null;
        const account = address === null ? null : accountOfLogin(directory, address);
        return user === "" || accountOfLogin(directory, user)?.id === account?.id ? account : null;
      }
      case "certificate": {
        const fingerprint = tls?.clientCertificate ?? null;
        const row = fingerprint === null ? null : directory.certificate(fingerprint);
        return row === null ? null : directory.accountById(row.accountId);
      }
      case undefined:
        return null;
      default:
        return proof satisfies never;
    }
  }

  #imapOptions(listener: ListenerConfig, peer: PeerFacts): Partial<ImapOptions> {
    const { limits, imap: { sharing, otherUsers, sharedFolders, quotaSetters } } = this.#settings.config;
    const { timeouts } = DEFAULT_IMAP_OPTIONS;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      literals: listener.literals,
      messageLimit: limits.imapMessages,
      saveLimit: limits.imapSaves,
      sharing: { scope: sharing, namespaces: { otherUsers, shared: sharedFolders } },
      quotaSetters,
      sieveUrl: sieveUrl(this.#settings.config),
      timeouts: { ...timeouts, beforeLoginMs: limits.loginTimeoutMs, idleMs: limits.idleTimeoutMs },
    };
  }

  #smtpOptions(listener: ListenerConfig, peer: PeerFacts): Partial<SmtpOptions> {
    const { limits, smtp } = this.#settings.config;
    const { protocol } = listener;
    const lmtp = protocol === "lmtp";
    const submission = !lmtp && protocol !== "smtp";
    return {
      service: lmtp ? "lmtp" : submission ? "submission" : "mx",
      holdSeconds: submission ? Math.floor(smtp.maxHoldMs / 1_000) : 0,
      greetingDelayMs: greetingDelayMs(this.#settings.config.filter),
      tarpitMs: this.#settings.config.filter.tarpitMs,
      etrn: protocol === "smtp" && smtp.etrn,
      xclient: !submission && this.#xclients.includes(peer.address),
      trusts: (address) => this.#trusted.includes(address),
      auth: listener.auth,
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      bareLineEnds: lmtp ? "convert" : listener.bareNewlines,
      trusted: this.#trusted.includes(peer.address),
      limits,
      timeouts: {
        commandMs: limits.commandTimeoutMs,
        messageMs: limits.messageTimeoutMs,
        loginMs: limits.loginTimeoutMs,
      },
    };
  }

  #manageSieveOptions(listener: ListenerConfig, peer: PeerFacts): Partial<ManageSieveServerOptions> {
    const { loginTimeoutMs } = this.#settings.config.limits;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      timeouts: { ...DEFAULT_MANAGESIEVE_OPTIONS.timeouts, beforeLoginMs: loginTimeoutMs },
    };
  }

  #pop3Options(listener: ListenerConfig, peer: PeerFacts): Partial<Pop3Options> {
    const { loginTimeoutMs } = this.#settings.config.limits;
    return {
      plainLoginAllowed: this.#plainLoginAllowed(listener, peer),
      timeouts: { ...DEFAULT_POP3_OPTIONS.timeouts, beforeLoginMs: loginTimeoutMs },
    };
  }

  /** Local mode waives TLS on loopback, where nobody listens in. */
  #plainLoginAllowed(listener: ListenerConfig, peer: PeerFacts): boolean {
    return listener.plainLogin || (this.#settings.local && isLoopback(peer.address));
  }

  #mechanisms(always: SaslMechanisms): SessionMechanismsOf {
    const { auth } = this.#settings.config;
    const { directory } = this.store;
    return (tls) =>
      new SessionMechanisms(always, {
        scram: () => {
          const secret = auth.scram && directory.allHaveScram()
            ? directory.secrets(SCRAM_SECRET)[0]
            : undefined;
          if (secret === undefined) return null;
          return () => ({
            verifierOf: (user) => scramOf(directory, user, Buffer.from(secret.value, "base64")),
            nonce: randomBytes(18).toString("base64"),
          });
        },
        bearer: () => this.#tokens !== null,
        certificate: () => tls()?.clientCertificate != null,
      });
  }

  async #login(
    credentials: Credentials,
    { peer, tls, protocol }: {
      readonly peer: PeerFacts;
      readonly tls: TlsFacts | null;
      readonly protocol: LoginProtocol;
    },
  ): Promise<LoginOutcome> {
    const { user, password, authorizationId, proof } = credentials;
    const attempt = { login: user, authzid: authorizationId, address: peer.address, protocol };
    const result = proof === undefined
      ? await this.#authenticator.login({ ...attempt, password })
      : await this.#authenticator.prove({
        ...attempt,
        account: () => this.#proven(credentials, tls),
        shown: proof.kind === "token"
          ? proof.token
          : proof.kind === "scram"
          ? null
          : tls?.clientCertificate ?? "",
      });
    if (result.ok) {
      this.#bans.succeeded(peer.address);
      return { kind: "ok", account: result.account };
    }
    return {
      kind: result.reason === "wrong-password"
        ? "wrong"
        : result.reason === "throttled"
        ? "blocked"
        : "unavailable",
    };
  }
}

/** The file is read once, at start. */
function tokenVerifier({ auth: { oauth } }: Config): TokenVerifier | null {
  if (oauth === null) return null;
  const { clientSecretFile: file, ...options } = oauth;
  const clientSecret = file === "" ? "" : Deno.readTextFileSync(file).replace(/\r?\n$/, "");
  return new TokenVerifier({ ...options, clientSecret }, {
    clock: Date.now,
    fetch: (url, init) => fetch(url, init),
  });
}

/** Name of the secret that salts of users who do not exist are made with. */
const SCRAM_SECRET = "scram";

/** Milliseconds for cut sessions to notice. */
const CUT_MS = 1_000;

export function limitOptions(config: Config) {
  const { limits } = config;
  return {
    connections: limits.connections,
    connectionsPerAddress: limits.connectionsPerAddress,
    loginFailureLeakMs: Math.ceil(limits.loginFailureWindowMs / limits.loginFailuresPerAddress),
  };
}

function inboundConfig(config: Config): InboundConfig {
  return {
    messageOctets: config.limits.messageOctets,
    recipients: config.limits.recipients,
    vrfy: config.smtp.vrfy,
    expn: config.smtp.expn,
    captureOutbound: config.captureOutbound,
    ownAddresses: Deno.networkInterfaces().map(({ address }) => plainAddress(address)),
    queueLifetimeMs: config.queue.lifetimeMs,
    bounceLifetimeMs: config.queue.bounceLifetimeMs,
    quarantineMs: config.quarantine.keepMs,
    spam: config.filter.spam,
    authentication: {
      ...config.senderChecks,
      relays: new Blocks(config.senderChecks.relays),
      skip: new Blocks(config.senderChecks.skip),
    },
  };
}

/** Of our ManageSieve listener (RFC 5804 3); "" without one. */
function sieveUrl({ listeners, hostname }: Config): string {
  const listener = listeners.find(({ protocol }) => protocol === "managesieve");
  if (listener === undefined) return "";
  return `sieve://${hostname}${listener.port === STANDARD_PORTS.managesieve ? "" : `:${listener.port}`}`;
}

export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** Null where this runtime cannot serve TLS by `node:tls`: STARTTLS is not offered then. */
async function tlsServer(settings: PartSettings): Promise<TlsServer | null> {
  const [first] = settings.certificates;
  if (first === undefined) return null;
  if (!await canServeTls(first)) {
    log.warn("this runtime has no server side of TLS in node:tls: no STARTTLS, and tls: compact everywhere");
    return null;
  }
  return new TlsServer(settings.certificates, {
    requestClientCertificate: settings.config.listeners.some((listener) => listener.clientCertificates),
  });
}
