/**
 * A running server: lock, ports, certificates, threads, reload, drain. The one composition for `start`, `serve`,
 * and tests.
 *
 * Order at start: data folder, lock (before anything is bound or opened), ports claimed, certificates, threads. The
 * configuration's data path must be absolute. {@linkcode Server.stop} drains; a fatal end of the writer is told by
 * `onFatal`, whose caller must end the process.
 */
import { getLogger } from "@logtape/logtape";
import { DataFolder } from "../storage/data_folder.ts";
import type { Assessor } from "../filter/spam/assessor.ts";
import type { Store } from "../storage/store.ts";
import { DataLock } from "../storage/lock.ts";
import type { WriterPort } from "../storage/writer.ts";
import { flushLogs, type LogArea, type LogLevel, type LogSettings, setLogLevel } from "../telemetry/log.ts";
import { exposition, metricsAsJson, type ThreadMetrics } from "../telemetry/metrics.ts";
import { Bans } from "./bans.ts";
import {
  type Certificate,
  certificateDigest,
  keyDigest,
  loadCertificate,
  selfSignedCertificate,
} from "./certificate.ts";
import { type Config, frontEnds, type ListenerConfig } from "./config/config.ts";
import { reloaded, restartKeys } from "./config/restart_keys.ts";
import { fitConnections } from "./descriptors.ts";
import type { DnsReport } from "../dns/report.ts";
import type { ThreadResolver } from "./resolver.ts";
import { later } from "./later.ts";
import { claimPort, onAddress } from "./bind.ts";
import { Blocks } from "../filter/address_block.ts";
import { ownCommand } from "./process/own_command.ts";
import type { ProxiedHttp, ProxiedOptions } from "./proxied_http.ts";
import { limitOptions, SharedLimits } from "./shared_limits.ts";
import { endEarly } from "./threads/early.ts";
import type { PartSettings, ThreadRole } from "./threads/messages.ts";
import type { PlacedSession, Shape } from "./threads/shape.ts";

const log = getLogger(["veredus", "server"]);

export interface ServerOptions {
  readonly config: Config;
  /** Passwords without TLS from loopback. */
  readonly local: boolean;
  /** For the lock: what this process does. */
  readonly purpose: string;
  readonly logs: LogSettings;
  /** Log lines of other threads. */
  readonly onLog: (lines: string) => void;
  readonly onFatal: (reason: string) => void;
  /** Runs between the writer's start and the opening of the ports, as to make accounts. */
  readonly prepare?: (writer: WriterPort) => Promise<void>;
  readonly entries?: Partial<Record<ThreadRole, URL>>;
}

/** It could not start; the message is for the operator and says what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
}

export class Server {
  readonly folder: DataFolder;
  readonly startedAt: number;
  #settings: PartSettings;
  #lock: DataLock;
  #shape: Shape;
  #stopped: Promise<void> | null;
  /** Made when an administrator first asks. */
  #resolver: Promise<ThreadResolver> | null;
  #onReload: (() => void)[];

  private constructor(
    settings: PartSettings,
    parts: { folder: DataFolder; lock: DataLock; shape: Shape; startedAt: number },
  ) {
    this.folder = parts.folder;
    this.startedAt = parts.startedAt;
    this.#settings = settings;
    this.#lock = parts.lock;
    this.#shape = parts.shape;
    this.#stopped = null;
    this.#resolver = null;
    this.#onReload = [];
  }

  /** Throws {@linkcode StartError}, DataFolderLocked, and trouble of the disk. */
  static async start(options: ServerOptions): Promise<Server> {
    const folder = new DataFolder(options.config.data);
    folder.create();
    const lock = DataLock.take(folder.lock, options.purpose);
    try {
      const config = {
        ...options.config,
        listeners: claimPorts(options.config.listeners),
        limits: fitConnections(options.config.limits),
      };
      const certificates = await certificatesOf(config, folder);
      const settings: PartSettings = { config, certificates, local: options.local };
      const shape = await startShape(settings, options);
      return new Server(settings, { folder, lock, shape, startedAt: Date.now() });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get config(): Config {
    return this.#settings.config;
  }

  get certificates(): readonly Certificate[] {
    return this.#settings.certificates;
  }

  /** Digests of the keys of certificates in use and of those to come. */
  publicKeys(): { readonly sha256: string; readonly when: "now" | "next" }[] {
    const digests = new Map<string, "now" | "next">();
    for (const { nextKey } of this.config.certificates) {
      if (nextKey !== "") digests.set(keyDigest(nextKey), "next");
    }
    for (const certificate of this.certificates) digests.set(certificateDigest(certificate), "now");
    return [...digests].map(([sha256, when]) => ({ sha256, when }));
  }

  /** Starts this program. */
  get command(): readonly string[] {
    return ownCommand();
  }

  get writer(): WriterPort {
    return this.#shape.writer;
  }

  /** The bans of all threads. */
  bans(store: Store): Bans {
    return new Bans(this.#shape.shared.bans, {
      store,
      epoch: this.#shape.shared.epoch,
      clock: Date.now,
      config: this.config.bans,
    });
  }

  /** An `http` or `https` listener for connections of proxies too; null where none are listed. Rejects where it cannot bind. */
  async proxiedHttp(
    { protocol, address, port }: Pick<ListenerConfig, "protocol" | "address" | "port">,
    options: Pick<ProxiedOptions, "handle" | "openInner">,
  ): Promise<ProxiedHttp | null> {
    const { proxyNetworks, hostname } = this.config;
    if (proxyNetworks.length === 0) return null;
    const { ProxiedHttp } = await later<typeof import("./proxied_http.ts")>(
      new URL("./proxied_http.ts", import.meta.url),
    );
    const proxies = new Blocks(proxyNetworks);
    const socket = onAddress(address, (hostname) => Deno.listen({ hostname, port }));
    const { limits: buffer, epoch } = this.#shape.shared;
    const limits = new SharedLimits(buffer, { epoch, options: limitOptions(this.config) });
    this.onReload(() => limits.configure(limitOptions(this.config)));
    return new ProxiedHttp(socket, {
      ...{ ...options, protocol, hostname, limits },
      isProxy: (client) => proxies.includes(client),
    });
  }

  /** Calls `listener` after each reload: certificates may be others. */
  onReload(listener: () => void): void {
    this.#onReload.push(listener);
  }

  /** Values of every thread. */
  async metrics(): Promise<ThreadMetrics[]> {
    return [await metricsAsJson(), ...await this.#shape.metrics()];
  }

  /** The Prometheus text of all threads together. */
  async metricsText(): Promise<string> {
    return await exposition(await this.metrics());
  }

  sessions(): Promise<PlacedSession[]> {
    return this.#shape.sessions();
  }

  endSession(id: string): Promise<boolean> {
    return this.#shape.endSession(id);
  }

  /**
   * Gives queued recipients up, with a bounce to their senders; returns how many. Those being sent at this moment are
   * left out.
   */
  failRecipients(recipientIds: readonly number[], reason: string): Promise<number> {
    return this.#shape.failRecipients(recipientIds, reason);
  }

  /** Begins to make the full-text index of an account anew; null where none are kept. */
  get rebuildIndex(): ((accountId: number) => Promise<void>) | null {
    return this.config.search.index ? (accountId) => this.#shape.rebuildIndex(accountId) : null;
  }

  /** Judges messages at hand; what it needs is loaded when it is first asked. */
  spamControl({ spam: lessons }: Pick<Store, "spam">) {
    const { weights } = this.config.filter.spam;
    let opened: Promise<Assessor> | null = null;
    const assessor = () =>
      opened ??= later<typeof import("../filter/spam/assessor.ts")>(
        new URL("../filter/spam/assessor.ts", import.meta.url),
      ).then(({ Assessor }) => new Assessor(lessons));
    return {
      signals: async () => {
        const { SIGNALS } = await later<typeof import("../filter/spam/signals.ts")>(
          new URL("../filter/spam/signals.ts", import.meta.url),
        );
        return SIGNALS.map(({ name, weight, explain }) => ({
          name,
          points: weights[name] ?? weight,
          explain,
        }));
      },
      judge: async (octets: Uint8Array, accountId: number | null) => {
        const recipients = accountId === null ? [] : [{ accountId, known: false, firstContact: null }];
        const request = { octets, total: octets.length, around: null, recipients, weights };
        return (await assessor()).assess(request).scores[0]!.score;
      },
      lesson: async (octets: Uint8Array) => (await assessor()).lesson(octets, octets.length),
    };
  }

  /** As the threads of the server look names up, and out of what they remember. */
  async queryDns(
    question: { readonly name: string; readonly type: number; readonly trace: boolean },
  ): Promise<DnsReport> {
    const { reportQuery } = await later<typeof import("../dns/report.ts")>(
      new URL("../dns/report.ts", import.meta.url),
    );
    this.#resolver ??= this.#openResolver();
    return await reportQuery(await this.#resolver, question, () => performance.now());
  }

  /** Why the server cannot take mail; null when all is well. */
  trouble(): Promise<string | null> {
    return this.#stopped === null ? this.#shape.trouble() : Promise.resolve("the server is stopping");
  }

  setLogLevel(area: LogArea | null, level: LogLevel): void {
    setLogLevel(area, level);
    this.#shape.setLogLevel(area, level);
  }

  /**
   * Takes over what can change: certificates (read again), limits, bans, log levels. Returns the keys that differ and
   * need a restart. Throws when a certificate cannot be used; everything stays as it was then.
   */
  async reload(next: Config): Promise<string[]> {
    const now = this.#settings.config;
    const taken = reloaded(now, next);
    const config: Config = { ...taken, limits: fitConnections(taken.limits) };
    const certificates = await certificatesOf(config, this.folder);
    this.#settings = { ...this.#settings, config, certificates };
    await this.#shape.reload(this.#settings);
    this.setLogLevel(null, next.logging.level);
    for (const [area, level] of Object.entries(next.logging.areas)) this.setLogLevel(area as LogArea, level);
    const left = restartKeys(now, next);
    for (const listener of this.#onReload) listener();
    log.info("configuration reloaded: certificates, limits and log levels are in force");
    if (left.length > 0) log.warn("these changes need a restart: {keys}", { keys: left.join(", ") });
    return left;
  }

  /** Drains and closes everything; safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #openResolver(): Promise<ThreadResolver> {
    const { createResolver } = await later<typeof import("./resolver.ts")>(
      new URL("./resolver.ts", import.meta.url),
    );
    return createResolver(this.config.resolver, {
      folder: this.config.data,
      answers: this.#shape.shared.answers,
    });
  }

  async #stop(): Promise<void> {
    log.info("stopping: no new connections, {drainMs} ms for what runs", { drainMs: this.config.drainMs });
    try {
      (await this.#resolver)?.close();
      await this.#shape.drain(this.config.drainMs);
    } finally {
      this.#lock.release();
      log.info("stopped");
      flushLogs();
    }
  }
}

async function startShape(settings: PartSettings, options: ServerOptions): Promise<Shape> {
  const { config } = settings;
  const shape = {
    settings,
    logs: options.logs,
    onLog: options.onLog,
    onFatal: options.onFatal,
    frontEnds: frontEnds(config.threads, navigator.hardwareConcurrency),
    ...(options.prepare && { prepare: options.prepare }),
    ...(options.entries && { entries: options.entries }),
  };
  // Main of the threaded shape never loads the protocol drivers: they cost time and memory.
  try {
    return shape.frontEnds === 0
      ? await (await later<typeof import("./threads/single.ts")>(
        new URL("./threads/single.ts", import.meta.url),
      )).startSingle(shape)
      : await (await later<typeof import("./threads/threaded.ts")>(
        new URL("./threads/threaded.ts", import.meta.url),
      )).startThreaded(shape);
  } finally {
    endEarly();
  }
}

/** Port 0 becomes a free port, the same for every thread. */
function claimPorts(listeners: readonly ListenerConfig[]): ListenerConfig[] {
  return listeners.map((listener) => {
    const { protocol, address, port } = listener;
    try {
      if (address.startsWith("unix:")) return listener; // the lock on the data folder guards it
      return { ...listener, port: claimPort(address, port) };
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) {
        throw new StartError(`${protocol}: port ${port} on ${address} is in use by another process`);
      }
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new StartError(
          `${protocol}: port ${port} needs CAP_NET_BIND_SERVICE: use the unit that "veredus service" prints, ` +
            `start as root with "user" configured, or choose a port above 1023`,
        );
      }
      if (error instanceof Deno.errors.AddrNotAvailable) {
        throw new StartError(`${protocol}: this machine has no address ${address}`);
      }
      throw error;
    }
  });
}

async function certificatesOf(config: Config, folder: DataFolder): Promise<Certificate[]> {
  if (config.certificates.length === 0) {
    const names = [...new Set([config.hostname, "localhost", "127.0.0.1", "::1"])];
    return [await selfSignedCertificate(folder.tls, { names, now: Date.now() })];
  }
  const loaded = config.certificates.map(({ certificate, key }) => loadCertificate(certificate, key));
  for (const [at, { notAfter }] of loaded.entries()) {
    if (notAfter < Date.now()) {
      log.error("the certificate {file} has ended", { file: config.certificates[at]?.certificate });
    }
  }
  return loaded;
}
