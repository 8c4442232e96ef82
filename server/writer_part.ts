/**
 * The writer's part: recovers segments, opens the one writing connection, serves the other threads,
 * compacts the segments.
 *
 * In a Worker of its own, or in the only thread with `threads: 0`. What it reports as fatal ends the process: a
 * transaction may hold the write lock until then.
 */
import { getLogger } from "@logtape/logtape";
import { Compactor } from "../storage/compaction.ts";
import { DataFolder, recoverSegments } from "../storage/data_folder.ts";
import { Writer } from "../storage/writer.ts";
import { serveWriter } from "../storage/writer_port.ts";
import type { SessionInfo, ThreadPart } from "./threads/messages.ts";

const log = getLogger(["veredus", "storage"]);
/** Each takes a few thousand rows at most: 2,000 every ten seconds outruns any greylist. */
const SWEEP_MS = 10_000;

export class WriterPart implements ThreadPart {
  readonly writer: Writer;
  #compactor: Compactor;
  /** What checks remembered and has ended goes. */
  #sweeper: ReturnType<typeof setInterval>;

  constructor(path: string, fail: (reason: string) => void) {
    const folder = new DataFolder(path);
    recoverSegments(folder);
    folder.fillReserve();
    this.writer = new Writer({
      databasePath: folder.database,
      segments: folder.segments,
      clock: Date.now,
      onFatal: (error) => {
        log.fatal("the writer cannot go on: {error}", { error });
        fail(error.stack ?? error.message);
      },
      reserve: { release: () => folder.releaseReserve(), fill: () => folder.fillReserve() },
    });
    this.#compactor = new Compactor({ folder, writer: this.writer, clock: Date.now });
    this.#compactor.start();
    this.#sweeper = setInterval(() => {
      this.writer.submit({ kind: "sweep-state", at: Date.now() }).catch((error) =>
        log.warn("what checks remembered could not be swept: {error}", { error })
      );
    }, SWEEP_MS);
  }

  attach(port: MessagePort): void {
    serveWriter(this.writer, port);
  }

  sessions(): SessionInfo[] {
    return [];
  }

  endSession(): boolean {
    return false;
  }

  reload(): void {
    // Nothing of the writer's is configurable while it runs.
  }

  async drain(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#compactor.stop();
    await this.writer.close();
  }
}
