/**
 * The connections of one listener, counted in and out by the limits of the whole server.
 *
 * A refused client gets one line and costs no session; under TLS not even the line, because a handshake would cost more
 * than it tells.
 */
import { getLogger } from "@logtape/logtape";
import { counter, type Level, level } from "../telemetry/metrics.ts";
import { isImplicitTls, type Protocol } from "./config/config.ts";
import { descriptorOf, NO_DESCRIPTOR } from "./descriptor.ts";
import { hasRoomForConnection } from "./descriptors.ts";
import type { Admission, Door, SharedLimits } from "./shared_limits.ts";
import { closeQuietly } from "./socket_writer.ts";

const log = getLogger(["veredus", "server"]);
const accepted = counter("veredus_connections_total", "Connections accepted", ["protocol"]);
const refused = counter("veredus_connections_refused_total", "Connections refused by a limit", [
  "protocol",
  "limit",
]);
const open = level("veredus_connections", "Connections open now", ["protocol"]);

/** What stands in the way; `listener`: its own connections, `rate`: too many new ones of this address. */
type Limit = Exclude<Admission, "admitted"> | "banned" | "descriptors" | "rate";

export interface AdmissionParts {
  readonly limits: SharedLimits;
  /** Clients that are shut out; left out: none. */
  readonly banned?: (address: string) => boolean;
  /** Counts a new connection; true where there were too many of late. Left out: any number may come. */
  readonly tooFast?: (address: string) => boolean;
  /** Our name, for the line of a refused client. */
  readonly hostname: string;
}

export class Admissions {
  readonly #protocol: Protocol;
  readonly #parts: AdmissionParts;
  readonly #door: Door | undefined;
  readonly #accepted: { inc(): void };
  readonly #open: Level;

  /** `door` left out: the limits of the whole server alone. */
  constructor(protocol: Protocol, parts: AdmissionParts, door?: Door) {
    this.#protocol = protocol;
    this.#parts = parts;
    this.#door = door;
    this.#accepted = accepted.labels({ protocol });
    this.#open = open({ protocol });
  }

  /** Counts a connection in when it may come; {@linkcode leave} counts it out. */
  admit(connection: Deno.Conn, address: string): "admitted" | Limit {
    if (this.#parts.banned?.(address)) return "banned";
    const descriptor = descriptorOf(connection);
    if (!hasRoomForConnection(descriptor === NO_DESCRIPTOR ? null : descriptor)) return "descriptors";
    if (this.#parts.tooFast?.(address)) return "rate";
    const admission = this.#parts.limits.admit(address, this.#door);
    if (admission === "admitted") {
      this.#accepted.inc();
      this.#open.inc();
    }
    return admission;
  }

  leave(address: string): void {
    this.#parts.limits.release(address, this.#door);
    this.#open.dec();
  }

  /** Says so, where that is cheap, and closes. */
  async refuse(
    connection: Deno.Conn,
    { address, limit }: { readonly address: string; readonly limit: Limit },
  ): Promise<void> {
    const protocol = this.#protocol;
    refused.inc({ protocol, limit });
    log.debug("{protocol} connection from {address} refused: limit {limit}", { protocol, address, limit });
    try {
      if (!isImplicitTls(protocol)) {
        await connection.write(new TextEncoder().encode(busyLine(protocol, this.#parts.hostname)));
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error; // gone already
    } finally {
      closeQuietly(connection);
    }
  }
}

/** What a client over the limit hears (RFC 5321 3.8, RFC 3501 7.1.5, RFC 3206, RFC 9110 15.6.4). */
function busyLine(protocol: Protocol, hostname: string): string {
  switch (protocol) {
    case "smtp":
    case "submission":
    case "submissions":
    case "lmtp":
      return `421 4.7.0 ${hostname} Too many connections, try again later\r\n`;
    case "imap":
    case "imaps":
      return "* BYE [UNAVAILABLE] Too many connections, try again later\r\n";
    case "pop3":
    case "pop3s":
      return "-ERR [SYS/TEMP] Too many connections, try again later\r\n";
    case "managesieve":
      return 'BYE (TRYLATER) "Too many connections, try again later"\r\n';
    case "http":
    case "https":
      return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    default: {
      const never: never = protocol;
      return never;
    }
  }
}
