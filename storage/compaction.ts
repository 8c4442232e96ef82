/**
 * Gives back the space of removed messages: copies what lives in mostly dead segments elsewhere and removes files
 * that nothing points at.
 *
 * One pass reads all contents in slices (there is no index by segment: it would cost every delivery) and adds up what
 * lives in each file. Live records of mostly dead or tiny segments are appended to a segment of the compactor's own,
 * made durable, and one `relocate` operation points their contents at the copy. A file goes only when passes at least
 * `graceMs` apart both found nothing that points at it: sessions may hold addresses they read before (a FETCH to a slow
 * client, a POP3 session with messages that IMAP expunged), and a message may be stored and not yet filed. So do files
 * that a crash left behind. The newest file always stays: numbers are never given twice while handles are open. While a copy of
 * the data is made no file goes (backup/backup.ts).
 *
 * Runs beside everything else, on any thread that has a way to the writer: slices of a few milliseconds with pauses.
 */
import { getLogger } from "@logtape/logtape";
import { counter, gauge } from "../telemetry/metrics.ts";
import { SegmentBlobReader } from "./blob_reader.ts";
import type { DataFolder } from "./data_folder.ts";
import { openReaderConnection } from "./database.ts";
import { DENO_FILES, type Files } from "./files.ts";
import type { Connection, RawStatement } from "./libsql.ts";
import { DataLock } from "./lock.ts";
import type { BlobAddress, Relocation } from "./ops.ts";
import {
  FILE_HEADER_OCTETS,
  readAt,
  readRecordHeader,
  RECORD_HEADER_OCTETS,
  sealedLength,
  segmentName,
  segmentNumber,
} from "./segment.ts";
import { DEFAULT_SEGMENT_OPTIONS, SegmentWriter } from "./segment_writer.ts";
import { StorageError } from "./store.ts";
import type { WriterPort } from "./writer.ts";
import { crc32 } from "node:zlib";

export interface CompactionOptions {
  /** A segment is rewritten when less than this share of it lives. */
  readonly minLiveShare: number;
  /** A file stays this long after nothing points at it any more. */
  readonly graceMs: number;
  /** A segment is rewritten only when nothing was written to it for this long. */
  readonly settledMs: number;
  /** Smaller segments are put together once there are many. */
  readonly smallOctets: number;
  readonly maxSmallSegments: number;
  /** Between slices. */
  readonly pauseMs: number;
  /** Between passes, and before the first. */
  readonly everyMs: number;
}

const DEFAULT_COMPACTION_OPTIONS: CompactionOptions = {
  minLiveShare: 0.5,
  graceMs: 2 * 3_600_000,
  settledMs: 10 * 60_000,
  smallOctets: 1024 * 1024,
  maxSmallSegments: 32,
  pauseMs: 10,
  everyMs: 10 * 60_000,
};

export interface CompactionReport {
  /** Records copied, and the octets of their messages. */
  readonly moved: number;
  readonly movedOctets: number;
  readonly removedSegments: readonly number[];
  /** Files nothing points at that wait for the end of their grace. */
  readonly waiting: number;
  /** Records that could not be read: they stay where they are. */
  readonly broken: number;
}

const SCAN_ROWS = 1_000;
/** One group of copies: bounded in memory and in the time the writer takes for it. */
const GROUP_OCTETS = 2 * 1024 * 1024;
const GROUP_RECORDS = 100;
/** Records moved in one pass; the next goes on. */
const MAX_MOVED = 50_000;

const log = getLogger(["veredus", "storage"]);
const movedOctets = counter(
  "veredus_compaction_moved_octets_total",
  "Octets of messages copied by compaction",
);
const removedSegments = counter("veredus_compaction_removed_segments_total", "Segment files removed");
let deadOctets = 0;
gauge("veredus_segments_dead_octets", "Octets in segments that nothing points at, at the last pass", {
  collect: (g) => g.set(deadOctets),
});

interface SegmentFacts {
  readonly octets: number;
  readonly modifiedAt: number;
  readonly sealed: boolean;
  liveOctets: number;
  records: number;
}

interface LiveRow {
  readonly id: number;
  readonly blob: BlobAddress;
}

export class Compactor {
  #folder: DataFolder;
  #writer: WriterPort;
  #files: Files;
  #clock: () => number;
  #options: CompactionOptions;
  /** Since when nothing points at a segment. */
  #unused = new Map<number, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<unknown> | null = null;
  #stopped = false;
  /** Opened by the first pass and kept: a closed one keeps its file until its statements are collected. */
  #connection: Connection | null = null;
  #rows: RawStatement | null = null;

  constructor(parts: {
    folder: DataFolder;
    writer: WriterPort;
    clock: () => number;
    files?: Files;
    options?: Partial<CompactionOptions>;
  }) {
    this.#folder = parts.folder;
    this.#writer = parts.writer;
    this.#files = parts.files ?? DENO_FILES;
    this.#clock = parts.clock;
    this.#options = { ...DEFAULT_COMPACTION_OPTIONS, ...parts.options };
  }

  /** Passes at their times from now on, until {@linkcode stop}. */
  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run().catch((error) => log.error("compaction failed: {error}", { error })).finally(
        () => {
          this.#running = null;
          if (!this.#stopped) this.start();
        },
      );
    }, this.#options.everyMs);
  }

  /** Ends after the slice that runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    this.#connection?.close();
    this.#connection = null;
  }

  /** One pass. Rejects with trouble of the disk; everything done until then stands. */
  async run(): Promise<CompactionReport> {
    const segments = this.#listSegments();
    const known = new Set(segments.keys());
    await this.#scan(({ blob }) => {
      const facts = segments.get(blob.segment);
      if (facts === undefined) return;
      facts.liveOctets += blob.length + RECORD_HEADER_OCTETS;
      facts.records++;
    });
    if (this.#stopped) return NOTHING;
    const removed = this.#removeUnused(segments);
    const chosen = this.#choose(segments);
    deadOctets = [...segments.values()].reduce((sum, s) => sum + Math.max(0, s.octets - s.liveOctets), 0);
    const moves = chosen.size === 0 ? NOTHING : await this.#move(chosen);
    for (const segment of this.#unused.keys()) if (!known.has(segment)) this.#unused.delete(segment);
    const report = { ...moves, removedSegments: removed, waiting: this.#unused.size };
    if (moves.moved + removed.length > 0) log.info("compaction: {*}", { ...report });
    return report;
  }

  #listSegments(): Map<number, SegmentFacts> {
    const segments = new Map<number, SegmentFacts>();
    const header = new Uint8Array(FILE_HEADER_OCTETS);
    for (const { name } of Deno.readDirSync(this.#folder.segments)) {
      const number = segmentNumber(name);
      if (number === null) continue;
      try {
        using file = Deno.openSync(`${this.#folder.segments}/${name}`);
        const { size, mtime } = file.statSync();
        const sealed = readAt(file, 0, header) === header.length && sealedLength(header) === size;
        segments.set(number, {
          octets: size,
          modifiedAt: mtime?.getTime() ?? this.#clock(),
          sealed,
          liveOctets: 0,
          records: 0,
        });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // a large message that was given up meanwhile
      }
    }
    return segments;
  }

  /** Shows every content to `visit`, in slices. */
  async #scan(visit: (row: LiveRow) => void): Promise<void> {
    this.#connection ??= openReaderConnection(this.#folder.database);
    const rows = this.#rows ??= this.#connection.prepare(
      "SELECT id, segment, offset, length FROM contents WHERE id > ? ORDER BY id LIMIT ?",
    ).raw();
    for (let after = -1; !this.#stopped;) {
      const slice = rows.all(after, SCAN_ROWS) as [number, number, number, number][];
      for (const [id, segment, offset, length] of slice) visit({ id, blob: { segment, offset, length } });
      if (slice.length < SCAN_ROWS) return;
      after = slice.at(-1)![0];
      await this.#pause();
    }
  }

  /** Removes the files that nothing pointed at for long enough. */
  #removeUnused(segments: Map<number, SegmentFacts>): number[] {
    const removed: number[] = [];
    const now = this.#clock();
    const newest = Math.max(...segments.keys());
    // One that begins after this look points at nothing that has been unused for so long.
    const copied = DataLock.held(this.#folder.backupLock);
    for (const [segment, facts] of segments) {
      if (facts.records > 0 || !facts.sealed || segment === newest) {
        this.#unused.delete(segment);
        continue;
      }
      const since = this.#unused.get(segment);
      if (since === undefined) this.#unused.set(segment, now);
      else if (now - since >= this.#options.graceMs && !copied) {
        Deno.removeSync(`${this.#folder.segments}/${segmentName(segment)}`);
        removedSegments.inc();
        this.#unused.delete(segment);
        segments.delete(segment);
        removed.push(segment);
      }
    }
    return removed;
  }

  #choose(segments: Map<number, SegmentFacts>): Set<number> {
    const { minLiveShare, settledMs, smallOctets, maxSmallSegments } = this.#options;
    const now = this.#clock();
    const movable = [...segments].filter(([, facts]) =>
      facts.sealed && facts.records > 0 && now - facts.modifiedAt >= settledMs
    );
    const chosen = movable.filter(([, facts]) => facts.liveOctets < facts.octets * minLiveShare);
    const small = movable.filter(([, facts]) => facts.octets < smallOctets);
    if (small.length > maxSmallSegments) chosen.push(...small);
    return new Set(chosen.map(([segment]) => segment));
  }

  async #move(chosen: ReadonlySet<number>): Promise<CompactionReport> {
    const live: LiveRow[] = [];
    await this.#scan((row) => {
      if (chosen.has(row.blob.segment) && live.length < MAX_MOVED) live.push(row);
    });
    // In the order of the files: reads are sequential, and what arrived together stays together.
    live.sort((a, b) => a.blob.segment - b.blob.segment || a.blob.offset - b.blob.offset);
    const reader = new SegmentBlobReader(this.#folder.segments);
    const target = new SegmentWriter(this.#folder.segments, this.#files, DEFAULT_SEGMENT_OPTIONS);
    const total = { moved: 0, movedOctets: 0, broken: 0 };
    try {
      for (let next = 0; next < live.length && !this.#stopped;) {
        const moves: Relocation[] = [];
        for (
          let octets = 0;
          next < live.length && octets < GROUP_OCTETS && moves.length < GROUP_RECORDS;
          next++
        ) {
          const { id, blob } = live[next]!;
          const record = readRecord(reader, blob);
          if (record === null) {
            total.broken++;
            continue;
          }
          moves.push({ contentId: id, from: blob, to: target.append(record.payload, record.salvage) });
          octets += blob.length;
        }
        await target.sync();
        if (moves.length > 0) await this.#relocate(moves, total);
        await this.#pause();
      }
    } finally {
      reader.close();
      await target.close();
    }
    return { ...NOTHING, ...total };
  }

  async #relocate(moves: Relocation[], total: { moved: number; movedOctets: number }): Promise<void> {
    const result = await this.#writer.submit({ kind: "relocate", moves });
    if (!result.ok) throw new StorageError(`compaction: ${result.fault}: ${result.detail}`, { full: false });
    if (result.kind !== "relocated") throw new Error(`relocate answered ${result.kind}`);
    const octets = moves.reduce((sum, { from }) => sum + from.length, 0);
    total.moved += result.moved;
    total.movedOctets += octets;
    movedOctets.inc(octets);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs));
  }
}

const NOTHING: CompactionReport = { moved: 0, movedOctets: 0, removedSegments: [], waiting: 0, broken: 0 };

/** Payload and salvage header of an intact record; null for one that is damaged, which is left alone. */
function readRecord(
  reader: SegmentBlobReader,
  blob: BlobAddress,
): { payload: Uint8Array; salvage: Uint8Array } | null {
  const read = (offset: number, length: number) => reader.readSync({ ...blob, offset, length }, 0, length);
  try {
    const header = readRecordHeader(read(blob.offset - RECORD_HEADER_OCTETS, RECORD_HEADER_OCTETS));
    if (header === null || header.payloadLength !== blob.length) throw damaged(blob);
    const payload = read(blob.offset, blob.length);
    const salvage = read(blob.offset + blob.length, header.salvageLength);
    if (crc32(payload) !== header.payloadCrc || crc32(salvage) !== header.salvageCrc) throw damaged(blob);
    return { payload, salvage };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    log.error("compaction leaves a damaged record: {error}", { error: error.message });
    return null;
  }
}

function damaged(blob: BlobAddress): StorageError {
  return new StorageError(`segment ${blob.segment}: the record at ${blob.offset} is damaged`, {
    full: false,
  });
}
