/**
 * The writer's hold on blob segments: what a group of writes points at is durable before the group is committed.
 *
 * Threads append to their own segments and send the writer what to file; one fdatasync here covers all that a group
 * brings. No other handle syncs a segment while writes that point into it are under way, because the kernel tells a failed
 * write to each handle once. After a failure nothing of that segment is taken any more: what the kernel dropped once it
 * calls clean the next time.
 */
import { getLogger } from "@logtape/logtape";
import { histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import { DENO_FILES, type Files, type SegmentFile } from "./files.ts";
import { segmentName } from "./segment.ts";

const log = getLogger(["veredus", "storage"]);
const syncSeconds = histogram("veredus_segment_sync_seconds", "Time of one fdatasync of a blob segment", {
  buckets: SECONDS_BUCKETS,
});

interface Held {
  readonly file: SegmentFile;
  /** Synced since the last {@linkcode SegmentSync.rest}. */
  used: boolean;
}

export class SegmentSync {
  readonly #folder: string;
  readonly #files: Files;
  #held: Map<number, Held>;
  /** Segments that are lost, and why. */
  #failed: Map<number, string>;

  constructor(folder: string, files: Files = DENO_FILES) {
    this.#folder = folder;
    this.#files = files;
    this.#held = new Map();
    this.#failed = new Map();
  }

  /** Null when everything appended before is on stable storage, else why it is not. Blocks until then. */
  sync(segment: number): string | null {
    const known = this.#failed.get(segment);
    if (known !== undefined) return known;
    const begin = performance.now();
    try {
      const held = this.#hold(segment);
      held.used = true;
      held.file.syncSync();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#failed.set(segment, reason);
      log.error("segment {segment} could not be synced and is given up: {reason}", { segment, reason });
      this.#drop(segment);
      return reason;
    }
    syncSeconds.observe((performance.now() - begin) / 1000);
    return null;
  }

  /** Lets go of what was not used since the last call: a removed file keeps its space while it is open. */
  rest(): void {
    for (const [segment, held] of this.#held) {
      if (!held.used) this.#drop(segment);
      held.used = false;
    }
  }

  close(): void {
    for (const segment of [...this.#held.keys()]) this.#drop(segment);
  }

  #hold(segment: number): Held {
    const known = this.#held.get(segment);
    if (known !== undefined) return known;
    const held = { file: this.#files.open(`${this.#folder}/${segmentName(segment)}`), used: true };
    this.#held.set(segment, held);
    return held;
  }

  #drop(segment: number): void {
    this.#held.get(segment)?.file.close();
    this.#held.delete(segment);
  }
}
