/**
 * A front end: every mail port, the protocol drivers behind them, this thread's view of the store.
 *
 * N of them share the ports in Workers of their own, or one is all there is with `threads: 0`. The settings in force
 * are read for each new connection, so a reload touches no session that runs. Who may log in says frontend/logins.ts, how
 * mail comes in frontend/intake.ts, who serves a connection frontend/mail_servers.ts.
 */
import { getLogger } from "@logtape/logtape";
import { failureKey } from "../auth/failures.ts";
import { Blocks } from "../filter/address_block.ts";
import type { PatternEngine } from "../filter/patterns.ts";
import { IndexFolder } from "../search/index_folder.ts";
import { AttachedFiles } from "../search/attached_files.ts";
import { IndexReader } from "../search/index_reader.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openStore } from "../storage/open_store.ts";
import type { Store } from "../storage/store.ts";
import type { TraceLog } from "../storage/trace_log.ts";
import type { WriterPort } from "../storage/writer.ts";
import { Bans } from "./bans.ts";
import { isHttp } from "./config/config.ts";
import { Deadlines } from "./deadline.ts";
import { hasRoom } from "./descriptors.ts";
import { attachmentsOf } from "./extract_process.ts";
import { patternsOf } from "./filter_chains.ts";
import { Intake } from "./frontend/intake.ts";
import { Logins } from "./frontend/logins.ts";
import { MailServers } from "./frontend/mail_servers.ts";
import { SessionOptions } from "./frontend/session_options.ts";
import { IdSource } from "./ids.ts";
import { Listener } from "./listener.ts";
import { MaildropLocks } from "./maildrop_locks.ts";
import { SharedBuckets } from "./shared_buckets.ts";
import { limitOptions, SharedLimits } from "./shared_limits.ts";
import { steadyNow } from "./steady_clock.ts";
import type { PartSettings, SessionInfo, SharedState, ThreadPart } from "./threads/messages.ts";
import { canServeTls, TlsServer } from "./tls_transport.ts";
import { traceLog } from "./trace.ts";

const log = getLogger(["veredus", "server"]);

/** Milliseconds for cut sessions to notice. */
const CUT_MS = 1_000;
const MINUTE_MS = 60_000;

export interface FrontendSharing extends SharedState {
  readonly writer: WriterPort;
}

export class FrontendPart implements ThreadPart {
  readonly store: Store;
  #settings: PartSettings;
  #options: SessionOptions;
  #proxies: Blocks;
  readonly #limits: SharedLimits;
  readonly #buckets: SharedBuckets;
  /** Clients that may come as fast as they want. */
  readonly #trusted: Blocks;
  readonly #bans: Bans;
  readonly #trace: TraceLog | null;
  readonly #deadlines: Deadlines;
  readonly #indexes: IndexReader | null;
  readonly #attached: AttachedFiles | null;
  readonly #logins: Logins;
  readonly #intake: Intake;
  readonly #servers: MailServers;
  readonly #tls: TlsServer | null;
  readonly #listeners: readonly Listener[];

  private constructor(
    settings: PartSettings,
    sharing: FrontendSharing,
    { tls, patterns }: { readonly tls: TlsServer | null; readonly patterns: PatternEngine | null },
  ) {
    const { config } = settings;
    const { column, epoch } = sharing;
    const folder = new DataFolder(config.data);
    const ids = new IdSource();
    const newId = () => ids.next();
    this.#settings = settings;
    this.#options = new SessionOptions(settings);
    this.#proxies = new Blocks(config.proxyNetworks);
    this.store = openStore({
      folder,
      writer: sharing.writer,
      openSegment: true,
      mayOpen: hasRoom,
      minFreeOctets: config.limits.minFreeOctets,
    });
    const { store } = this;
    this.#buckets = new SharedBuckets(sharing.buckets, epoch);
    this.#trusted = new Blocks(config.trustedNetworks);
    this.#limits = new SharedLimits(sharing.limits, { column, epoch, options: limitOptions(config) });
    this.#bans = new Bans(sharing.bans, {
      ...{ store, epoch, clock: Date.now, steady: steadyNow },
      config: config.bans,
    });
    this.#bans.load();
    this.#trace = traceLog(config, `frontend-${column + 1}`);
    this.#deadlines = new Deadlines();
    this.#indexes = config.search.index ? new IndexReader(new IndexFolder(folder.indexes)) : null;
    const attachments = attachmentsOf(config.search);
    this.#attached = attachments === null ? null : new AttachedFiles({ blobs: store.blobs, ...attachments });
    this.#logins = new Logins(config, { store, limits: this.#limits, bans: this.#bans });
    this.#intake = new Intake(config, {
      ...{ store, patterns, newId },
      buckets: this.#buckets,
      answers: sharing.answers,
      trace: this.#trace,
      learns: column === 0,
    });
    this.#servers = new MailServers({
      ...{ store, newId },
      hostName: config.hostname,
      logins: this.#logins,
      bans: this.#bans,
      deadlines: this.#deadlines,
      reception: this.#intake.reception,
      ...{ indexes: this.#indexes, attached: this.#attached },
      locks: new MaildropLocks(sharing.maildropLocks, { column }),
    });
    this.#tls = tls;
    const mine = config.listeners.filter(({ protocol, address }) =>
      !isHttp(protocol) && (column === 0 || !address.startsWith("unix:"))
    );
    this.#listeners = mine.map((listener) =>
      new Listener(listener, {
        limits: this.#limits,
        at: config.listeners.indexOf(listener),
        tooFast: (address) => this.#tooFast(address),
        banned: (address) => this.#bans.banned(address),
        tls,
        certificate: settings.certificates[0] ?? null,
        isProxy: config.proxyNetworks.length === 0 ? null : (address) => this.#proxies.includes(address),
        hostname: config.hostname,
        serve: (transport, of) => this.#servers.serve(transport, of, this.#options),
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
      await part.#logins.ensureScramSecret();
      Listener.openAll(part.#listeners);
    } catch (error) {
      await part.drain(0);
      throw error;
    }
    return part;
  }

  sessions(): SessionInfo[] {
    return this.#servers.sessions();
  }

  endSession(id: string): boolean {
    return this.#servers.end(id);
  }

  reload(settings: PartSettings): void {
    const { config, certificates } = settings;
    const before = this.#settings.certificates;
    const changed = certificates.length !== before.length ||
      certificates.some(({ certificatePem }, at) => certificatePem !== before[at]?.certificatePem);
    this.#settings = settings;
    this.#options = new SessionOptions(settings);
    this.#proxies = new Blocks(config.proxyNetworks);
    this.#limits.configure(limitOptions(config));
    this.#bans.configure(config.bans);
    this.#intake.configure(config);
    const [first] = certificates;
    if (!changed || first === undefined) return;
    this.#tls?.replace(certificates);
    for (const listener of this.#listeners) listener.replaceCertificate(first);
  }

  /** Counts a new connection; true where its address has had its share of this minute. */
  #tooFast(address: string): boolean {
    const { connectionsPerMinute: limit } = this.#settings.config.limits;
    if (limit === 0 || this.#trusted.includes(address)) return false;
    return !this.#buckets.take(`connect ${failureKey(address)}`, { limit, perMs: MINUTE_MS }, steadyNow());
  }

  async drain(withinMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    this.#servers.shutdown();
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
    this.#logins.close();
    await this.#intake.close();
    await this.#trace?.close();
    this.#deadlines.close();
    this.#indexes?.close();
    await this.#attached?.close();
    await this.store.close();
  }
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
