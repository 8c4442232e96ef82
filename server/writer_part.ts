/**
 * The writer's part: recovers segments, opens the one writing connection, serves the other threads,
 * compacts the segments.
 *
 * In a Worker of its own, or in the only thread with `threads: 0`. What it reports as fatal ends the process: a
 * transaction may hold the write lock until then.
 */
import { getLogger } from "@logtape/logtape";
import { Compactor } from "../storage/compaction.ts";
import type { WriteOp } from "../storage/ops.ts";
import { DataFolder, recoverSegments } from "../storage/data_folder.ts";
import { Writer } from "../storage/writer.ts";
import { serveWriter } from "../storage/writer_port.ts";
import type { SessionInfo, ThreadPart } from "./threads/messages.ts";

const log = getLogger(["veredus", "storage"]);
/** Each takes a few thousand rows at most: 2,000 every ten seconds outruns any greylist. */
const SWEEP_MS = 10_000;
/** Which messages were taught is known for so long; the same message taught later counts again. */
const LESSONS_MS = 366 * 86_400_000;

export class WriterPart implements ThreadPart {
  readonly writer: Writer;
  #compactor: Compactor;
  /** What checks remembered and has ended goes, and so do old lessons. */
  #sweeper: ReturnType<typeof setInterval>;

  constructor(
    path: string,
    fail: (reason: string) => void,
    { sweepMs = SWEEP_MS }: { readonly sweepMs?: number } = {},
  ) {
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
    this.#sweeper = setInterval(() => this.#sweep(Date.now()), sweepMs);
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

  #sweep(now: number): void {
    const ops: WriteOp[] = [
      { kind: "sweep-state", at: now },
      { kind: "sweep-lessons", before: now - LESSONS_MS },
    ];
    for (const op of ops) {
      this.writer.submit(op).catch((error) =>
        log.warn("what has ended could not be swept ({kind}): {error}", { kind: op.kind, error })
      );
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#compactor.stop();
    await this.writer.close();
  }
}
