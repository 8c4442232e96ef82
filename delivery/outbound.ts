/**
 * One connection to one destination: finds a host that takes mail, and sends messages over it.
 *
 * RFC 5321 5.1 (MX in order of preference, all addresses of a host, never to ourselves), RFC 7505 (null MX), RFC 7435
 * (opportunistic TLS: any certificate; what fails is tried again in clear, at once, and logged). A refusal at greeting
 * or EHLO moves on to the next host; once a host has taken EHLO its answers count. Trouble of DNS is temporary. The
 * protocol is `protocols/smtp/client_session.ts`; here are the loop around it and its time-outs (RFC 5321 4.5.3.2).
 */
import { getLogger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS } from "../bytes/out.ts";
import { lookupAddresses, lookupMx, type Ourselves, type Random, withoutOurselves } from "../dns/mx.ts";
import type { Resolver } from "../dns/resolver.ts";
import {
  ClientSession,
  type ClientTransaction,
  type Stage,
  type TransactionResult,
} from "../protocols/smtp/client_session.ts";
import { DotStuffer } from "../protocols/smtp/dot_stuff.ts";
import { replyText } from "../protocols/smtp/reply_parser.ts";
import type { QueueTls } from "../storage/ops.ts";
import type { Connector, OutgoingConnection, Timers } from "./connector.ts";
import { type Route, routeName } from "./routes.ts";

const log = getLogger(["veredus", "queue"]);

/** Milliseconds; RFC 5321 4.5.3.2 asks for these at least, `connect` is ours. */
export interface OutboundTimeouts {
  readonly connect: number;
  readonly handshake: number;
  readonly block: number;
  readonly stages: Readonly<Record<Stage, number>>;
}

const MINUTE = 60_000;

export const DEFAULT_TIMEOUTS: OutboundTimeouts = {
  connect: 30_000,
  handshake: 30_000,
  block: 3 * MINUTE,
  stages: {
    "greeting": 5 * MINUTE,
    "hello": 5 * MINUTE,
    "starttls": 2 * MINUTE,
    "auth": 2 * MINUTE,
    "mail": 5 * MINUTE,
    "rcpt": 5 * MINUTE,
    "data-command": 2 * MINUTE,
    "data-end": 10 * MINUTE,
    "rset": 30_000,
    "quit": 5_000,
  },
};

export interface OutboundParts {
  readonly connector: Connector;
  readonly resolver: Resolver;
  readonly timers: Timers;
  readonly random: Random;
  readonly helloName: string;
  readonly ourselves: Ourselves;
  /** Port of other servers: 25. */
  readonly smtpPort: number;
  /** Contents of a password file without its line end. */
  readonly readPassword: (file: string) => Promise<string>;
  readonly timeouts: OutboundTimeouts;
}

/** Why a destination takes no mail now (`enhanced` 4.x.x) or never (5.x.x). */
export interface HopFailure {
  readonly enhanced: string;
  readonly text: string;
  readonly remote: string;
}

/** The octets of a message; the whole is read at once only when small. */
export interface MessageSource {
  readonly octets: number;
  read(start: number, end: number): Uint8Array | Promise<Uint8Array>;
}

type HostRoute = Extract<Route, { kind: "host" }>;

/** Hosts tried for one message before it waits for its next attempt. */
const MAX_TRIED = 20;
const READ_OCTETS = 4_096;
const PIECE_OCTETS = 64 * 1024;

/** An open session with a host, ready for messages. */
export class OutboundConnection {
  /** Messages sent over it. */
  messages: number;
  readonly host: string;
  #connection: OutgoingConnection;
  #session: ClientSession;
  #parts: OutboundParts;
  #buffer: Uint8Array;
  #closed: boolean;

  private constructor(
    connection: OutgoingConnection,
    parts: { host: string; session: ClientSession; outbound: OutboundParts },
  ) {
    this.messages = 0;
    this.host = parts.host;
    this.#connection = connection;
    this.#session = parts.session;
    this.#parts = parts.outbound;
    this.#buffer = new Uint8Array(READ_OCTETS);
    this.#closed = false;
  }

  /** Tries the hosts of a route until one is ready for mail. */
  static async open(
    route: Route,
    parts: OutboundParts,
    need: QueueTls = "",
  ): Promise<OutboundConnection | HopFailure> {
    if (route.kind === "none") return { enhanced: route.enhanced, text: route.text, remote: "" };
    const hosts = route.kind === "mx" ? await mxHosts(route.domain, parts) : [route.host];
    if ("enhanced" in hosts) return hosts;
    const way: HostRoute = route.kind === "host" ? route : {
      kind: "host",
      mode: "smtp",
      host: route.domain,
      port: 0,
      tls: "opportunistic",
      username: "",
      passwordFile: "",
    };
    let failure: HopFailure = {
      enhanced: "4.4.1",
      text: `no host of ${routeName(route)} can be reached`,
      remote: "",
    };
    let tried = 0;
    for (const host of hosts) {
      const found = isAddress(host)
        ? { kind: "addresses" as const, addresses: [host] }
        : await lookupAddresses(parts.resolver, host, parts.random);
      if (found.kind === "none") {
        failure = { enhanced: "4.4.4", text: `${host} has no address`, remote: host };
        continue;
      }
      if (found.kind === "failed") {
        failure = { enhanced: "4.4.3", text: found.reason, remote: host };
        continue;
      }
      for (const address of found.addresses) {
        if (tried++ >= MAX_TRIED) return failure;
        const opened = await openAt({ ...way, host }, address, { parts, need });
        if (opened instanceof OutboundConnection) return opened;
        failure = opened;
        log.debug("{host} takes no mail now: {text}", { host, remote: opened.remote, text: opened.text });
      }
    }
    return failure;
  }

  /** For `open` only. */
  static async start(
    connection: OutgoingConnection,
    parts: { host: string; session: ClientSession; outbound: OutboundParts; verify: boolean },
  ): Promise<OutboundConnection | HopFailure | "handshake-failed"> {
    const opened = new OutboundConnection(connection, parts);
    for (;;) {
      const event = opened.#session.next();
      switch (event.kind) {
        case "ready":
          return opened;
        case "need-input":
          await opened.#exchange(event.stage);
          break;
        case "starttls":
          try {
            opened.#connection = await opened.#connection.startTls({
              serverName: parts.host,
              verify: parts.verify,
            });
          } catch (error) {
            if (!(error instanceof Error)) throw error;
            opened.close();
            log.warn("TLS with {remote} failed: {error}", { remote: opened.remote, error: error.message });
            if (!parts.verify) return "handshake-failed";
            return { enhanced: "4.7.5", text: `TLS failed: ${error.message}`, remote: opened.remote };
          }
          opened.#session.tlsStarted();
          break;
        case "starttls-refused":
          log.warn("{remote} refused STARTTLS, mail goes in clear: {reply}", {
            remote: opened.remote,
            reply: replyText(event.reply),
          });
          break;
        case "unusable": {
          await opened.#farewell();
          const { failure } = event;
          // Another host may take it and the next attempt may find this one mended: never final.
          return {
            enhanced: failure.enhanced.replace(/^5/, "4"),
            text: failure.reply === null ? failure.text : replyText(failure.reply),
            remote: opened.remote,
          };
        }
        case "closed":
          opened.close();
          return { enhanced: "4.4.2", text: "the connection was closed", remote: opened.remote };
        case "data":
        case "result":
          throw new Error(`${event.kind} before a message`);
        default:
          event satisfies never;
      }
    }
  }

  /** `mx.example.org[192.0.2.1]:25` */
  get remote(): string {
    return remoteName(this.host, this.#connection.remote);
  }

  get tls(): OutgoingConnection["tls"] {
    return this.#connection.tls;
  }

  get offersDsn(): boolean {
    return this.#session.offersDsn;
  }

  /** False when no further message can go over it. */
  get usable(): boolean {
    return !this.#closed && this.#session.ready;
  }

  /** Sends one message. Rejects only when the message cannot be read; the connection is closed then. */
  async send(transaction: ClientTransaction, source: MessageSource): Promise<TransactionResult> {
    const session = this.#session;
    let result: TransactionResult | null = null;
    session.send(transaction);
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          await this.#exchange(event.stage);
          break;
        case "data":
          await this.#data(source);
          break;
        case "result":
          result = event.result;
          this.messages++;
          break;
        case "ready":
          if (result === null) throw new Error("the session is ready without a result");
          return result;
        case "closed":
          await this.#farewell();
          if (result === null) throw new Error("the session ended without a result");
          return result;
        case "starttls":
        case "starttls-refused":
        case "unusable":
          throw new Error(`${event.kind} in a transaction`);
        default:
          event satisfies never;
      }
    }
  }

  /** QUIT, answered or not. */
  async quit(): Promise<void> {
    if (!this.usable) return this.close();
    this.#session.quit();
    for (;;) {
      const event = this.#session.next();
      if (event.kind !== "need-input") break;
      await this.#exchange(event.stage);
    }
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  /** Writes what waits, reads once; trouble of the connection goes into the session. */
  async #exchange(stage: Stage): Promise<void> {
    const waitMs = this.#parts.timeouts.stages[stage];
    try {
      await this.#flush();
      const octets = await this.#within(waitMs, this.#connection.read(this.#buffer));
      if (octets === null) this.#session.lost(`the connection was lost (${stage})`);
      else this.#session.feed(this.#buffer.subarray(0, octets));
    } catch (error) {
      this.#lost(error, stage);
    }
  }

  async #data(source: MessageSource): Promise<void> {
    const { out } = this.#session;
    const stuffer = new DotStuffer(out);
    const octets = this.#session.emptyData ? 0 : source.octets;
    for (let at = 0; at < octets; at += PIECE_OCTETS) {
      let piece: Uint8Array;
      try {
        piece = await source.read(at, Math.min(octets, at + PIECE_OCTETS));
      } catch (error) {
        this.close(); // without the end the peer throws away what it has
        throw error;
      }
      stuffer.push(piece);
      if (out.pending <= HIGH_WATER_OCTETS) continue;
      try {
        await this.#flush();
      } catch (error) {
        return this.#lost(error, "data-end");
      }
    }
    stuffer.finish();
    this.#session.dataSent();
  }

  async #flush(): Promise<void> {
    const { out } = this.#session;
    if (out.pending > 0) await this.#within(this.#parts.timeouts.block, this.#connection.write(out.take()));
  }

  /** The last words, sent without waiting for an answer. */
  async #farewell(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#flush();
    } catch (error) {
      if (!(error instanceof Error)) throw error; // gone already
    }
    this.close();
  }

  #lost(error: unknown, stage: Stage): void {
    if (!(error instanceof Error)) throw error;
    this.close();
    this.#session.lost(
      error instanceof TimedOut ? `no answer in time (${stage})` : `the connection was lost (${stage})`,
    );
  }

  async #within<T>(ms: number, work: Promise<T>): Promise<T> {
    let late = false;
    const cancel = this.#parts.timers.after(ms, () => {
      late = true;
      this.#connection.close();
    });
    try {
      const value = await work;
      if (late) throw new TimedOut();
      return value;
    } catch (error) {
      throw late ? new TimedOut() : error;
    } finally {
      cancel();
    }
  }
}

class TimedOut extends Error {
  override readonly name = "TimedOut";
}

/** Hosts by MX, best first; ourselves and worse ones removed. */
async function mxHosts(domain: string, parts: OutboundParts): Promise<readonly string[] | HopFailure> {
  const { resolver, random, ourselves } = parts;
  const result = await lookupMx(resolver, domain, random);
  const failure = (enhanced: string, text: string): HopFailure => ({ enhanced, text, remote: "" });
  switch (result.kind) {
    case "null-mx":
      return failure("5.1.10", `${domain} does not accept mail (null MX)`);
    case "no-such-domain":
      return failure("5.1.2", `the domain ${domain} does not exist`);
    case "no-host":
      return failure("5.4.4", `${domain} has neither an MX record nor an address`);
    case "failed":
      return failure(result.temporary ? "4.4.3" : "5.1.2", result.reason);
    case "hosts": {
      const groups = await withoutOurselves(resolver, result.groups, ourselves);
      return groups.length === 0
        ? failure("5.4.6", `the mail exchange of ${domain} is this server, which is not responsible for it`)
        : groups.flatMap(({ hosts }) => hosts);
    }
    default:
      return result satisfies never;
  }
}

/** One address of one host; a failed handshake of opportunistic TLS is followed by a second try in clear. */
async function openAt(
  route: HostRoute,
  address: string,
  { parts, need }: { readonly parts: OutboundParts; readonly need: QueueTls },
): Promise<OutboundConnection | HopFailure> {
  let password: string;
  try {
    password = route.username === "" ? "" : await parts.readPassword(route.passwordFile);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    log.error("the password for {host} cannot be read: {error}", { host: route.host, error: error.message });
    return { enhanced: "4.3.5", text: "the password for the next hop cannot be read", remote: route.host };
  }
  const credentials = route.username === "" ? null : { user: route.username, password };
  // RFC 8689 4.2.1: TLS with a certificate that names the host.
  const required = route.tls === "required" || (need === "require" && route.tls !== "implicit");
  let starttls: "off" | "offered" | "required" = required
    ? "required"
    : route.tls === "opportunistic"
    ? "offered"
    : "off";
  const port = route.port === 0 ? parts.smtpPort : route.port;
  for (;;) {
    const connection = await connect(route, { address, port }, parts);
    if ("enhanced" in connection) return connection;
    const session = new ClientSession({
      mode: route.mode,
      helloName: parts.helloName,
      starttls,
      tlsActive: route.tls === "implicit",
      credentials,
      clearPassword: route.tls === "none",
    });
    const opened = await OutboundConnection.start(connection, {
      host: route.host,
      session,
      outbound: parts,
      verify: required,
    });
    if (opened !== "handshake-failed") return opened;
    starttls = "off";
  }
}

async function connect(
  route: HostRoute,
  target: { address: string; port: number },
  parts: OutboundParts,
): Promise<OutgoingConnection | HopFailure> {
  const remote = remoteName(route.host, `${target.address}:${target.port}`);
  let connection: OutgoingConnection;
  try {
    connection = await parts.connector.connect({ ...target, timeoutMs: parts.timeouts.connect });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { enhanced: "4.4.1", text: `cannot connect to ${remote}: ${error.message}`, remote };
  }
  if (route.tls !== "implicit") return connection;
  try {
    return await connection.startTls({ serverName: route.host, verify: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { enhanced: "4.7.5", text: `TLS with ${remote} failed: ${error.message}`, remote };
  }
}

function remoteName(host: string, at: string): string {
  const address = at.slice(0, at.lastIndexOf(":"));
  return address === host ? at : `${host}[${address}]${at.slice(at.lastIndexOf(":"))}`;
}

/** IPv4 or IPv6 in figures. */
function isAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
