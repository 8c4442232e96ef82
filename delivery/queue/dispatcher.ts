/**
 * Which destination of the queue gets a connection, and how many run.
 *
 * Free connections go to the destinations in turn, longest unserved first; how many one may have says its
 * {@linkcode Concurrency}, in which order its mail goes its {@linkcode FairJobs}. What a connection does with it says
 * connection.ts.
 */
import { getLogger } from "@logtape/logtape";
import type { Store } from "../../storage/store.ts";
import * as metrics from "../queue_metrics.ts";
import {
  type ConnectionOptions,
  type ConnectionParts,
  type Neighbours,
  QueueConnection,
} from "./connection.ts";
import { BUSY_CONNECTIONS } from "./concurrency.ts";
import { type Destination, wakeOne } from "./destination.ts";
import { Destinations, type DestinationsParts } from "./destinations.ts";

const log = getLogger(["veredus", "queue"]);

export interface DispatchOptions extends ConnectionOptions {
  readonly connections: number;
  readonly connectionsPerDestination: number;
}

export interface DispatchParts extends ConnectionParts, DestinationsParts {
  readonly store: Store;
  readonly options: DispatchOptions;
}

/** A connection as administration lists it. */
export interface OutgoingSession {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly doing: string;
}

export class Dispatcher {
  readonly #parts: DispatchParts;
  readonly destinations: Destinations;
  readonly #neighbours: Neighbours;
  readonly #connections: Map<string, QueueConnection>;
  /** Second connections of these. */
  #beside: number;
  #nextId: number;
  #drained: (() => void) | null;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.destinations = new Destinations(parts, parts.options.connectionsPerDestination, () => this.#now());
    this.#neighbours = {
      crowded: (destination) => this.#crowded(destination),
      room: (destination) => this.#startIfRoom(destination),
      beside: (destination) => this.#takeBeside(destination),
      left: (destination) => this.#leftBeside(destination),
    };
    this.#connections = new Map();
    this.#beside = 0;
    this.#nextId = 1;
    this.#drained = null;
  }

  /** Lets running transactions end within the time, then cuts; what waits is released. */
  async drain(withinMs: number): Promise<void> {
    this.destinations.drain();
    if (this.#connections.size > 0) {
      const cancel = this.#parts.outbound.timers.after(withinMs, () => {
        for (const connection of this.#connections.values()) connection.close();
        this.#drained?.();
      });
      await new Promise<void>((resolve) => this.#drained = resolve);
      cancel();
    }
  }

  sessions(): OutgoingSession[] {
    return [...this.#connections].map(([id, { remote, since, tlsActive, doing }]) => ({
      ...{ id, address: remote, since, tls: tlsActive, doing },
    }));
  }

  /** Cuts one connection; what it sends is tried again later. */
  endSession(id: string): boolean {
    return this.#connections.get(id)?.close() ?? false;
  }

  #now(): number {
    return this.#parts.outbound.timers.now();
  }

  /** A first connection for each destination, longest unserved first, then a second one for each, up to the limits. */
  startConnections(): void {
    if (this.destinations.draining) return;
    const now = this.#now();
    const waiting = [...this.destinations.all()].filter((destination) => {
      if (destination.jobs.length === 0 || destination.waitsUntil > now) return false;
      while (destination.jobs.length > destination.waking && wakeOne(destination));
      return true;
    });
    for (let has = 0, more = waiting; more.length > 0; has++) {
      const still: Destination[] = [];
      for (const destination of more) {
        if (!this.#wantsAnother(destination, now)) continue;
        still.push(destination);
        if (destination.connections > has) continue;
        if (this.#full) return this.#freeOne();
        this.#connect(destination);
      }
      more = still;
    }
  }

  /** A connection more for this destination, now that one more is allowed. */
  #startIfRoom(destination: Destination): void {
    if (this.destinations.draining || this.#full) return;
    const now = this.#now();
    if (destination.waitsUntil <= now && this.#wantsAnother(destination, now)) this.#connect(destination);
  }

  #wantsAnother(destination: Destination, now: number): boolean {
    if (wantsAnother(destination, { now, open: this.#connections.size })) return true;
    const { helpsAt } = destination.concurrency;
    if (helpsAt > now && helpsAt < Infinity && destination.jobs.length > 0) this.#parts.wakeAt(helpsAt);
    return false;
  }

  get #full(): boolean {
    return this.#connections.size + this.#beside >= this.#parts.options.connections;
  }

  #takeBeside(destination: Destination): boolean {
    const { connections, beside, concurrency } = destination;
    if (this.#full || connections + beside >= concurrency.connections) return false;
    destination.beside++;
    this.#beside++;
    metrics.connections.inc();
    return true;
  }

  #leftBeside(destination: Destination): void {
    destination.beside--;
    this.#beside--;
    metrics.connections.dec();
    this.startConnections();
  }

  /** All connections are taken and somebody has none: one that only waits is given up. */
  #freeOne(): void {
    for (const destination of this.destinations.all()) if (wakeOne(destination)) return;
  }

  #crowded(mine: Destination): boolean {
    if (!this.#full) return false;
    for (const other of this.destinations.all()) {
      if (other !== mine && other.jobs.length > 0 && other.connections === 0) return true;
    }
    return false;
  }

  #connect(destination: Destination): void {
    const id = `q${this.#nextId++}`;
    const connection = new QueueConnection(destination, this.destinations, {
      parts: this.#parts,
      neighbours: this.#neighbours,
    });
    this.#connections.set(id, connection);
    destination.connections++;
    this.destinations.served(destination);
    metrics.connections.inc();
    connection.run().catch((error) => {
      log.error("a connection of the queue ended by a fault of ours: {error}", { error });
    }).finally(() => {
      connection.close();
      this.#connections.delete(id);
      destination.connections--;
      metrics.connections.dec();
      this.destinations.forgetIdle(destination);
      if (!this.destinations.draining) this.startConnections();
      else if (this.#connections.size === 0) this.#drained?.();
    });
  }
}

function wantsAnother(
  { agent, jobs, connections, beside, ready, waking, concurrency, crowdedUntil, listed }: Destination,
  { now, open }: { readonly now: number; readonly open: number },
): boolean {
  const starting = connections - ready + waking;
  if (jobs.length <= starting) return false;
  if (connections === 0) return true;
  if (agent === null && concurrency.helpsAt > now && open >= BUSY_CONNECTIONS) return false;
  return listed === 0 && connections + beside < concurrency.connections && crowdedUntil <= now;
}
