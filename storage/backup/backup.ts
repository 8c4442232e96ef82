/**
 * A copy of the data folder, of a running server or of a stopped one, without stopping anything.
 *
 * First the database, then the octets: what a row names was synced before the row was committed (segment_sync.ts), and a
 * segment only grows, so every octet that the copied rows name is in the files from that moment on. The other way round,
 * mail that came in between would be rows without octets. What could take octets away is compaction, which removes
 * no file while {@linkcode DataFolder.backupLock} is held. Of a segment that is still written to the copy has what the rows
 * name, and says in its header that this is all. Segments that no row names are left out, and so is what can be made anew:
 * full-text indexes, the reserve, sockets.
 *
 * The copy is durable, and is one, when its manifest is there: it is written last. What was written before a
 * failure is removed. Nothing of the data is changed but for the lock and the note of the last copy.
 */
import { getLogger } from "@logtape/logtape";
import { dirname, join, resolve } from "node:path";
import { DataFolder, freeOctets, makeFolder, sizeOrNull, statOrNull, syncNames } from "../data_folder.ts";
import { DataFolderLocked, DataLock } from "../lock.ts";
import { FILE_HEADER_OCTETS, fileHeader, readAt, sealedLength, segmentName } from "../segment.ts";
import { BackupError, diskFault } from "./fault.ts";
import { FileCopier, liesIn, namesIn, syncFolders } from "./file_copy.ts";
import { FORMAT, ManifestWriter } from "./manifest.ts";
import { copyDatabase, namedEnd, type NamedSegment, Snapshot } from "./snapshot.ts";

export interface BackupProgress {
  /** Octets. */
  readonly done: number;
  /** 0 while the database is copied: nothing is known yet. */
  readonly total: number;
}

export interface BackupOptions {
  readonly folder: DataFolder;
  /** Must be empty or not there, and outside of the data folder. */
  readonly to: string;
  readonly version: string;
  readonly clock: () => number;
  readonly progress: (progress: BackupProgress) => void;
  readonly signal: AbortSignal;
}

export interface BackupReport {
  readonly files: number;
  readonly octets: number;
  readonly seconds: number;
  /** Segments that rows name and that are not there: the data was damaged before. */
  readonly missing: readonly number[];
}

/** What the data folder remembers of its last whole copy. */
export interface BackupNote {
  /** Milliseconds of its end. */
  readonly at: number;
  readonly seconds: number;
  readonly octets: number;
}

const log = getLogger(["veredus", "storage"]);
/** The manifest until it is whole. */
const UNFINISHED = "manifest.jsonl.part";
const LOCK_TRIES = 20;
const LOCK_RETRY_MS = 50;

/**
 * Rejects with {@linkcode BackupError}, with the reason of the signal, with trouble of the disk, and with
 * {@linkcode DataFolderUnusable}: of a copy, or of half a restore, no copy is made.
 */
export async function backup(options: BackupOptions): Promise<BackupReport> {
  const to = resolve(options.to);
  options.folder.checkUsable();
  if (liesIn(to, options.folder.path)) throw new BackupError(`${to} lies in the data folder: name another`);
  const lock = await lockOf(options.folder);
  try {
    const isNew = claim(to);
    const manifest = new ManifestWriter(`${to}/${UNFINISHED}`); // throws where somebody else was faster
    try {
      return await new Backup({ ...options, to }, manifest).run();
    } catch (error) {
      removeHalf(to, isNew);
      throw error;
    } finally {
      manifest.close();
    }
  } catch (error) {
    throw diskFault(error, to);
  } finally {
    lock?.release();
  }
}

/** Null where none was made, or its note cannot be read. */
export function lastBackup(folder: DataFolder): BackupNote | null {
  try {
    const { at, seconds, octets } = JSON.parse(Deno.readTextFileSync(folder.backupNote)) as BackupNote;
    return { at, seconds, octets };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}

class Backup {
  readonly #options: BackupOptions;
  readonly #copier: FileCopier;
  readonly #target: DataFolder;
  readonly #manifest: ManifestWriter;
  readonly #missing: number[];
  /** Whose names are to be made durable. */
  readonly #folders: Set<string>;
  readonly #begin: number;
  #done: number;
  #total: number;

  constructor(options: BackupOptions, manifest: ManifestWriter) {
    this.#options = options;
    this.#manifest = manifest;
    this.#target = new DataFolder(options.to);
    this.#missing = [];
    this.#folders = new Set([options.to]);
    this.#begin = options.clock();
    this.#done = this.#total = 0;
    this.#copier = new FileCopier({
      signal: options.signal,
      moved: (octets) => {
        this.#done += octets;
        options.progress({ done: this.#done, total: Math.max(this.#done, this.#total) });
      },
    });
  }

  async run(): Promise<BackupReport> {
    const { folder, to, clock, version, progress } = this.#options;
    progress({ done: 0, total: 0 });
    const createdAt = new Date(clock()).toISOString();
    copyDatabase(folder.database, this.#target.database);
    const snapshot = new Snapshot(this.#target.database);
    try {
      this.#manifest.head({ veredus: "backup", format: FORMAT, version, schema: snapshot.schema, createdAt });
      const others = [...otherFiles(folder.path)];
      this.#total = this.#measure(snapshot, others);
      await this.#database();
      await this.#segments(snapshot);
      for (const path of others) await this.#file(path);
    } finally {
      snapshot.close();
      await this.#copier.settled();
    }
    await this.#copier.synced();
    syncFolders(this.#folders);
    this.#manifest.finish();
    Deno.renameSync(`${to}/${UNFINISHED}`, this.#target.manifest);
    syncFolders([to]);
    syncNames(dirname(to));
    const { files, octets } = this.#manifest;
    progress({ done: octets, total: octets });
    const now = clock();
    const report = { files, octets, seconds: (now - this.#begin) / 1000, missing: this.#missing };
    note(folder, { at: now, seconds: report.seconds, octets });
    return report;
  }

  /** Octets of everything. Throws when there is not so much room. */
  #measure(snapshot: Snapshot, others: readonly string[]): number {
    const { folder, to } = this.#options;
    const database = Deno.statSync(this.#target.database).size;
    let octets = 0;
    for (const { segment } of snapshot.named()) {
      octets += sizeOrNull(`${folder.segments}/${segmentName(segment)}`) ?? 0;
    }
    for (const path of others) octets += sizeOrNull(join(folder.path, path)) ?? 0;
    const free = freeOctets(to);
    if (octets > free) throw new BackupError(`${to} is full: ${octets} octets are wanted, ${free} are free`);
    return database + octets;
  }

  async #database(): Promise<void> {
    const { database } = this.#target;
    using file = Deno.openSync(database, { read: true, write: true });
    file.syncSync();
    const octets = file.statSync().size;
    this.#manifest.add({ path: "veredus.db", octets, sha256: await this.#copier.sum(file, { octets }) });
  }

  async #segments(snapshot: Snapshot): Promise<void> {
    Deno.mkdirSync(this.#target.segments, { mode: 0o700 });
    this.#folders.add(this.#target.segments);
    for (const named of snapshot.named()) await this.#segment(named);
  }

  async #segment(named: NamedSegment): Promise<void> {
    const name = segmentName(named.segment);
    using file = openOrNull(`${this.#options.folder.segments}/${name}`);
    if (file === null) {
      this.#missing.push(named.segment);
      return;
    }
    const header = new Uint8Array(FILE_HEADER_OCTETS);
    const sealed = readAt(file, 0, header) < header.length ? null : sealedLength(header);
    const { size } = file.statSync();
    // A sealed file does not change any more.
    const span = sealed !== null && sealed > 0 && sealed === size
      ? { octets: size }
      : sealedAt(namedEnd(file, named));
    const sha256 = await this.#copier.copy(file, `${this.#target.segments}/${name}`, span);
    this.#manifest.add({ path: `segments/${name}`, octets: span.octets, sha256 });
  }

  /** Keys, the trace of messages and the like. Files that go meanwhile, or grow, are copied as they were. */
  async #file(path: string): Promise<void> {
    using file = openOrNull(join(this.#options.folder.path, path));
    if (file === null) return;
    const octets = file.statSync().size;
    const to = join(this.#options.to, path);
    for (let folder = dirname(to); folder.length > this.#options.to.length; folder = dirname(folder)) {
      this.#folders.add(folder);
    }
    this.#manifest.add({ path, octets, sha256: await this.#copier.copy(file, to, { octets }) });
  }
}

function sealedAt(end: number): { octets: number; head: Uint8Array } {
  return { octets: end, head: fileHeader(end) };
}

/** What is made anew, is of a process, or has a way of its own into the copy. */
const LEFT_OUT = new Set([
  ...["veredus.db", "veredus.db-wal", "veredus.db-shm", "veredus.db-journal", "segments"],
  ...["search", "reserve", "tmp", "run", "lock", "backup.lock", "backup.json", "backup.json.new"],
]);

/** Ordinary files below the data folder, by their paths in it. */
function* otherFiles(root: string, below = ""): Generator<string> {
  for (const { name, isSymlink } of Deno.readDirSync(join(root, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (LEFT_OUT.has(path)) continue;
    const facts = statOrNull(join(root, path)); // what a link points at
    if (facts?.isDirectory && (below === "" || !isSymlink)) yield* otherFiles(root, path);
    else if (facts?.isFile) yield path;
  }
}

/** Makes the folder of the copy; false when it was there, empty. */
function claim(to: string): boolean {
  const names = namesIn(to);
  if (names === null) {
    makeFolder(to);
    return true;
  }
  if (names.length === 0) return false;
  throw new BackupError(
    names.includes("manifest.jsonl")
      ? `${to} holds a copy already: name another folder, or remove it first`
      : `${to} is not empty: name another folder (what a killed backup left has no manifest.jsonl: remove it)`,
  );
}

/** Null on a medium that cannot be written to: nobody removes anything there. */
async function lockOf(folder: DataFolder): Promise<DataLock | null> {
  for (let left = LOCK_TRIES;; left--) {
    try {
      return DataLock.take(folder.backupLock, "veredus backup");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EROFS") return null;
      if (!(error instanceof DataFolderLocked)) throw error;
      // Compaction takes it for a moment to see whether it is held.
      if (left === 0) throw new BackupError(`a copy is being made already: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

function removeHalf(to: string, isNew: boolean): void {
  for (const name of namesIn(to) ?? []) Deno.removeSync(`${to}/${name}`, { recursive: true });
  if (isNew) Deno.removeSync(to, { recursive: true });
}

/** For metrics and `GET /backup`; the copy is whole without it. */
function note(folder: DataFolder, what: BackupNote): void {
  try {
    const file = `${folder.backupNote}.new`;
    Deno.writeTextFileSync(file, JSON.stringify(what), { mode: 0o600 });
    Deno.renameSync(file, folder.backupNote);
  } catch (error) {
    log.warn("{path} could not be written: {error}", { path: folder.backupNote, error: String(error) });
  }
}

function openOrNull(path: string): Deno.FsFile | null {
  try {
    return Deno.openSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
